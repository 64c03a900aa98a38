"""Joining two stores, and finding what looks wrong in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import registry, rows, run
from assay.engine.registry import Entry
from assay.engine.store import Store
from assay.engine.transfer import check, merge
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
