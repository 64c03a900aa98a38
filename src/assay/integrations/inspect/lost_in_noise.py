"""NoisyBench as an Inspect task: one kind of data set in one of four conditions (2601.07226).

    inspect eval assay/lost_in_noise -T kind=rag_musique -T condition=HN --model openai/...
    inspect eval assay/lost_in_noise -T file=noisy/hn.jsonl --model openai/...

Without a file the items are our own; with one they are rows that `assay use lost-in-noise noise` wrote. Two solvers
bound what a model can score: `read_evidence` answers rightly if the evidence is still in the prompt, `last_block`
answers with whatever stands last before the question.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

from assay.methods.concurrency import run_sync
from assay.methods.data.stages import read_rows
from assay.methods.post_training.lost_in_noise import (
    Condition,
    Item,
    NoiseSpec,
    Outcome,
    RuleWriter,
    Sources,
    chats,
    documents,
    is_right,
    make_noisy,
    own_rows,
    quotes,
    read_item,
)

FIELDS = ("id", "kind", "condition", "prompt", "question", "answer", "distractors")


@task
def lost_in_noise(
    kind: str = "rag_musique",
    condition: Condition = "ND",
    file: str | None = None,
    n: int = 5,
    seed: int = 0,
    limit: int | None = None,
) -> Task:
    """A kind of data set in a condition (ND, RD, RC, HN) with `n` distractors, or the rows of a `file` as they are."""
    rows = read_rows(Path(file)) if file is not None else own_noisy(kind, condition, n, seed)
    name = f"lost_in_noise_{Path(file).stem}" if file is not None else f"lost_in_noise_{kind}_{condition}"
    samples = [_sample(row) for row in rows[:limit]]
    return Task(dataset=MemoryDataset(samples, name=name), solver=generate(), scorer=[noisy_check(), distracted()])


def own_noisy(kind: str, condition: Condition, n: int = 5, seed: int = 0) -> list[dict[str, Any]]:
    """Our own items of a kind in a condition; hard negatives by rule."""
    items = [read_item(kind, row, number) for number, row in enumerate(own_rows(kind), 1)]
    sources = Sources(documents(seed=seed), chats(seed=seed), RuleWriter())
    spec = NoiseSpec(condition, n, position="interleaved", seed=seed)
    return run_sync(partial(make_noisy, items, spec, sources))


@scorer(metrics=[accuracy(), stderr()])
def noisy_check() -> Scorer:
    """Whether the reply's answer is right, by the rule of the item's kind."""

    async def score(state: TaskState, target: Target) -> Score:
        right = is_right(_item(state.metadata), state.output.completion)
        return Score(value=CORRECT if right else INCORRECT, answer=state.output.completion)

    return score


@scorer(metrics=[mean()])
def distracted() -> Scorer:
    """1 where the reply quotes five words in a row of a distractor."""

    async def score(state: TaskState, target: Target) -> Score:
        reply = _written(state)
        return Score(value=float(any(quotes(reply, text) for text in state.metadata["distractors"])))

    return score


@solver
def read_evidence() -> Solver:
    """Answers rightly where all evidence stands in the prompt, else not at all: what noise leaves possible."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        item = _item(state.metadata)
        there = all(sentence in state.input_text for sentence in item.evidence)
        said = item.answer if "tool" in item.kind else f"Answer: {item.answer}"
        state.output = ModelOutput.from_content("read_evidence", said if there else "Answer: not found")
        return state

    return solve


@solver
def last_block() -> Solver:
    """Answers with the block that stands last before the question, or with its last word: a weak baseline."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        before = state.input_text.split("Question:")[0].split()
        state.output = ModelOutput.from_content("last_block", f"Answer: {before[-1].strip('.') if before else ''}")
        return state

    return solve


def outcomes(logs: Iterable[EvalLog]) -> list[Outcome]:
    """What the logs of this task say, reply by reply, for `noise_report`. Raises ValueError for a run that failed."""
    found = []
    for log in logs:
        if log.status != "success" or not log.samples:
            said = log.error.message if log.error else "no samples"
            raise ValueError(f"{log.eval.task}: {log.status} ({said})")
        for sample in log.samples:
            scores = sample.scores or {}
            usage = sample.output.usage
            found.append(
                Outcome(
                    id=str(sample.metadata["id"]),
                    kind=sample.metadata["kind"],
                    condition=sample.metadata["condition"],
                    correct=scores["noisy_check"].value == CORRECT,
                    tokens=usage.output_tokens if usage else 0,
                    distracted=bool(scores["distracted"].value),
                    entropy=_entropy(sample.output),
                )
            )
    return found


def _sample(row: Mapping[str, Any]) -> Sample:
    missing = [name for name in FIELDS if name not in row]
    if missing:
        raise ValueError(f"row {row.get('id', '?')}: no {missing[0]!r}; wanted rows that the command `noise` wrote")
    return Sample(id=str(row["id"]), input=row["prompt"], target=row["answer"], metadata=dict(row))


def _item(row: Mapping[str, Any]) -> Item:
    names = ("passages", "evidence", "options", "aliases")
    lists = {name: tuple(row.get(name, ())) for name in names}
    return Item(str(row["id"]), row["kind"], row["question"], row["answer"], **lists)


def _written(state: TaskState) -> str:
    """Reasoning and reply: a distractor counts wherever it is quoted."""
    message = state.output.message
    parts = message.content if isinstance(message.content, list) else []
    thoughts = [part.reasoning for part in parts if part.type == "reasoning"]
    return "\n".join([*thoughts, state.output.completion])


def _entropy(output: ModelOutput) -> float | None:
    """Mean entropy in nats over the tokens' listed alternatives, the rest counted as one; None without any."""
    choice = output.choices[0] if output.choices else None
    if choice is None or choice.logprobs is None:
        return None
    each = []
    for token in choice.logprobs.content:
        shares = [math.exp(top.logprob) for top in token.top_logprobs or ()]
        if shares:
            rest = max(0.0, 1.0 - sum(shares))
            each.append(-sum(share * math.log(share) for share in [*shares, rest] if share > 0))
    return sum(each) / len(each) if each else None
