"""Learning Self-Correction in Vision-Language Models via Rollout Augmentation (2602.08503): corrections made of parts.

A model hardly ever writes a wrong answer and then mends it, so reinforcement has nothing to amplify. But the rollouts
of one prompt hold wrong and right answers: `recombine` puts the first attempt of one before the second attempt of
another, and GSPO trains on both, the made-up rows and the sampled ones. What is given, not written, is hidden from
the loss (`response_mask`) while the model learns to correct, and shown again where both attempts agree afterwards.

A reply is `first attempt <self-correction>second attempt</self-correction>`, each with its answer in a `\\boxed{}`.
Rows are text; in TRL `assay.integrations.trl_rollouts.spliced` makes them into tokens and masks, and
`CorrectionReward` pays them. Images stay with the prompt.

Details that matter
- What it costs: no sampling beyond the n rollouts; the update grows from n to `target` rows a prompt.
- When it does not help: where a prompt's rollouts are all right or all wrong (no wrong-to-right pair exists), or
  where the model cannot tell from its first attempt what is wrong with it, so that it learns to try again at best.
- A row may be put together from its own two halves: all n * n pairs count, as in the authors' code.
- Made-up rows are off-policy by nature: their old log-probabilities are the policy's own at the time of the update.
- `CorrectionLoss` keeps the hidden first attempts of stage 1 near the reference by a weak divergence (0.01).
- The tag is plain text. A tokenizer that cuts it into more than 8 tokens gives a warning: add it as a token then.
- Our reading: the format score is 1 for a reply whose two attempts are boxed and whose tag is opened and closed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from assay.methods.parsing import as_text, boxed, boxed_span, exact_match
from assay.methods.post_training._octopus_loss import CorrectionLoss, kl_mask
from assay.methods.post_training.losses import GSPO
from assay.methods.protocols import Message, Sampler

__all__ = [
    "CLOSE", "GSPO", "OPEN", "Correct", "CorrectionLoss", "CorrectionReward", "Kind", "Row", "Stage", "cold_start",
    "correction_reward", "force_correction", "kl_mask", "recombine", "response_mask", "split_response", "typed_pairs",
]  # fmt: skip

OPEN, CLOSE = "<self-correction>", "</self-correction>"
Kind = Literal["wc", "cc", "ww", "cw"]  # first and second attempt, wrong or correct
Correct = Callable[[str], bool | None]  # an attempt to whether it is right; None where nobody can say
Stage = Literal[1, 2]

PAY: dict[Kind, float] = {"wc": 1.0, "cc": 0.75, "ww": 0.0, "cw": -0.25}
FORMAT_SHARE = 0.1


def split_response(text: str, open: str = OPEN, close: str = CLOSE) -> tuple[str, str | None]:
    r"""First and second attempt, each cut after its last complete `\boxed{…}`; the second is None without the tag.

    What follows a second opening tag is left out, and so is the closing tag.

    >>> split_response(r"\boxed{3}.<self-correction>No, \boxed{4}.</self-correction>")
    ('\\boxed{3}', 'No, \\boxed{4}')
    """
    first, *rest = text.split(open)
    return _up_to_box(first), _up_to_box(rest[0].split(close)[0]) if rest else None


def _up_to_box(part: str) -> str:
    span = boxed_span(part)
    return part if span is None else part[: span[1]]


@dataclass(frozen=True)
class Row:
    """One row to train on. `source` numbers the originals that its two attempts come from, the same for an original;
    `kind` is None without a second attempt, or where an attempt could not be judged."""

    text: str
    source: tuple[int, int]
    kind: Kind | None
    spliced: bool


def recombine(
    originals: Sequence[str],
    correct: Correct,
    target: int | None = None,
    *,
    generator: np.random.Generator,
    min_tokens: int = 15,
    count: Callable[[str], int] | None = None,
    open: str = OPEN,
    close: str = CLOSE,
) -> list[Row]:
    """`target` rows (twice the originals, by default) of one prompt: the originals, then pairs of their attempts.

    With n originals, k of which end rightly, up to (n - k) // 2 pairs are wrong-to-right and as many right-to-right;
    then come one right-to-wrong, wrong-to-wrong ones, further right-to-wrong, what is left of the first two, and
    where the pairs do not suffice, the originals again. Which pairs of a kind are taken, `generator` says.

    correct      judges an attempt, cut as by `split_response`; pairs of attempts it gives None are not made
    min_tokens   originals shorter than this give way to the others in turn
    count        tokens of a text; white-space separated words without it
    """
    n = len(originals)
    if n < 2:
        raise ValueError(f"originals: got {n}, wanted at least 2 responses to one prompt")
    target = 2 * n if target is None else target
    if target < n:
        raise ValueError(f"target: got {target}, wanted at least the {n} originals")
    stand_ins = _long_enough(originals, min_tokens, count or (lambda text: len(text.split())))
    kept = [originals[i] for i in stand_ins]
    split = [split_response(text, open, close) for text in kept]
    marks = [(_judge(correct, first), _judge(correct, second)) for first, second in split]
    rows = [
        Row(text, (i, i), _kind(*mark) if second is not None else None, spliced=False)
        for text, i, mark, (_, second) in zip(kept, stand_ins, marks, split)
    ]
    right = sum((mark[0] if second is None else mark[1]) is True for mark, (_, second) in zip(marks, split))
    chosen = _by_quota(typed_pairs(marks), (n - right) // 2, target - n, generator)
    for i, j, kind in chosen:
        text = f"{split[i][0]}{open}{split[j][1]}{close}"
        rows.append(Row(text, (stand_ins[i], stand_ins[j]), kind, spliced=True))
    return rows + [rows[i % n] for i in range(target - len(rows))]


def _long_enough(originals: Sequence[str], min_tokens: int, count: Callable[[str], int]) -> list[int]:
    """For each original its own number, or that of another where it is too short; all their own if all are short."""
    long = [i for i, text in enumerate(originals) if count(text) >= min_tokens]
    turn, numbers = 0, []
    for i in range(len(originals)):
        if i in long or not long:
            numbers.append(i)
        else:
            numbers.append(long[turn % len(long)])
            turn += 1
    return numbers


def _judge(correct: Correct, attempt: str | None) -> bool | None:
    return None if attempt is None or boxed_span(attempt) is None else correct(attempt)


def _kind(first: bool | None, second: bool | None) -> Kind | None:
    if first is None or second is None:
        return None
    return "cc" if first and second else "cw" if first else "wc" if second else "ww"


def typed_pairs(marks: Sequence[tuple[bool | None, bool | None]]) -> list[tuple[int, int, Kind]]:
    """All pairs (first attempt of row i, second attempt of row j) that can be judged, with their kind, from whether
    each row's attempts are right."""
    kinds = ((i, j, _kind(first, second)) for i, (first, _) in enumerate(marks) for j, (_, second) in enumerate(marks))
    return [(i, j, kind) for i, j, kind in kinds if kind is not None]


