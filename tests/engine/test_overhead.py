"""What the engine costs. Bounds leave room for a machine that has other things to do; figures are printed (-s)."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import sample_trials as s

from assay.engine import run
from assay.engine.progress import Silent
from assay.engine.schedule import Schedule
from assay.engine.trial import UnitResult
from assay.engine.units import plan
from assay.engine.worker import Outcome


class Stopwatch(Silent):
    def __init__(self) -> None:
        self.times: list[float] = []

    def finished(self, result: UnitResult) -> None:
        self.times.append(time.perf_counter())


def test_a_unit_costs_a_few_milliseconds_beyond_its_own_work(tmp_path: Path) -> None:
    """The gap between finished units of a no-op arm, two workers, journal synced each time; warm-up left out.

    A busy machine slows the engine as it slows everything: the bound is scaled by how much slower than its own
    processor time a fixed piece of work runs here and now.
    """
    watch = Stopwatch()
    run(s.better_cards, seeds=80, workers=2, store=tmp_path / "results.duckdb", progress=watch)
    gaps = [later - earlier for earlier, later in itertools.pairwise(watch.times[30:])]
    median, p95 = statistics.median(gaps), statistics.quantiles(gaps, n=20)[-1]
    crowd = _crowding()
    print(f"overhead per unit: median {median * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms, machine {crowd:.1f} x busy")
    assert median < 0.020 * crowd
    assert p95 < 0.050 * max(3.0, crowd)


def test_a_complete_trial_is_answered_within_a_second(tmp_path: Path) -> None:
    """Processor time of this process, of `run` alone: nothing is started, no arm is called."""
    store = tmp_path / "results.duckdb"
    run(s.better_cards, seeds=16, workers=2, store=store)
    before = _processor_time(), time.perf_counter()
    again = run(s.better_cards, seeds=16, workers=2, store=store)
    used, waited = _processor_time() - before[0], time.perf_counter() - before[1]
    print(f"resume of a complete trial: {used:.2f} s of processor, {waited:.2f} s of clock")
    assert (again.ran, again.reused) == (0, 48)
    assert used < 1.0


def test_a_hundred_thousand_units_fit_the_coordinators_memory() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_overhead import fill; kept = fill(33_334);"
        "import psutil; print(psutil.Process().memory_info().rss / 2**20, len(kept.results))"
    )
    found = subprocess.run([sys.executable, "-c", code, str(s.HERE)], capture_output=True, text=True, check=True)
    megabytes, units = map(float, found.stdout.split())
    print(f"coordinator with {units:.0f} units: {megabytes:.0f} MB")
    assert units == 100_002
    assert megabytes < 500


def fill(seeds: int) -> Schedule:
    """A schedule whose every unit is done."""
    numbers = [i if i < 1000 else i + 1000 for i in range(seeds)]  # 1000 to 1999 are not to be had
    schedule = Schedule(plan("field/cards", s.better_cards, seeds=numbers), Path("nowhere"))
    while unit := schedule.next():
        job = schedule.job(unit)
        measures = s.baseline([0.5, 0.25], None, unit.number)
        schedule.finish(unit, Outcome(job.key, "ok", measures=replace(measures, extra={"a": 1.0}), digest="d"))
    return schedule


@pytest.mark.parametrize("module", ["assay", "assay.engine", "assay.engine.trial", "assay.engine.registry"])
def test_what_the_command_line_imports_first_stays_light(module: str) -> None:
    heavy = {"numpy", "torch", "duckdb", "matplotlib", "inspect_ai", "scipy", "rich", "psutil"}
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def _processor_time() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system


def _crowding() -> float:
    """Clock over processor time of work that should take the same of both; 1 on an idle machine."""
    clock, own = time.perf_counter(), time.process_time()
    while time.process_time() - own < 0.5:
        sum(range(10_000))
    return max(1.0, (time.perf_counter() - clock) / (time.process_time() - own))
