"""Lost in the Noise: How Reasoning Models Fail with Contextual Distractors (2601.07226): noisy data sets and RARE.

Clean benchmarks hide what irrelevant context does. `make_noisy` puts a data set into four conditions: none (ND), random
documents (RD), random chat (RC), hard negatives (HN); `noise_report` sets the four beside each other. `RARE` is the
reward that trains against it: the answer's, plus a bonus where the reasoning names the evidence, the hint.

    rows = run_sync(partial(make_noisy, items, NoiseSpec("HN"), Sources(writer=RuleWriter())))
    reward = RARE(HintMatch(), weight=0.5)            # TRL: columns "hint" and "answer", at wish "context"

Details that matter
- What it costs: conditions RD and RC are draws from a pool, HN two model calls an item and one a distractor, or none by
  rule. `RARE(HintMatch())` is string matching; with `LLMHintJudge` it is one call a rollout.
- When it does not help: where whoever cites the evidence answers rightly anyway, the bonus follows the answer's reward
  and a group-normalised advantage hardly changes. A bonus without `mode="gated"` also pays wrong answers.
- Quoting everything names the hint too, so `HintMatch` pays nothing where more than half of the context is quoted.
- Evaluate on hard negatives that were not trained on; random noise is the easier half.
- Our reading: weight 0.5, runs of five words, the words of the judge, eleven kinds by the columns of public sets.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from assay.methods.concurrency import gather, run_sync
from assay.methods.parsing import as_text, exact_match, final_answer, tagged
from assay.methods.post_training._hint_judges import HintJudge, HintMatch, LLMHintJudge
from assay.methods.post_training._noise_attention import distractor_attention
from assay.methods.post_training._noise_items import chats, documents, own_rows
from assay.methods.post_training._noise_report import Outcome, noise_report, quotes
from assay.methods.post_training._noise_sets import KINDS, POSITIONS, Item, ask, is_right, read_item
from assay.methods.post_training._noise_sources import (
    CONDITIONS,
    Chat,
    Condition,
    Distractor,
    Found,
    NoiseSpec,
    RuleWriter,
    Writer,
    WriterLLM,
    hard_negatives,
    holds,
    random_chats,
    random_documents,
)

__all__ = [
    "CONDITIONS",
    "KINDS",
    "POSITIONS",
    "RARE",
    "Condition",
    "Distractor",
    "Found",
    "HintJudge",
    "HintMatch",
    "Item",
    "LLMHintJudge",
    "NoiseSpec",
    "Outcome",
    "RuleWriter",
    "Sources",
    "Writer",
    "WriterLLM",
    "ask",
    "chats",
    "distractor_attention",
    "documents",
    "hard_negatives",
    "holds",
    "is_right",
    "make_noisy",
    "noise_report",
    "noisy_instruct",
    "own_rows",
    "quotes",
    "random_chats",
    "random_documents",
    "read_item",
]

Mode = Literal["added", "gated"]
_BOXED_ANSWER = re.compile(r"<answer>|\\boxed|^\s*answer\s*:|^#", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Sources:
    """What noise is made from; a condition needs its own source alone."""

    documents: Sequence[str] = ()
    chats: Sequence[Chat] = ()
    writer: Writer | None = None


async def make_noisy(
    items: Sequence[Item], spec: NoiseSpec, sources: Sources, workers: int = 8
) -> list[dict[str, Any]]:
    """The items in one condition, one row each: what is asked, what is right, what was put in and what turned down.

    Rows hold "id", "kind", "condition", "prompt", "question", "answer", "aliases", "options", "passages", "evidence",
    "distractors" and "rejected" (pairs of text and reason). An item's draws depend on the seed and its id alone.
    Raises ValueError naming the item that has no evidence for hard negatives, or for which too little noise is left.
    """
    if spec.kind == "HN" and sources.writer is None:
        raise ValueError("writer: got none, wanted one for hard negatives (HN): RuleWriter() or WriterLLM(complete)")

    async def row(item: Item) -> dict[str, Any]:
        rng = random.Random(f"{spec.seed} {spec.kind} {item.id}")
        found = await _found(item, spec, sources, rng)
        return {
            "id": item.id,
            "kind": item.kind,
            "condition": spec.kind,
            "prompt": ask(item, [one.text for one in found.kept], spec.position, rng),
            "question": item.question,
            "answer": item.answer,
            "aliases": list(item.aliases),
            "options": list(item.options),
            "passages": list(item.passages),
            "evidence": list(item.evidence),
            "distractors": [one.text for one in found.kept],
            "rejected": [list(pair) for pair in found.rejected],
        }

    return await gather([partial(row, item) for item in items], limit=workers)


async def _found(item: Item, spec: NoiseSpec, sources: Sources, rng: random.Random) -> Found:
    if spec.kind == "RD":
        return random_documents(item, sources.documents, spec, rng)
    if spec.kind == "RC":
        return random_chats(item, sources.chats, spec, rng)
    if spec.kind == "HN" and sources.writer is not None:
        return await hard_negatives(item, sources.writer, spec, rng)
    return Found()


def noisy_instruct(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `make_noisy` as a training set: "prompt", "distractors", "hint", "answer", "context".

    The hint is the item's evidence, one sentence a line. Raises ValueError for a row without evidence: there would be
    nothing to reward.
    """
    made = []
    for row in rows:
        if not row["evidence"]:
            raise ValueError(f"item {row['id']}: no evidence, wanted some for its hint")
        made.append(
            {
                "prompt": row["prompt"],
                "distractors": list(row["distractors"]),
                "hint": "\n".join(row["evidence"]),
                "answer": row["answer"],
                "context": "\n".join([*row["passages"], *row["distractors"]]),
            }
        )
    return made