def _by_quota(
    pairs: Sequence[tuple[int, int, Kind]], half: int, wanted: int, generator: np.random.Generator
) -> list[tuple[int, int, Kind]]:
    """`wanted` of the pairs, or all, kind by kind."""
    pools: dict[Kind, list[tuple[int, int, Kind]]] = {kind: [] for kind in get_args(Kind)}
    for place in generator.permutation(len(pairs)):
        pools[pairs[place][2]].append(pairs[place])
    chosen: list[tuple[int, int, Kind]] = []
    order: tuple[tuple[Kind, int], ...] = (
        ("wc", half), ("cc", half), ("cw", 1), ("ww", wanted), ("cw", wanted), ("wc", wanted), ("cc", wanted),
    )  # fmt: skip
    for kind, most in order:
        take = min(most, wanted - len(chosen))
        chosen += pools[kind][:take]
        del pools[kind][:take]
    return chosen


def response_mask(tokens: int, first: int, kind: Kind | None, stage: Stage) -> Tensor:
    """(tokens,) bool, False on what is hidden from the loss.

    first   tokens of the first attempt and the opening tag; 0 for a reply without correction

    Stage 1 hides them in every corrected row, stage 2 only where the attempts differ in correctness ("wc", "cw").
    """
    if stage not in (1, 2):
        raise ValueError(f"stage: got {stage!r}, wanted 1 or 2")
    if not 0 <= first <= tokens:
        raise ValueError(f"first: got {first} of {tokens} tokens")
    mask = torch.ones(tokens, dtype=torch.bool)
    if stage == 1 or kind in ("wc", "cw"):
        mask[:first] = False
    return mask


