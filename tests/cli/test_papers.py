"""`assay papers` as a reader types it."""

from __future__ import annotations

import json

import pytest

from assay.cli.main import main


def test_the_list_ends_with_its_count(capsys):
    assert main(["papers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 125
    assert lines[-1].startswith("124 papers, ")


def test_a_day_and_a_field_narrow_the_list(capsys):
    assert main(["papers", "list", "--date", "2026-01-19", "--field", "post_training", "--json"]) == 0
    papers = json.loads(capsys.readouterr().out)
    assert {p["report_date"] for p in papers} == {"2026-01-19"}
    assert {p["field"] for p in papers} == {"post_training"}


def test_a_paper_is_shown_with_its_claims_and_how_it_stands(capsys):
    assert main(["papers", "show", "2601.08521"]) == 0
    text = capsys.readouterr().out
    assert "Your Group-Relative Advantage Is Biased" in text
    assert "2601.08521#2" in text
    assert "46.5" in text


def test_a_planned_paper_says_that_nothing_is_built(capsys):
    assert main(["papers", "show", "motive"]) == 0
    assert "Planned" in capsys.readouterr().out


def test_search_prints_what_holds_every_word(capsys):
    assert main(["papers", "search", "agent", "skills"]) == 0
    assert "skill_scan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["papers", "list", "--date", "2025-01-01"], "2026-01-13"),
        (["papers", "list", "--field", "cooking"], "cooking"),
        (["papers", "show", "nothing-like-it"], "nearest"),
        (["papers", "search", "zebrafish"], "fewer words"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(words, told, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error
