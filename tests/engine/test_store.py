"""The store: append-only, never held open, readable while busy, and complete after any crash."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

import assay.engine.store as store_module
from assay.engine import rows
from assay.engine.journal import Journal
from assay.engine.store import Store
from assay.engine.transfer import take_in
from assay.engine.trial import Cost, UnitResult, Verdict
from assay.errors import EnvironmentFailed, StoreLocked, UserError

UNIT = UnitResult(
    unit_key="k0",
    trial="field/cards",
    arm="method",
    seed=3,
    quick=False,
    status="ok",
    value=0.1 + 0.2,
    cost=Cost(seconds=1.5, model_calls=2, tokens_in=30, tokens_out=4, flops=1e15, env_steps=6),
    extra={"recall": 1 / 3},
    notes={"by": "a 'quoted' näme"},
    curve=(1e-300, 2.5),
    run_id="r",
    paper="2601.00001",
    fingerprint="f",
    world="cards",
    world_digest="d",
    models={"nano": "w"},
    seconds=2.0,
    peak_rss_mb=100.5,
    machine_id="m",
    env_id="e",
    started=1_700_000_000.25,
)


def record(unit: UnitResult) -> dict[str, object]:
    return {"table": "units", "row": rows.unit_row(unit)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "results.duckdb")
    made.prepare()
    return made


def test_a_unit_comes_back_as_it_went_in_to_the_last_bit(store: Store) -> None:
    failed = replace(UNIT, unit_key="k1", status="error", value=None, cost=Cost(), extra={}, curve=(), error="boom")
    store.add([record(UNIT), record(failed)])
    assert store.units() == [UNIT, failed]


def test_units_in_a_journal_are_seen_before_they_are_flushed(store: Store) -> None:
    Journal(store.journals, "run").append(record(UNIT))
    assert store.units() == [UNIT]
    assert not store.path.exists()


def test_adding_the_same_records_twice_changes_nothing(store: Store) -> None:
    store.add([record(UNIT)])
    store.add([record(replace(UNIT, value=99.0)), record(replace(UNIT, attempt=1, value=7.0))])
    assert [(u.attempt, u.value) for u in store.units()] == [(0, UNIT.value), (1, 7.0)]
    assert [u.attempt for u in store.units(latest=True)] == [1]


def test_units_can_be_asked_for_by_trial_and_by_key(store: Store) -> None:
    other = replace(UNIT, unit_key="k2", trial="field/dice")
    store.add([record(UNIT), record(other)])
    assert store.units(trials=["field/dice"]) == [other]
    assert store.units(keys=["k0", "nothing"]) == [UNIT]
    assert store.units(keys=[]) == []


def test_a_journal_left_by_a_crash_is_taken_in_once(store: Store) -> None:
    journal = Journal(store.journals, "dead")
    journal.append(record(UNIT))
    journal._file.close()  # as the end of its process would
    assert store.replay() == 1
    assert list(store.journals.iterdir()) == []
    assert store.replay() == 0
    assert store.units() == [UNIT]


def test_a_damaged_journal_is_kept_aside_and_said_so(store: Store) -> None:
    journal = Journal(store.journals, "dead")
    journal.append(record(UNIT))
    good = journal.path.stat().st_size
    journal.append(record(replace(UNIT, unit_key="k1")))
    journal._file.close()
    data = bytearray(journal.path.read_bytes())
    data[good + 20] ^= 1
    journal.path.write_bytes(bytes(data))
    store.replay()
    assert store.units() == [UNIT]
    assert [p.suffix for p in store.journals.iterdir()] == [".corrupt"]
    assert "damaged after 1 records" in store.notes[0]


def test_a_reader_finds_the_snapshot_while_a_writer_holds_the_lock(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "READ_WAIT_S", 0.1)
    store.add([record(UNIT)])
    store.snapshot()
    with (store.folder / "results.lock").open("a") as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        assert (store.units(), store.verdicts(), store.rows("machines")) == ([UNIT], {}, [])
        with pytest.raises(StoreLocked, match="in use by another process"):
            store.query("SELECT 1")
    (note,) = store.notes
    assert re.fullmatch(r"store busy: as of \d\d:\d\d:\d\d", note)


def test_a_reader_finds_the_snapshot_while_a_foreign_process_holds_the_file(store: Store) -> None:
    store.add([record(UNIT)])
    store.snapshot()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert store.units() == [UNIT]
        assert store.notes[0].startswith("store busy: as of ")
        other.communicate()
    assert store.units() == [UNIT]
    assert len(store.notes) == 1


def test_a_store_on_a_read_only_disk_can_be_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add([record(UNIT)])

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert store.units() == [UNIT]
    with pytest.raises(UserError, match="Read-only file system"):
        store.add([record(replace(UNIT, attempt=1))])


def test_a_flush_that_cannot_get_the_lock_leaves_the_journal(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "WRITE_WAIT_S", 0.1)
    journal = Journal(store.journals, "run")
    journal.append(record(UNIT))
    segment = journal.rotate()
    assert segment is not None
    with (store.folder / "results.lock").open("a") as held:
        fcntl.flock(held.fileno(), fcntl.LOCK_SH)
        with pytest.raises(StoreLocked):
            store.flush(segment)
    assert store.units() == [UNIT]
    store.flush(segment)
    assert not segment.path.exists()
    assert store.units() == [UNIT]


def test_a_full_disk_in_the_database_is_an_environment_failure_and_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(store.journals, "run")
    journal.append(record(UNIT))
    segment = journal.rotate()
    assert segment is not None
    with monkeypatch.context() as patch:
        patch.setattr(rows, "insert", lambda table: "COPY (SELECT 1 WHERE ? != '') TO '/dev/full' (FORMAT csv)")
        with pytest.raises(EnvironmentFailed, match="go on with --store OTHER"):
            store.flush(segment)
    store.flush(segment)
    assert store.units() == [UNIT]


def test_the_last_verdict_of_a_trial_is_read_back(store: Store) -> None:
    def row(outcome: str, sha: str, computed: float) -> dict[str, object]:
        verdict = Verdict(outcome, "because", p=0.01, n=16, flags=("skewed",), rule="r1")  # type: ignore[arg-type]
        kept = rows.verdict_row(
            "field/cards", verdict, fingerprint="f", data_sha=sha, computed=computed, machine_id="m"
        )
        return {"table": "verdicts", "row": kept}

    store.add([row("inconclusive", "a", 1.0), row("holds", "b", 2.0)])
    last = store.verdicts()["field/cards"]
    assert (last.outcome, last.data_sha, last.p, last.flags) == ("holds", "b", 0.01, ("skewed",))


def test_paired_has_one_row_a_seed_with_the_arms_beside_each_other(store: Store) -> None:
    base = replace(UNIT, unit_key="b", arm="baseline", value=1.0)
    store.add([record(UNIT), record(base), record(replace(UNIT, unit_key="q", arm="placebo", status="error"))])
    assert store.query("SELECT trial, seed, arms FROM paired") == [
        ("field/cards", 3, {"baseline": 1.0, "method": UNIT.value})
    ]


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    store.add([record(UNIT)])
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("INSERT INTO schema_version SELECT 99, now()")
    with pytest.raises(UserError, match="written by a newer assay"):
        store.units()


def test_a_store_whose_first_write_was_cut_off_is_read_as_an_empty_one(store: Store) -> None:
    duckdb.connect(str(store.path)).close()
    assert (store.units(), store.verdicts()) == ([], {})
    store.add([record(UNIT)])
    assert store.units() == [UNIT]


def test_a_database_of_something_else_is_refused_and_left_alone(store: Store) -> None:
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
    with pytest.raises(UserError, match="database of something else"):
        store.add([record(UNIT)])
    with duckdb.connect(str(store.path)) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchall() == [(0,)]


@pytest.mark.parametrize("text", ["not a database at all, only some words " * 300, "hi"])
def test_a_file_that_is_no_database_is_one_line_and_nothing_is_laid_beside_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(UserError, match="cannot be opened as a store: it is no DuckDB file"):
        Store(path).units()
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_is_no_store_and_the_line_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder: name a file, such as .*/results\.duckdb"):
        Store(tmp_path).units()


@pytest.mark.parametrize("place", [4096, 13_000])
def test_a_damaged_database_is_one_line_that_names_the_rescue(store: Store, tmp_path: Path, place: int) -> None:
    units = [replace(UNIT, unit_key=f"{i:064x}", seed=i) for i in range(200)]
    store.add(record(u) for u in units)
    store.snapshot()
    data = bytearray(store.path.read_bytes())
    for block in range(place, len(data), 256 << 10):
        data[block : block + 64] = b"x" * 64
    store.path.write_bytes(bytes(data))
    with pytest.raises(EnvironmentFailed, match=r"is damaged \(.*assay store import .*snapshot\.parquet --store NEW"):
        store.units()
    rescued = Store(tmp_path / "new.duckdb")
    assert take_in(rescued, store.snapshot_of("units"))["units"] == 200
    assert rescued.units() == units


def test_a_place_that_cannot_be_written_is_one_line_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"results\.duckdb cannot be written"):
        Store(tmp_path / "file" / "results.duckdb").prepare()


def test_asking_a_store_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    assert Store(tmp_path / "none.duckdb").units() == []
    with pytest.raises(UserError, match="no store at"):
        Store(tmp_path / "none.duckdb").query("SELECT 1")


def test_the_code_holds_no_statement_that_changes_or_removes_rows() -> None:
    folder = Path(store_module.__file__).parent
    sources = [*folder.glob("*.py"), *folder.glob("migrations/*.sql")]
    assert sources
    for source in sources:
        found = re.findall(r"\b(UPDATE\s+\w+\s+SET|DELETE\s+FROM|TRUNCATE|DROP\s+TABLE|INSERT\s+OR\s+REPLACE)\b",
                           source.read_text("utf-8"))  # fmt: skip
        assert not found, source.name


def test_ten_thousand_units_are_read_within_two_seconds(store: Store) -> None:
    units = [replace(UNIT, unit_key=f"k{i}", trial=f"field/t{i % 124}", seed=i // 372) for i in range(10_000)]
    store.add([record(u) for u in units])
    begun = time.process_time()
    assert len(store.units()) == 10_000
    assert time.process_time() - begun < 2.0
    assert store.path.stat().st_size < 5 << 20
