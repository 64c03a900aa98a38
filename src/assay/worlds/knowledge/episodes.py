"""Many search episodes at once, for small policies that choose what to do from what has been read so far.

An episode stands at an entity, on a hop of its question's path. SEARCH follows the best candidate to the next hop,
where there is a candidate and a next hop, and reads the next documents there; VERIFY looks the best candidate up in
the table and strikes it out if the table does not hold it; ANSWER says the best candidate (without one, the entity
at hand, as a model would echo its evidence); ABSTAIN says that it does not know. A tool called when no calls are left
ends the episode without an answer.

The reader is fallible on purpose: a vague sentence about the right subject counts as weak evidence for whichever
relation is asked of, and of two candidates with equal evidence the later dated one is believed.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assay.worlds.knowledge.desk import Desk, Split

SEARCH, ANSWER, ABSTAIN, VERIFY = range(4)
PLAIN, WEAK = 2, 1  # evidence in a sentence that names the relation, and in one that leaves it open
NOTHING = -1

FEATURES = (
    "hops still to go",
    "on the last hop",
    "share of the calls used",
    "share of this hop's documents read",
    "there is a candidate",
    "evidence for the best candidate",
    "evidence for the second",
    "the best has plain evidence",
    "the best is dated later than the second",
    "candidates",
    "smallest lead of the links behind",
    "links behind on weak evidence only",
    "the best is verified",
    "struck out here",
    "read in vain here",
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Reading:
    """What a desk's documents say of each (entity, relation), and its questions, as arrays for `Episodes`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        graph, documents, found = desk.graph, desk.documents, desk.rankings >= 0
        subject, relation, object_, year, vague = (
            np.array([getattr(document, field) for document in documents] + [NOTHING])[desk.rankings]
            for field in ("subject", "relation", "object", "year", "vague")
        )
        entities, relations = graph.objects.shape
        same_kinds = np.zeros((relations, relations), bool)
        for r in range(relations):
            same_kinds[r, list(graph.siblings(r))] = True
        asked = np.arange(relations)[None, :, None]
        about = found & (subject == np.arange(entities)[:, None, None])
        plain = about & (relation == asked) & (vague == 0)
        weak = about & same_kinds[asked, relation] & (vague == 1)
        self.evidence: Ints = PLAIN * plain + WEAK * weak  # (entities, relations, depth), as the two below
        self.object: Ints = object_.astype(np.int64)
        self.year: Ints = year.astype(np.int64)
        self.found: Ints = found.sum(axis=2)

    def known(self, subject: Ints, relation: Ints, object: Ints) -> NDArray[np.bool_]:
        """`Desk.verify` for many triples of numbers."""
        holds: NDArray[np.bool_] = (self._table[subject, relation] == object) & (object >= 0)
        return holds

    @cached_property
    def _table(self) -> Ints:
        table = self.desk.graph.objects.astype(np.int64)
        for fact in self.desk.missing:
            table[fact] = NOTHING
        return table

    def paths(self, split: Split) -> tuple[Ints, Ints, Ints]:
        """Start (Q,), path (Q, most hops) padded with -1, and answer (Q,) of a split's questions."""
        questions = self.desk.questions[split]
        most = max(question.hops for question in questions)
        path = np.full((len(questions), most), NOTHING)
        for row, question in zip(path, questions):
            row[: question.hops] = question.path
        start = np.array([question.start for question in questions])
        return start, path, np.array([question.entities[-1] for question in questions])


