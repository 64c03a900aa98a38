"""Which cases to hand on to an expensive classifier: the exact trade-off of cost and error, by merging hull edges.

A policy says for every bin of the cheap score: negative, positive, or ask the second stage. In each bin the better of
the two labels costs nothing, and asking may save error at a cost. The best policies ask in the bins that save most
error per cost first; between two of them one draws a coin in a single bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Action = Literal["negative", "positive", "defer"]
ACTIONS: tuple[Action, ...] = ("negative", "positive", "defer")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Policy:
    """`actions[b]` is what is done with scores of bin b; bin b ends above `edges[b]` (b < number of edges)."""

    edges: tuple[float, ...]
    actions: tuple[Action, ...]

    def decide(self, scores: ArrayLike) -> list[Action]:
        """The action for each score."""
        places = np.searchsorted(np.asarray(self.edges), np.asarray(scores, dtype=np.float64), side="right")
        return [self.actions[place] for place in places]

    @property
    def thresholds(self) -> tuple[float, float] | None:
        """(lo, hi) where it says negative below lo, positive from hi on and defers between; None where it does not."""
        first = next((b for b, a in enumerate(self.actions) if a != "negative"), len(self.actions))
        last = next((b for b, a in enumerate(self.actions) if a == "positive"), len(self.actions))
        wanted = ["negative"] * first + ["defer"] * (last - first) + ["positive"] * (len(self.actions) - last)
        if list(self.actions) != wanted:
            return None
        ends = (float("-inf"), *self.edges, float("inf"))
        return ends[first], ends[last]


@dataclass(frozen=True)
class Mixture:
    """Policy `often` but with chance `chance` policy `rare`, and what is expected of it."""

    often: Policy
    rare: Policy
    chance: float
    cost: float
    error: float


@dataclass(frozen=True)
class Frontier:
    """Vertices (cost, error) by rising cost and falling error, and the policy of each. Costs are mean costs a case."""

    points: tuple[tuple[float, float], ...]
    policies: tuple[Policy, ...]

    def at_budget(self, cost: float) -> Mixture:
        """The least error at no more than that mean cost; one coin between two neighbouring vertices."""
        if not cost >= 0:
            raise ValueError(f"cost: got {cost}, wanted 0 or more")
        costs = [point[0] for point in self.points]
        after = int(np.searchsorted(costs, cost, side="right"))
        if after == len(costs):
            return Mixture(self.policies[-1], self.policies[-1], 0.0, *self.points[-1])
        (c0, e0), (c1, e1) = self.points[after - 1], self.points[after]
        chance = (cost - c0) / (c1 - c0)
        return Mixture(self.policies[after - 1], self.policies[after], chance, cost, e0 + chance * (e1 - e0))

    def plot(self, path: Path, format: str = "png") -> None:
        """Write a picture of error over cost."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*self.points), marker="o", markersize=3, color="#1f5f8b")
        axes.set(xlabel="mean cost of the second stage a case", ylabel="weighted error")
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
        figure.savefig(path, dpi=150, format=format or "png")


def threshold_randomised_optimal(
    s1: ArrayLike,
    y: ArrayLike,
    p2: ArrayLike,
    c: float,
    w_fp: float = 1.0,
    w_fn: float = 1.0,
    *,
    bins: int | None = None,
    monotone: bool = False,
) -> Frontier:
    """The frontier of mean cost against weighted error w_fp FPR + w_fn FNR.

    s1         (n,) scores of the first stage
    y          (n,) truth, 0 or 1
    p2         (n,) the second stage's probability; it says positive from 0.5 on
    c          cost of asking it once
    bins       quantile bins of the score; None: every score its own. Many small bins fit the labels at hand: choose a
               number that leaves tens of cases in each, and judge the policy on others (`measure`)
    monotone   only policies that are negative, then defer, then positive along the score
    """
    scores, truth, second = _checked(s1, y, p2, c, w_fp, w_fn)
    edges, place = _bins(scores, bins)
    count = len(edges) + 1
    positives, negatives = max(int(truth.sum()), 1), max(int((~truth).sum()), 1)

    def of_bins(values: Floats) -> Floats:
        found: Floats = np.bincount(place, weights=values, minlength=count)
        return found

    errors = np.stack(
        [
            of_bins(w_fn * truth / positives),
            of_bins(w_fp * ~truth / negatives),
            of_bins(w_fn * (truth & ~second) / positives + w_fp * (~truth & second) / negatives),
        ]
    )
    costs = c * of_bins(np.ones(len(scores))) / len(scores)
    build = _monotone if monotone else _merged
    return build(tuple(edges.tolist()), errors, costs)


