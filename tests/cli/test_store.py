"""`assay store` on a store that a small run has filled."""

from __future__ import annotations

import pytest

from assay.cli.main import main
from assay.engine.runner import RunOptions, run_trials


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "results.duckdb"
    options = RunOptions(seeds=1, arms=["baseline"], quick=True, store=path, isolation="inline")
    run_trials(["hadw"], options)
    return path


def test_info_counts_what_is_there(store, capsys):
    assert main(["store", "info", "--store", str(store)]) == 0
    assert "units     1" in capsys.readouterr().out


def test_a_sound_store_has_nothing_wrong(store, capsys):
    assert main(["store", "check", "--store", str(store)]) == 0
    assert capsys.readouterr().out == "nothing wrong\n"


def test_merging_takes_in_what_is_lacking_once(store, tmp_path, capsys):
    other = tmp_path / "mine.duckdb"
    assert main(["store", "merge", str(store), "--store", str(other)]) == 0
    assert "units 1" in capsys.readouterr().out
    assert main(["store", "merge", str(store), "--store", str(other)]) == 0
    assert "units 0" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_export_writes_every_table_and_nothing_else(store, tmp_path, capsys, form):
    assert main(["store", "export", str(tmp_path / "out"), "--format", form, "--store", str(store)]) == 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == sorted(f"{t}.{form}" for t in ("units", "verdicts", "runs", "machines", "envs"))


def test_a_store_that_is_not_there_is_said_so(tmp_path, capsys):
    assert main(["store", "info", "--store", str(tmp_path / "none.duckdb")]) == 2
    assert "assay run" in capsys.readouterr().err
    assert main(["store", "merge", str(tmp_path / "none.duckdb"), "--store", str(tmp_path / "x.duckdb")]) == 2
