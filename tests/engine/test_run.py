"""`run` from Python: pairing, resume, fixtures, order, headroom, prepared assets, needs, interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import sample_trials as s

import assay.engine.runner as runner
from assay.engine import run
from assay.engine.machine import measuring
from assay.engine.progress import PlainLines, Silent
from assay.engine.runner import RunOptions, dry_run, run_trials
from assay.engine.store import Store
from assay.engine.trial import Fixture, Measures, Trial, UnitResult
from assay.errors import UserError
from tests.engine.judging import Interrupter


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with one line for every call of an arm that counts itself."""
    path = tmp_path / "calls.txt"
    path.touch()
    monkeypatch.setenv("ASSAY_TEST_CALLS", str(path))
    return path


def values(units: tuple[UnitResult, ...]) -> dict[str, float | None]:
    return {f"{u.arm} {u.seed}": u.value for u in units}


def test_a_method_that_is_better_holds_and_the_table_shows_its_arms(tmp_path: Path) -> None:
    result = run(s.better_cards, seeds=16, workers=2, store=tmp_path / "results.duckdb")
    assert result.verdict is not None
    assert result.verdict.outcome == "holds"
    assert (result.ran, result.reused, result.exit_code) == (48, 0, 0)
    assert result.table().splitlines()[1].split()[:2] == ["method", "16"]
    assert Store(tmp_path / "results.duckdb").verdicts()[result.name].outcome == "holds"


def test_a_method_that_is_its_own_placebo_does_not_hold() -> None:
    fake = replace(s.better_cards, arms={**s.better_cards.arms, "placebo": s.method, "method": s.method})
    result = run(fake, seeds=16, isolation="inline")
    assert result.verdict is not None
    assert result.verdict.outcome == "inconclusive"


def test_a_complete_trial_is_not_run_again(tmp_path: Path, calls: Path) -> None:
    store = tmp_path / "results.duckdb"
    first = run(s.calling_cards, seeds=6, workers=1, store=store)
    assert len(calls.read_text().splitlines()) == 18
    again = run(s.calling_cards, seeds=6, workers=1, store=store)
    assert len(calls.read_text().splitlines()) == 18
    assert (again.ran, again.reused) == (0, 18)
    assert values(again.arms) == values(first.arms)
    assert again.verdict == first.verdict


def test_more_seeds_run_only_what_is_new_and_force_runs_all_as_a_further_attempt(tmp_path: Path, calls: Path) -> None:
    store = tmp_path / "results.duckdb"
    run(s.calling_cards, seeds=2, workers=1, store=store)
    more = run(s.calling_cards, seeds=3, workers=1, store=store)
    assert (more.ran, more.reused) == (3, 6)
    forced = run_trials([s.calling_cards], RunOptions(seeds=3, workers=1, store=store, force=True))[0]
    assert (forced.ran, forced.reused) == (9, 0)
    assert sorted(u.attempt for u in Store(store).units()) == [0] * 9 + [1] * 9


