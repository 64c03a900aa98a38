"""BAPO: Boundary-Aware Policy Optimization for Reliable Agentic Search (2601.11037): refusals paid where they are due.

Reinforcement learning for correctness alone teaches a search agent never to give up. `BoundaryReward` adds a bonus to
"I don't know" in groups whose every rollout failed, and only as long as refusals are rare or, once training has
stopped improving (`PlateauDetector`), where the group's wrong answers agree. On that plateau `Resampler` draws groups
anew that failed without a refusal, so that the boundary of what the model can do is seen more often.

Details that matter
- What it costs: O(B) a step; on the plateau at most `max_attempts` further rollouts of the failing groups.
- When it does not help: a constant small pay for every refusal already makes a policy refuse where its chance of being
  right is lower than that pay. What the whole group's failure adds is that refusals are not paid on questions that
  the policy can do; where it can see for itself which those are, that adds little.
- `PlateauDetector` counts evaluations below the best and never forgets them, as the authors' code does; patience is
  used up by noise alone in a long run, and not used up at all in a short one. Until then refusals stay about as rare
  as `idk_rate` and nothing is resampled: choose patience and the number of evaluations by the length of the run.
- Rows without an answer that can be read score -1, are never paid, and together count as one more distinct answer.
- `stage_level=False` pays every failing group from the start, also on the plateau: the test of agreement is part of
  the stages.
- Our reading: a reply that opens `<think>` or `<answer>` must be well formed, one without tags need only hold a box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor

from assay.methods.parsing import as_text, final_answer, normalise_answer, token_f1, well_formed

Stage = Literal["explore", "plateau", "eval"]
T = TypeVar("T")

UNREADABLE = -1.0  # the score of a reply without an answer, or out of format
_IDK = ("i don't know", "i do not know")


def correctness_reward(text: str, gold: str) -> float:
    """Token F1 of the reply's answer with `gold`, in [0, 1]; -1 without an answer or out of format."""
    answer = final_answer(text)
    tagged = "<think>" in text or "<answer>" in text
    if answer is None or (tagged and not well_formed(text)):
        return UNREADABLE
    return token_f1(answer, gold)


def is_idk(text: str) -> bool:
    """Whether the reply's answer says that it does not know."""
    return _refuses(final_answer(text) or "")


def _refuses(answer: str) -> bool:
    plain = answer.lower().replace("’", "'")
    return any(phrase in plain for phrase in _IDK)


class BoundaryReward:
    """Correctness scores to BAPO's rewards, group by group.

    bonus         paid to a refusal in a group that failed as a whole
    idk_rate      in stage "explore" nothing is paid once this share of the batch refuses
    consistency   on the plateau nothing is paid in a group with more distinct answers than this
    stage_level, sample_level   turn off the rule of `idk_rate` (and with it the plateau's), and that of `consistency`
    """

    def __init__(
        self,
        bonus: float = 0.5,
        idk_rate: float = 0.05,
        consistency: int = 3,
        stage_level: bool = True,
        sample_level: bool = True,
    ) -> None:
        if not bonus > 0:
            raise ValueError(f"bonus: got {bonus}, wanted > 0")
        if not 0 <= idk_rate <= 1:
            raise ValueError(f"idk_rate: got {idk_rate}, wanted a share in [0, 1]")
        if consistency < 1:
            raise ValueError(f"consistency: got {consistency}, wanted at least 1 distinct answer")
        self.bonus, self.idk_rate, self.consistency = bonus, idk_rate, consistency
        self.stage_level, self.sample_level = stage_level, sample_level

    def __call__(
        self, scores: Tensor, idk: Tensor, answers: Sequence[str | None], group: Tensor, stage: Stage
    ) -> Tensor:
        """Rewards (B,).

        scores    (B,) as `correctness_reward` gives them, -1 for what cannot be read
        idk       (B,) bool, the refusals
        answers   the answer of each row; None where there is none
        group     (B,) the prompt of each row
        stage     "eval" leaves the scores as they are
        """
        _check_rows(scores, idk, answers, group)
        _check_stage(stage)
        if stage == "eval":
            return scores
        if self.stage_level and stage == "explore" and float(idk.double().mean()) >= self.idk_rate:
            return scores
        rewards = scores.clone()
        payable = idk & (scores != UNREADABLE)
        for name in torch.unique(group):
            rows = group == name
            if (scores[rows] > 0).any():
                rewards[rows & payable] = 0
            elif not self._still_exploring(rows, idk, answers, stage):
                rewards[rows & payable] += self.bonus
        return rewards

    def _still_exploring(self, rows: Tensor, idk: Tensor, answers: Sequence[str | None], stage: Stage) -> bool:
        """Whether the group's wrong answers on the plateau are too many to call the question out of bounds."""
        if not (self.stage_level and self.sample_level and stage == "plateau"):
            return False
        said = [answers[i] for i in (rows & ~idk).nonzero().flatten().tolist()]
        distinct = {None if answer is None else normalise_answer(answer) for answer in said}
        return len(distinct) > self.consistency