def measure(
    policy: Policy, s1: ArrayLike, y: ArrayLike, p2: ArrayLike, c: float, w_fp: float = 1.0, w_fn: float = 1.0
) -> tuple[float, float]:
    """(cost, error) of a policy on cases, such as those it was not built on."""
    scores, truth, second = _checked(s1, y, p2, c, w_fp, w_fn)
    actions = np.array(policy.decide(scores))
    deferred = actions == "defer"
    said = np.where(deferred, second, actions == "positive")
    fpr = (said & ~truth).sum() / max((~truth).sum(), 1)
    fnr = (~said & truth).sum() / max(truth.sum(), 1)
    return float(c * deferred.mean()), float(w_fp * fpr + w_fn * fnr)


def _merged(edges: tuple[float, ...], errors: Floats, costs: Floats) -> Frontier:
    """The Minkowski sum of all bins' lower-left hulls: their edges, steepest first."""
    label = errors[:2].argmin(0)
    free = errors[:2].min(0)
    saved = free - errors[2]
    actions = [ACTIONS[i] for i in label]
    for b in np.flatnonzero((saved > 0) & (costs == 0)):
        actions[b], free[b] = "defer", errors[2, b]
    worth = np.flatnonzero((saved > 0) & (costs > 0))
    order = worth[np.argsort(-saved[worth] / costs[worth], kind="stable")]
    cost, error = 0.0, float(free.sum())
    points, policies = [(cost, error)], [Policy(edges, tuple(actions))]
    for b in order:
        cost, error = cost + float(costs[b]), error - float(saved[b])
        actions[b] = "defer"
        points.append((cost, error))
        policies.append(Policy(edges, tuple(actions)))
    return Frontier(tuple(points), tuple(policies))


def _monotone(edges: tuple[float, ...], errors: Floats, costs: Floats) -> Frontier:
    """All pairs of thresholds by running sums, then their lower-left hull."""
    count = len(costs)
    run = np.concatenate([np.zeros((4, 1)), np.cumsum(np.vstack([errors, costs]), axis=1)], axis=1)
    lo, hi = np.triu_indices(count + 1)
    error = run[0, lo] + run[1, count] - run[1, hi] + run[2, hi] - run[2, lo]
    cost = run[3, hi] - run[3, lo]
    points, policies = [], []
    for i in _lower_left(cost, error):
        points.append((float(cost[i]), float(error[i])))
        kinds: list[Action] = ["negative"] * lo[i] + ["defer"] * (hi[i] - lo[i]) + ["positive"] * (count - hi[i])
        policies.append(Policy(edges, tuple(kinds)))
    return Frontier(tuple(points), tuple(policies))


def _lower_left(cost: Floats, error: Floats) -> list[int]:
    """The vertices of the convex, falling part of the points' hull, by rising cost."""
    hull: list[int] = []
    for i in np.lexsort((error, cost)):
        if hull and error[i] >= error[hull[-1]] - 1e-15:
            continue
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (cost[b] - cost[a]) * (error[i] - error[a]) - (error[b] - error[a]) * (cost[i] - cost[a]) > 0:
                break
            hull.pop()
        hull.append(int(i))
    return hull


def _bins(scores: Floats, bins: int | None) -> tuple[Floats, NDArray[np.int64]]:
    """Edges between bins, and the bin of each score; a score on an edge belongs above it."""
    unique = np.unique(scores)
    if bins is None:
        edges = (unique[1:] + unique[:-1]) / 2
    else:
        if bins < 1:
            raise ValueError(f"bins: got {bins}, wanted at least 1")
        edges = np.unique(np.quantile(scores, np.arange(1, bins) / bins))
        edges = edges[edges > unique[0]]
    return edges, np.searchsorted(edges, scores, side="right")


def _checked(
    s1: ArrayLike, y: ArrayLike, p2: ArrayLike, c: float, w_fp: float, w_fn: float
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    scores, truth, second = (np.asarray(values, dtype=np.float64) for values in (s1, y, p2))
    if scores.ndim != 1 or len(scores) == 0 or not scores.shape == truth.shape == second.shape:
        raise ValueError(
            f"s1, y, p2: got shapes {scores.shape}, {truth.shape}, {second.shape}, wanted one (n,), n >= 1"
        )
    for name, values in (("s1", scores), ("p2", second)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: has NaN or infinite values")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("y: got a value other than 0 and 1")
    if not ((second >= 0) & (second <= 1)).all():
        raise ValueError("p2: got a value outside [0, 1], wanted probabilities")
    for name, number in (("c", c), ("w_fp", w_fp), ("w_fn", w_fn)):
        if not 0 <= number < float("inf"):
            raise ValueError(f"{name}: got {number}, wanted 0 or more")
    return scores, truth == 1, second >= 0.5