def correction_reward(
    c1: bool, c2: bool | None, identical: bool = False, boxed1: bool = True, fmt2: bool = True
) -> float:
    """What a reply earns before its format is looked at: wrong-to-right 1, right-to-right 0.75, wrong-to-wrong 0,
    right-to-wrong -0.25; without a correction (`c2` None) 0.5 if right, else -0.5.

    A second attempt that repeats the first (`identical`), or one out of format, earns at most 0.5; without an answer
    in the first box nothing is earned.
    """
    pay = (1.0 if c1 else 0.0) - 0.5 if c2 is None else PAY[_kind(c1, c2) or "ww"]
    if c2 is not None and (identical or not fmt2):
        pay = min(pay, 0.5)
    return pay if boxed1 else min(pay, 0.0)


class CorrectionReward:
    """The whole reward in TRL's form, 0.9 of `correction_reward` and 0.1 of the format; reads the column "answer".

    matches   (boxed answer, gold answer) to whether they are the same
    """

    __name__ = "octopus"  # TRL logs a reward under its name

    def __init__(self, matches: Callable[[str, str], bool] = exact_match, open: str = OPEN, close: str = CLOSE) -> None:
        self.matches, self.open, self.close = matches, open, close

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]] | None = None,
        answer: list[str] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        if answer is None:
            raise ValueError("answer: got no such column in the data set, wanted the gold answer of each row")
        return [self.score(as_text(text), gold) for text, gold in zip(completions, answer, strict=True)]

    def score(self, text: str, gold: str) -> float:
        """The reward of one reply."""
        first, second = split_response(text, self.open, self.close)
        well_formed = self.well_formed(text)
        pay = correction_reward(
            self.right(first, gold),
            None if second is None else self.right(second, gold),
            identical=second is not None and second.strip() == first.strip(),
            boxed1=bool(boxed(first)),
            fmt2=well_formed,
        )
        return (1 - FORMAT_SHARE) * pay + FORMAT_SHARE * well_formed

    def right(self, attempt: str, gold: str) -> bool:
        """Whether an attempt's box holds the gold answer."""
        inside = boxed(attempt)
        return bool(inside) and self.matches(inside or "", gold)

    def well_formed(self, text: str) -> bool:
        """Whether a reply has two boxed attempts, the second within the one tag that ends it."""
        first, opened, rest = text.strip().partition(self.open)
        second, closed, after = rest.partition(self.close)
        once = bool(opened and closed) and not after and self.open not in second
        return once and bool(boxed(first)) and bool(boxed(second))


def cold_start(pairs: Iterable[tuple[str, str, str]], open: str = OPEN, close: str = CLOSE) -> list[dict[str, str]]:
    """The supervised set that teaches the form: (prompt, first attempt, second attempt) to rows of "prompt" and
    "completion". Raises ValueError for an attempt without a box."""
    rows = []
    for number, (prompt, *attempts) in enumerate(pairs, 1):
        for attempt in attempts:
            if not boxed(attempt):
                raise ValueError(rf"pairs: pair {number} has an attempt without an answer in \boxed{{}}: {attempt!r}")
        first, second = map(_up_to_box, attempts)
        rows.append({"prompt": prompt, "completion": f"{first}{open}{second}{close}"})
    return rows


async def force_correction(
    sampler: Sampler,
    prompt: str,
    first: str,
    rounds: int = 1,
    *,
    max_tokens: int | None = None,
    open: str = OPEN,
    close: str = CLOSE,
) -> list[str]:
    """Test-time scaling: the opening tag is put after the model's attempt so that it has to make another, `rounds`
    times, each time after its latest. Returns the attempts, `first` included, so that the last is the answer."""
    if rounds < 1:
        raise ValueError(f"rounds: got {rounds}, wanted at least 1")
    attempts = [split_response(first, open, close)[0]]
    for _ in range(rounds):
        messages = [Message("user", prompt), Message("assistant", attempts[-1] + open)]
        (reply,) = await sampler(
            messages, temperature=0.0, max_tokens=max_tokens, stop=(close,), continue_assistant=True
        )
        attempts.append(_up_to_box(reply.text.split(close)[0]))
    return attempts
