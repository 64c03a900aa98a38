"""ET-Agent: Behaviour Calibration for Tool-Integrated Reasoning (2601.06860): right answers with fewer, better calls.

Agents call their tools too often, too seldom or badly. `Flywheel` first widens what the model does, by a corpus of its
own trajectories, mended and trimmed, to fine-tune on. Then rounds of choosing the questions that tell most
(`pareto_select`) alternate with reinforcement learning on `behaviour_reward`, whose efficiency pressure fades
(`sigma_schedule`). `behaviour_report` says how an agent behaves.

Details that matter
- What it costs: the flywheel asks a critic once or twice a trajectory; a selection needs one pass of rollouts over the
  pool and O(n log n) time.
- When it does not help: a reward times a factor below 1 for many calls shortens whatever the question needs; where the
  right number of calls is the same for all rollouts of a question there is nothing to compare.
- Few calls are paid relative to the group, right answers only; a wrong answer gets 0 however short it is.
- The released scripts run with both sigmas at 0; we take the defaults of their configuration, 0.2 and 0.5.
- Our reading: the schedule runs over all updates of the reinforcement learning, from 1 to 0.
- Our reading: `redundant` counts calls whose name and arguments stood before in the same trajectory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.methods.parsing import as_text, exact_match, final_answer, well_formed
from assay.methods.policy_gradient import group_advantages, group_means
from assay.methods.post_training._et_behaviour import Behaviour, Trace, behaviour_report, read_trace
from assay.methods.post_training._et_flywheel import Critic, Flywheel, Step, Trajectory, as_messages

__all__ = [
    "Behaviour",
    "Critic",
    "ETReward",
    "Flywheel",
    "Selection",
    "Step",
    "Trace",
    "Trajectory",
    "as_messages",
    "behaviour_report",
    "behaviour_reward",
    "informative",
    "pareto_select",
    "read_trace",
    "sigma_schedule",
]

RIGHT_F1 = 0.75  # score from which a rollout counts as right where questions are selected
SIGMA_TOOL, SIGMA_LENGTH = 0.2, 0.5

Floats = NDArray[np.float64]


def behaviour_reward(
    correct: Tensor,
    tool_calls: Tensor,
    lengths: Tensor,
    format_ok: Tensor,
    group: Tensor,
    *,
    sigma_tool: float = SIGMA_TOOL,
    sigma_length: float = SIGMA_LENGTH,
) -> Tensor:
    """correct * f_tool * f_length - 1[format broken], (B,).

    correct      (B,) in [0, 1]; NaN stays NaN
    tool_calls   (B,) calls n; f_tool = 2 / (1 + exp(sigma_tool (n - mean of the group)))
    lengths      (B,) of the replies; f_length = 2 / (1 + exp(sigma_length z)), z the population z-score in the group
    format_ok    (B,) bool
    group        (B,) the prompt of each row

    Both factors are 1 at the group's mean, at most 2, and 1 throughout where a group does not differ.
    Raises ValueError for negative calls or lengths, correctness out of range, rows that do not match.
    """
    _check_rows(correct, tool_calls, lengths, format_ok, group)
    for name, sigma in (("sigma_tool", sigma_tool), ("sigma_length", sigma_length)):
        if not sigma >= 0:
            raise ValueError(f"{name}: got {sigma}, wanted >= 0")
    calls = tool_calls.double()
    f_tool = 2 * torch.sigmoid(-sigma_tool * (calls - group_means(calls, group)))
    z = group_advantages(lengths.double(), group, std="population", eps=0.0)
    f_length = 2 * torch.sigmoid(-sigma_length * z)
    return (correct * f_tool * f_length - (~format_ok).double()).to(correct.dtype)


def sigma_schedule(step: int, total: int) -> float:
    """The share of both sigmas at update `step` of 1 ... `total`: from 1 down to 0; 0 for a single update."""
    if step < 0:
        raise ValueError(f"step: got {step}, wanted 0 or more")
    return max(0.0, (total - step) / (total - 1)) if total > 1 else 0.0


@dataclass(frozen=True)
class Selection:
    """The chosen items by number, best front first; `dropped` of them told nothing and were left out after choosing.

    fronts    (n,) the front of every item of the pool, 0 the best
    taken     how many were chosen before dropping: n, or the whole pool where that is smaller
    """

    chosen: tuple[int, ...]
    dropped: tuple[int, ...]
    fronts: NDArray[np.int64]
    taken: int


def informative(correctness: Sequence[float]) -> bool:
    """Whether some of an item's rollouts are right and some wrong."""
    right = [score >= RIGHT_F1 for score in correctness]
    return any(right) and not all(right)


