"""A guard that has seen what followed: policies from a document, a world model from recorded steps.

python examples/safepred.py
"""

from assay.methods.safety.safepred import (
    ActionText,
    CompactState,
    LearnedWorldModel,
    ReactiveGuard,
    Recorded,
    SafePred,
    extract_policies,
)

RULES = "Audit records must never be deleted, lost or missing."


def screen(*elements: tuple[str, str]) -> CompactState:
    return CompactState("http://console.test/", "Disk", elements, " ".join(name for _, name in elements))


def main() -> None:
    quick, choose = (ActionText("press", "button", name) for name in ("Free space quickly", "Choose what to remove"))
    before = screen(("button", quick.name), ("button", choose.name))
    later = screen(("button", quick.name), ("alert", "Audit records are missing."))
    turn = ActionText("press", "link", "Users")
    episodes = [
        [Recorded(before, quick, before), Recorded(before, turn, before), Recorded(before, turn, later)],
        [Recorded(before, choose, before), *[Recorded(before, turn, before)] * 5],
    ]
    policies = extract_policies(RULES)
    for guard in (ReactiveGuard(policies), SafePred(LearnedWorldModel(episodes, k=1), policies)):
        for action in (quick, choose):
            review = guard.review(before, action, ())
            print(f"{type(guard).__name__:14} {action!s:28} risk {review.risk:.1f}  {review.explanation}")


if __name__ == "__main__":
    main()