class Episodes:
    """One episode for each entry of `rows`, numbers of questions of the split; all act in step.

    done        (B,) whether it has ended
    said        (B,) the entity that was answered, -1 without an answer
    abstained   (B,) whether it ended by ABSTAIN
    calls       (B,) tools called; `verified` counts the VERIFYs among them
    gold        (B,) the right answer
    """

    def __init__(self, reading: Reading, split: Split, rows: Ints, max_calls: int = 4) -> None:
        if max_calls < 1:
            raise ValueError(f"max_calls: got {max_calls}, wanted at least 1")
        start, path, answer = reading.paths(split)
        self.reading, self.max_calls = reading, max_calls
        self.path, self.gold, self.at = path[rows], answer[rows], start[rows].copy()
        self.hops = (self.path >= 0).sum(axis=1)
        size, depth = len(rows), reading.evidence.shape[2]
        self.hop, self.read, self.calls, self.verified = (np.zeros(size, np.int64) for _ in range(4))
        self.said = np.full(size, NOTHING)
        self.done, self.abstained = np.zeros(size, bool), np.zeros(size, bool)
        self._sure = np.full(size, NOTHING)  # the candidate that VERIFY confirmed on this hop
        self._struck = np.zeros((size, depth), bool)
        self._lead, self._weak_links = np.full(size, 2 * PLAIN), np.zeros(size, np.int64)
        self._look()

    def observe(self) -> Floats:
        """What each episode may act on, (B, len(FEATURES)), every feature about in [0, 1]."""
        depth = self._struck.shape[1]
        columns = (
            (self.hops - 1 - self.hop) / 3,
            self.hop == self.hops - 1,
            self.calls / self.max_calls,
            self.read / depth,
            self.best >= 0,
            self._evidence / (2 * PLAIN),
            self._second / (2 * PLAIN),
            self._plain,
            self._later,
            self._candidates / 3,
            self._lead / (2 * PLAIN),
            self._weak_links / 3,
            self._sure >= 0,
            self._struck.any(axis=1),
            (self.best < 0) * self.read / depth,
        )
        return np.stack(columns, axis=1).astype(np.float32)

    def act(self, actions: Ints) -> None:
        """Do one action in each episode, (B,); those that are done do nothing."""
        on = ~self.done
        wants_tool = on & ((actions == SEARCH) | (actions == VERIFY))
        served = wants_tool & (self.calls < self.max_calls)
        self.done |= wants_tool & ~served
        self.calls[served] += 1
        self._verify(served & (actions == VERIFY))
        self._search(served & (actions == SEARCH))
        answers = on & (actions == ANSWER)
        self.said[answers] = np.where(self.best >= 0, self.best, self.at)[answers]
        self.abstained |= on & (actions == ABSTAIN)
        self.done |= answers | self.abstained
        self._look()

    def _verify(self, rows: NDArray[np.bool_]) -> None:
        self.verified[rows] += 1
        holds = self.reading.known(self.at, self._relation, self.best)
        self._sure = np.where(rows & holds, self.best, self._sure)
        self._struck |= (rows & ~holds & (self.best >= 0))[:, None] & (self._object == self.best[:, None])

    def _search(self, rows: NDArray[np.bool_]) -> None:
        follow = rows & (self.best >= 0) & (self.hop < self.hops - 1)
        lead = np.where(self._sure >= 0, 2 * PLAIN, np.minimum(self._evidence - self._second, 2 * PLAIN))
        self._lead = np.where(follow, np.minimum(self._lead, lead), self._lead)
        self._weak_links += follow & ~self._plain & (self._sure < 0)
        self.at = np.where(follow, self.best, self.at)
        self.hop += follow
        self.read[follow] = 0
        self._struck[follow] = False
        self._sure[follow] = NOTHING
        found = self.reading.found[self.at, self._relation]
        self.read = np.where(rows, np.minimum(self.read + self.reading.desk.k_docs, found), self.read)

    @property
    def _relation(self) -> Ints:
        return self.path[np.arange(len(self.hop)), self.hop]

    def _look(self) -> None:
        """Weigh the candidates of the hop at hand: the sum of each one's evidence, then the later date."""
        at, relation, depth = self.at, self._relation, self._struck.shape[1]
        self._object = self.reading.object[at, relation]
        year = self.reading.year[at, relation]
        unread = np.arange(depth) >= self.read[:, None]
        evidence = np.where(unread | self._struck, 0, self.reading.evidence[at, relation])

        same = self._object[:, :, None] == self._object[:, None, :]
        total = np.where(evidence > 0, (same * evidence[:, None, :]).sum(axis=2), 0)
        order = np.where(evidence > 0, total * 10**6 + year * 10**2 + depth - np.arange(depth), 0)
        first = order.argmax(axis=1)
        rows = np.arange(len(at))
        some = total[rows, first] > 0
        best = np.where(some, self._object[rows, first], NOTHING)
        self.best = np.where(self._sure >= 0, self._sure, best)

        other = np.where(self._object == self.best[:, None], 0, order)
        runner_up = other.argmax(axis=1)
        of_best = self._object == self.best[:, None]
        self._evidence = np.where(of_best, total, 0).max(axis=1)
        self._second = np.where(other.max(axis=1) > 0, total[rows, runner_up], 0)
        self._plain = (of_best & (evidence == PLAIN)).any(axis=1)
        newest = np.where(of_best & (evidence > 0), year, 0).max(axis=1)
        self._later = (self._second > 0) & (newest > year[rows, runner_up])
        earlier = np.tril(same & (evidence > 0)[:, None, :], k=-1).any(axis=2)
        self._candidates = ((evidence > 0) & ~earlier).sum(axis=1)
