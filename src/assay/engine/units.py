"""What is to be run, one row at a time: units, their keys, their seeds and the order they run in."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from assay.engine import registry
from assay.engine.fingerprint import fingerprint, modules_behind
from assay.engine.trial import TUNING_SEEDS, Trial
from assay.errors import UserError

KEY_FORM = 1  # raised when the same words of a key come to mean another run
FIXTURE, HEADROOM = "(fixture)", "(headroom)"  # units of their own; no arm can be called so, see `plan`

Kind = Literal["arm", "fixture", "headroom"]


@dataclass(frozen=True)
class Unit:
    """One thing for a worker to do. `number` is the 32-bit seed that arms draw from; `sample_seed` the one the
    world is sampled with (the plain index where `pairs="case"`); `waits_for` the units that must be done first."""

    key: str
    kind: Kind
    arm: str
    seed: int
    number: int
    sample_seed: int
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A trial with everything decided that its units' keys depend on."""

    name: str
    trial: Trial
    seeds: tuple[int, ...]
    arms: tuple[str, ...]
    quick: bool
    fingerprint: str
    threads: int
    model: str | None = None
    assets: tuple[tuple[str, str], ...] = ()  # prepared assets and the hash of their files
    cases: int | None = None  # how many the world has, where a seed is a case
    shuffle: int = 0  # another order of the same units: results must not depend on it
    apart: tuple[str, ...] = ()  # arms that draw from another stream than the rest of their seed

    @cached_property
    def units(self) -> list[Unit]:
        """All units, seeds outermost; inside a seed the shared ones first, then the arms in a fixed shuffle."""
        units: dict[str, Unit] = {}
        for seed in self.seeds:
            for unit in self._of_seed(seed):
                units.setdefault(unit.key, unit)
        return list(units.values())

    def _of_seed(self, seed: int) -> list[Unit]:
        trial = self.trial
        gates: list[str] = []
        found: list[Unit] = []
        if trial.fixture is not None:
            shared = seed % trial.fixture.distinct if trial.fixture.distinct else seed
            found.append(self._unit("fixture", FIXTURE, shared, ()))
            gates.append(found[-1].key)
        if trial.headroom is not None:
            found.append(self._unit("headroom", HEADROOM, seed, tuple(gates)))
            gates.append(found[-1].key)
        for arm in self._order(seed):
            first = trial.after.get(arm)
            waits = (*gates, self.key("arm", first, seed)) if first else tuple(gates)
            found.append(self._unit("arm", arm, seed, waits))
        return found

    def _order(self, seed: int) -> list[str]:
        """A permutation fixed by the seed, so that a machine's drift favours no arm; `after` keeps its order."""
        arms = list(self.arms)
        random.Random(f"{self.name} {seed} {self.shuffle}").shuffle(arms)
        depth = {arm: _depth(arm, self.trial.after) for arm in arms}
        return sorted(arms, key=depth.__getitem__)

    def _unit(self, kind: Kind, arm: str, seed: int, waits_for: tuple[str, ...]) -> Unit:
        shared = derived_seed(self.trial, seed)
        number = derived_seed(self.trial, seed, stream=1) if arm in self.apart else shared
        sample_seed = seed if self.trial.pairs == "case" else shared
        return Unit(self.key(kind, arm, seed), kind, arm, seed, number, sample_seed, waits_for)

    def key(self, kind: Kind, arm: str, seed: int) -> str:
        """sha256 of all that decides what the unit computes. The bar is judged, not run: it is no part of it."""
        words = {
            "form": KEY_FORM,
            "trial": self.name,
            "version": self.trial.version,
            "kind": kind,
            "arm": arm,
            "seed": seed,
            "pairs": self.trial.pairs,
            "quick": self.quick,
            "world": self.trial.world,
            "world_args": self.trial.arguments(self.quick),
            "fingerprint": self.fingerprint,
            "threads": self.threads,
            "model": self.model,
            "assets": self.assets,
        }
        return hashlib.sha256(json.dumps(words, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def plan(
    name: str,
    trial: Trial,
    *,
    seeds: int | Sequence[int] | None = None,
    arms: Sequence[str] | None = None,
    quick: bool = False,
    model: str | None = None,
    assets: Mapping[str, str] | None = None,
    shuffle: int = 0,
    apart: Sequence[str] = (),
) -> Plan:
    """Decide the units of a trial. Raises UserError for seeds that cannot be used and arms that do not exist."""
    chosen = _seeds(trial, seeds, quick)
    cases = cases_of(trial, quick)
    if cases is not None and max(chosen) >= cases:
        raise UserError(f"world {trial.world!r} has {cases} cases (0 to {cases - 1}): no more exist")
    offered = [a for a in trial.arms if model is not None or a not in trial.model_arms]
    wanted = list(arms) if arms is not None else offered
    for arm in wanted:
        if arm not in offered:
            raise UserError(f"trial {name} has no arm {arm!r} to run: it has {', '.join(offered)}")
        if (first := trial.after.get(arm)) and first not in wanted:
            raise UserError(f"arm {arm!r} of {name} runs after {first!r}: ask for both")
    if clash := {FIXTURE, HEADROOM} & set(trial.arms):
        raise UserError(f"trial {name}: an arm cannot be called {clash.pop()!r}")
    return Plan(
        name=name,
        trial=trial,
        seeds=chosen,
        arms=tuple(a for a in offered if a in wanted),
        quick=quick,
        fingerprint=trial_fingerprint(trial),
        threads=trial.threads,
        model=model,
        assets=tuple(sorted((assets or {}).items())),
        cases=cases,
        shuffle=shuffle,
        apart=tuple(apart),
    )


def trial_fingerprint(trial: Trial) -> str:
    """Fingerprint of the code behind the arms, the fixture, the headroom probe and the world."""
    return fingerprint(trial_modules(trial))


def trial_modules(trial: Trial) -> set[str]:
    """The modules that hold the arms, the fixture, the headroom probe and the world."""
    fixture = trial.fixture.build if trial.fixture else None
    return modules_behind(*trial.arms.values(), fixture, trial.headroom, registry.get_world(trial.world))


def derived_seed(trial: Trial, seed: int, stream: int = 0) -> int:
    """The 32-bit number that all arms of `seed` get: one stream per paper and world, another for every seed.

    Streams other than 0 are for arms that must not share the others' luck.
    """
    import numpy as np

    entropy = [_entropy(trial.paper, trial.world), seed, *([stream] if stream else [])]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


@lru_cache(maxsize=256)
def _entropy(paper: str, world: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{paper} {world}".encode()).digest()[:16], "big")


def _seeds(trial: Trial, seeds: int | Sequence[int] | None, quick: bool) -> tuple[int, ...]:
    if seeds is None:
        seeds = trial.quick_seeds if quick else trial.seeds
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(dict.fromkeys(seeds))
    if not chosen:
        raise UserError("seeds: wanted at least one")
    for seed in chosen:
        if seed < 0:
            raise UserError(f"seeds: got {seed}, wanted whole numbers from 0")
        if seed in TUNING_SEEDS:
            raise UserError(f"seeds: {seed} is reserved for choosing constants (1000 to 1999); use others")
    return chosen


def cases_of(trial: Trial, quick: bool) -> int | None:
    """How many cases the trial's world has, where a seed is a case; else None."""
    if trial.pairs != "case":
        return None
    world: Any = registry.get_world(trial.world)(**trial.arguments(quick))
    return int(world.cases)


def _depth(arm: str, after: Mapping[str, str]) -> int:
    depth = 0
    seen = {arm}
    while (first := after.get(arm)) is not None:
        if first in seen:
            raise ValueError(f"Trial.after: {first!r} waits for itself")
        seen.add(first)
        arm, depth = first, depth + 1
    return depth
