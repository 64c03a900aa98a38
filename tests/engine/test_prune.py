"""Making a store smaller without changing or removing a row of it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import rows, run
from assay.engine.prune import parse_age, prune
from assay.engine.store import Store
from assay.engine.transfer import take_in
from assay.errors import EnvironmentFailed, StoreLocked, UserError

DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A trial measured now, and one whose nine units were measured a hundred days ago in a run of their own."""
    made = Store(tmp_path / "results.duckdb")
    run(s.better_cards, seeds=3, isolation="inline", store=made.path)
    then = time.time() - 100 * DAY
    old = [
        replace(u, trial="field/old", unit_key=f"{i:064x}", started=then, run_id="old-run")
        for i, u in enumerate(made.units())
    ]
    began = {"run_id": "old-run", "started": then, "ended": then, "command": "", "options": {}, "user_note": ""}
    made.add([*({"table": "units", "row": rows.unit_row(u)} for u in old), {"table": "runs", "row": began}])
    for name in ("old-run", "one-that-runs-now", next(u.run_id for u in made.units() if u.trial != "field/old")):
        (made.logs / name).mkdir(exist_ok=True)
    return made


def test_the_old_goes_and_the_young_stays_as_it_was(store: Store) -> None:
    young = [u for u in store.units() if u.trial != "field/old"]
    done = prune(store, time.time() - 90 * DAY)
    assert store.units() == young
    assert (done.before["units"], done.after["units"], done.after["runs"], done.logs) == (18, 9, 1, 1)
    assert sorted(p.name for p in store.logs.iterdir()) == sorted({young[0].run_id, "one-that-runs-now"})
    assert store.query("SELECT max(version) FROM schema_version") == [(1,)]
    assert list(store.path.parent.glob(".*")) == []
    assert Store(store.path).rows("machines")


def test_pruning_what_is_young_enough_changes_nothing(store: Store) -> None:
    before = store.units()
    prune(store, time.time() - 1000 * DAY)
    assert store.units() == before


def test_the_readers_snapshot_is_that_of_the_new_file(store: Store) -> None:
    prune(store, time.time() - 90 * DAY)
    copy = Store(store.path.with_name("copy.duckdb"))
    assert take_in(copy, store.snapshot_of("units"))["units"] == 9


def test_nothing_happens_while_another_process_has_the_file(store: Store) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(StoreLocked):
            prune(store, time.time())
        other.communicate()
    assert len(store.units()) == 18


def test_a_swap_that_fails_leaves_the_old_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = store.units()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(EnvironmentFailed, match="No space left"):
            prune(store, time.time() - 90 * DAY)
    assert store.units() == before
    assert list(store.path.parent.glob(".*")) == []


@pytest.mark.parametrize(("text", "days"), [("90d", 90), ("12w", 84), ("1y", 365), (" 7 d", 7)])
def test_ages_are_read(text: str, days: int) -> None:
    assert parse_age(text) == days


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "1.5d", "soon", "90m"])
def test_other_ages_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="such as 90d"):
        parse_age(text)
