"""How well each way of asking did, and whether a difference is more than chance."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import Interval, bootstrap_ci, holm
from ._sentiment_prompts import Item, Task

if TYPE_CHECKING:
    from .sentiment_prompting import Answer

FEW = 30  # items below which an interval says little
RESAMPLES = 1000


@dataclass(frozen=True)
class Score:
    """Measures of one set of answers. F1, precision and recall are weighted by the labels' frequency, `macro_f1` is
    not; `positive_f1` is that of the last label of a task with two (else NaN), `neutral_recall` NaN without neutral
    items."""

    n: int
    accuracy: float
    f1: float
    macro_f1: float
    positive_f1: float
    precision: float
    recall: float
    neutral_recall: float
    invalid: float
    confusion: tuple[tuple[int, ...], ...]  # truth by answer; the last column counts replies without a label


@dataclass(frozen=True)
class Difference:
    """Weighted F1 of another way of asking less that of a base, on the items that both gave a label for."""

    f1: float
    low: float
    high: float
    n: int
    p: float  # McNemar's exact test on the same items
    p_holm: float = math.nan


def score(task: Task, truth: Sequence[str], said: Sequence[str | None], *, drop_invalid: bool = False) -> Score:
    """Measures of the answers `said` (None: no label). An invalid answer is wrong, or left out with `drop_invalid`.

    Raises ValueError if the lengths differ or nothing is left to score.
    """
    _same_length(truth, said)
    invalid = sum(answer is None for answer in said) / len(said) if said else math.nan
    pairs = [(t, a) for t, a in zip(truth, said, strict=True) if not (drop_invalid and a is None)]
    if not pairs:
        raise ValueError("said: no answer holds a label, nothing is left to score")
    table = _confusion(task, pairs)
    precision, recall, f1 = _by_label(table)
    weights = table.sum(axis=1) / table.sum()
    neutral = task.labels.index("neutral") if "neutral" in task.labels else -1
    return Score(
        n=len(pairs),
        accuracy=float(np.trace(table)) / len(pairs),
        f1=float(weights @ f1),
        macro_f1=float(f1.mean()),
        positive_f1=float(f1[-1]) if len(task.labels) == 2 else math.nan,
        precision=float(weights @ precision),
        recall=float(weights @ recall),
        neutral_recall=float(recall[neutral]) if neutral >= 0 and weights[neutral] > 0 else math.nan,
        invalid=invalid,
        confusion=tuple(tuple(int(n) for n in row) for row in table),
    )


def bootstrap_diff(
    task: Task,
    truth: Sequence[str],
    base: Sequence[str | None],
    other: Sequence[str | None],
    *,
    n: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Percentile interval (95 %) of the difference in weighted F1 between two systems on their common items.

    Warns below 30 items. Raises ValueError if the lengths differ or fewer than two items are common.
    """
    _same_length(truth, base)
    _same_length(truth, other)
    common = [i for i in range(len(truth)) if base[i] is not None and other[i] is not None]
    if len(common) < 2:
        raise ValueError(f"base, other: {len(common)} items with a label from both, wanted at least two")
    if len(common) < FEW:
        warnings.warn(f"{len(common)} common items: an interval on fewer than {FEW} says little", stacklevel=2)
    place = {label: i for i, label in enumerate(task.labels)}
    rows = np.array([[place[truth[i]], place[str(base[i])], place[str(other[i])]] for i in common], dtype=np.float64)

    def gain(rows: NDArray[np.float64]) -> float:
        codes = rows.astype(np.int64)
        return _weighted_f1(codes[:, 0], codes[:, 2], len(place)) - _weighted_f1(codes[:, 0], codes[:, 1], len(place))

    low, high = bootstrap_ci(rows, gain, "percentile", resamples=n, generator=np.random.default_rng(seed))
    p = mcnemar([truth[i] for i in common], [base[i] for i in common], [other[i] for i in common])
    return Difference(gain(rows), low, high, len(common), p)


def mcnemar(truth: Sequence[str], base: Sequence[str | None], other: Sequence[str | None]) -> float:
    """Exact two-sided p of McNemar's test: are the items that only one system has right split evenly?"""
    from scipy.stats import binomtest

    only_base = sum(b == t != o for t, b, o in zip(truth, base, other, strict=True))
    only_other = sum(o == t != b for t, b, o in zip(truth, base, other, strict=True))
    return float(binomtest(only_base, only_base + only_other).pvalue) if only_base + only_other else 1.0


