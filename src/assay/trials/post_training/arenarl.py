"""Does a seeded knock-out rank rollouts better than an unseeded one for the same number of comparisons? (2601.06487)

World   a city with opening hours, prices and distances; 300 requests for a day out. Eight plans each: the shortest
        feasible day with 0 to 6 defects put in (a stop left out, one too many, two in the wrong order, one too early).
Judge   sees each plan's utility, the checked faults counted in defects, through fresh normal noise. NOISE was set on
        the reserved seed 1000 so that one comparison of two plans is right three times in four.
Metric  Spearman correlation of the advantages with the noise-free utility, mean over the requests.
Arms    method: N - 1 seeding matches, then the seeded knock-out. baseline: an unseeded knock-out whose every match is
        played twice, the means taken: as many comparisons. placebo: the seeding matches are played and their seeds
        shuffled. Shown: the other topologies, and marks from 1 to 10 without comparison, as many as judge calls.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.engine.trial import Bar, Cost, Fixture, Measures, Metric, Mirror, Models, Trial
from assay.methods.concurrency import run_sync
from assay.methods.post_training import _tournaments as tournaments
from assay.methods.post_training._tournaments import Pair, Play, Ranking, Scores
from assay.methods.post_training.arenarl import TOPOLOGIES, rank_advantages
from assay.worlds.city import City, Plan, Request, Stop, best_plan, check, timed, way

PLANS, MOST_DEFECTS = 8, 6
NOISE = 2.5  # in defects
DETOUR, OVERSPENT = 4.0, 10.0  # a quarter more way, or a tenth over the budget, counts as one defect
GENEROUS_MARK = 7  # what a pointwise judge gives a plan of middling quality; a defect is worth half a mark to it

Rank = Callable[[int, Play], Awaitable[Ranking]]
Utilities = NDArray[np.float64]  # (requests, PLANS), in defects below a perfect day


def seeded(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    return measure(utilities, seed, tournaments.single_elimination)


def unseeded_twice(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    return measure(utilities, seed, knock_out_twice)


def shuffled_seeds(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    rng = random.Random(f"seeds {seed}")

    async def rank(entrants: int, play: Play) -> Ranking:
        _, seeding = await tournaments.anchor_seeding(entrants, play)
        seeds = rng.sample(range(entrants), entrants)
        return await finish([seeds[place] for place in tournaments.bracket(entrants)], seeding, play)

    return measure(utilities, seed, rank)


def anchor_only(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    return measure(utilities, seed, TOPOLOGIES["anchor"])


def swiss(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    return measure(utilities, seed, TOPOLOGIES["swiss"])


def double_elimination(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    return measure(utilities, seed, TOPOLOGIES["double"])


def round_robin(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    return measure(utilities, seed, TOPOLOGIES["round_robin"])


def pointwise(world: City, models: Models, seed: int, utilities: Utilities) -> Measures:
    """Marks from 1 to 10: every plan once or twice, 2N - 2 calls a request as in the tournaments."""
    judge, advantages = Judge(seed), list[Tensor]()
    for of_request in utilities.tolist():
        marks = [[judge.mark(quality)] for quality in of_request]
        for given, quality in zip(marks[: PLANS - 2], of_request):
            given.append(judge.mark(quality))
        advantages.append(rank_advantages(torch.tensor([sum(given) / len(given) for given in marks])))
    return Measures(agreement(advantages, utilities), Cost(model_calls=judge.calls))


class Judge:
    """Sees utilities through noise, and counts how often it was asked and how often it named the better plan."""

    def __init__(self, seed: int, noise: float = NOISE) -> None:
        self.rng, self.noise = random.Random(f"judge {seed}"), noise
        self.calls = self.right = 0

    def compare(self, a: float, b: float) -> Scores:
        first, second = a + self.rng.gauss(0, self.noise), b + self.rng.gauss(0, self.noise)
        self.calls += 1
        self.right += (first > second) == (a > b)
        return first, second

    def mark(self, utility: float) -> float:
        self.calls += 1
        seen = GENEROUS_MARK + 0.5 * (utility + MOST_DEFECTS / 2 + self.rng.gauss(0, self.noise))
        return float(min(10, max(1, round(seen))))


def measure(utilities: Utilities, seed: int, rank: Rank) -> Measures:
    """All requests of a seed ranked by one tournament."""
    judge, advantages = Judge(seed), list[Tensor]()
    for of_request in utilities.tolist():
        ranking = run_sync(rank, PLANS, _play(judge, of_request))
        advantages.append(rank_advantages(torch.tensor(ranking.reward)))
    extra = {"right_comparisons": judge.right / judge.calls, "comparisons": judge.calls / len(utilities)}
    return Measures(agreement(advantages, utilities), Cost(model_calls=judge.calls), extra=extra)


async def knock_out_twice(entrants: int, play: Play) -> Ranking:
    """An unseeded knock-out, every match played twice and its scores averaged: 2N - 2 comparisons."""

    async def twice(pairs: Sequence[Pair]) -> list[Scores]:
        once, again = await play(pairs), await play(pairs)
        return [((a + c) / 2, (b + d) / 2) for (a, b), (c, d) in zip(once, again)]

    return await finish(range(entrants), [], twice)


async def finish(line_up: Sequence[int], before: Sequence[tournaments.Match], play: Play) -> Ranking:
    """The knock-out over a line-up, and the places it gives."""
    lost, matches = await tournaments.knock_out(line_up, play)
    return tournaments.ranked(tournaments.by_exit(lost, [*before, *matches]), [*before, *matches])


def agreement(advantages: Sequence[Tensor], utilities: Utilities) -> float:
    """Mean Spearman correlation over the requests."""
    from scipy.stats import spearmanr

    found = [float(spearmanr(a.numpy(), u).statistic) for a, u in zip(advantages, utilities)]
    return sum(found) / len(found)


def prepare(world: City, models: Models, seed: int) -> Utilities:
    """The fixture: the true utilities of eight plans a request, in an order that says nothing of their quality."""
    rng = random.Random(f"plans {seed}")
    table = []
    for request in world.requests:
        best = best_plan(world, request)
        assert best is not None, "the world holds requests that can be met"
        shortest = way(world, request, [stop.place for stop in best])
        plans = [spoiled(world, request, best, rng.randint(0, MOST_DEFECTS), rng) for _ in range(PLANS)]
        table.append([utility(world, request, plan, shortest) for plan in plans])
    return np.array(table)


def spoiled(world: City, request: Request, best: Plan, defects: int, rng: random.Random) -> Plan:
    """The best plan with so many defects; those of the route are put in first, then it is timed anew."""
    kinds = rng.choices(("missing", "extra", "order", "early"), k=defects)
    names = [stop.place for stop in best]
    for kind in kinds:
        if kind == "missing" and len(names) > 1:
            names.pop(rng.randrange(len(names)))
        elif kind == "extra":
            others = [place.name for place in world.places if place.name not in names and place.kind != "hotel"]
            names.insert(rng.randrange(len(names) + 1), rng.choice(others))
        elif kind == "order" and len(names) > 1:
            i, j = rng.sample(range(len(names)), 2)
            names[i], names[j] = names[j], names[i]
    plan = list(timed(world, request, names))
    for kind in kinds:
        if kind == "early":
            i = rng.randrange(len(plan))
            plan[i] = Stop(plan[i].place, plan[i].arrive - 1.5)
    return tuple(plan)


def utility(world: City, request: Request, plan: Plan, shortest: float) -> float:
    """Minus the faults, in defects."""
    faults = check(world, request, plan, shortest)
    return -(faults.untimely + faults.missing + OVERSPENT * faults.overspent + DETOUR * faults.detour)


def _play(judge: Judge, utilities: Sequence[float]) -> Play:
    async def play(pairs: Sequence[Pair]) -> list[Scores]:
        return [judge.compare(utilities[a], utilities[b]) for a, b in pairs]

    return play


trial = Trial(
    paper="2601.06487",
    claim="Seeding a knock-out by matches against one anchor ranks replies better than spending them on repeats.",
    headline="Open-Travel win rate 41.8 % against 16.4 % for GRPO and 17.2 % for GSPO",
    metric=Metric("Spearman of advantages and true utility", better="higher", range=(-1.0, 1.0)),
    bar=Bar(versus="baseline", relative=0.10),
    arms={
        "baseline": unseeded_twice,
        "placebo": shuffled_seeds,
        "method": seeded,
        "anchor_only": anchor_only,
        "swiss": swiss,
        "double_elimination": double_elimination,
        "round_robin": round_robin,
        "pointwise": pointwise,
    },
    world="city",
    world_args={"requests": 300},
    quick_args={"requests": 40},
    seeds=10,
    fixture=Fixture(prepare),
    mirrors=(Mirror("win rate against GRPO's", 41.8 / 16.4, ("method", "pointwise")),),
    extras=("trl", "evaluation"),
)
