"""`assay status`: what runs, what was cut off, how trials stand; also while others hold the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from assay.cli.main import main
from assay.cli.status import run_lines
from assay.engine.live import LiveRun, StatusFile
from assay.engine.runner import RunOptions, run_trials
from assay.engine.store import Store
from assay.engine.trial import UnitResult
from assay.engine.units import plan

RUN = LiveRun(
    run_id="r",
    alive=True,
    command="assay run hadw",
    pid=7,
    host="here",
    started=0.0,
    updated=0.0,
    trial="post_training/hadw",
    done=17,
    total=48,
    arms={"method": {"done": 5, "failed": 1, "running": [3, 4]}, "baseline": {"done": 12, "failed": 0, "running": []}},
    eta_s=90.0,
    last_error="method, seed 2: error: boom",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("status") / "results.duckdb"
    run_trials(["hadw"], RunOptions(seeds=2, store=path, isolation="inline"))
    return path


def test_a_run_is_told_by_arm_with_the_time_to_go():
    assert run_lines(RUN).splitlines() == [
        "running (pid 7 on here): post_training/hadw, 17 of 48, about 1 min 30 s to go",
        "  method: 5 done, 1 failed, at seed 3, 4",
        "  baseline: 12 done",
        "  last failure: method, seed 2: error: boom",
    ]


def test_a_run_whose_process_is_gone_says_how_to_go_on(tmp_path, capsys):
    code = (
        "import sys; from pathlib import Path; from assay.engine.live import StatusFile;"
        "StatusFile(Path(sys.argv[1]) / 'results.d' / 'live', 'r', 'assay run hadw --seeds 16')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert main(["status", "--store", str(tmp_path / "results.duckdb")]) == 0
    out = capsys.readouterr().out
    assert "interrupted, before the first unit; continue with: assay run hadw --seeds 16" in out


def test_the_summary_counts_outcomes_and_the_disk(store, capsys):
    assert main(["status", "--store", str(store)]) == 0
    out = capsys.readouterr().out
    assert "post_training/hadw  inconclusive" in out
    assert "trials tried: 1 inconclusive; store" in out
    assert " MB)" in out


def test_json_has_runs_trials_notes_and_sizes(store, capsys):
    assert main(["status", "--json", "--store", str(store)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["runs"] == []
    assert [t["trial"] for t in said["trials"]] == ["post_training/hadw"]
    assert {"outcome", "p", "p_holm", "q", "n", "flags", "reason"} <= said["trials"][0].keys()
    assert said["store"]["bytes"] > store.stat().st_size


def test_watching_an_idle_store_shows_it_once_and_ends(store, capsys):
    assert main(["status", "--watch", "--store", str(store)]) == 0
    assert capsys.readouterr().out.count("trials tried") == 1


def test_watching_follows_a_run_until_it_is_over(tmp_path, capsys, monkeypatch):
    """The run's status file changes between looks, as another process would change it."""
    from assay.engine import registry

    name, trial = registry.get_trial("hadw")
    planned = plan(name, trial, seeds=2)
    made = Store(tmp_path / "results.duckdb")
    made.prepare()
    status = StatusFile(made.live, "r", "assay run hadw")
    status.begin(planned, 0)
    units = iter(planned.units)

    def one_more(_):
        if (unit := next(units, None)) is None:
            status.remove()
            return
        status.started(unit)
        status.finished(UnitResult(unit.key, name, unit.arm, unit.seed, False, "ok", value=0.5))
        status._write()

    monkeypatch.setattr("assay.cli.status.time.sleep", one_more)
    assert main(["status", "--watch", "--store", str(made.path)]) == 0
    out = capsys.readouterr().out
    assert [f"post_training/hadw, {n} of 6" in out for n in range(7)] == [True] * 7
    assert "\x1b[" not in out
    assert out.rstrip().splitlines()[-1].startswith("0 of ")


def test_what_a_unit_printed_is_found_by_the_first_letters_of_its_key(store, capsys):
    unit = Store(store).units()[0]
    assert main(["status", "--log", unit.unit_key[:10], "--store", str(store)]) == 0
    assert f"{unit.trial}, arm {unit.arm}, seed {unit.seed}: ok after" in capsys.readouterr().out
    assert main(["status", "--log", "zzz", "--store", str(store)]) == 2
    assert "no unit with a key that begins with 'zzz'" in capsys.readouterr().err
    assert main(["status", "--log", "", "--store", str(store)]) == 0  # no unit named: the whole


def test_runs_are_told_while_another_process_holds_a_store_without_a_snapshot(tmp_path, capsys):
    path = tmp_path / "results.duckdb"
    made = Store(path)
    made.prepare()
    made.add([{"table": "envs", "row": {"env_id": "e", "packages": {}, "assay_version": "0"}}])
    status = StatusFile(made.live, "r", "assay run hadw")
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert main(["status", "--store", str(path)]) == 0
        other.communicate()
    out = capsys.readouterr().out
    assert f"running (pid {os.getpid()} on " in out
    assert "note: store" in out
    status.remove()
