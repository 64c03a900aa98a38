"""What is decided before the first unit of a run: the options, assets, limits, workers and what these import."""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assay.engine import registry
from assay.engine.pool import Limits
from assay.engine.trial import MIN_SEEDS, Trial
from assay.engine.units import FIXTURE, Unit
from assay.errors import UserError

MAX_SEEDS = 64  # of a sequential run, where the user names no other number


@dataclass(frozen=True)
class RunOptions:
    """How trials are run. None leaves a choice to the trial or the machine."""

    seeds: int | Sequence[int] | None = None
    arms: Sequence[str] | None = None
    quick: bool = False
    workers: int | None = None
    on: str = "local"  # or "ray", or "ray:ADDRESS" of a running cluster
    store: Path | None = None  # None: nothing is kept
    sequential: bool = False  # look after every seed and stop as soon as the answer is known
    max_seeds: int | None = None  # of a sequential run; default MAX_SEEDS
    aa: bool = False  # the baseline in the method's place: must not hold
    model: str | None = None
    timeout_s: float | None = None
    memory_mb: int | None = None
    fresh: bool = False  # a new process for every unit
    force: bool = False  # run again what is stored
    retry_failed: bool = False
    verify: int = 0  # repeat so many finished units in fresh processes and compare
    network: bool = False
    train: bool = True  # False: refuse where an asset would have to be trained
    isolation: Literal["process", "inline"] = "process"
    shuffle: int = 0
    command: str = ""  # what the user typed, kept with the run

    def __post_init__(self) -> None:
        """UserError for options that contradict each other."""
        if self.max_seeds is not None and not self.sequential:
            raise UserError("--max-seeds bounds a sequential run: add --sequential, or use --seeds N")
        if self.max_seeds is not None and self.max_seeds < MIN_SEEDS:
            raise UserError(f"--max-seeds: got {self.max_seeds}, wanted at least {MIN_SEEDS}: fewer settle nothing")
        if self.sequential and self.seeds is not None:
            raise UserError("--sequential decides by itself how many seeds to run: drop --seeds, or use --max-seeds N")
        if self.sequential and self.quick:
            raise UserError("--sequential gives a verdict and --quick a preview: drop one of them")
        if self.sequential and self.arms is not None:
            raise UserError("--sequential looks at all arms of a seed: drop --arms")
        if self.aa and (self.arms is not None or self.model is not None):
            raise UserError("--aa runs the baseline twice, on the built-in models: drop --arms and --model")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers: got {self.workers}, wanted at least 1")
        if self.verify < 0:
            raise UserError(f"--verify: got {self.verify}, wanted the number of units to repeat")


def prepare_assets(trial: Trial, options: RunOptions) -> dict[str, str]:
    """Train or find every asset the trial asks for; their file hashes join the keys of its units."""
    if not trial.prepare:
        return {}
    models = importlib.import_module("assay.models")
    found: dict[str, str] = {}
    for asset in trial.prepare:
        if not options.train and not models.available(asset):
            raise UserError(f"model {asset!r} is not trained yet: run `assay models train {asset}`, or drop --no-train")
        found[asset] = _hash_files(Path(models.ensure(asset)))
    return found


def limits_of(unit: Unit, trial: Trial, options: RunOptions, quick: bool) -> Limits:
    timeout = options.timeout_s or (trial.quick_timeout_s if quick else trial.timeout_s)
    if unit.arm == FIXTURE and trial.fixture is not None:
        timeout = options.timeout_s or trial.fixture.timeout_s
    return Limits(timeout, options.memory_mb or trial.memory_mb)


def worker_count(trial: Trial, options: RunOptions, units: int) -> int:
    if trial.exclusive:
        return 1  # its units are timed: nothing else may run beside them
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(options.workers or cores // trial.threads, units))


def modules_of(trial: Trial) -> tuple[str, ...]:
    """What a worker imports before its clock starts: the modules of the arms and of the world."""
    functions = [*trial.arms.values(), registry.get_world(trial.world)]
    return tuple(dict.fromkeys(getattr(f, "__module__", "") or "assay" for f in functions))


def check_importable(name: str, trial: Trial, isolation: str) -> None:
    if isolation == "inline":
        return
    functions: dict[str, Callable[..., object]] = {f"arm {arm!r}": f for arm, f in trial.arms.items()}
    if trial.fixture is not None:
        functions["the fixture"] = trial.fixture.build
    if trial.headroom is not None:
        functions["the headroom probe"] = trial.headroom
    for what, function in functions.items():
        try:
            pickle.dumps(function)
            here = getattr(function, "__module__", None) == "__main__"
        except (pickle.PicklingError, AttributeError, TypeError):
            here = True
        if here:
            raise ValueError(
                f"{what} of trial {name} cannot be imported by a worker: define it at module level of a module, "
                'or run with isolation="inline"'
            )


def _hash_files(path: Path) -> str:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    h = hashlib.sha256()
    for file in files:
        h.update(file.name.encode() + file.read_bytes())
    return h.hexdigest()