class PlateauDetector:
    """Watches a validation score: stage "plateau", for good, after more than `patience` values below the best."""

    def __init__(self, patience: int = 5) -> None:
        if patience < 0:
            raise ValueError(f"patience: got {patience}, wanted 0 or more")
        self.patience = patience
        self._best: float | None = None
        self._below = 0

    @property
    def stage(self) -> Stage:
        return "plateau" if self._below > self.patience else "explore"

    def update(self, value: float) -> Stage:
        """Take in the score of one more evaluation; returns the stage from now on."""
        if self._best is None or value >= self._best:
            self._best = value
        else:
            self._below += 1
        return self.stage

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "below": self._below}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best, self._below = state["best"], state["below"]


class Resampler:
    """Draws failing groups again, on the plateau: those in which no rollout scores above 0 and none refuses.

    max_attempts   how often a group is replaced as a whole; it stays as it is once it holds a success or a refusal
    width          instead of replacing, pool draws until there is a success or a refusal, or `width` rollouts failed;
                   of the pool as many as before are kept, every success first (the paper's expansion)
    """

    def __init__(self, max_attempts: int = 2, width: int | None = None) -> None:
        if max_attempts < 0:
            raise ValueError(f"max_attempts: got {max_attempts}, wanted 0 or more")
        if width is not None and width < 2:
            raise ValueError(f"width: got {width}, wanted at least 2 rollouts")
        self.max_attempts, self.width = max_attempts, width

    def __call__(
        self,
        groups: Sequence[Sequence[T]],
        draw: Callable[[list[int]], Sequence[Sequence[T]]],
        judge: Callable[[int, T], tuple[float, bool]],
        stage: Stage,
    ) -> list[list[T]]:
        """The groups, each as long as it was.

        groups   the rollouts of each prompt, in whatever form
        draw     numbers of groups to a fresh group for each of them
        judge    number of a group and a rollout to its score and whether it refuses
        """
        _check_stage(stage)
        kept = [list(group) for group in groups]
        if stage != "plateau":
            return kept
        judged = [[judge(number, rollout) for rollout in group] for number, group in enumerate(kept)]
        while failing := [n for n in range(len(kept)) if self._goes_on(judged[n], len(groups[n]))]:
            for number, fresh in zip(failing, draw(failing), strict=True):
                kept[number] += fresh
                judged[number] += [judge(number, rollout) for rollout in fresh]
        return [self._chosen(kept[n], judged[n], len(groups[n])) for n in range(len(kept))]

    def _goes_on(self, judged: Sequence[tuple[float, bool]], size: int) -> bool:
        newest = judged if self.width is not None else judged[-size:]
        if any(score > 0 or idk for score, idk in newest):
            return False
        return len(judged) < (self.width if self.width is not None else size * (1 + self.max_attempts))

    def _chosen(self, pool: list[T], judged: Sequence[tuple[float, bool]], size: int) -> list[T]:
        if self.width is None:
            return pool[-size:]
        order = sorted(range(len(pool)), key=lambda i: judged[i][0] <= 0)  # stable: successes, then as drawn
        return [pool[i] for i in order[:size]]


@dataclass(frozen=True)
class Reliability:
    """Shares in [0, 1]. `precision` is taken over the answered questions and 0 without any."""

    accuracy: float
    precision: float
    answer_rate: float

    @property
    def reliability(self) -> float:
        """accuracy * (1 - answer_rate) + precision * answer_rate: precision counts as far as one may rely on it."""
        return self.accuracy * (1 - self.answer_rate) + self.precision * self.answer_rate


