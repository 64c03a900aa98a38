"""Five tournaments over N entrants: who meets whom, and who ends up where. Used by `arenarl`.

A tournament is an async function of (N, play), where `play(pairs)` plays one round's matches side by side and returns
(score of the first, score of the second) for each. Every tournament gives a `Ranking`; ties share the better place's
number in `rank` where the rules say so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil, log2

Pair = tuple[int, int]
Scores = tuple[float, float]
Play = Callable[[Sequence[Pair]], Awaitable[list[Scores]]]


@dataclass(frozen=True)
class Match:
    """Two entrants, the points each was given, and the round it was played in."""

    round: str
    a: int
    b: int
    scores: Scores

    @property
    def loser(self) -> int:
        """The one with fewer points; of equals the second (the first seed goes on)."""
        return self.b if self.scores[0] >= self.scores[1] else self.a


@dataclass(frozen=True)
class Ranking:
    """`order` lists entrants from best to worst, `rank[i]` is entrant i's place from 0, `reward[i]` from 0 to 1."""

    order: tuple[int, ...]
    rank: tuple[float, ...]
    reward: tuple[float, ...]
    matches: tuple[Match, ...]


async def anchor_seeding(entrants: int, play: Play) -> tuple[list[int], list[Match]]:
    """Everyone meets entrant 0, the anchor: N - 1 matches. Seeds from best to worst by their score in it; the
    anchor's is the mean of its own. Equal scores keep the order of the entrants."""
    pairs = [(0, other) for other in range(1, entrants)]
    matches = [Match("seeding", *pair, scores) for pair, scores in zip(pairs, await play(pairs))]
    score = {match.b: match.scores[1] for match in matches}
    score[0] = sum(match.scores[0] for match in matches) / len(matches)
    return sorted(range(entrants), key=lambda i: (-score[i], i)), matches


def bracket(entrants: int) -> list[int]:
    """Seeds 0 ... N-1 in the order of a bracket that keeps the best apart: [0] -> [0, 1] -> [0, 3, 1, 2] -> ... up
    to the next power of two, the absent ones left out (their opponents have a bye)."""
    order = [0]
    while len(order) < entrants:
        last = 2 * len(order) - 1
        order = [seed for present in order for seed in (present, last - present)]
    return [seed for seed in order if seed < entrants]


async def knock_out(line_up: Sequence[int], play: Play) -> tuple[list[list[int]], list[Match]]:
    """Neighbours meet, an odd one out goes on and stands at the front of the next round. Returns those who lost in
    each round (the champion last, alone) and the matches, N - 1 in all."""
    standing, lost, matches, number = list(line_up), list[list[int]](), list[Match](), 1
    while len(standing) > 1:
        bye = [standing.pop()] if len(standing) % 2 else []
        pairs = list(zip(standing[::2], standing[1::2]))
        played = [Match(f"round {number}", *pair, scores) for pair, scores in zip(pairs, await play(pairs))]
        lost.append([match.loser for match in played])
        standing = bye + [match.a if match.loser == match.b else match.b for match in played]
        matches += played
        number += 1
    return [*lost, standing], matches


def by_exit(lost: Sequence[Sequence[int]], matches: Sequence[Match]) -> list[int]:
    """From the champion back to the first round's losers; within a round by mean points over all matches played."""
    points: dict[int, list[float]] = {}
    for match in matches:
        points.setdefault(match.a, []).append(match.scores[0])
        points.setdefault(match.b, []).append(match.scores[1])
    mean = {i: sum(got) / len(got) for i, got in points.items()}
    return [i for gone in reversed(lost) for i in sorted(gone, key=lambda i: (-mean[i], i))]


async def single_elimination(entrants: int, play: Play) -> Ranking:
    """Seeding against the anchor, then a seeded knock-out: 2N - 2 matches.

    Below a power of two the low seeds get the byes, so even a judge without noise can rank the second best last.
    """
    seeds, seeding = await anchor_seeding(entrants, play)
    lost, matches = await knock_out([seeds[seed] for seed in bracket(entrants)], play)
    return ranked(by_exit(lost, [*seeding, *matches]), [*seeding, *matches])


async def double_elimination(entrants: int, play: Play) -> Ranking:
    """Seeded; who loses once goes on in a second bracket, who loses twice is out. The last two meet once."""
    seeds, matches = await anchor_seeding(entrants, play)
    upper, lower, out = [seeds[seed] for seed in bracket(entrants)], list[int](), list[list[int]]()
    while len(upper) > 1 or len(lower) > 1:
        fallen: list[int] = []
        if len(upper) > 1:
            upper, fallen, played = await _half(upper, play, "upper")
            matches += played
        if len(lower) > 1:
            lower, gone, played = await _half(lower, play, "lower")
            matches += played
            out.append(gone)
        lower = lower + fallen
    final = [Match("final", upper[0], lower[0], (await play([(upper[0], lower[0])]))[0])]
    champion = upper[0] if final[0].loser == lower[0] else lower[0]
    matches += final
    return ranked(by_exit([*out, [final[0].loser], [champion]], matches), matches)


