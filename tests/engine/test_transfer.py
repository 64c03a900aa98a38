"""Joining two stores, and finding what looks wrong in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import registry, rows, run
from assay.engine.registry import Entry
from assay.engine.store import Store
from assay.engine.transfer import FORMATS, check, export, merge, take_in
from assay.engine.trial import UnitResult
from assay.errors import UserError


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    """Two stores of one trial, with seeds 0 to 2 and 2 to 4."""
    made = Store(tmp_path / "here.duckdb"), Store(tmp_path / "there.duckdb")
    for store, seeds in zip(made, (range(3), range(2, 5))):
        run(s.better_cards, seeds=list(seeds), isolation="inline", store=store.path)
    return made


def test_merging_takes_in_what_is_missing_and_nothing_twice(stores: tuple[Store, Store]) -> None:
    here, there = stores
    before = {u.unit_key: u for u in here.units()}
    added = merge(here, there.path)
    assert (added["units"], added["runs"], added["machines"]) == (6, 1, 0)
    merged = {u.unit_key: u for u in here.units()}
    assert {u.seed for u in merged.values()} == set(range(5))
    assert {k: merged[k] for k in before} == before
    assert {u.unit_key: u.extra for u in there.units()}.items() <= {k: u.extra for k, u in merged.items()}.items()
    assert sum(merge(here, there.path).values()) == 0


def test_merging_from_nothing_says_so(stores: tuple[Store, Store], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no store at"):
        merge(stores[0], tmp_path / "nowhere.duckdb")


def test_a_sound_store_has_nothing_to_say(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    name = stores[0].units()[0].trial
    monkeypatch.setattr(registry, "list_trials", lambda: [Entry(name, "sample_trials")])
    assert check(stores[0]) == []


def test_what_looks_wrong_is_named(stores: tuple[Store, Store]) -> None:
    here = stores[0]
    unit: UnitResult = here.units()[0]
    strange = [replace(unit, machine_id="another"), replace(unit, unit_key="odd")]
    here.add({"table": "units", "row": rows.unit_row(u)} for u in strange)
    (here.journals / "old.0000.corrupt").write_bytes(b"")
    said = "\n".join(check(here))
    assert "old.0000.corrupt: a damaged journal" in said
    assert "units of a trial that is not installed" in said
    assert "1 units whose key is no sha256: 'odd'" in said
    assert f"seed {unit.seed}: units of 2 machines" in said
    assert f"{unit.arm}: 2 units of different options" in said


def exported(store: Store, folder: Path, form: str) -> Path:
    folder.mkdir()
    for table in rows.TABLES:
        export(store, table, folder / f"{table}.{form}", form)
    return folder


AWKWARD = {"notes": {"by": 'a "quoted", näme\n\\N'}, "curve": (1e-300, 0.1 + 0.2), "error": "two\nlines, 'so'"}


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_exported_comes_back_to_the_last_bit_and_once(stores: tuple[Store, Store], tmp_path, form) -> None:
    here = stores[0]
    first = here.units()[0]
    failed = replace(first, attempt=1, status="error", value=None, models={}, extra={"x": 1 / 3}, **AWKWARD)
    here.add([{"table": "units", "row": rows.unit_row(failed)}])
    folder = exported(here, tmp_path / "out", form)
    there = Store(tmp_path / "copy.duckdb")
    assert take_in(there, folder)["units"] == 10
    assert there.units() == here.units()
    assert there.verdicts() == here.verdicts()
    assert there.rows("runs") == here.rows("runs")
    assert sum(take_in(there, folder / f"units.{form}").values()) == 0


def test_an_import_that_is_wrong_is_refused_whole(stores: tuple[Store, Store], tmp_path: Path) -> None:
    here, there = stores
    folder = exported(there, tmp_path / "out", "json")
    before = here.units()
    lines = (folder / "units.json").read_text("utf-8").splitlines()
    key = there.units()[0].unit_key

    def refused(text: str, match: str, name: str = "wrong.json") -> None:
        (tmp_path / name).write_text(text, "utf-8")
        with pytest.raises(UserError, match=match):
            take_in(here, tmp_path / name)
        assert here.units() == before

    refused("\n".join(lines).replace(key, "../etc"), "1 units have an odd key, status or value")
    refused("\n".join(lines).replace('"status":"ok"', '"status":"fine"'), "9 units have an odd key, status")
    refused("\n".join(line[:-1] + ',"colour":"red"}' for line in lines), "written by a newer assay.*colour")
    refused('{"a": 1}', "is no table of a results store")
    refused("nothing at all", "cannot read|is no table")
    refused("PAR1", "cannot read", "wrong.parquet")
    refused("words", "ends in .parquet, .csv or .json", "wrong.txt")
    with pytest.raises(UserError, match="nothing to import at"):
        take_in(here, tmp_path / "nowhere.json")


def test_an_import_that_says_other_values_of_known_units_is_refused(stores: tuple[Store, Store], tmp_path) -> None:
    here = stores[0]
    folder = exported(here, tmp_path / "out", "parquet")
    other = Store(tmp_path / "other.duckdb")
    unit = here.units()[0]
    other.add([{"table": "units", "row": rows.unit_row(replace(unit, value=99.0))}])
    with pytest.raises(UserError, match="1 units differ from the stored ones"):
        take_in(other, folder)
    assert [u.value for u in other.units()] == [99.0]
