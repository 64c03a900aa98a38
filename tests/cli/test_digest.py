"""`assay digest` and its kin as a user types them, against a local server and without a model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assay.cli.digest import parse_days, parse_tokens
from assay.cli.main import main
from assay.errors import UserError
from assay.papers.feed.ledger import RawReply
from assay.papers.report import parse_file
from tests.papers.digest.world import DAY, Invented, publish, put_list
from tests.papers.server import Server, status

EXTRACT = ("--model", "extractive")


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "INSPECT_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("ASSAY_CACHE", "ASSAY_CATALOGUE", "ASSAY_MODEL", "INSPECT_EVAL_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with Server() as running:
        for name in ("ASSAY_HF_URL", "ASSAY_ARXIV_URL", "ASSAY_AR5IV_URL"):
            monkeypatch.setenv(name, running.url)
        yield running


def test_a_day_is_written_beside_the_user_and_scored(server, capsys):
    publish(server, 2)
    assert main(["digest", str(DAY), *EXTRACT]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("2026-01-19.en.md: 2 papers, 2 written (2 now, ")
    assert "[2/2] 2601.1000" in told.err
    assert len(parse_file(Path("2026-01-19.en.md"), strict=True).entries) == 2
    assert main(["digest", "--score", "2026-01-19.en.md"]) == 0
    assert "grounded numbers    100.0%" in capsys.readouterr().out
    assert main(["digest", "--score", "2026-01-19.en.md", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["grounded_share"] == 1.0
    assert main(["papers", "check", "2026-01-19.en.md"]) == 0


def test_some_failed_is_exit_4_and_the_reasons_are_on_stderr(server, capsys):
    publish(server, 2)
    server.script("/html/2601.10002", status(403))
    assert main(["digest", str(DAY), *EXTRACT, "--json"]) == 4
    told = capsys.readouterr()
    assert json.loads(told.out)[0]["failed"][0]["id"] == "2601.10002"
    assert "2601.10002 http_4xx: " in told.err and "run the same command again" in told.err


def test_a_dry_run_writes_nothing(server, capsys, tmp_path):
    publish(server, 2)
    assert main(["digest", str(DAY), "--dry-run", "--refresh"]) == 0
    out = capsys.readouterr().out
    assert "2601.10001  to fetch" in out and "2026-01-19: 2 papers, 0 cached" in out
    assert list(tmp_path.glob("*.md")) == []
    assert main(["digest", str(DAY), *EXTRACT]) == 0
    assert main(["digest", str(DAY), "--dry-run", "--lang", "en"]) == 0
    assert "rendered" in capsys.readouterr().out


def test_several_days_go_into_a_folder_and_a_missing_one_does_not_stop_them(server, capsys, tmp_path):
    publish(server, 1)
    put_list(server, [], DAY.replace(day=17))
    (tmp_path / "reports").mkdir()
    notify = f"{sys.executable} -c \"import sys; open('told', 'a').write(sys.argv[1])\""
    asked = ["digest", "2026-01-17..2026-01-19", *EXTRACT, "--out", "reports", "--notify", notify]
    assert main(asked) == 5
    assert sorted(path.name for path in Path("reports").iterdir()) == ["2026-01-17.en.md", "2026-01-19.en.md"]
    assert "2026-01-18: list_unavailable" in capsys.readouterr().err and not Path("told").exists()
    put_list(server, [], DAY.replace(day=18))
    assert main(asked) == 0
    assert Path("told").read_text() == "".join(f"reports/2026-01-{day}.en.md" for day in (17, 18, 19))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "digest wants a date"),
        (["2026-13-01"], "bad date '2026-13-01'"),
        (["2126-01-19"], "is in the future"),
        (["2026-01-19..2026-01-10"], "ends before it begins"),
        (["2026-01-19", "--budget", "lots"], "bad --budget 'lots'"),
        (["2026-01-19", "--context", "10"], "bad --context '10'"),
        (["2026-01-19", "--top", "0"], "bad --top 0"),
        (["2026-01-19", "--lang", "fr"], "bad --lang 'fr': wanted one of en, zh"),
        (["2026-01-19", "--lang", "zh", *EXTRACT], "writes English only"),
        (["2026-01-19", "--model", "nosuch/model"], "set --model or ASSAY_MODEL"),
        (["2026-01-19"], "no model: set --model or ASSAY_MODEL (e.g. openai/gpt-5); --model extractive needs none"),
        (["2026-01-19", "--ids", "2601.77777", *EXTRACT], "2601.77777 is not in the list of 2026-01-19"),
        (["2026-01-19", "--out", "nowhere/x.md", *EXTRACT], "there is no folder nowhere"),
        (["2026-01-18..2026-01-19", "--out", "x.md", *EXTRACT], "wanted a folder that exists"),
        (["2026-01-19", "--notify", "nosuchprogram", *EXTRACT], "there is no program 'nosuchprogram'"),
        (["2026-01-19", "--offline", "--no-cache", *EXTRACT], "at most one of them"),
        (["--score", "nothing.md"], "nothing.md cannot be read"),
        (["2026-01-19", "--score", "nothing.md"], "takes no date"),
    ],
)
def test_wrong_words_are_one_line_that_says_what_to_do(server, capsys, tmp_path, words, told):
    publish(server, 1)
    assert main(["digest", *words]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and list(tmp_path.glob("*.md")) == []


def test_days_are_words_dates_and_spans():
    assert parse_days("today", DAY) == [DAY]
    assert parse_days("yesterday..today", DAY) == [DAY.replace(day=18), DAY]
    assert len(parse_days("2026-01-01..2026-01-19", DAY)) == 19
    for wrong in ("tomorrow", "2026-01-13..", "..", "19.1.2026"):
        with pytest.raises(UserError):
            parse_days(wrong, DAY)


def test_tokens_are_counted_in_thousands_and_millions():
    assert [parse_tokens(text, "x") for text in ("500k", "2M", "1.5m", "120000")] == [
        500_000,
        2_000_000,
        1_500_000,
        120_000,
    ]
    for wrong in ("", "k", "-5k", "0", "inf", "nan", "1e999k"):
        with pytest.raises(UserError, match="wanted a number of tokens"):
            parse_tokens(wrong, "--budget")


def test_an_interrupt_says_how_far_it_came_and_the_next_call_goes_on(server):
    publish(server, 8)
    command = [sys.executable, "-m", "assay.cli.main", "digest", str(DAY), *EXTRACT]
    going = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    for line in going.stderr:
        if line.startswith("[2/8]"):
            going.send_signal(signal.SIGINT)
            break
    _, err = going.communicate(timeout=30)
    assert going.returncode == 130
    last = err.strip().splitlines()[-1]
    assert last.endswith("of 8 written; run again to continue") and 2 <= int(last.split()[0]) < 8
    assert 2 <= len(parse_file(Path("2026-01-19.en.md"), strict=True).entries) < 8
    assert main(["digest", str(DAY), *EXTRACT]) == 0
    assert len(parse_file(Path("2026-01-19.en.md"), strict=True).entries) == 8


def test_one_paper_is_added_to_the_users_catalogue(server, capsys):
    publish(server, 1)
    assert main(["papers", "add", f"arXiv:{Invented(1).id}v2", *EXTRACT]) == 0
    assert "is new in your catalogue" in capsys.readouterr().out
    assert main(["papers", "show", Invented(1).id]) == 0
    assert "lights only those lamps" in capsys.readouterr().out
    assert main(["papers", "add", "2601.77777", *EXTRACT]) == 4
    assert "2601.77777 no_text" in capsys.readouterr().err
    assert main(["papers", "add", "nonsense", *EXTRACT]) == 2


def test_what_models_replied_is_shown_as_it_came(server, capsys):
    from assay.cli.digest import open_ledger

    assert main(["papers", "show", Invented(1).id, "--raw"]) == 2
    assert "no replies are kept" in capsys.readouterr().err
    open_ledger().keep_reply(Invented(1).id, RawReply("zh", 1, 1, "now", "some/model", ("language",), "{odd}"))
    assert main(["papers", "show", Invented(1).id, "--raw"]) == 0
    out = capsys.readouterr().out
    assert "zh, try 1, call 1, some/model, now: language" in out and "{odd}" in out


def test_a_translation_wants_a_report_of_another_language_and_a_model(server, capsys):
    publish(server, 1)
    main(["digest", str(DAY), *EXTRACT])
    report = "2026-01-19.en.md"
    for words, told in (
        ([report, "--to", "en", "--model", "mockllm/model"], "is in en already"),
        ([report, "--to", "fr"], "bad --to 'fr'"),
        ([report, "--to", "zh", *EXTRACT], "cannot translate"),
        (["nothing.md", "--to", "zh"], "cannot be read"),
        ([report, "--to", "zh", "--model", "mockllm/model", "-o", report], "is the report itself"),
    ):
        capsys.readouterr()
        assert main(["papers", "translate", *words]) == 2
        assert told in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    heavy = ("numpy", "inspect_ai", "httpx", "lxml", "anyio")
    code = f"import sys, assay.cli.digest; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