async def round_robin(entrants: int, play: Play) -> Ranking:
    """Everyone meets everyone: N (N - 1) / 2 matches. A win counts 1, a tie 1/2; equals share the better place."""
    pairs = [(a, b) for a in range(entrants) for b in range(a + 1, entrants)]
    matches = [Match("all", *pair, scores) for pair, scores in zip(pairs, await play(pairs))]
    return _by_points(_wins(entrants, matches), matches)


async def anchor_only(entrants: int, play: Play) -> Ranking:
    """Everyone meets entrant 0 alone: N - 1 matches. Places by the margin over it (the anchor's own is 0)."""
    _, matches = await anchor_seeding(entrants, play)
    margin = [0.0] * entrants
    for match in matches:
        margin[match.b] = match.scores[1] - match.scores[0]
    return _by_points(margin, matches)


async def swiss(entrants: int, play: Play) -> Ranking:
    """ceil(log2 N) rounds of neighbours in the standings, no pair twice while that can be avoided; in an odd field
    the last without a bye so far gets one (a point). Ties in points go by Buchholz, the sum of one's opponents'
    points; who is equal in both shares the mean of the rewards."""
    points, met, had_bye = [0.0] * entrants, set[frozenset[int]](), set[int]()
    matches: list[Match] = []
    for number in range(1, ceil(log2(entrants)) + 1):
        standings = sorted(range(entrants), key=lambda i: (-points[i], i))
        if entrants % 2:
            bye = next(i for i in reversed(standings) if i not in had_bye)
            standings.remove(bye)
            had_bye.add(bye)
            points[bye] += 1
        pairs = swiss_pairs(standings, met)
        played = [Match(f"round {number}", *pair, scores) for pair, scores in zip(pairs, await play(pairs))]
        met |= {frozenset(pair) for pair in pairs}
        matches += played
        for match in played:
            _award(points, match)
    opponents: list[list[int]] = [[] for _ in range(entrants)]
    for match in matches:
        opponents[match.a].append(match.b)
        opponents[match.b].append(match.a)
    buchholz = [sum(points[other] for other in opponents[i]) for i in range(entrants)]
    return _shared(list(zip(points, buchholz)), matches)


def swiss_pairs(standings: Sequence[int], met: set[frozenset[int]]) -> list[Pair]:
    """Neighbours in the standings, passing over those already met; a rematch only where nothing else is left."""
    found = _without_rematch(list(standings), met)
    return found if found is not None else list(zip(standings[::2], standings[1::2]))


def _without_rematch(left: list[int], met: set[frozenset[int]]) -> list[Pair] | None:
    if not left:
        return []
    first = left[0]
    for place in range(1, len(left)):
        if frozenset((first, left[place])) not in met:
            rest = _without_rematch(left[1:place] + left[place + 1 :], met)
            if rest is not None:
                return [(first, left[place]), *rest]
    return None


async def _half(standing: list[int], play: Play, name: str) -> tuple[list[int], list[int], list[Match]]:
    """One round: those who go on (a bye at the front), those who lost, the matches."""
    bye = [standing[-1]] if len(standing) % 2 else []
    pairs = list(zip(standing[::2], standing[1::2]))
    played = [Match(name, *pair, scores) for pair, scores in zip(pairs, await play(pairs))]
    winners = [match.a if match.loser == match.b else match.b for match in played]
    return bye + winners, [match.loser for match in played], played


def _wins(entrants: int, matches: Sequence[Match]) -> list[float]:
    points = [0.0] * entrants
    for match in matches:
        _award(points, match)
    return points


def _award(points: list[float], match: Match) -> None:
    first, second = match.scores
    points[match.a] += 1.0 if first > second else 0.5 if first == second else 0.0
    points[match.b] += 1.0 if second > first else 0.5 if first == second else 0.0


def ranked(order: Sequence[int], matches: Sequence[Match]) -> Ranking:
    """A full order without ties: reward 1 - place / (N - 1)."""
    rank = [0.0] * len(order)
    for place, i in enumerate(order):
        rank[i] = float(place)
    reward = tuple(1 - place / (len(order) - 1) for place in rank)
    return Ranking(tuple(order), tuple(rank), reward, tuple(matches))


def _by_points(points: Sequence[float], matches: Sequence[Match]) -> Ranking:
    """Equals share the better place ("min" ranks): reward (worst place - place) / worst place, all 0 if all equal."""
    rank = [float(sum(other > mine for other in points)) for mine in points]
    worst = max(rank)
    reward = tuple((worst - place) / worst if worst else 0.0 for place in rank)
    order = tuple(sorted(range(len(points)), key=lambda i: (rank[i], i)))
    return Ranking(order, tuple(rank), reward, tuple(matches))


def _shared(keys: Sequence[tuple[float, float]], matches: Sequence[Match]) -> Ranking:
    """Equals share the mean of their places, and so of their rewards."""
    better = [sum(other > mine for other in keys) for mine in keys]
    rank = [place + (sum(other == mine for other in keys) - 1) / 2 for place, mine in zip(better, keys)]
    reward = tuple(1 - place / (len(keys) - 1) for place in rank)
    order = tuple(sorted(range(len(keys)), key=lambda i: (rank[i], i)))
    return Ranking(order, tuple(rank), reward, tuple(matches))
