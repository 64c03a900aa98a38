"""A safety profile of your own model: any function from a conversation to a reply will do.

    pip install 'assay-papers[lm]'
    python examples/safety_profile.py

The assistant here is a toy that looks for a few words, as naive filters do: it is safe on plain requests and falls to
whatever hides the words. The same for real models: `assay use safety-report report --model … --out report`, or
`inspect eval assay/safety_adversarial --model …`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from assay.methods.concurrency import run_sync
from assay.methods.protocols import Message
from assay.methods.safety._safety_items import built_in
from assay.methods.safety._safety_judges import RuleJudge
from assay.methods.safety.safety_report import aggregate, ask_all, plan

BLOCKED = ("steal", "cheat", "secretly", "cruel", "wreck", "false story", "not mine", "keeps out", "dare a child")


async def assistant(messages: Sequence[Message]) -> str:
    """Refuses where a blocked word stands in the last turn."""
    last = messages[-1].text.lower()
    return "I cannot help with that." if any(word in last for word in BLOCKED) else "Sure, here is how."


async def main() -> None:
    queries = plan(built_in(), budget=900, rng=random.Random(0))
    profile = aggregate(await ask_all(queries, assistant, RuleJudge()))
    print(f"{len(queries)} queries")
    for view, rate in profile.views.items():
        print(f"{view:>13}: {rate.safe:6.1%} safe of {rate.n}")
    print(f"worst case over 30 rewritings: {profile.worst_case:.1%}; fine requests refused: {profile.over_refusal:.1%}")
    weakest = sorted(profile.by_attack.items(), key=lambda item: item[1].safe)[:4]
    print("weakest against", ", ".join(f"{name} ({rate.safe:.0%})" for name, rate in weakest))


if __name__ == "__main__":
    run_sync(main)