def test_failures_stay_until_a_retry_is_asked_for(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    trial = s.with_method(s.raises)
    assert run(trial, seeds=2, workers=1, store=store).exit_code == 1
    assert run(trial, seeds=2, workers=1, store=store).ran == 0
    again = run_trials([trial], RunOptions(seeds=2, workers=1, store=store, retry_failed=True))[0]
    assert (again.ran, again.reused) == (2, 4)
    assert [u.attempt for u in again.failed] == [1, 1]


def test_quick_units_are_others_and_leave_no_verdict_in_the_store(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    quick = run(s.better_cards, quick=True, workers=1, store=store)
    assert quick.planned == tuple(range(6))
    assert quick.verdict is not None
    assert Store(store).verdicts() == {}
    assert run(s.better_cards, seeds=6, workers=1, store=store).reused == 0


def test_dry_run_says_what_is_left_and_how_long_it_should_take(tmp_path: Path) -> None:
    options = RunOptions(seeds=4, workers=1, store=tmp_path / "results.duckdb")
    plan, reused, eta = dry_run(s.better_cards, options)
    assert (len(plan.units), reused, eta) == (12, 0, None)
    run(s.better_cards, seeds=2, workers=1, store=options.store)
    _, reused, eta = dry_run(s.better_cards, options)
    assert reused == 6
    assert eta is not None
    assert 0 < eta < 6


def test_units_whose_arms_met_other_data_are_unpaired_and_do_not_count() -> None:
    result = run(replace(s.better_cards, world="sample_trials:drifting"), seeds=6, isolation="inline")
    assert {u.status for u in result.arms} == {"unpaired"}
    assert "differs from that of another arm of seed 0" in result.arms[0].error
    assert result.verdict is not None
    assert result.verdict.outcome == "inconclusive"


def test_a_fixture_is_built_once_a_seed_shared_by_the_arms_and_reused(tmp_path: Path, calls: Path) -> None:
    store = tmp_path / "results.duckdb"
    result = run(s.table_cards, seeds=6, workers=2, store=store)
    assert [u.status for u in result.arms] == ["ok"] * 18
    assert len(calls.read_text().splitlines()) == 6
    for seed in range(6):
        assert len({u.extra["offset"] for u in result.arms if u.seed == seed}) == 1
        assert len({u.world_digest for u in result.arms if u.seed == seed}) == 1
    run(s.table_cards, seeds=6, workers=2, store=store)
    assert len(calls.read_text().splitlines()) == 6


def test_a_fixture_joins_the_pairing_digest_has_its_own_limit_and_is_charged_to_no_arm(calls: Path) -> None:
    from assay.engine.options import limits_of
    from assay.engine.units import plan

    slow = replace(s.table_cards, fixture=Fixture(s.build_table_slowly, timeout_s=7))
    result = run(slow, seeds=1, isolation="inline")
    plain = run(s.better_cards, seeds=1, isolation="inline")
    assert {u.world_digest for u in result.arms}.isdisjoint({u.world_digest for u in plain.arms})
    (built,) = (u for u in result.units if u.arm == "(fixture)")
    assert built.seconds >= 0.2 > max(u.seconds for u in result.arms)
    limits = {u.arm: limits_of(u, slow, RunOptions(), False).timeout_s for u in plan("x", slow, seeds=1).units}
    assert limits == {"(fixture)": 7, "baseline": 60, "placebo": 60, "method": 60}


def test_an_arm_that_finds_no_headroom_is_an_error_for_it_has_seen_the_outcome() -> None:
    result = run(s.with_method(s.finds_no_headroom), seeds=1, isolation="inline")
    assert {u.arm: u.status for u in result.arms} == {"baseline": "ok", "placebo": "ok", "method": "error"}


def test_a_fixture_with_few_distinct_seeds_is_built_that_often(calls: Path) -> None:
    few = replace(s.table_cards, fixture=Fixture(s.build_table, distinct=2))
    result = run(few, seeds=6, isolation="inline")
    assert len(calls.read_text().splitlines()) == 2
    assert len({u.extra["offset"] for u in result.arms}) == 2


def test_a_fixture_without_headroom_drops_its_seeds_for_all_arms() -> None:
    dry = replace(s.table_cards, fixture=Fixture(s.build_nothing))
    result = run(dry, seeds=6, isolation="inline")
    assert {(u.status, u.error) for u in result.arms} == {("no_headroom", "the teacher learnt nothing")}
    assert result.exit_code == 0
    assert result.verdict is not None
    assert (result.verdict.outcome, "no headroom" in result.verdict.reason) == ("inconclusive", True)


def test_a_headroom_probe_drops_the_seeds_it_names() -> None:
    result = run(replace(s.better_cards, headroom=s.odd_cards_are_dull), seeds=12, isolation="inline")
    full = run(s.better_cards, seeds=12, isolation="inline")
    dull = {u.seed for u in full.arms if u.arm == "baseline" and (u.value or 0) < 3.5}
    assert dull
    assert {u.seed for u in result.arms if u.status == "no_headroom"} == dull
    assert {u.seed for u in result.arms if u.status == "ok"} == set(range(12)) - dull


def test_a_later_arm_is_given_what_the_earlier_one_measured(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    result = run(s.matched_cards, seeds=3, workers=2, store=store)
    late = [u for u in result.arms if u.arm == "placebo"]
    assert [(u.extra["rate"], u.extra["tokens"]) for u in late] == [(0.25, 7.0)] * 3


def test_a_later_arm_is_cancelled_where_the_earlier_one_failed() -> None:
    broken = replace(s.matched_cards, arms={**s.matched_cards.arms, "method": s.raises})
    result = run(broken, seeds=1, isolation="inline")
    by_arm = {u.arm: u for u in result.arms}
    assert (by_arm["method"].status, by_arm["placebo"].status) == ("error", "cancelled")
    assert by_arm["placebo"].error == "method of this seed: error"


def test_what_waits_for_a_stored_failure_stays_closed_until_a_retry_is_asked_for(tmp_path: Path, calls: Path) -> None:
    broken = replace(s.matched_cards, arms={**s.matched_cards.arms, "method": s.raises})
    no_fixture = replace(s.table_cards, fixture=Fixture(s.raises))  # type: ignore[arg-type]
    for trial, failed in ((broken, "method"), (no_fixture, "(fixture)")):
        store = tmp_path / f"{trial.name}.duckdb"
        first = run(trial, seeds=2, workers=1, store=store)
        kept = Store(store).units()
        again = run(trial, seeds=2, workers=1, store=store)
        assert (again.ran, again.verdict) == (0, first.verdict)
        assert {(u.arm, u.seed): (u.status, u.attempt) for u in again.units} == {
            (u.arm, u.seed): (u.status, u.attempt) for u in first.units
        }
        assert Store(store).units() == kept
        (retried,) = run_trials([trial], RunOptions(seeds=2, workers=1, store=store, retry_failed=True))
        assert {u.attempt for u in retried.units if u.arm == failed} == {1}
        assert retried.ran == 2


def test_new_seeds_that_wait_for_a_stored_failure_are_closed_and_stored(tmp_path: Path, calls: Path) -> None:
    store = tmp_path / "results.duckdb"
    shared = replace(s.table_cards, fixture=Fixture(s.raises, distinct=1))  # type: ignore[arg-type]
    run(shared, seeds=1, workers=1, store=store)
    more = run(shared, seeds=2, workers=1, store=store)
    assert more.ran == 0
    assert sorted((u.seed, u.status) for u in Store(store).units() if u.arm == "method") == [
        (0, "cancelled"),
        (1, "cancelled"),
    ]


def test_a_case_is_sampled_by_its_plain_number_and_there_are_only_so_many() -> None:
    cases = replace(s.better_cards, world="sample_trials:numbered", pairs="case", arms=dict(s.better_cards.arms))
    result = run(cases, seeds=7, isolation="inline")
    assert {u.seed: u.value for u in result.arms if u.arm == "baseline"} == {i: float(i) for i in range(7)}
    with pytest.raises(UserError, match=r"has 8 cases \(0 to 7\)"):
        run(cases, seeds=9, isolation="inline")


def test_world_arguments_reach_the_world_and_quick_ones_override_them() -> None:
    sized = replace(s.better_cards, world_args={"size": 2}, quick_args={"size": 1}, arms=dict(s.better_cards.arms))
    for quick, low, high in ((False, 0.0, 2.0), (True, 0.0, 1.0)):
        result = run(sized, seeds=6, quick=quick, isolation="inline")
        assert all(low <= (u.value or 0) <= high for u in result.arms if u.arm == "baseline")


def test_a_missing_need_is_said_with_its_remedy_and_nothing_runs(calls: Path) -> None:
    result = run(replace(s.calling_cards, needs=("no-such-program",)), seeds=6)
    assert result.verdict is not None
    assert (result.verdict.outcome, result.verdict.reason) == (
        "not run",
        "needs no-such-program: install no-such-program",
    )
    assert result.units == ()
    assert calls.read_text() == ""


def test_data_that_may_not_be_shipped_is_named_with_its_place(own_cache: Path) -> None:
    result = run(replace(s.better_cards, needs=("data:locomo",)), seeds=6)
    assert result.verdict is not None
    assert str(own_cache / "data" / "locomo") in result.verdict.reason


def test_prepared_assets_are_ensured_before_the_first_unit_and_their_bytes_join_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = tmp_path / "tiny.bin"
    models = ModuleType("assay.models")
    models.ensure = lambda name: asset  # type: ignore[attr-defined]
    models.available = lambda name: False  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "assay.models", models)
    trial = replace(s.better_cards, prepare=("tiny",))
    keys = []
    for content in (b"first", b"second"):
        asset.write_bytes(content)
        keys.append({u.unit_key for u in run(trial, seeds=1, isolation="inline").arms})
    assert not keys[0] & keys[1]
    with pytest.raises(UserError, match="assay models train tiny"):
        run_trials([trial], RunOptions(train=False, isolation="inline"))


def test_model_arms_run_only_with_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = replace(s.better_cards, arms={**s.better_cards.arms, "model": s.baseline}, model_arms=("model",))
    without = run_trials([trial], RunOptions(seeds=1, isolation="inline"))[0]
    with_one = run_trials([trial], RunOptions(seeds=1, isolation="inline", model="mockllm/model"))[0]
    assert {u.arm for u in without.arms} == {"baseline", "placebo", "method"}
    assert {u.arm for u in with_one.arms} == {"baseline", "placebo", "method", "model"}
    assert not {u.unit_key for u in without.arms} & {u.unit_key for u in with_one.arms}
    assert {u.models["outside"] for u in with_one.arms} == {"mockllm/model"}


def test_runs_with_an_outside_model_are_never_read_as_the_trials_own(tmp_path: Path) -> None:
    from assay.engine.scoreboard import by_trial

    options = RunOptions(seeds=2, isolation="inline", store=tmp_path / "results.duckdb")
    (own,) = run_trials([s.better_cards], options)
    run_trials([s.better_cards], replace(options, model="mockllm/model"))
    units = Store(tmp_path / "results.duckdb").units()
    assert len(units) == 12
    assert {u.unit_key for u in by_trial(units)[own.name]} == {u.unit_key for u in own.arms}


def test_a_reported_trial_has_figures_and_no_verdict_of_its_own() -> None:
    result = run(replace(s.better_cards, bar=None), seeds=6, isolation="inline")
    assert result.verdict is not None
    assert result.verdict.outcome == "reported"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 0}, "wanted at least one"),
        ({"seeds": [3, 1200]}, "1200 is reserved"),
        ({"seeds": [-1]}, "got -1"),
        ({"arms": ["methodd"]}, "no arm 'methodd'"),
        ({"workers": 0}, "workers: got 0"),
    ],
)
def test_options_that_cannot_be_used_are_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_trials([s.better_cards], RunOptions(**change))  # type: ignore[arg-type]


