"""Telling people how far a run is: a live table on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Protocol

from assay.engine.result import Result
from assay.engine.trial import UnitResult
from assay.engine.units import Plan, Unit

if TYPE_CHECKING:
    from rich.console import RenderableType


class Progress(Protocol):
    """What a run tells while it goes; a unit is `finished` only once it is safely on disk."""

    def begin(self, plan: Plan, reused: int) -> None: ...

    def started(self, unit: Unit) -> None: ...

    def finished(self, result: UnitResult) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, result: Result) -> None: ...


class Silent:
    """Says nothing."""

    def begin(self, plan: Plan, reused: int) -> None:
        return

    def started(self, unit: Unit) -> None:
        return

    def finished(self, result: UnitResult) -> None:
        return

    def note(self, text: str) -> None:
        return

    def end(self, result: Result) -> None:
        return


class Together:
    """Tells several."""

    def __init__(self, *parts: Progress) -> None:
        self._parts = parts

    def begin(self, plan: Plan, reused: int) -> None:
        for part in self._parts:
            part.begin(plan, reused)

    def started(self, unit: Unit) -> None:
        for part in self._parts:
            part.started(unit)

    def finished(self, result: UnitResult) -> None:
        for part in self._parts:
            part.finished(result)

    def note(self, text: str) -> None:
        for part in self._parts:
            part.note(text)

    def end(self, result: Result) -> None:
        for part in self._parts:
            part.end(result)


class Tally:
    """Counts of one trial, by arm: what every form of progress shows."""

    def __init__(self, plan: Plan, reused: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan, self.reused, self._clock = plan, reused, clock
        self.total = sum(u.kind == "arm" for u in plan.units)
        self.begun = clock()
        self.done: dict[str, int] = dict.fromkeys(plan.arms, 0)
        self.failed: dict[str, int] = dict.fromkeys(plan.arms, 0)
        self.values: dict[str, list[float]] = {arm: [] for arm in plan.arms}
        self.seconds: dict[str, list[float]] = {arm: [] for arm in plan.arms}
        self.running: dict[str, Unit] = {}
        self.last_error = ""

    def started(self, unit: Unit) -> None:
        self.running[unit.key] = unit

    def finished(self, result: UnitResult) -> None:
        self.running.pop(result.unit_key, None)
        if result.status not in ("ok", "no_headroom", "cancelled"):
            lines = result.error.strip().splitlines() or [""]
            self.last_error = f"{result.arm}, seed {result.seed}: {result.status}: {lines[-1]}"
        if result.arm not in self.done:
            return
        self.done[result.arm] += 1
        if result.status == "ok" and result.value is not None:
            self.values[result.arm].append(result.value)
            self.seconds[result.arm].append(result.seconds)
        elif result.status not in ("no_headroom", "cancelled"):
            self.failed[result.arm] += 1

    @property
    def finished_units(self) -> int:
        return self.reused + sum(self.done.values())

    def eta_s(self) -> float | None:
        """Seconds to go, from the units done since the start; None before the first."""
        done = sum(self.done.values())
        if not done:
            return None
        return (self._clock() - self.begun) / done * (self.total - self.finished_units)

    def means(self) -> dict[str, float]:
        return {arm: statistics.fmean(v) for arm, v in self.values.items() if v}


class PlainLines:
    """A line when a trial begins, about every tenth of it, for every failure, and at the end."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tally: Tally | None = None

    def begin(self, plan: Plan, reused: int) -> None:
        self._tally = Tally(plan, reused)
        text = f"{plan.name}: {len(plan.seeds)} seeds x {len(plan.arms)} arms"
        self.note(text + (f", reused {reused} of {self._tally.total}" if reused else ""))

    def started(self, unit: Unit) -> None:
        assert self._tally is not None
        self._tally.started(unit)

    def finished(self, result: UnitResult) -> None:
        tally = self._tally
        assert tally is not None
        before, error = tally.finished_units, tally.last_error
        tally.finished(result)
        if tally.last_error != error:
            self.note(f"  failed: {tally.last_error}")
        tenth = max(1, tally.total // 10)
        if tally.finished_units // tenth > before // tenth:
            eta = tally.eta_s()
            left = f", about {clock(eta)} to go" if eta and tally.finished_units < tally.total else ""
            self.note(f"  {tally.finished_units} of {tally.total} units{left}")

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def end(self, result: Result) -> None:
        self.note(f"{result.name}: ran {result.ran}, reused {result.reused}, {clock(result.seconds)}")


class LiveTable:
    """A rich table that is redrawn in place: one row an arm, a bar for the whole."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._tally: Tally | None = None
        self._drawn = 0.0

    def begin(self, plan: Plan, reused: int) -> None:
        self._tally = Tally(plan, reused)
        self._live.start()
        self._draw()

    def started(self, unit: Unit) -> None:
        assert self._tally is not None
        self._tally.started(unit)
        self._draw()

    def finished(self, result: UnitResult) -> None:
        assert self._tally is not None
        self._tally.finished(result)
        self._draw()

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def end(self, result: Result) -> None:
        self._live.stop()
        self._tally = None

    def _draw(self) -> None:
        if time.monotonic() - self._drawn < 0.1 or self._tally is None:
            return
        self._drawn = time.monotonic()
        self._live.update(live_view(self._tally))


def for_terminal(*, quiet: bool = False) -> Progress:
    """The live table on a terminal, plain lines elsewhere, nothing when `quiet` (`--json`)."""
    if quiet:
        return Silent()
    return LiveTable() if sys.stderr.isatty() else PlainLines()


def clock(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def live_view(tally: Tally) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(title=tally.plan.name, title_justify="left", box=None, pad_edge=False)
    for column in ("arm", "done", "failed", "mean", "s/unit", "running"):
        table.add_column(column, justify="left" if column in ("arm", "running") else "right")
    means = tally.means()
    for arm in tally.plan.arms:
        seconds = statistics.median(tally.seconds[arm]) if tally.seconds[arm] else None
        table.add_row(
            arm,
            str(tally.done[arm]),
            str(tally.failed[arm] or ""),
            f"{means[arm]:.4g}" if arm in means else "",
            f"{seconds:.2f}" if seconds is not None else "",
            _seeds([u.seed for u in tally.running.values() if u.arm == arm]),
        )
    eta = tally.eta_s()
    counts = f" {tally.finished_units} of {tally.total}" + (f", about {clock(eta)} to go" if eta else "")
    lines: list[RenderableType] = [table, ProgressBar(tally.total, tally.finished_units, width=40), Text(counts)]
    if tally.last_error:
        lines.append(Text(tally.last_error[:200], style="red"))
    return Group(*lines)


def _seeds(seeds: Sequence[int]) -> str:
    return "seed " + ", ".join(map(str, seeds)) if seeds else ""
