"""How sure is an agent after searching, and after checking? And what is it paid for saying so?

    pip install 'assay-papers[lm]'
    python examples/calibrated_agents.py

The replies below are simulated: searches find two answers in three and are called 90 % sure, checks find as many and
are called what they are. The report tells the two apart; one temperature mends the mean; `CAR` is the reward that goes
into TRL as `GRPOTrainer(reward_funcs=CAR(MSCR()), ...)`.
"""

from __future__ import annotations

import numpy as np

from assay.methods.post_training.calibrated_agents import (
    CAR,
    MSCR,
    by_tool,
    fit_temperature,
    parse_confidence,
    tool_kind,
    with_temperature,
)


def main() -> None:
    rng = np.random.default_rng(0)
    tools = rng.choice(["web_search", "python"], 600)
    chance = rng.choice([0.4, 0.9], 600)  # what a reply's own evidence is worth
    right = rng.random(600) < chance
    said = np.where(tools == "python", chance, 0.9)
    replies = [rf"\boxed{{{'Rome' if good else 'Pisa'}}} confidence: {share:.0%}" for good, share in zip(right, said)]

    stated = [share for reply in replies if (share := parse_confidence(reply)) is not None]
    for kind, one in by_tool(stated, right, [tool_kind(tool) for tool in tools]).items():
        report, (low, high) = one.calibration, one.intervals["ece"]
        print(
            f"{kind}: accuracy {report.accuracy:.2f}, ECE {report.ece:.2f} ({low:.2f} to {high:.2f}), "
            f"AUROC {report.auroc:.2f}, confidence when wrong {report.confidence_when_wrong:.2f}"
        )

    searched = np.flatnonzero(tools == "web_search")
    first, rest = searched[:100], searched[100:]
    temperature = fit_temperature(said[first], right[first])
    mended = by_tool(with_temperature(said[rest], temperature), right[rest], ["evidence"] * len(rest))["evidence"]
    print(f"with temperature {temperature:.2f}: ECE {mended.calibration.ece:.2f}, AUROC {mended.calibration.auroc:.2f}")

    rewards = CAR(MSCR())(["Which town?"] * 600, replies, [[]] * 600, answer=["Rome"] * 600)
    for tool in ("web_search", "python"):
        print(f"mean reward after {tool}: {np.mean([r for r, used in zip(rewards, tools) if used == tool]):.3f}")


if __name__ == "__main__":
    main()
