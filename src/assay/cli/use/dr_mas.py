"""See how a global baseline swells each agent's gradient, and what its advantages are both ways (2602.08847)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

FIELDS = ("question_id", "trajectory_id", "agent", "reward")


def configure(verbs: Any) -> None:
    verb = verbs.add_parser("advantages", help="per agent: mean, std, inflation; per row: the advantage both ways")
    verb.add_argument("file", type=Path, help=f"JSONL, a line an agent's turn: {', '.join(FIELDS)}")
    verb.add_argument("--json", action="store_true", help="print a JSON object a line of the file")
    verb.set_defaults(run=run_advantages)


def run_advantages(arguments: argparse.Namespace) -> int:
    import torch

    from assay.cli.rows import numbers, read_jsonl
    from assay.methods.post_training.batch import RolloutBatch
    from assay.methods.post_training.dr_mas import DrMAS, GlobalGRPO, gradient_inflation

    rows = read_jsonl(arguments.file, FIELDS)
    question, trajectory, agent = ([str(row[name]) for row in rows] for name in FIELDS[:3])
    names = sorted(set(agent))
    batch = RolloutBatch(
        rewards=torch.tensor(numbers([row["reward"] for row in rows], "reward"), dtype=torch.float64),
        group=torch.tensor(_numbered(question)),
        mask=torch.ones(len(rows), 1, dtype=torch.bool),
        agent=torch.tensor([names.index(name) for name in agent]),
        trajectory=torch.tensor(_numbered([f"{q}\n{t}" for q, t in zip(question, trajectory)])),  # ids may start anew
        allow_singletons=True,
    )
    assert batch.agent is not None
    estimator = DrMAS()
    both = {"global": GlobalGRPO()(batch), "per_agent": estimator(batch)}
    if arguments.json:
        for place, row in enumerate(rows):
            shown = {name: row[name] for name in FIELDS}
            print(json.dumps(shown | {f"advantage_{way}": round(float(both[way][place]), 4) for way in both}))
        return 0
    _print(names, batch.agent, gradient_inflation(batch.rewards, batch.agent, batch.group), both)
    if estimator.raw_cells:
        print(f"{estimator.raw_cells} agents acted once for a question: there the advantage is the raw reward")
    return 0


def _print(names: list[str], agent: Any, inflation: Any, both: dict[str, Any]) -> None:
    from assay.cli.words import rows

    head = ["agent", "rows", "mean reward", "std", "inflation", "mean advantage: global", "per agent"]
    table = [head]
    for place, name in enumerate(names):
        mine = agent == place
        figures = [inflation.mean[place], inflation.std[place], inflation.factor[place]]
        figures += [both[way][mine].mean() for way in ("global", "per_agent")]
        table.append([name, str(int(mine.sum())), *(f"{float(figure):.3f}" for figure in figures)])
    print(rows(table))
    print("inflation: the second moment of the agent's advantages under one baseline for all; under its own it is 1")


def _numbered(names: list[str]) -> list[int]:
    """Each name's number, in order of first appearance."""
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return [number[name] for name in names]
