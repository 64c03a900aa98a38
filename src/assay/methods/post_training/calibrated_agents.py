"""The Confidence Dichotomy: Analyzing and Mitigating Miscalibration in Tool-Use Agents (2601.07264).

Agents that gather evidence (search) grow surer than they are right; agents that verify (an interpreter) less so.
`by_tool` shows it in a run; `CAR` trains correctness and spoken confidence together, by `MSCR` a reward that leaves
every right answer above every wrong one and yet pays most for saying one's true chance of being right.

Details that matter
- What it costs: nothing beyond a number that the model says after its answer.
- When it does not help: where nothing the policy sees tells good evidence from bad, every honest confidence is the
  same, and one temperature fitted afterwards does as well. Advantages divided by the group's std pay the small
  differences of confidence in groups that are all right (or all wrong) as much as those between right and wrong, and
  so push confidence to the ends: train with `scale="none"` where calibration is the aim.
- MSCR's formula is our reading of the paper's summary: both its terms are quadratic, so that the expected reward of a
  question with chance p is highest at beta_correct p / (beta_correct p + beta_wrong (1 - p)), p where they are equal.
- `log_score` is the outcome plus the logarithmic score, which alone would pay for being wrong and knowing it.
- A confidence that is missing (NaN) is paid as the worst there is; with MSCR a right answer then gets 0.
- Bare numbers above 1 are taken as percent, "1" as certainty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from assay.methods.parsing import as_text, exact_match, final_answer
from assay.methods.post_training._calibration_report import (
    LEAST_CHANCE,
    Floats,
    ToolCalibration,
    by_tool,
    checked,
    fit_temperature,
    with_temperature,
)

__all__ = [
    "CAR",
    "MSCR",
    "ToolCalibration",
    "answers_right",
    "by_tool",
    "fit_temperature",
    "log_score",
    "outcome",
    "parse_confidence",
    "readable",
    "tool_kind",
    "weighted_brier",
    "with_temperature",
]
Reward = Callable[[ArrayLike, ArrayLike], Floats]  # correct (B,) in {0, 1}, confidence (B,) in [0, 1] or NaN
ToolKind = Literal["evidence", "verification"]

_CONFIDENCE = re.compile(
    r"(?<!/)\bconfidence\b(?:\s+(?:level|score))?[*_\s]*(?:>|:|=|\bis\b|\bof\b)[*_\s]*(?:about\s+|~\s*)?"
    r"(?P<value>[-+]?(?:\d+(?:\.\d+)?|\.\d+))\s*(?:(?P<percent>%)|/\s*(?P<whole>\d+(?:\.\d+)?))?",
    re.IGNORECASE,
)
_WORDS: Mapping[ToolKind, frozenset[str]] = {
    "evidence": frozenset({"browse", "browser", "fetch", "open", "read", "retrieve", "retriever", "search", "web"}),
    "verification": frozenset(
        {"calculator", "check", "code", "execute", "interpreter", "prove", "python", "sandbox", "test", "verify"}
    ),
}


def parse_confidence(text: str) -> float | None:
    """The last confidence that a text states, as a share; None without one. What is out of range is returned so.

    >>> parse_confidence("<confidence>0.3</confidence> ... Confidence: 80%")
    0.8
    >>> parse_confidence("confidence is 7/10"), parse_confidence("confidence: 150%"), parse_confidence("quite sure")
    (0.7, 1.5, None)
    """
    stated = None
    for stated in _CONFIDENCE.finditer(text):  # noqa: B007 - the last one is wanted
        continue
    if stated is None:
        return None
    value = float(stated["value"])
    if stated["whole"] is not None:
        return value / float(stated["whole"]) if float(stated["whole"]) else None
    return value / 100 if stated["percent"] or value > 1 else value


def outcome(correct: ArrayLike, confidence: ArrayLike) -> Floats:
    """1 for a right answer, 0 for a wrong one, whatever the confidence."""
    return checked(correct, confidence)[0]


def weighted_brier(correct: ArrayLike, confidence: ArrayLike, weight: float = 1.0) -> Floats:
    """correct - weight * (confidence - correct)^2 (RLCR, 2507.16806)."""
    right, said = checked(correct, confidence)
    rewards: Floats = right - weight * (_or_worst(said, right) - right) ** 2
    return rewards


def log_score(correct: ArrayLike, confidence: ArrayLike) -> Floats:
    """correct + log of the chance that was given to what happened, at least `LEAST_CHANCE`."""
    right, said = checked(correct, confidence)
    chance = 1 - np.abs(_or_worst(said, right) - right)
    rewards: Floats = right + np.log(np.clip(chance, LEAST_CHANCE, None))
    return rewards


class MSCR:
    """The margin-separated calibration reward.

    right   1 + beta_correct (1 - (1 - confidence)^2) / 2, at least 1
    wrong   -beta_wrong confidence^2 / 2 - margin, at most 0
    """

    def __init__(self, beta_correct: float = 1.0, beta_wrong: float = 1.0, margin: float = 0.0) -> None:
        for name, value in (("beta_correct", beta_correct), ("beta_wrong", beta_wrong)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name}: got {value}, wanted a finite number > 0")
        if not 0 <= margin < math.inf:
            raise ValueError(f"margin: got {margin}, wanted a finite number >= 0")
        self.beta_correct, self.beta_wrong, self.margin = beta_correct, beta_wrong, margin

    def __call__(self, correct: ArrayLike, confidence: ArrayLike) -> Floats:
        """Rewards (B,) of answers with whether they are right and the confidence in them, NaN where none was said."""
        right, said = checked(correct, confidence)
        missing, known = np.isnan(said), _or_worst(said, right)
        if_right = np.where(missing, 0.0, 1 + self.beta_correct * (1 - (1 - known) ** 2) / 2)
        if_wrong = np.where(missing, -self.beta_wrong / 2, -self.beta_wrong * known**2 / 2 - self.margin)
        return np.where(right == 1, if_right, if_wrong)


def tool_kind(name: str, kinds: Mapping[str, ToolKind] | None = None) -> ToolKind:
    """Whether a tool gathers evidence or verifies; `kinds` says it of names that their words do not tell.

    >>> tool_kind("web_search"), tool_kind("code-interpreter")
    ('evidence', 'verification')

    Raises ValueError for a name that says neither or both.
    """
    if kinds is not None and name in kinds:
        return kinds[name]
    if name in _WORDS:
        return name  # type: ignore[return-value]  # "evidence" and "verification" themselves
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))
    said: list[ToolKind] = [kind for kind, own in _WORDS.items() if words & own]
    if len(said) != 1:
        raise ValueError(f"tool: got {name!r}, wanted one known to be 'evidence' or 'verification'; say which it is")
    return said[0]


class CAR:
    """Calibrated agents' reward for TRL: `GRPOTrainer(reward_funcs=CAR(MSCR()), ...)`.

    reward         of (correct, confidence): `MSCR()`, `weighted_brier`, `log_score`, `outcome`
    format_weight  taken from rows whose confidence cannot be read
    is_correct     of (reply, gold answer); by default the answer in its tag or box is the gold one, once normalised

    The data set's column "answer" holds the gold answer. With a column "tool" (the tool that a row's environment
    offers), the mean confidence of wrong answers is logged for each kind as "confidence_when_wrong/KIND".
    """

    __name__ = "calibrated"  # TRL logs a reward under its name

    def __init__(
        self,
        reward: Reward | None = None,
        format_weight: float = 0.1,
        is_correct: Callable[[str, str], bool] | None = None,
        kinds: Mapping[str, ToolKind] | None = None,
    ) -> None:
        if not 0 <= format_weight < math.inf:
            raise ValueError(f"format_weight: got {format_weight}, wanted a finite number >= 0")
        self.reward, self.format_weight = reward if reward is not None else MSCR(), format_weight
        self.is_correct, self.kinds = is_correct if is_correct is not None else answers_right, kinds

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        answer: list[str] | None = None,
        tool: list[str] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a row. Raises ValueError without the column "answer"."""
        if answer is None:
            raise ValueError("answer: got no such column in the data set, wanted the gold answer of each row")
        texts = [as_text(completion) for completion in completions]
        right = np.array([float(self.is_correct(text, gold)) for text, gold in zip(texts, answer, strict=True)])
        said = np.array([share if (share := readable(text)) is not None else math.nan for text in texts])
        if tool is not None and log_metric is not None:
            self._log(tool, right, said, log_metric)
        rewards = self.reward(right, said) - self.format_weight * np.isnan(said)
        return list(rewards.tolist())

    def _log(self, tool: list[str], right: Floats, said: Floats, log_metric: Callable[[str, float], None]) -> None:
        kinds = np.array([tool_kind(name, self.kinds) for name in tool])
        wrong = (right == 0) & ~np.isnan(said)
        for kind in np.unique(kinds[wrong]):
            log_metric(f"confidence_when_wrong/{kind}", float(said[wrong & (kinds == kind)].mean()))


def readable(text: str) -> float | None:
    """The confidence that a text states, None also where it is no share in [0, 1]."""
    stated = parse_confidence(text)
    return stated if stated is not None and 0 <= stated <= 1 else None


def answers_right(text: str, gold: str) -> bool:
    """Whether the answer in a reply's tag or box is the gold one, once both are normalised."""
    answer = final_answer(text)
    return answer is not None and exact_match(answer, gold)


def _or_worst(said: Floats, right: Floats) -> Floats:
    """Confidence, where it is missing the one that is paid worst."""
    return np.where(np.isnan(said), 1 - right, said)