def pareto_select(
    tool_counts: Sequence[Sequence[float]],
    correctness: Sequence[Sequence[float]],
    n: int,
    tells: Callable[[Sequence[float]], bool] = informative,
) -> Selection:
    """Choose `n` items whose rollouts differ most in tool calls and in correctness at once.

    tool_counts, correctness   of each item's rollouts, two or more; items may have different numbers
    tells                      of an item's correctness: whether it is kept once chosen

    Population variances of both are maximised: non-dominated fronts in order, the last by crowding distance. An `n`
    above the pool takes it all. Raises ValueError naming the item without enough rollouts or with values out of range.
    """
    if n < 1:
        raise ValueError(f"n: got {n}, wanted at least 1 item")
    if not tool_counts or len(tool_counts) != len(correctness):
        raise ValueError(f"correctness: got {len(correctness)} items, wanted {len(tool_counts)}, at least 1")
    for item, (calls, scores) in enumerate(zip(tool_counts, correctness)):
        if len(calls) < 2 or len(calls) != len(scores):
            raise ValueError(f"item {item}: got {len(calls)} tool counts and {len(scores)} scores, wanted 2 or more")
        if not all(call >= 0 for call in calls):
            raise ValueError(f"item {item}: got a negative tool count")
        if not all(0 <= score <= 1 for score in scores):
            raise ValueError(f"item {item}: got correctness outside [0, 1]")
    spread = np.array([[np.var(calls), np.var(scores)] for calls, scores in zip(tool_counts, correctness)])
    fronts = non_dominated(spread)
    taken: list[int] = []
    for front in range(int(fronts.max()) + 1):
        members = np.flatnonzero(fronts == front)
        room = n - len(taken)
        if len(members) > room:
            members = members[np.argsort(-crowding(spread[members]), kind="stable")[:room]]
        taken += members.tolist()
        if len(taken) == n:
            break
    kept = tuple(item for item in taken if tells(correctness[item]))
    return Selection(kept, tuple(item for item in taken if item not in set(kept)), fronts, len(taken))


def non_dominated(values: Floats) -> NDArray[np.int64]:
    """The front (n,) of each of n points with two objectives, both maximised; equal points share one. O(n log n).

    In falling order of the first objective a point is dominated by a front exactly if one of that front's points,
    all before it, has a second objective as large; the largest of each front fall from front to front.
    """
    points, place = np.unique(values, axis=0, return_inverse=True)
    fronts = np.empty(len(points), np.int64)
    falling: list[float] = []  # the largest second objective of each front, negated for bisect
    for i in range(len(points) - 1, -1, -1):
        front = bisect_right(falling, -points[i, 1])
        falling[front : front + 1] = [-points[i, 1]]
        fronts[i] = front
    return fronts[place.reshape(-1)]


def crowding(values: Floats) -> Floats:
    """NSGA-II's crowding distance (n,) of the points of a front: for each objective the gap between a point's
    neighbours as a share of the range, infinite at the ends; a flat objective contributes none."""
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        low, high = column[order[0]], column[order[-1]]
        if low == high:
            continue
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / (high - low)
    return distance


