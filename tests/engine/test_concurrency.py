"""Several runs on one store at once, and a reader beside them."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sample_trials as s

import assay.engine.session as sessions
import assay.engine.store as stores
from assay.engine import run
from assay.engine.live import live_runs
from assay.engine.store import Store
from assay.errors import StoreLocked

RUN = """
import sys
sys.path.insert(0, {here!r})
import pytest
import sample_trials as s
from assay.engine import run
import assay.engine.session as session
session.FLUSH_RECORDS = 5
result = run(s.{trial}, seeds={seeds}, workers=1, store=sys.argv[1])
print(result.exit_code, result.ran)
"""


def start(trial: str, seeds: str, store: Path) -> subprocess.Popen[str]:
    code = RUN.format(here=str(s.HERE), trial=trial, seeds=seeds)
    return subprocess.Popen([sys.executable, "-c", code, str(store)], stdout=subprocess.PIPE, text=True)


def test_two_runs_and_a_reader_share_a_store_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    over = threading.Event()
    counts: list[int] = []
    errors: list[BaseException] = []

    def poll() -> None:
        while not over.wait(0.05):
            try:
                counts.append(len(Store(path).units()))
            except StoreLocked:
                continue  # said so after two seconds of waiting; that is allowed
            except BaseException as error:  # noqa: BLE001 - shown by the assertion below
                errors.append(error)
                return

    reader = threading.Thread(target=poll)
    reader.start()
    runs = [start("slow_cards", "8", path), start("better_cards", "8", path)]
    said = [process.communicate()[0] for process in runs]
    over.set()
    reader.join()
    assert errors == []
    assert said == ["0 24\n", "0 24\n"]
    assert counts == sorted(counts)  # a reader never sees a unit vanish
    assert len(Store(path).units()) == 48
    assert list((tmp_path / "results.d" / "journal").glob("*.jnl")) == []
    assert live_runs(tmp_path / "results.d" / "live") == []


def test_two_runs_of_one_trial_at_once_keep_each_unit_once(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    runs = [start("slow_cards", "4", path), start("slow_cards", "4", path)]
    for process in runs:
        assert process.communicate()[0].startswith("0 ")
    units = Store(path).units()
    assert len(units) == 12
    assert {u.attempt for u in units} == {0}


def test_a_run_goes_on_while_another_process_holds_the_store_and_its_units_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "WRITE_WAIT_S", 0.3)
    monkeypatch.setattr(sessions, "FLUSH_RECORDS", 5)
    path = tmp_path / "results.duckdb"
    Store(path).prepare()
    with (tmp_path / "results.d" / "results.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = run(s.better_cards, seeds=6, isolation="inline", store=path)
        assert (result.exit_code, result.ran) == (0, 18)
        assert not path.exists()
        assert len(Store(path).units()) == 18  # from the journal
    Store(path).replay()
    assert len(Store(path).query("SELECT * FROM units")) == 18
    assert list((tmp_path / "results.d" / "journal").glob("*.jnl")) == []
