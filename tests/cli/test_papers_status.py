"""What is tried, as the verbs of `assay papers` and `assay serve papers` show it, on one real run's results."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from assay.cli import papers_status
from assay.cli.main import main
from assay.cli.papers_status import Row, is_full, status_rows
from assay.cli.papers_verdicts import StoreVerdicts
from assay.cli.standing import standing
from assay.engine.runner import RunOptions, run_trials
from assay.engine.store import Store
from assay.papers.catalogue.record import to_json
from assay.papers.catalogue.store import find, packaged

HADW = "2601.08521"
WHOLE = Row(HADW, "hadw", True, ("post_training/hadw",), ("post_training/hadw",), True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "results.duckdb"
    run_trials(["hadw"], RunOptions(seeds=6, store=path, isolation="inline"))
    return path


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CATALOGUE", str(tmp_path / "catalogue.sqlite"))
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def verdicts(store: Path) -> StoreVerdicts:
    return StoreVerdicts(argparse.Namespace(store=store), packaged())


def told(words: list[str], store: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["papers", *words, "--store", str(store)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "missing", [{"part": False}, {"trials": ()}, {"tried": ()}, {"trials": (*WHOLE.trials, "x/y")}, {"job": False}]
)
def test_a_row_is_closed_only_with_all_four(missing):
    assert WHOLE.status == "closed"
    assert replace(WHOLE, **missing).status == "open"


def test_no_row_of_the_catalogue_claims_closed_while_one_of_the_four_is_missing(verdicts, monkeypatch):
    board = {judged.name: judged for judged in verdicts.board}
    for row in status_rows(packaged(), board):
        trials_ran = row.trials and all(name in board and is_full(board[name]) for name in row.trials)
        assert row.status == "open" or (row.part and trials_ran and row.job), row
    # the same results, called whole: the row closes, and opens again when its part no longer imports
    (judged,) = verdicts.board
    names = standing(find("hadw")).trials
    whole = {name: replace(judged, trial=replace(judged.trial, seeds=6)) for name in names}
    assert [row.slug for row in status_rows(packaged(), whole) if row.status == "closed"] == ["hadw"]
    monkeypatch.setattr(papers_status, "_imports", lambda module: False)
    assert not [row for row in status_rows(packaged(), whole) if row.status == "closed"]


def test_a_run_of_fewer_seeds_than_the_trial_has_is_not_full(verdicts):
    (judged,) = verdicts.board
    assert not is_full(judged)  # 6 of the trial's seeds
    assert is_full(replace(judged, trial=replace(judged.trial, seeds=6)))
    stopped = replace(judged, verdict=replace(judged.verdict, outcome="holds", rule="sign-e-process/1"))
    assert is_full(stopped)
    assert not is_full(replace(stopped, verdict=replace(stopped.verdict, outcome="inconclusive")))
    assert not is_full(replace(stopped, verdict=replace(stopped.verdict, outcome="not run")))


def test_the_table_counts_trials_that_ran(store, capsys):
    out = told(["status", "--field", "post_training"], store, capsys)
    trials = len(standing(find("hadw")).trials)
    assert [line.split()[1:] for line in out.splitlines() if line.startswith("hadw")] == [
        [HADW, "yes", "0", "of", str(trials), "yes", "open"]
    ]
    rows = json.loads(told(["status", "--json"], store, capsys))
    assert len(rows) == 124
    assert {row["status"] for row in rows} == {"open"}


def test_claims_carry_the_verdict_of_the_trial_they_name(store, verdicts, capsys):
    outcome = verdicts.board[0].verdict.outcome
    rows = json.loads(told(["claims", "--verdict", outcome, "--json"], store, capsys))
    assert [(row["id"], row["tried_by"]) for row in rows] == [(f"{HADW}#3", "post_training/hadw")]
    untried = told(["claims", "--verdict", "untried", "--field", "post_training"], store, capsys)
    assert f"{HADW}#1" in untried
    assert f"{HADW}#3" not in untried
    kinds = json.loads(told(["claims", "--kind", "negative", "--json"], store, capsys))
    assert {row["kind"] for row in kinds} == {"negative"}


def test_lists_and_searches_are_narrowed_by_verdict_and_by_what_is_open(store, verdicts, capsys):
    outcome = verdicts.board[0].verdict.outcome
    assert told(["list", "--verdict", outcome], store, capsys).count(HADW) == 1
    assert HADW not in told(["list", "--verdict", "untried"], store, capsys)
    assert "\n124 papers, " in told(["list", "--open"], store, capsys)
    found = json.loads(told(["search", f"verdict:{outcome}", "--json"], store, capsys))
    assert [hit["id"] for hit in found] == [HADW]


def test_no_store_is_no_verdict(tmp_path, capsys):
    nowhere = tmp_path / "nowhere.duckdb"
    assert told(["claims", "--verdict", "holds"], nowhere, capsys) == "0 claims of 0 papers\n"
    assert not nowhere.exists()


def test_the_least_favourable_of_several_trials_is_the_claims_verdict(verdicts):
    view = verdicts.latest(f"{HADW}#3")
    several = {"a": replace(view, outcome="holds"), "b": replace(view, outcome="fails"),
               "c": replace(view, outcome="reported")}  # fmt: skip
    verdicts._views = several
    verdicts._trials = {"x#1": ("a", "b", "c"), "x#2": ("a", "c"), "x#3": ("c",), "x#4": ()}
    outcomes = [found.outcome if (found := verdicts.latest(f"x#{i}")) else None for i in (1, 2, 3, 4)]
    assert outcomes == ["fails", "holds", None, None]


def test_a_verdict_comes_with_its_intervals_machine_date_and_pictures(store, verdicts):
    (view,) = verdicts.of_paper(HADW)
    (row,) = Store(store).rows("machines")
    assert view.machine.startswith(row["cpu"])
    assert view.seeds == 6
    assert [interval.low <= interval.estimate <= interval.high for interval in view.intervals] == [True, True]
    assert view.versions.startswith("assay ")
    assert [picture[:4] for picture in view.pictures] == ["<svg", "<svg"]
    (change,) = verdicts.changes()
    assert (change.trial, change.before, change.outcome) == ("post_training/hadw", None, view.outcome)


def test_an_agent_searches_reads_and_lists_over_stdio(store):
    pytest.importorskip("mcp")
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    command = ["-m", "assay.cli.main", "serve", "papers", "--store", str(store)]

    async def talk():
        import os

        server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(stdio_client(server)) as client:
            listed = (await client.list_tools()).tools
            calls = [
                ("search_papers", {"query": '"flow matching" -quantum', "limit": 3}),
                ("get_paper", {"paper": "hadw"}),
                ("list_claims", {"field": "post_training", "verdict": "untried", "limit": 2}),
                ("search_papers", {"query": "???"}),
                ("get_paper", {"paper": "2601.99999"}),
                ("list_claims", {"limit": 0}),
            ]
            return listed, [await client.call_tool(name, arguments) for name, arguments in calls]

    listed, (hits, paper, claims, *wrong) = anyio.run(talk)
    assert {tool.name for tool in listed} == {"search_papers", "get_paper", "list_claims"}
    assert all(tool.annotations.read_only_hint for tool in listed)
    ids = [hit["id"] for hit in json.loads(hits.content[0].text)["papers"]]
    assert {"2602.05435", "2602.04908"} & set(ids)
    said = json.loads(paper.content[0].text)
    assert said["title"] == find("hadw").title
    assert said["claims"] == json.loads(json.dumps(to_json(find("hadw"))))["claims"]
    assert said["verdicts"][0]["trial"] == "post_training/hadw"
    few = json.loads(claims.content[0].text)
    assert len(few["claims"]) == 2 < few["found"]
    assert {claim["verdict"] for claim in few["claims"]} == {"untried"}
    assert [answer.is_error for answer in wrong] == [True] * 3
    texts = [answer.content[0].text for answer in wrong]
    assert "nothing to search for" in texts[0]
    assert "nearest" in texts[1]
    assert "limit: got 0" in texts[2]
