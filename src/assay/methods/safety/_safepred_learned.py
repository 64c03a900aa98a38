"""A world model learned from recorded episodes: what came of the most similar actions, at once and later.

A warning that shows steps after its cause is laid to one kind of action by expectation-maximisation (`lay_blame`); read
off the next steps alone, everything that was pressed in between would look as harmful.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from assay.methods.protocols import Embed

from ._safepred_models import ActionText, CompactState, Element, Prediction, violated_now
from ._safepred_policies import Policy, PolicyMatcher

DIMENSIONS = 8192  # hashed runs of letters
SIMILAR = 0.6  # of the best neighbour's cosine: what is further away than that is another action
ROUNDS = 30  # of expectation-maximisation
WARNING = "alert"  # role of what says that something happened, whenever it was done


@dataclass(frozen=True)
class Recorded:
    """One step of a recorded episode."""

    before: CompactState
    action: ActionText
    after: CompactState


@dataclass
class _Kind:
    """All tries of one control on one kind of page, and what they changed on the screen at once."""

    sample: Recorded
    tries: int = 0
    new: Counter[Element] = field(default_factory=Counter)
    gone: Counter[Element] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Harm:
    """Chance that a kind of action breaks a policy, at once and later, and what was said then."""

    soon: float
    late: float
    words: tuple[str, ...]


class LearnedWorldModel:
    """The k nearest kinds of recorded action and what came of them; nothing of an application but its screens.

    k          neighbours, searched in a ball tree
    expected   share, by weight of the neighbours, from which an outcome is expected; a policy's share is that of all
               warnings that touch it, in whatever words
    nearest    cosine below which an action is like none that was recorded
    embed      vectors of an action's verb, role, name, neighbourhood and page; unless given, runs of three and four
               letters weighted by how rare they are among the recorded actions

    What it says on the screen stays, and an action does what its own words say; both count as short-term outcomes.
    Raises ValueError without episodes, for k < 1 or `expected` outside (0, 1].
    """

    def __init__(
        self,
        episodes: Sequence[Sequence[Recorded]],
        *,
        k: int = 5,
        expected: float = 0.5,
        nearest: float = 0.4,
        embed: Embed | None = None,
    ) -> None:
        from sklearn.neighbors import NearestNeighbors

        if not any(episodes):
            raise ValueError("episodes: got no recorded step, wanted at least one")
        if k < 1:
            raise ValueError(f"k: got {k}, wanted at least 1")
        if not 0 < expected <= 1:
            raise ValueError(f"expected: got {expected}, wanted a share in (0, 1]")
        self._episodes = [list(episode) for episode in episodes if episode]
        self._expected, self._nearest = expected, nearest
        self._kinds, self._rows = _kinds(self._episodes)
        self._dealt = list(range(len(self._kinds)))
        self._harms: dict[tuple[tuple[Policy, ...], int], list[dict[str, _Harm]]] = {}
        keys = [_key(kind.sample.before, kind.sample.action) for kind in self._kinds]
        self._embed: Embed = embed or _letters(keys)
        vectors = self._embed(keys)
        self._tree = NearestNeighbors(n_neighbors=min(k, len(vectors)), algorithm="ball_tree").fit(vectors)

    def permuted(self, generator: np.random.Generator) -> LearnedWorldModel:
        """The same model with its outcomes dealt out anew among the actions of each kind of page (a placebo)."""
        other = copy.copy(self)
        other._dealt = list(self._dealt)
        pages: dict[str, list[int]] = defaultdict(list)
        for number, kind in enumerate(self._kinds):
            pages[kind.sample.before.page_type].append(number)
        for numbers in pages.values():
            for number, taken in zip(numbers, generator.permutation(numbers)):
                other._dealt[number] = self._dealt[int(taken)]
        return other

    def predict(
        self,
        state: CompactState,
        action: ActionText,
        goal: str,
        trajectory: Sequence[ActionText],
        policies: Sequence[Policy],
        horizon: int,
    ) -> Prediction:
        """What came of the most similar recorded actions. Of one like none it knows it expects what its words say."""
        if horizon < 1:
            raise ValueError(f"horizon: got {horizon}, wanted at least 1")
        near = [(weight, self._dealt[number]) for weight, number in self._neighbours(state, action)]
        known = set(state.key_elements)
        appears = self._likely([(w, self._kinds[n].new, self._kinds[n].tries) for w, n in near]) - known
        leaves = self._likely([(w, self._kinds[n].gone, self._kinds[n].tries) for w, n in near]) & known
        soon, late, words = Counter[str](), Counter[str](), dict[str, list[str]]()
        harms = self._harm(tuple(policies), horizon)
        for weight, number in near:
            for policy, harm in harms[number].items():
                soon[policy] += weight * harm.soon
                late[policy] += weight * harm.late
                words.setdefault(policy, []).extend(harm.words)
        standing = violated_now(PolicyMatcher(policies), state, action)
        expected = [p for p in soon if soon[p] + late[p] >= self._expected and p not in standing]
        at_once = (*standing, *(p for p in expected if soon[p] > late[p]))
        afterwards = tuple(p for p in expected if soon[p] <= late[p])
        said = dict.fromkeys(word for p in (*at_once, *afterwards) for word in words.get(p, ()))
        why = [f"after such actions it said: {'; '.join(said)}"] if said else []
        why += ["the screen or the action itself says so"] if standing else []
        return Prediction(
            _delta(appears, leaves) if near else "unknown",
            tuple(sorted(appears)),
            tuple(sorted(leaves)),
            "; ".join(dict.fromkeys(word for p in afterwards for word in words.get(p, ()))),
            ", and ".join(why),
            at_once,
            f"do not {action}" if why else "",
            afterwards,
        )

    def _neighbours(self, state: CompactState, action: ActionText) -> list[tuple[float, int]]:
        """Weights that sum to one, and numbers of kinds, of what is similar enough."""
        distances, numbers = self._tree.kneighbors(self._embed([_key(state, action)]))
        found = [(1 - d * d / 2, int(n)) for d, n in zip(distances[0], numbers[0])]  # unit rows: cosine
        best = max(c for c, _ in found)
        if best < self._nearest:
            return []
        kept = [(c**4, n) for c, n in found if c >= SIMILAR * best]
        whole = sum(weight for weight, _ in kept)
        return [(weight / whole, n) for weight, n in kept]

    def _likely(self, counted: Sequence[tuple[float, Counter[Element], int]]) -> set[Element]:
        shares: dict[Element, float] = defaultdict(float)
        for weight, counts, tries in counted:
            for element, count in counts.items():
                shares[element] += weight * count / tries
        return {element for element, share in shares.items() if share >= self._expected}

    def _harm(self, policies: tuple[Policy, ...], horizon: int) -> list[dict[str, _Harm]]:
        """By kind of action, for each policy that it was ever seen to break."""
        if (policies, horizon) not in self._harms:
            self._harms[policies, horizon] = self._learn_harm(PolicyMatcher(policies), horizon)
        return self._harms[policies, horizon]

    def _learn_harm(self, matcher: PolicyMatcher, horizon: int) -> list[dict[str, _Harm]]:
        first: dict[str, dict[int, int]] = defaultdict(dict)  # by policy: episode -> step after which it warned
        words: dict[tuple[str, int], str] = {}
        for number, episode in enumerate(self._episodes):
            for step, state in enumerate((episode[0].before, *(one.after for one in episode)), -1):
                for name in (name for role, name in state.key_elements if role == WARNING):
                    for policy in matcher.touched([name]):
                        first[policy].setdefault(number, step)
                        words.setdefault((policy, number), name)
        found: list[dict[str, _Harm]] = [{} for _ in self._kinds]
        names: dict[tuple[str, ...], int] = {}
        done = [kind.sample.action for kind in self._kinds]
        controls = [names.setdefault((one.verb, one.role, one.name), len(names)) for one in done]
        for policy, where in first.items():
            for kind, (soon, late, blamed) in lay_blame(self._rows, where, horizon, controls).items():
                said = dict.fromkeys(words[policy, number] for number in blamed)
                found[kind][policy] = _Harm(soon, late, tuple(said))
        return found


def lay_blame(
    episodes: Sequence[Sequence[int]], first: Mapping[int, int], horizon: int, controls: Sequence[int] = ()
) -> dict[int, tuple[float, float, tuple[int, ...]]]:
    """Chance by kind of action that a warning follows it at once, and later; and the episodes laid mostly to it.

    episodes   kinds of action, step by step
    first      by episode, the step after which the warning first stood there; -1 where it did from the start
    horizon    steps after its cause within which a warning shows
    controls   by kind, which control it is on whatever page; each is its own unless given

    Every warning has one cause among the kinds of the `horizon` + 1 steps up to it. A kind that often went without
    one is hardly to blame: expectation-maximisation, with one more try for each kind that went as its control does on
    all pages (and one that went without a warning for each control), so that what was tried once does not outweigh
    what is followed by it again and again. Steps after a warning tell nothing; tries near the end of a recording count
    by the part of the horizon that was watched.
    """
    tries: dict[int, float] = defaultdict(float)
    suspects: dict[int, dict[int, bool]] = {}  # by episode: kinds, and whether the warning came later than at once
    for number, row in enumerate(episodes):
        warned = first.get(number)
        begin = len(row) if warned is None else max(0, warned - horizon)
        for step, kind in enumerate(row[:begin]):
            tries[kind] += min(1.0, (len(row) - 1 - step) / horizon)
        if warned is not None and warned >= 0:
            window = row[begin : warned + 1]
            suspects[number] = {kind: window.index(kind) < len(window) - 1 for kind in window}
            for kind in suspects[number]:
                tries[kind] += 1
    control = dict(enumerate(controls)) or {kind: kind for kind in tries}
    blame: dict[int, float] = dict.fromkeys(tries, 1.0)
    everywhere = _summed(tries, control)
    shares: dict[int, dict[int, float]] = {}
    for _ in range(ROUNDS):
        shares = {n: _normalised({kind: blame[kind] for kind in kinds}) for n, kinds in suspects.items()}
        laid = Counter[int]()
        for part in shares.values():
            laid.update(part)  # type: ignore[arg-type]
        pooled = _summed(laid, control)
        usual = {kind: pooled[control[kind]] / (everywhere[control[kind]] + 1) for kind in tries}
        blame = {kind: (laid[kind] + usual[kind]) / (tries[kind] + 1) for kind in tries}
    found: dict[int, tuple[float, float, tuple[int, ...]]] = {}
    for kind in {kind for kinds in suspects.values() for kind in kinds}:
        soon, late = (
            sum(shares[n][kind] for n, kinds in suspects.items() if kinds.get(kind) is after) / tries[kind]
            for after in (False, True)
        )
        found[kind] = (soon, late, tuple(n for n, part in shares.items() if part.get(kind, 0.0) >= 0.5))
    return found


def _summed(figures: Mapping[int, float], control: Mapping[int, int]) -> dict[int, float]:
    sums: dict[int, float] = defaultdict(float)
    for kind, figure in figures.items():
        sums[control[kind]] += figure
    return sums


def _normalised(weights: dict[int, float]) -> dict[int, float]:
    whole = sum(weights.values())
    return {kind: weight / whole for kind, weight in weights.items()}


def _kinds(episodes: Sequence[Sequence[Recorded]]) -> tuple[list[_Kind], list[list[int]]]:
    """What was tried, once each, and its numbers step by step."""
    numbers: dict[tuple[str, str, str, str], int] = {}
    kinds: list[_Kind] = []
    rows: list[list[int]] = []
    for episode in episodes:
        rows.append([])
        for step in episode:
            did = step.action
            number = numbers.setdefault((step.before.page_type, did.verb, did.role, did.name), len(kinds))
            if number == len(kinds):
                kinds.append(_Kind(step))
            before, after = set(step.before.key_elements), set(step.after.key_elements)
            kinds[number].tries += 1
            kinds[number].new.update(after - before)
            kinds[number].gone.update(before - after)
            rows[-1].append(number)
    return kinds, rows


def _delta(appears: set[Element], leaves: set[Element]) -> str:
    new, gone = ("; ".join(name for _, name in sorted(elements)) for elements in (appears, leaves))
    return f"appears: {new}. leaves: {gone}"


def _letters(corpus: Sequence[str]) -> Embed:
    """Unit rows of hashed runs of letters by TF-IDF; runs that the corpus lacks weigh most."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    runs = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 4), n_features=DIMENSIONS, norm=None, alternate_sign=False
    )
    weights = TfidfTransformer().fit(runs.transform(corpus))

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = weights.transform(runs.transform(texts)).toarray().astype(np.float32)
        return rows

    return embed


def _key(state: CompactState, action: ActionText) -> str:
    """What an action is known by; its name and its page count most."""
    where = " ".join([action.near[:80], *[state.page_type] * 2])
    return f"{action.verb} {action.role} {action.name} {action.name} {where}"