def reliability(correct: Sequence[bool], answered: Sequence[bool]) -> Reliability:
    """Of questions with whether each was answered (not refused) and whether rightly.

    >>> round(reliability([True, False, False, False], [True, True, False, False]).reliability, 3)
    0.375

    Raises ValueError for no questions, lists of different lengths, or a right answer to a refused question.
    """
    if len(correct) == 0 or len(correct) != len(answered):
        raise ValueError(f"correct, answered: got {len(correct)} and {len(answered)}, wanted one each a question")
    odd = next((i for i, (right, said) in enumerate(zip(correct, answered)) if right and not said), None)
    if odd is not None:
        raise ValueError(f"correct: question {odd} is right but was not answered")
    right, said = sum(map(bool, correct)), sum(map(bool, answered))
    return Reliability(right / len(correct), right / said if said else 0.0, said / len(correct))


def judge_prediction(prediction: str, golds: Sequence[str], at_least: float = 1.0) -> tuple[bool, bool]:
    """Whether a prediction is right and whether it answers at all (is no refusal), for `reliability`.

    A prediction is a reply with a box or tag, or a bare answer. It is right when its F1 with one of the gold answers
    is `at_least` so much.
    """
    if not golds:
        raise ValueError("golds: got none, wanted at least one gold answer")
    if not 0 < at_least <= 1:
        raise ValueError(f"at_least: got {at_least}, wanted an F1 in (0, 1]")
    answer = final_answer(prediction) or prediction
    answered = not _refuses(answer)
    return answered and max(token_f1(answer, gold) for gold in golds) >= at_least, answered


class BAPOReward:
    """BAPO as a reward function of TRL: `GRPOTrainer(reward_funcs=BAPOReward(detector), ...)`.

    The data set's column "answer" holds the gold answer. A column "stage" (as the rollout function of
    `assay.integrations.trl_rollouts` writes it) overrides the detector's stage; without it evaluations are paid
    like training. Rows of one prompt are a group, and must lie in one call: in one process's batch with TRL. For
    verl, which scores row by row, there is `assay.integrations.verl_bapo`.
    """

    __name__ = "bapo"  # TRL logs a reward under its name

    def __init__(self, detector: PlateauDetector, boundary: BoundaryReward | None = None) -> None:
        self.detector = detector
        self.boundary = boundary if boundary is not None else BoundaryReward()

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]],
        answer: list[str] | None = None,
        stage: list[Stage] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a row. Raises ValueError without the column "answer", or where rows of a prompt disagree on it."""
        if answer is None:
            raise ValueError("answer: got no such column in the data set, wanted the gold answer of each row")
        texts, names = [as_text(text) for text in completions], [as_text(prompt) for prompt in prompts]
        golds: dict[str, str] = {}
        for name, gold in zip(names, answer, strict=True):
            if golds.setdefault(name, gold) != gold:
                raise ValueError(f"answer: the group of {name[:80]!r} has {golds[name]!r} and {gold!r}, wanted one")
        numbers = {name: number for number, name in enumerate(golds)}
        rewards = self.boundary(
            torch.tensor([correctness_reward(text, gold) for text, gold in zip(texts, answer)]),
            torch.tensor([is_idk(text) for text in texts]),
            [final_answer(text) for text in texts],
            torch.tensor([numbers[name] for name in names]),
            self.detector.stage if stage is None else stage[0],
        )
        return list(rewards.tolist())


def _check_stage(stage: str) -> None:
    if stage not in get_args(Stage):
        raise ValueError(f"stage: got {stage!r}, wanted one of {get_args(Stage)}")


def _check_rows(scores: Tensor, idk: Tensor, answers: Sequence[str | None], group: Tensor) -> None:
    if scores.dim() != 1 or not scores.is_floating_point() or not scores.isfinite().all():
        raise ValueError(f"scores: got {scores.dtype} of shape {tuple(scores.shape)}, wanted (B,) finite floats")
    if idk.dtype != torch.bool:
        raise TypeError(f"idk: got {idk.dtype}, wanted bool")
    for name, rows in (("idk", len(idk)), ("answers", len(answers)), ("group", len(group))):
        if rows != len(scores):
            raise ValueError(f"{name}: got {rows} rows, wanted {len(scores)}, one a score")
