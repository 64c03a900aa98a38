"""A small tool user at the knowledge desk, and the flywheel that makes its start: for the trial of ET-Agent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.methods.concurrency import run_sync
from assay.methods.post_training.et_agent import Flywheel, Step, Trajectory
from assay.models.policies import FeaturePolicy
from assay.worlds.knowledge.desk import Split
from assay.worlds.knowledge.episodes import ANSWER, FEATURES, SEARCH, VERIFY, Episodes, Reading

MOVES = np.array([SEARCH, VERIFY, ANSWER])
NAMES = {"search": SEARCH, "verify": VERIFY}
MAX_CALLS = 6
TAUGHT = 100  # questions that the flywheel works on
FIT_STEPS, FIT_RATE = 200, 3e-3

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """B episodes: right or not, answered or not, tools called, lines read and written, the entity said (-1 without
    an answer); and the N decisions, as in `Rollouts`. `moves` (B, T) is what was done, -1 past the end."""

    correct: Floats
    answered: NDArray[np.bool_]
    calls: Ints
    lines: Ints
    said: Ints
    moves: Ints
    observations: Tensor
    actions: Tensor
    row: Tensor


def fresh_policy(seed: int) -> FeaturePolicy:
    return FeaturePolicy(len(FEATURES), (len(MOVES),), generator=torch.Generator().manual_seed(seed))


def play(
    policy: FeaturePolicy,
    reading: Reading,
    split: Split,
    questions: Ints,
    generator: torch.Generator | None,
    forced: Ints | None = None,
) -> Played:
    """One episode for each entry of `questions`, numbers in the split, by drawn moves; by the likeliest without a
    generator. `forced` (B, t) gives the first moves of each episode, -1 where the policy chooses."""
    episodes = Episodes(reading, split, questions, MAX_CALLS)
    lines = np.ones(len(questions), np.int64)  # the answer's; a call is one more, as is each sentence it gives
    done: list[Ints] = []
    decisions: list[tuple[Tensor, Tensor, Tensor]] = []
    while not episodes.done.all():
        rows = np.flatnonzero(~episodes.done)
        seen = torch.from_numpy(episodes.observe()[rows])
        actions = policy.greedy(seen) if generator is None else policy.sample(seen, generator)[0]
        moves = np.full(len(questions), -1)
        moves[rows] = MOVES[actions[:, 0].numpy()]
        if forced is not None and len(done) < forced.shape[1]:
            given = forced[:, len(done)]
            moves = np.where((given >= 0) & (moves >= 0), given, moves)
            actions = torch.from_numpy(place_of(moves[rows]))[:, None]
        hop, read, calls = episodes.hop.copy(), episodes.read.copy(), episodes.calls.copy()
        episodes.act(moves)
        lines += episodes.calls - calls + episodes.read - np.where(episodes.hop == hop, read, 0)
        done.append(moves)
        decisions.append((seen, actions, torch.from_numpy(rows)))
    right = (episodes.said == episodes.gold).astype(np.float64)
    observations, chosen, row = map(torch.cat, zip(*decisions))
    table = np.stack(done, axis=1)
    return Played(right, episodes.said >= 0, episodes.calls, lines, episodes.said, table, observations, chosen, row)


def place_of(moves: Ints) -> Ints:
    """The number in MOVES of each move."""
    return (moves[:, None] == MOVES).argmax(axis=1)


def taught_policy(reading: Reading, seed: int) -> FeaturePolicy:
    """A fresh policy fitted to the flywheel's corpus of its own trajectories."""
    policy, generator = fresh_policy(seed), torch.Generator().manual_seed(seed)
    corpus = flywheel_corpus(policy, reading, generator)
    questions = np.array([int(one.question) for one in corpus])
    replayed = play(
        policy, reading, "train", questions, generator, forced=as_moves([one.steps for one in corpus], True)
    )
    optimizer = torch.optim.Adam(policy.parameters(), lr=FIT_RATE)
    for _ in range(FIT_STEPS):
        optimizer.zero_grad()
        (-policy.log_prob(replayed.observations, replayed.actions).mean()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return policy


def flywheel_corpus(policy: FeaturePolicy, reading: Reading, generator: torch.Generator) -> list[Trajectory]:
    """What three rounds of the flywheel make of four episodes each of the first `TAUGHT` training questions."""
    names, questions = reading.desk.graph.names, reading.desk.questions["train"]

    def trajectories(asked: Ints, forced: Ints | None) -> list[Trajectory]:
        played = play(policy, reading, "train", asked, generator, forced)
        return [
            Trajectory(str(number), as_steps(moves), names[said] if said >= 0 else "")
            for number, moves, said in zip(asked.tolist(), played.moves, played.said.tolist())
        ]

    async def generate(question: str, steps: tuple[Step, ...]) -> Trajectory:
        return trajectories(np.array([int(question)]), as_moves([steps]))[0]

    async def tools(question: str, steps: tuple[Step, ...], action: str) -> str:
        return ""  # the desk answers when the steps are replayed

    def accept(question: str, answer: str) -> bool:
        return answer == questions[int(question)].answer

    flywheel = Flywheel(generate, DeskCritic(reading), tools, accept)
    return run_sync(flywheel.run, trajectories(np.arange(min(TAUGHT, len(questions))).repeat(4), None))


def as_steps(moves: Ints) -> tuple[Step, ...]:
    """The tool calls among an episode's moves that were served."""
    words = {move: name for name, move in NAMES.items()}
    return tuple(Step(words[move]) for move in moves.tolist() if move in words)[:MAX_CALLS]


def as_moves(several: Sequence[Sequence[Step]], answer: bool = False) -> Ints:
    """Steps as the first moves of episodes, (B, t), -1 past the end; with `answer` closed by an answer."""
    table = np.full((len(several), MAX_CALLS + 1), -1)
    for row, steps in zip(table, several):
        row[: len(steps)] = [NAMES[step.action] for step in steps]
        if answer:
            row[len(steps)] = ANSWER
    return table


class DeskCritic:
    """A critic that knows each question's path and sees what the reader has at hand: a stand-in for a language model.

    Wrong is the first step that goes on from a wrong candidate, or the answer; before it a candidate is verified, or,
    without one or before the last hop, the search goes on. Redundant is a look-up of what plain evidence says without
    a contradiction, or of what is verified already, and a search that changes neither hop nor candidate.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    async def mend(self, trajectory: Trajectory) -> tuple[int, str | None] | None:
        question = self.reading.desk.questions["train"][int(trajectory.question)]
        episode = self._open(trajectory)
        for place, step in enumerate([*trajectory.steps, None]):
            hop, best = int(episode.hop[0]), int(episode.best[0])
            on_the_way = hop < question.hops - 1
            strays = best >= 0 and best != question.entities[hop + 1]
            ends = step is None
            if ends or (step is not None and step.action == "search" and on_the_way and strays):
                if place >= MAX_CALLS:
                    return None
                return place, "verify" if strays else "search"
            episode.act(np.array([NAMES[step.action]]))
        return None

    async def rewrite(self, trajectory: Trajectory) -> tuple[int, str | None] | None:
        redundant = await self.redundant(trajectory)
        return (redundant[0], None) if redundant else None

    async def redundant(self, trajectory: Trajectory) -> Sequence[int] | None:
        episode = self._open(trajectory)
        found = []
        for place, step in enumerate(trajectory.steps):
            hop, best = int(episode.hop[0]), int(episode.best[0])
            seen = dict(zip(FEATURES, episode.observe()[0].tolist()))
            plain = seen["the best has plain evidence"] and not seen["evidence for the second"]
            episode.act(np.array([NAMES[step.action]]))
            idle = hop == int(episode.hop[0]) and best == int(episode.best[0]) and best >= 0
            if idle and (step.action == "search" or plain or seen["the best is verified"]):
                found.append(place)
        return found

    def _open(self, trajectory: Trajectory) -> Episodes:
        return Episodes(self.reading, "train", np.array([int(trajectory.question)]), MAX_CALLS)