class ETReward:
    """`behaviour_reward` as a reward function of TRL: `GRPOTrainer(reward_funcs=ETReward(), ...)`.

    correct      of (reply, gold answer), in [0, 1]; by default 1 where the answer in its tag or box is the gold one
    format_ok    of a reply; by default: without <think> and <answer> always, with them only where well formed

    The data set's column "answer" holds the gold answer. The calls of a row come from the column "tool_calls" (as an
    environment or rollout function writes it), else they are counted in the reply: the assistant's `tool_calls` of a
    conversation, "<tool_call>" in text. Its length is that of its tokens. Sigmas follow `sigma_schedule` over the
    trainer's steps. Rows of one prompt are a group, and must lie in one call.
    """

    __name__ = "behaviour"  # TRL logs a reward under its name

    def __init__(
        self,
        correct: Callable[[str, str], float] | None = None,
        format_ok: Callable[[str], bool] | None = None,
        *,
        sigma_tool: float = SIGMA_TOOL,
        sigma_length: float = SIGMA_LENGTH,
    ) -> None:
        self.correct = correct if correct is not None else _answers_right
        self.format_ok = format_ok if format_ok is not None else _formed
        self.sigma_tool, self.sigma_length = sigma_tool, sigma_length

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[Sequence[int]],
        answer: list[str] | None = None,
        tool_calls: list[int] | None = None,
        trainer_state: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a row. Raises ValueError without the column "answer"."""
        if answer is None:
            raise ValueError("answer: got no such column in the data set, wanted the gold answer of each row")
        texts, names = [as_text(text) for text in completions], [as_text(prompt) for prompt in prompts]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        calls = tool_calls if tool_calls is not None else [count_calls(one) for one in completions]
        share = 1.0
        if trainer_state is not None:
            share = sigma_schedule(trainer_state.global_step + 1, trainer_state.max_steps)
        rewards = behaviour_reward(
            torch.tensor([float(self.correct(text, gold)) for text, gold in zip(texts, answer, strict=True)]),
            torch.tensor(calls, dtype=torch.float64),
            torch.tensor([len(ids) for ids in completion_ids]),
            torch.tensor([bool(self.format_ok(text)) for text in texts]),
            torch.tensor([numbers[name] for name in names]),
            sigma_tool=share * self.sigma_tool,
            sigma_length=share * self.sigma_length,
        )
        return list(rewards.tolist())


def count_calls(completion: str | Sequence[Mapping[str, Any]]) -> int:
    """Tool calls in a completion in TRL's form, text or conversation."""
    if isinstance(completion, str):
        return completion.count("<tool_call>")
    return sum(len(message.get("tool_calls") or ()) for message in completion)


def _answers_right(text: str, gold: str) -> float:
    answer = final_answer(text)
    return float(answer is not None and exact_match(answer, gold))


def _formed(text: str) -> bool:
    return ("<think>" not in text and "<answer>" not in text) or well_formed(text)


def _check_rows(correct: Tensor, tool_calls: Tensor, lengths: Tensor, format_ok: Tensor, group: Tensor) -> None:
    if correct.dim() != 1 or not correct.is_floating_point():
        raise ValueError(f"correct: got {correct.dtype} of shape {tuple(correct.shape)}, wanted (B,) floats")
    for name, rows in (("tool_calls", tool_calls), ("lengths", lengths), ("format_ok", format_ok), ("group", group)):
        if rows.shape != correct.shape:
            raise ValueError(f"{name}: got shape {tuple(rows.shape)}, wanted {tuple(correct.shape)}, one a row")
    if format_ok.dtype != torch.bool:
        raise TypeError(f"format_ok: got {format_ok.dtype}, wanted bool")
    if ((correct < 0) | (correct > 1)).any():
        raise ValueError("correct: got a value outside [0, 1]")
    for name, rows in (("tool_calls", tool_calls), ("lengths", lengths)):
        if not (rows >= 0).all():
            raise ValueError(f"{name}: got a negative number or NaN, wanted counts")