def test_an_arm_that_no_worker_can_import_is_refused_by_name() -> None:
    local: Trial = replace(s.better_cards, arms={**s.better_cards.arms, "method": lambda w, m, n: Measures(1.0)})
    with pytest.raises(ValueError, match=r"arm 'method' of trial .* cannot be imported by a worker"):
        run(local, seeds=6)
    assert run(local, seeds=1, isolation="inline").failed == ()


def test_repeats_in_fresh_processes_are_compared_and_a_difference_is_flagged() -> None:
    options = RunOptions(seeds=6, workers=1, verify=3)
    (same,) = run_trials([s.better_cards], options)
    (other,) = run_trials([replace(s.better_cards, arms=dict.fromkeys(s.better_cards.arms, s.reports_pid))], options)
    assert same.differs == 0.0
    assert other.differs is not None
    assert other.differs > 0
    assert other.verdict is not None
    assert any("nondeterministic" in flag for flag in other.verdict.flags)


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    cut = run(s.slow_cards, seeds=6, workers=2, store=store, progress=Interrupter(4))
    assert (cut.interrupted, cut.exit_code, cut.verdict) == (True, 130, None)
    kept = len(Store(store).units())
    assert 4 <= kept < 18
    rest = run(s.slow_cards, seeds=6, workers=2, store=store)
    assert (rest.reused, rest.ran) == (kept, 18 - kept)
    assert values(rest.arms) == values(run(s.slow_cards, seeds=6, isolation="inline").arms)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_breaks_off_a_unit_that_runs_in_this_process() -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    cut = run(s.with_method(s.spins), seeds=6, arms=["method"], isolation="inline")
    assert (cut.interrupted, cut.ran, cut.failed) == (True, 1, ())