class RARE:
    """The rationale-aware reward, outcome + weight · 1[the reasoning identifies the hint], as a TRL reward function.

    judge      a `HintJudge`
    outcome    (completion, answer) -> reward of the answer; by default 1 where the final answer is the gold one
    reasoning  completion -> its reasoning part, None where it has none (then no bonus)
    mode       "gated" pays the bonus only where the outcome is positive

    Called with lists of prompts and completions and the columns "hint" and "answer"; "context" where the data has it,
    else the prompt is the context. Raises ValueError for a weight below 0 or an empty hint.
    """

    def __init__(
        self,
        judge: HintJudge,
        weight: float = 0.5,
        mode: Mode = "added",
        outcome: Callable[[str, str], float] | None = None,
        reasoning: Callable[[str], str | None] | None = None,
    ) -> None:
        if not weight >= 0:
            raise ValueError(f"weight: got {weight}, wanted 0 or more")
        if mode not in get_args(Mode):
            raise ValueError(f"mode: got {mode!r}, wanted 'added' or 'gated'")
        self.judge, self.weight, self.mode = judge, weight, mode
        self.outcome, self.reasoning = outcome or answer_reward, reasoning or reasoning_part
        self.__name__ = "RARE"  # TRL names a reward function's column in its log by this

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Any = None,
        *,
        hint: Sequence[str],
        answer: Sequence[str],
        context: Sequence[str] | None = None,
        **columns: Any,
    ) -> list[float]:
        texts = [as_text(completion) for completion in completions]
        contexts = [as_text(prompt) for prompt in prompts] if context is None else list(context)
        empty = next((row for row, one in enumerate(hint) if not one.strip()), None)
        if empty is not None:
            raise ValueError(f"hint: row {empty} is empty, wanted the evidence of its prompt")
        outcomes = [self.outcome(text, gold) for text, gold in zip(texts, answer)]
        judged = run_sync(self._judged, texts, list(hint), contexts, outcomes)
        return [reward + self.weight * named for reward, named in zip(outcomes, judged)]

    async def _judged(
        self, texts: list[str], hints: list[str], contexts: list[str], outcomes: list[float]
    ) -> list[bool]:
        async def one(text: str, hint: str, context: str, outcome: float) -> bool:
            reasoning = self.reasoning(text)
            if not reasoning or (self.mode == "gated" and outcome <= 0):
                return False
            return await self.judge(reasoning, hint, context)

        return await gather([partial(one, *row) for row in zip(texts, hints, contexts, outcomes)], limit=16)


def answer_reward(completion: str, answer: str) -> float:
    """1 where the final answer (tag or box) is the gold one once both are normalised, else 0."""
    said = final_answer(completion)
    return float(said is not None and exact_match(said, answer))


def reasoning_part(completion: str) -> str | None:
    r"""What stands in `<think>`, else what comes before the answer's tag, its `\boxed`, its "Answer:" or its "#".

    None where neither is there.
    """
    thoughts = tagged(completion, "think")
    if thoughts:
        return "\n".join(thoughts) or None
    answer = _BOXED_ANSWER.search(completion)
    return completion[: answer.start()].strip() or None if answer else None
