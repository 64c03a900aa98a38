"""Open-ended benchmarks from queries of one's own: what to imitate, what to train on, what to be compared by. The
full cycle of `arenarl` (paper's Open-Travel and Open-DeepResearch)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from assay.methods.concurrency import gather
from assay.methods.data.stages import StageReport, run_stage, write_rows
from assay.methods.judging import PairJudge
from assay.methods.parsing import tagged

Agent = Callable[[str], Awaitable[str]]  # a task to the whole trajectory as text: tool calls, what came back, answer
Part = Literal["sft", "rl", "test"]
Tournament = Callable[[str, Sequence[str]], Awaitable[int]]  # a query and replies to the place of the best one

FIRST = {"sft": 0.4, "rl": 0.8}  # where on [0, 1) the share of a part ends; the rest is the test


@dataclass(frozen=True)
class Form:
    """A kind of open-ended task: its name and what agents are told to do and to hand in."""

    name: str
    instructions: str

    def task(self, query: str) -> str:
        """What an agent is asked."""
        return f"{self.instructions}\n\n{query}"


OPEN_TRAVEL = Form(
    "open_travel",
    "Plan the journey that is asked for. Use the tools to find places, hours, prices and distances; do not make any "
    "up. End with the plan between <answer> and </answer>, one stop a line, the hour of arrival (9:30) before the "
    "place's name.",
)
OPEN_DEEP_RESEARCH = Form(
    "open_deep_research",
    "Write the report that is asked for. Use the tools to search, read and compare sources, follow up what they "
    "disagree on, and say where each claim comes from. End with the report between <answer> and </answer>.",
)


@dataclass(frozen=True)
class Built:
    """What a benchmark was built of: reports of the two stages that called agents, and the file of RL prompts with how
    many there are."""

    sft: StageReport
    test: StageReport
    rl: Path
    rl_prompts: int


def is_valid(trajectory: str) -> bool:
    """Whether a trajectory ends in an answer that is not empty."""
    answers = tagged(trajectory, "answer")
    return bool(answers and answers[-1])


def part_of(query: str) -> Part:
    """The part a query belongs to, whoever asks and however often: 40 % SFT, 40 % RL, 20 % test."""
    place = int.from_bytes(hashlib.blake2b(query.encode(), digest_size=8).digest(), "big") / 2**64
    return "sft" if place < FIRST["sft"] else "rl" if place < FIRST["rl"] else "test"


async def build(
    form: Form,
    queries: Sequence[str],
    agent: Agent,
    best: Tournament,
    folder: Path,
    *,
    reference: Agent | None = None,
    rollouts: int = 4,
    workers: int = 4,
) -> Built:
    """Write `sft.jsonl`, `rl.jsonl` and `test.jsonl` into `folder`; a run that was stopped goes on.

    agent        tried `rollouts` times on each SFT query; the valid trajectory that wins is the one to imitate
    best         the tournament that says which
    reference    answers each test query once: what later models are compared with; None takes `agent`

    SFT rows have "prompt" and "completion", RL rows "prompt", test rows "input" and "reference". An SFT query without
    a valid trajectory is left out and stands in the report. Raises ValueError for a query that comes twice, and where
    a part is empty.
    """
    if len(set(queries)) != len(queries):
        raise ValueError(f"queries: got {len(queries) - len(set(queries))} twice, wanted each once")
    if rollouts < 1:
        raise ValueError(f"rollouts: got {rollouts}, wanted at least 1")
    parts: dict[Part, list[str]] = {"sft": [], "rl": [], "test": []}
    for query in queries:
        parts[part_of(query)].append(query)
    for name, own in parts.items():
        if not own:
            raise ValueError(f"queries: none of {len(queries)} falls to {name}, wanted more queries")

    async def imitated(row: dict[str, Any]) -> dict[str, Any]:
        task = form.task(row["query"])
        tried = await gather([partial(agent, task) for _ in range(rollouts)])
        valid = [trajectory for trajectory in tried if is_valid(trajectory)]
        if not valid:
            raise ValueError(f"none of {rollouts} trajectories ends in an answer")
        chosen = valid[0] if len(valid) == 1 else valid[await best(row["query"], valid)]
        return {"prompt": task, "completion": chosen, "valid": len(valid), "rollouts": rollouts}

    async def referred(row: dict[str, Any]) -> dict[str, Any]:
        return {"input": form.task(row["query"]), "reference": await (reference or agent)(form.task(row["query"]))}

    def rows(part: Part) -> list[dict[str, Any]]:
        return [{"id": query, "query": query} for query in parts[part]]

    sft = await run_stage(rows("sft"), imitated, folder / "sft.jsonl", workers=workers)
    test = await run_stage(rows("test"), referred, folder / "test.jsonl", workers=workers)
    write_rows(folder / "rl.jsonl", [{"prompt": form.task(query)} for query in parts["rl"]])
    return Built(sft, test, folder / "rl.jsonl", len(parts["rl"]))


async def compared(judge: PairJudge, query: str, trajectory: str, reference: str) -> float:
    """1 where the trajectory beats the reference, 0.5 where the judge finds them alike, 0 where it loses or has no
    answer. `judge` is asked as it is; wrap it by `both_orders` where it favours a place."""
    if not is_valid(trajectory):
        return 0.0
    ours, theirs = await judge(query, trajectory, reference)
    return 0.5 if ours == theirs else float(ours > theirs)