def test_a_second_ctrl_c_kills_what_still_runs() -> None:
    class Twice(Silent):
        def started(self, unit: object) -> None:
            for delay in (0.2, 0.6):
                threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()

    begun = time.monotonic()
    cut = run(s.with_method(s.spins), seeds=[0], arms=["method"], workers=1, progress=Twice())
    assert cut.interrupted
    assert [u.status for u in cut.arms] == ["cancelled"]
    assert time.monotonic() - begun < runner.GRACE_S + 20


def test_a_full_disk_stops_the_run_and_keeps_what_was_shown_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.engine.journal import Journal

    append, count = Journal.append, [0]

    def until_full(self: Journal, record: dict[str, object]) -> None:
        count[0] += 1
        if count[0] > 8:
            raise OSError(28, "No space left on device")
        append(self, record)

    shown: list[str] = []

    class Shown(Silent):
        def finished(self, result: UnitResult) -> None:
            shown.append(result.unit_key)

    monkeypatch.setattr(Journal, "append", until_full)
    store = tmp_path / "results.duckdb"
    result = run(s.better_cards, seeds=16, workers=2, store=store, progress=Shown())
    assert result.exit_code == 5
    assert "No space left on device" in result.failure
    assert "--store OTHER" in result.failure
    assert len(shown) == 6  # eight records, of which two say which machine and packages
    assert {u.unit_key for u in Store(store).units()} == set(shown)


