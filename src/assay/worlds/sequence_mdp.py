"""Writing a short string letter by letter: every string can be listed, so every expectation is exact.

A policy is a table of logits, one row a prefix. The reference policy is random, and a random share of the strings is
right. For any weight beta of the divergence from the reference, the objective E[r] - beta KL and its optimum are
known in closed form. An answer is such a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


@dataclass(frozen=True)
class SequenceMDP:
    """Strings of `length` letters: A letters, N = A^length strings, S prefixes shorter than a string.

    rewards    (N,) 0 or 1, strings in the order of their digits
    reference  (S, A) logits of the reference policy; prefixes by length, then in the order of their digits
    """

    rewards: Floats
    reference: Floats

    @property
    def letters(self) -> int:
        return int(self.reference.shape[1])

    @cached_property
    def strings(self) -> Integers:
        """All strings, (N, length)."""
        length = round(np.log(len(self.rewards)) / np.log(self.letters))
        return np.array(np.unravel_index(np.arange(len(self.rewards)), (self.letters,) * length)).T

    @cached_property
    def prefixes(self) -> Integers:
        """The prefix that stands before each letter of each string, (N, length)."""
        return self.prefixes_of(self.strings)

    def prefixes_of(self, strings: Integers) -> Integers:
        """The prefix before each letter, (B, length). Numbers run as in a heap: s A + 1 + letter comes after s."""
        before = np.zeros_like(strings)
        for at in range(1, strings.shape[1]):
            before[:, at] = before[:, at - 1] * self.letters + 1 + strings[:, at - 1]
        return before

    def draw(self, logits: Floats, count: int, generator: np.random.Generator) -> Integers:
        """`count` strings of the policy, (count, length)."""
        cumulative = np.exp(log_softmax(logits)).cumsum(axis=1)
        uniform = generator.random((self.strings.shape[1], count))
        drawn = np.zeros((count, len(uniform)), dtype=np.intp)
        prefix = np.zeros(count, dtype=np.intp)
        for at, chance in enumerate(uniform):
            letter = (chance[:, None] > cumulative[prefix, :-1]).sum(axis=1)
            drawn[:, at] = letter
            prefix = prefix * self.letters + 1 + letter
        return drawn

    def reward_of(self, strings: Integers) -> Floats:
        """Rewards of strings (B, length), (B,)."""
        rewards: Floats = self.rewards[np.ravel_multi_index(tuple(strings.T), (self.letters,) * strings.shape[1])]
        return rewards

    def log_chances(self, logits: Floats) -> Floats:
        """log pi of every string, (N,)."""
        chances: Floats = log_softmax(logits)[self.prefixes, self.strings].sum(axis=1)
        return chances

    def objective(self, logits: Floats, beta: float) -> tuple[float, float, float]:
        """Exact E[r] - beta KL(pi || reference), E[r], and the KL in nats."""
        ours, theirs = self.log_chances(logits), self.log_chances(self.reference)
        pi = np.exp(ours)
        reward, divergence = float(pi @ self.rewards), float(pi @ (ours - theirs))
        return reward - beta * divergence, reward, divergence

    def optimum(self, beta: float) -> float:
        """The highest objective of any policy: beta log E_reference[exp(r / beta)]."""
        weighted = self.log_chances(self.reference) + self.rewards / beta
        most = weighted.max()
        return float(beta * (most + np.log(np.exp(weighted - most).sum())))


def log_softmax(logits: Floats) -> Floats:
    """Rows of logits to rows of log-probabilities."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_chances: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_chances


class SequenceWorld:
    """Draws `SequenceMDP`s."""

    def __init__(self, letters: int, length: int, right: float) -> None:
        self.letters, self.length, self.right = letters, length, right

    def sample(self, seed: int) -> SequenceMDP:
        """The reference policy, standard normal logits, and the right strings of a seed."""
        generator = np.random.default_rng(seed)
        strings = self.letters**self.length
        prefixes = (strings - 1) // (self.letters - 1)
        rewards = np.zeros(strings)
        rewards[generator.choice(strings, round(self.right * strings), replace=False)] = 1.0
        return SequenceMDP(rewards, generator.normal(size=(prefixes, self.letters)))

    def check(self, mdp: SequenceMDP, answer: ArrayLike, beta: float = 0.1, tolerance: float = 0.05) -> bool:
        """Whether the objective of the logits (S, A) is within `tolerance` of the best there is."""
        logits = np.asarray(answer, dtype=np.float64)
        if logits.shape != mdp.reference.shape:
            raise ValueError(f"answer: got shape {logits.shape}, wanted {mdp.reference.shape}, a row a prefix")
        return mdp.optimum(beta) - mdp.objective(logits, beta)[0] <= tolerance

    def examples(self, mdp: SequenceMDP, beta: float = 0.1) -> list[tuple[bool, tuple[SequenceMDP, Floats]]]:
        """The optimal policy, which passes the check, and the reference, which does not."""
        tilted = np.exp(mdp.log_chances(mdp.reference) + (mdp.rewards - mdp.rewards.max()) / beta)
        mass = np.zeros_like(mdp.reference)
        np.add.at(mass, (mdp.prefixes, mdp.strings), np.broadcast_to(tilted[:, None], mdp.prefixes.shape))
        return [(True, (mdp, np.log(mass))), (False, (mdp, mdp.reference))]  # a letter's chance: its share of the mass


def world(letters: int = 4, length: int = 5, right: float = 0.12) -> SequenceWorld:
    """The world of strings of `length` out of `letters` letters, of which the share `right` is right."""
    if not 2 <= letters <= 10 or not 1 <= length <= 10 or letters**length > 100_000:
        raise ValueError(
            f"letters, length: got {letters}, {length}, wanted at least 2 and 1, and at most 100,000 strings"
        )
    if not 0 < right < 1:
        raise ValueError(f"right: got {right}, wanted a share between 0 and 1")
    return SequenceWorld(letters, length, right)