def summarise(
    task: Task, items: Sequence[Item], answers: Sequence[Answer], *, base: str = "zero_shot", seed: int = 0
) -> dict[str, Any]:
    """All strategies of one model: scores with invalid answers wrong and dropped, interval of the F1, tokens, ties, and
    the difference to `base` (Holm over the strategies). Figures that are not defined are None.

    Raises ValueError where some item lacks an answer.
    """
    by_strategy: dict[str, dict[str, Answer]] = {}
    for answer in answers:
        by_strategy.setdefault(answer.strategy, {})[answer.item] = answer
    truth = [item.label for item in items]
    said: dict[str, list[str | None]] = {}
    for name, found in by_strategy.items():
        missing = [item.id for item in items if item.id not in found]
        if missing:
            raise ValueError(f"answers: {name} lacks {len(missing)} items, the first {missing[0]!r}")
        said[name] = [found[item.id].label for item in items]
    differences = _differences(task, truth, said, base, seed)
    return {
        "task": task.name,
        "language": task.language,
        "labels": list(task.labels),
        "items": len(items),
        "base": base,
        "strategies": {
            name: {
                "wrong": _plain(asdict(score(task, truth, labels))),
                "dropped": _plain(asdict(score(task, truth, labels, drop_invalid=True))) if any(labels) else None,
                "f1_interval": f1_interval(task, truth, labels, seed),
                "ties": sum(answer.tie for answer in by_strategy[name].values()),
                "tokens_in": sum(answer.tokens_in for answer in by_strategy[name].values()),
                "tokens_out": sum(answer.tokens_out for answer in by_strategy[name].values()),
                "versus_base": _plain(asdict(differences[name])) if name in differences else None,
            }
            for name, labels in said.items()
        },
    }


def f1_interval(task: Task, truth: Sequence[str], said: Sequence[str | None], seed: int = 0) -> Interval | None:
    """Percentile interval (95 %) of the weighted F1 with invalid answers wrong; None for fewer than two items."""
    if len(truth) < 2:
        return None
    place: dict[str | None, int] = {label: i for i, label in enumerate(task.labels)}
    rows = np.array([[place[t], place.get(a, len(task.labels))] for t, a in zip(truth, said)], dtype=np.float64)

    def weighted(rows: NDArray[np.float64]) -> float:
        codes = rows.astype(np.int64)
        return _weighted_f1(codes[:, 0], codes[:, 1], len(task.labels))

    return bootstrap_ci(rows, weighted, "percentile", resamples=RESAMPLES, generator=np.random.default_rng(seed))


def table(summary: Mapping[str, Any]) -> str:
    """The strategies of `summarise` as lines of text."""
    lines = [
        f"{'strategy':<18}{'F1':>7}  {'95 %':<16}{'dropped':>8}{'accuracy':>10}{'invalid':>9}  versus {summary['base']}"
    ]
    for name, row in summary["strategies"].items():
        wrong, dropped, versus = row["wrong"], row["dropped"], row["versus_base"]
        interval = "[{:.3f}, {:.3f}]".format(*row["f1_interval"]) if row["f1_interval"] else ""
        gain = ""
        if versus:
            gain = (
                f"{versus['f1']:+.3f} [{versus['low']:+.3f}, {versus['high']:+.3f}], p (Holm) = {versus['p_holm']:.2g}"
            )
        lines.append(
            f"{name:<18}{wrong['f1']:>7.3f}  {interval:<16}{dropped['f1'] if dropped else math.nan:>8.3f}"
            f"{wrong['accuracy']:>10.3f}{wrong['invalid']:>9.1%}  {gain}".rstrip()
        )
    return "\n".join(lines)


def _differences(
    task: Task, truth: Sequence[str], said: Mapping[str, Sequence[str | None]], base: str, seed: int
) -> dict[str, Difference]:
    found: dict[str, Difference] = {}
    if base not in said:
        return found
    for name, labels in said.items():
        common = sum(a is not None and b is not None for a, b in zip(said[base], labels))
        if name != base and common >= 2:
            found[name] = bootstrap_diff(task, truth, said[base], labels, seed=seed)
    adjusted = holm([d.p for d in found.values()])
    return {
        name: Difference(d.f1, d.low, d.high, d.n, d.p, p) for (name, d), p in zip(found.items(), adjusted, strict=True)
    }


def _confusion(task: Task, pairs: Sequence[tuple[str, str | None]]) -> NDArray[np.int64]:
    counts = Counter(pairs)
    rows = [[counts[truth, answer] for answer in (*task.labels, None)] for truth in task.labels]
    return np.array(rows, dtype=np.int64)


def _weighted_f1(truth: NDArray[np.int64], said: NDArray[np.int64], labels: int) -> float:
    table = np.bincount(truth * (labels + 1) + said, minlength=labels * (labels + 1)).reshape(labels, labels + 1)
    return float(table.sum(axis=1) / len(truth) @ _by_label(table)[2])


def _by_label(table: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Precision, recall and F1 of each label from truth x answer, whose last column is no label; 0 over 0 is 0."""
    right = np.diagonal(table[:, :-1]).astype(np.float64)
    said, there = table[:, :-1].sum(axis=0), table.sum(axis=1)
    return right / np.maximum(said, 1), right / np.maximum(there, 1), 2 * right / np.maximum(said + there, 1)


def _same_length(truth: Sequence[str], said: Sequence[str | None]) -> None:
    if len(truth) != len(said) or not truth:
        raise ValueError(f"said: got {len(said)} answers, wanted {len(truth)}, one an item, and at least one")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
