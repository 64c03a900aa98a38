"""`assay store` on a store that a small run has filled."""

from __future__ import annotations

import shutil
import subprocess
import sys

import duckdb
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


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_what_export_wrote_import_takes_in_once(store, tmp_path, capsys, form):
    out, other = str(tmp_path / "out"), str(tmp_path / "mine.duckdb")
    assert main(["store", "export", out, "--format", form, "--store", str(store)]) == 0
    assert main(["store", "import", out, "--store", other]) == 0
    assert "new rows: machines 1, envs 1, runs 1, units 1, verdicts 0" in capsys.readouterr().out
    assert main(["store", "import", f"{out}/units.{form}", "--store", other]) == 0
    assert "units 0" in capsys.readouterr().out


def test_pruning_says_what_went_and_refuses_an_age_it_cannot_read(store, tmp_path, capsys):
    other = tmp_path / "mine.duckdb"
    assert main(["store", "merge", str(store), "--store", str(other)]) == 0
    assert main(["store", "prune", "--older-than", "30d", "--store", str(other)]) == 0
    assert "0 units" in capsys.readouterr().out
    assert main(["store", "prune", "--older-than", "soon", "--store", str(other)]) == 2
    assert "90d" in capsys.readouterr().err


def test_the_cache_is_counted_and_emptied(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "models" / "w.bin").write_bytes(b"x" * 1234)
    assert main(["store", "cache"]) == 0
    assert "models  1,234 bytes\n1,234 bytes in" in capsys.readouterr().out
    assert main(["store", "cache", "--clear"]) == 0
    assert "freed 1,234 bytes" in capsys.readouterr().out
    assert list((tmp_path / "cache").glob("models")) == []


READERS = (["status"], ["store", "info"], ["store", "check"], ["verdict", "hadw"], ["report"])


@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_what_is_no_store_is_one_line_and_the_right_exit_code(store, tmp_path, capsys, words):
    newer, text, damaged = tmp_path / "newer.duckdb", tmp_path / "notes.txt", tmp_path / "damaged.duckdb"
    for copy in (newer, damaged):
        shutil.copy(store, copy)
    with duckdb.connect(str(newer)) as connection:
        connection.execute("INSERT INTO schema_version SELECT 99, now()")
    text.write_text("shopping list")
    with damaged.open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * 64)
    for path, code, said in (
        (tmp_path, 2, "is a folder"),
        (text, 2, "no DuckDB file"),
        (newer, 2, "written by a newer assay"),
        (damaged, 5, "is damaged"),
    ):
        assert main([*words, "--store", str(path)]) == code
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert said in printed.err


def test_a_store_that_another_program_keeps_open_is_exit_code_3(store, capsys):
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert main(["store", "info", "--store", str(store)]) == 3
        assert capsys.readouterr().err.count("\n") == 1
        assert main(["status", "--store", str(store)]) == 0
        assert "note: store busy: as of " in capsys.readouterr().out
        other.communicate()
