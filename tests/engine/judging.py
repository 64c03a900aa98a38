"""Trials and measured units made of plain numbers, one-line mutations of the rule, and a user who presses Ctrl-C."""

from __future__ import annotations

import inspect
import os
import signal
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from assay.engine.progress import Silent
from assay.engine.trial import Bar, Bars, Measures, Metric, Trial, UnitResult


def arm(world: object, models: object, seed: int) -> Measures:
    return Measures(0.0)


TRIAL = Trial(
    paper="2601.08521",
    claim="A claim.",
    headline="A headline.",
    metric=Metric("accuracy", better="higher"),
    bar=Bar(absolute=0.0),
    arms=dict.fromkeys(("method", "baseline", "placebo", "rival", "oracle", "floor"), arm),
    world="none",
)


def trial(bar: Bar | Bars | None = TRIAL.bar, *, better: str = "higher", **changes: object) -> Trial:
    return replace(TRIAL, bar=bar, metric=Metric("accuracy", better=better), **changes)


def unit(arm: str, seed: int, value: float | None, **fields: object) -> UnitResult:
    return UnitResult(
        f"{arm}{seed}", "none/none", arm, seed, **{"quick": False, "status": "ok", "value": value} | fields
    )


def units(**arms: Sequence[float]) -> list[UnitResult]:
    """One ok unit per arm and seed: `units(method=[...], baseline=[...], placebo=[...])`."""
    return [unit(name, seed, float(v)) for name, values in arms.items() for seed, v in enumerate(values)]


def from_differences(bar: Sequence[float], placebo: Sequence[float], size: float = 0.0) -> list[UnitResult]:
    """Units whose contrasts are these numbers under `Bar(absolute=size)` (differences must be dyadic to be exact)."""
    return units(
        method=[size + b for b in bar], baseline=[0.0] * len(bar), placebo=[size + b - p for b, p in zip(bar, placebo)]
    )


def changed(found: Sequence[UnitResult], arm: str, seeds: Sequence[int], **fields: object) -> list[UnitResult]:
    """The same units with these fields on `seeds` of `arm`."""
    return [replace(u, **fields) if u.arm == arm and u.seed in seeds else u for u in found]


class Interrupter(Silent):
    """Presses Ctrl-C after so many units of a run."""

    def __init__(self, after: int) -> None:
        self.left = after

    def finished(self, result: UnitResult) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def mutated(function: Callable[..., object], old: str, new: str) -> Iterator[None]:
    """Run with one line of `function` changed, everywhere it is used: its code is swapped in place."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__name__} has {source.count(old)} places that read {old!r}"
    namespace = dict(function.__globals__)
    exec(compile("from __future__ import annotations\n" + source.replace(old, new), "<mutant>", "exec"), namespace)
    kept = function.__code__
    function.__code__ = namespace[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = kept