def test_an_exclusive_trial_waits_until_the_machine_is_free() -> None:
    told: list[str] = []

    class Notes(Silent):
        def note(self, text: str) -> None:
            told.append(text)

    holding = measuring(alone=False, waiting=lambda: False)
    assert holding.__enter__()
    threading.Timer(0.5, holding.__exit__, (None, None, None)).start()
    result = run(replace(s.better_cards, exclusive=True), seeds=1, workers=4, progress=Notes())
    assert told == ["waiting for other runs on this machine to finish"]
    assert [u.status for u in result.arms] == ["ok"] * 3


def test_arms_of_an_exclusive_trial_share_one_worker() -> None:
    arms = dict.fromkeys(("baseline", "placebo", "method"), s.reports_pid)
    result = run(replace(s.better_cards, arms=arms, exclusive=True), seeds=2, workers=4)
    assert len({u.extra["pid"] for u in result.arms}) == 1


def test_plain_lines_tell_what_was_reused_how_far_it_is_and_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "results.duckdb"
    trial = s.with_method(s.raises)
    run(trial, seeds=1, workers=1, store=store)
    run(trial, seeds=2, workers=1, store=store, progress=PlainLines(sys.stdout))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("raises: 2 seeds x 3 arms, reused 3 of 6")
    assert "  failed: method, seed 1: error: RuntimeError: no such luck" in lines
    assert any(line.startswith("  6 of 6 units") for line in lines)


def test_the_live_table_draws_every_arm(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    from assay.engine.progress import Tally, live_view
    from assay.engine.units import plan

    planned = plan("field/cards", s.better_cards, seeds=2)
    tally = Tally(planned, reused=0)
    tally.started(planned.units[0])
    Console(width=100).print(live_view(tally))
    out = capsys.readouterr().out
    assert all(arm in out for arm in ("baseline", "placebo", "method"))
    assert "0 of 6" in out


def test_the_public_names_are_functions_however_often_they_are_imported() -> None:
    code = (
        "from assay.engine import run, verdict; import assay.engine.runner, assay.engine.verdicts;"
        "from assay.engine import run as again, verdict as too;"
        "print(again is run, too is verdict, callable(run), callable(verdict))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "True True True True\n"


def test_trying_a_trial_prints_its_table_and_verdict() -> None:
    words = ["-m", "assay.engine.try", "sample_trials:better_cards", "--seeds", "6"]
    environment = {**os.environ, "PYTHONPATH": str(s.HERE)}
    found = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)
    assert found.returncode == 0, found.stderr
    assert "method" in found.stdout
    assert found.stdout.splitlines()[-1].startswith("holds: ")
