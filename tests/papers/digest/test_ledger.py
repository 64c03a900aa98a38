"""The ledger: each change is one transaction, runs that died are taken up, replies and reports are known."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from assay.errors import UserError
from assay.papers.feed.ledger import Ledger, RawReply, Spent, stamp
from assay.papers.feed.model import Listed
from tests.papers.digest.world import DAY

LISTED = [Listed(f"2601.1000{n}", f"Paper {n}", n, authors=("Ada",), summary="s") for n in (1, 2, 3)]


def test_a_list_is_kept_in_order_with_all_that_its_rows_say(ledger):
    ledger.enlist(DAY, "zh", LISTED)
    rows = ledger.rows(DAY, "zh")
    assert [row.listed for row in rows] == LISTED
    assert {(row.stage, row.attempts, row.gone) for row in rows} == {("listed", 0, False)}
    assert ledger.rows(DAY, "en") == [] == ledger.rows(DAY.replace(day=18), "zh")


def test_listing_again_appends_and_marks_and_loses_nothing(ledger):
    ledger.enlist(DAY, "zh", LISTED)
    ledger.enlist(DAY, "zh", [Listed("2601.10009", "New", 1), LISTED[2], LISTED[0]])
    rows = ledger.rows(DAY, "zh")
    assert [(row.id[-1], row.position, row.gone) for row in rows] == [
        ("1", 1, False), ("2", 2, True), ("3", 3, False), ("9", 4, False),
    ]  # fmt: skip
    ledger.enlist(DAY, "zh", LISTED)
    assert [row.gone for row in ledger.rows(DAY, "zh")] == [False, False, False, True]


def test_a_run_of_the_same_command_that_died_is_taken_up_and_others_are_not(ledger):
    first = ledger.begin(DAY, "zh", "command", "now")
    assert ledger.begin(DAY, "zh", "command", "later") == first
    other = ledger.begin(DAY, "zh", "another", "later")
    assert other != first
    ledger.end(other, "later")
    assert ledger.begin(DAY, "zh", "another", "later") not in (first, other)
    assert ledger.begin(DAY, "en", "command", "later") != first


def test_a_paper_goes_through_its_stages(ledger):
    ledger.enlist(DAY, "zh", LISTED[:1])
    (row,) = ledger.rows(DAY, "zh")
    ledger.started(row, "t0")
    ledger.fetched(row, "sha", "HTML", ["html mojibake: some"])
    spent = Spent().plus(10, 5, 0.5).plus(1, 1, 0.25)
    ledger.written(row, "the entry", run=1, model="m", prompt_sha="p", spent=spent, at="t1")
    (row,) = ledger.rows(DAY, "zh")
    assert (row.stage, row.attempts, row.entry, row.warnings) == ("written", 1, "the entry", ("html mojibake: some",))
    assert (row.tokens_in, row.tokens_out, row.cost, row.started_at, row.finished_at) == (11, 6, 0.75, "t0", "t1")
    ledger.rendered(DAY, "zh", [row.id])
    assert ledger.rows(DAY, "zh")[0].stage == "rendered"
    ledger.failed(replace(row, stage="rendered"), "http_5xx", "down", run=2, model="m", spent=Spent(), at="t2")
    (row,) = ledger.rows(DAY, "zh")
    assert (row.stage, row.entry, row.reason, row.attempts) == ("rendered", "the entry", "http_5xx", 2)


def test_replies_are_kept_as_they_came(ledger):
    odd = RawReply("zh", 1, 2, "t", "m", ("language", "refused"), "半\x00 \u2028 text")
    ledger.keep_reply("2601.10001", odd)
    ledger.keep_reply("2601.10001", replace(odd, number=1, faults=()))
    assert [reply.number for reply in ledger.replies("2601.10001")] == [1, 2]
    assert ledger.replies("2601.10001")[1] == odd and ledger.replies("2601.99999") == []


def test_a_reports_file_may_hold_the_earlier_or_the_next_text_while_it_is_replaced(ledger, tmp_path):
    path = tmp_path / "r.md"
    assert ledger.report_shas(path) == set()
    for sha, known in (("a", {"a"}), ("b", {"a", "b"})):
        ledger.report_next(path, sha)
        assert ledger.report_shas(path) == known
    ledger.report_done(path)
    assert ledger.report_shas(path) == {"b"}
    ledger.report_next(path, "c")
    ledger.report_next(path, "d")
    assert ledger.report_shas(path) == {"b", "d"}, "the process died before it put c there"


def test_a_file_that_is_no_ledger_or_a_newer_one_is_told_in_one_line(tmp_path):
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(UserError, match="cannot be used"):
        Ledger(tmp_path / "text.sqlite")
    newer = tmp_path / "newer.sqlite"
    Ledger(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(UserError, match="newer assay"):
        Ledger(newer)
    with pytest.raises(UserError, match="cannot be used"):
        Ledger(tmp_path / "text.sqlite" / "inside.sqlite")


def test_two_connections_write_in_turn(tmp_path):
    first, second = Ledger(tmp_path / "l.sqlite"), Ledger(tmp_path / "l.sqlite")
    for number in range(20):
        (first, second)[number % 2].begin(DAY.replace(day=1 + number), "zh", "c", "t")
    first.enlist(DAY, "zh", LISTED)
    assert len(second.rows(DAY, "zh")) == 3


def test_a_moment_is_written_in_utc():
    assert stamp(1_768_824_000.0) == "2026-01-19T12:00:00Z"
