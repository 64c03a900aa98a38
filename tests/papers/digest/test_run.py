"""A day's report from list to file: what is written, what fails alone, what the next call does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.errors import UserError
from assay.papers.feed.ledger import DigestRunning, only_process
from assay.papers.feed.model import FeedError
from assay.papers.report import check, parse, parse_file
from tests.papers.digest.conftest import mock
from tests.papers.digest.world import DAY, Invented, publish, put_list, replies
from tests.papers.server import ok, rows, status


def test_a_day_is_written_in_the_lists_order_and_parses_strictly(server, write):
    published = publish(server, 5)
    result = write()
    report = parse(result.path.read_text("utf-8"), strict=True)
    assert [entry.arxiv_id for entry in report.entries] == [paper.id for paper in published]
    assert report.lang == "zh" and check(report, today=DAY) == []
    assert (result.listed, result.written, result.failed, result.exit_code) == (5, 5, (), 0)
    assert result.tokens_in == 5 * 3000 and result.tokens_out == 5 * 500


def test_an_english_report_has_the_same_skeleton(server, write, tmp_path):
    publish(server, 2)
    result = write(mock(replies(lang="en")), lang="en")
    report = parse_file(result.path, strict=True)
    assert report.lang == "en" and result.written == 2
    assert report.entries[0].sections[0].name == "Field"
    assert report.entries[0].read_from == "HTML"


def test_thirty_three_papers_with_three_failures_leave_thirty_and_the_next_call_completes_them(server, write):
    publish(server, 33)
    server.script("/html/2601.10004", status(500))
    broken = {
        9: lambda *_: "I'm sorry, I cannot help with that.",
        20: lambda paper, _: json.dumps(paper.reply(usage=None)),
    }
    result = write(mock(replies(broken)))
    assert result.exit_code == 4 and result.written == 30
    assert {row.id: row.reason for row in result.failed} == {
        "2601.10004": "http_5xx", "2601.10009": "refused", "2601.10020": "structure:missing_section",
    }  # fmt: skip
    report = parse_file(result.path, strict=True)
    assert [e.reason for e in report.entries if e.status == "failed"] == [row.reason for row in result.failed]
    assert [e.arxiv_id for e in report.entries] == [row.id for row in result.rows]
    server.script("/html/2601.10004", ok(Invented(4).page()))
    asked: list[str] = []
    again = write(mock(replies(log=asked)))
    assert (again.exit_code, again.written, again.done_now) == (0, 33, 3)
    assert sorted(asked) == ["2601.10004", "2601.10009", "2601.10020"]
    final = parse_file(again.path, strict=True)
    assert [e.arxiv_id for e in final.entries] == [e.arxiv_id for e in report.entries]
    assert all(entry.status == "ok" for entry in final.entries)


def test_a_failed_entry_says_how_often_it_was_tried(server, write):
    publish(server, 1)
    refuses = {1: lambda *_: "I'm sorry, but I can't."}
    for tries in (1, 2, 3):
        result = write(mock(replies(refuses)))
        entry = parse_file(result.path, strict=True).entries[0]
        assert (entry.reason, entry.attempts, entry.read_from) == ("refused", tries, "未读取")
    assert write(mock(replies(refuses)), retry_failed=False).done_now == 0


def test_a_second_call_asks_nothing_and_changes_nothing(server, write):
    publish(server, 3)
    first = write()
    before, asked = first.path.read_bytes(), len(server.log)
    second = write(mock(replies({n: lambda *_: pytest.fail("asked again") for n in (1, 2, 3)})))
    assert second.done_now == 0 and second.path.read_bytes() == before and len(server.log) == asked


def test_the_report_comes_back_from_the_ledger_when_the_file_is_lost(server, write):
    publish(server, 3)
    first = write()
    text = first.path.read_bytes()
    first.path.unlink()
    second = write(mock(replies({n: lambda *_: pytest.fail("asked again") for n in (1, 2, 3)})))
    assert second.path.read_bytes() == text


def test_a_file_that_somebody_else_wrote_is_not_overwritten(server, write, tmp_path):
    publish(server, 2)
    mine = tmp_path / "mine.md"
    mine.write_text("my own notes\n")
    with pytest.raises(UserError, match="did not write"):
        write(out=mine)
    assert mine.read_text() == "my own notes\n"
    result = write()
    edited = result.path.read_text("utf-8").replace("准确率", "精度")
    result.path.write_text(edited, "utf-8")
    with pytest.raises(UserError, match="did not write"):
        write(redo=("all",))
    assert result.path.read_text("utf-8") == edited


def test_an_empty_list_is_a_day_with_no_papers(server, write):
    put_list(server, [])
    result = write()
    assert (result.listed, result.exit_code) == (0, 0)
    assert parse_file(result.path, strict=True).entries == []


def test_a_list_that_cannot_be_had_leaves_the_earlier_report_untouched(server, write):
    publish(server, 2)
    first = write()
    before = first.path.read_bytes()
    listing = f"/api/daily_papers?date={DAY}&limit=100&p=0"
    for broken, reason in ((status(404), "list_unavailable"), (ok("{", "application/json"), "bad_list")):
        server.script(listing, broken)
        server.script(f"/papers/date/{DAY}", status(404))
        with pytest.raises(FeedError) as raised:
            write(refresh=True)
        assert raised.value.reason == reason and raised.value.exit_code == 5
        assert first.path.read_bytes() == before


def test_a_list_without_ids_is_read_from_the_second_source(server, write):
    publish(server, 1)
    server.script(f"/api/daily_papers?date={DAY}&limit=100&p=0", rows({"paper": {"title": "no id"}}))
    props = json.dumps({"dailyPapers": [Invented(1).row()]}).replace('"', "&quot;")
    server.script(f"/papers/date/{DAY}", ok(f'<div data-target="DailyPapers" data-props="{props}"></div>'))
    assert write().written == 1


def test_refresh_appends_new_papers_and_keeps_those_that_vanished(server, write):
    publish(server, 3)
    write()
    four = publish(server, 4)
    put_list(server, [four[3], four[0], four[2]])
    result = write(refresh=True)
    assert [row.id for row in result.rows] == [f"2601.1000{n}" for n in (1, 2, 3, 4)]
    assert [row.gone for row in result.rows] == [False, True, False, False]
    assert (result.done_now, result.written) == (1, 4)


def test_without_refresh_the_list_stays_the_one_that_was_begun_with(server, write):
    publish(server, 2)
    write(limit=1)
    put_list(server, publish(server, 5))
    assert write().listed == 2


def test_top_and_ids_write_a_part_and_the_rest_can_follow(server, write):
    publish(server, 5)
    assert [row.id for row in write(limit=2).rows] == ["2601.10001", "2601.10002"]
    named = write(ids=("arXiv:2601.10005v2",))
    assert [row.id for row in named.rows] == ["2601.10005"]
    ids = [entry.arxiv_id for entry in parse_file(named.path, strict=True).entries]
    assert ids == ["2601.10001", "2601.10002", "2601.10005"]
    with pytest.raises(UserError, match=r"2601\.99999 is not in the list"):
        write(ids=("2601.99999",))
    with pytest.raises(UserError, match="wanted an arXiv id"):
        write(redo=("nonsense",))
    assert write().written == 5


def test_redo_replaces_an_entry_and_a_failing_redo_keeps_the_earlier_one(server, write):
    publish(server, 3)
    before = write().path.read_text("utf-8")
    shorter = {2: lambda paper, _: json.dumps(paper.reply(field="重新写过的应用领域：照明调度与节能系统"))}
    again = write(mock(replies(shorter)), redo=("2601.10002",))
    text = again.path.read_text("utf-8")
    assert again.done_now == 1 and text.count("重新写过") == 1
    assert text.replace("重新写过的应用领域：照明调度与节能系统", "阅读照明调度、人机交互与节能系统的评测") == before
    failing = write(mock(replies({2: lambda *_: RuntimeError("server on fire")})), redo=("2601.10002",))
    assert failing.exit_code == 4 and [row.reason for row in failing.failed] == ["model_error"]
    assert failing.path.read_text("utf-8") == text


def test_a_paper_without_html_is_read_from_its_abstract(server, write):
    published = publish(server, 2)
    server.script(f"/html/{published[1].id}", status(404))
    result = write(mock(replies({2: lambda paper, _: json.dumps(paper.reply_from_abstract())})))
    assert [e.read_from for e in parse_file(result.path, strict=True).entries] == ["HTML", "ArXiv Abs"]
    assert any("no_html" in warning for warning in result.rows[1].warnings)


def test_offline_needs_the_cache_and_then_asks_nothing(server, write):
    publish(server, 2)
    with pytest.raises(FeedError, match="not in the cache"):
        write(offline=True)
    write()
    asked = len(server.log)
    result = write(offline=True, redo=("all",))
    assert result.written == 2 and len(server.log) == asked


def test_a_budget_stops_asking_and_a_larger_one_resumes(server, write):
    publish(server, 6)
    asked: list[str] = []
    first = write(mock(replies(log=asked)), budget=12_000)
    reasons = [row.reason for row in first.failed]
    assert first.exit_code == 4 and reasons and set(reasons) == {"budget"}
    assert first.tokens_in + first.tokens_out <= 12_000 and len(asked) == first.written > 0
    second = write(mock(replies(log=asked)), budget=500_000)
    assert second.exit_code == 0 and second.written == 6 and len(asked) == 6


def test_a_second_process_on_the_same_date_is_told_who_is_at_it(server, write, ledger):
    publish(server, 1)
    hold = "import sys, time; from pathlib import Path; from datetime import date\n"
    hold += "from assay.papers.feed.ledger import only_process\n"
    hold += f"with only_process(Path({str(ledger.path.parent / 'locks')!r}), date({DAY:%Y, %-m, %-d})):\n"
    hold += "    print('held', flush=True); time.sleep(60)\n"
    other = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DigestRunning, match=f"digest of {DAY} is running as PID {other.pid}") as raised:
            write()
        assert raised.value.exit_code == 3
        with only_process(ledger.path.parent / "locks", DAY.replace(day=18)):
            assert True, "another date is free"
    finally:
        other.kill()
        other.wait()
    assert write().written == 1


def test_the_future_cannot_be_digested(write):
    with pytest.raises(UserError, match="in the future"):
        write(day=DAY.replace(day=20))


def test_a_report_that_cannot_be_written_leaves_the_earlier_one_whole(server, write, monkeypatch, tmp_path):
    publish(server, 3)
    first = write(limit=1)
    before = first.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=f"{first.path}.*No space left"):
        write()
    assert first.path.read_bytes() == before and not list(tmp_path.glob("*.tmp"))
    monkeypatch.undo()
    assert write().written == 3
    with pytest.raises(UserError, match="cannot be"):
        write(out=tmp_path / "2026-01-19.md" / "inside.md")


def test_a_page_that_nobody_foresaw_fails_its_own_paper_only(server, write, monkeypatch):
    from assay.papers.feed.client import Feed

    publish(server, 3)
    plain = Feed.text

    async def odd(self, id, **options):
        if id.endswith("2"):
            raise RecursionError("a page of ten thousand nested lists")
        return await plain(self, id, **options)

    monkeypatch.setattr(Feed, "text", odd)
    result = write()
    assert [row.reason for row in result.failed] == ["internal_error"] and result.written == 2


def test_halves_of_characters_in_a_title_do_not_stop_the_day(server, write):
    row = Invented(1).row()
    row["paper"]["title"] = row["title"] = "Lantern\ud83d Reading by Night with Fewer Lamps, Part 1"
    publish(server, 1)
    server.script(f"/api/daily_papers?date={DAY}&limit=100&p=0", rows(row))
    assert write().written == 1


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"concurrency": 0}, {"budget": 0}])
def test_bounds_below_one_are_refused(write, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: got 0, wanted at least 1"):
        write(**wrong)


def test_fifty_papers_take_seconds_and_little_memory(tmp_path):
    """In a process of its own, so that its memory can be told from this one's."""
    code = Path(__file__).with_name("fifty.py")
    began = time.monotonic()
    done = subprocess.run([sys.executable, str(code), str(tmp_path)], capture_output=True, text=True, check=True)
    took = time.monotonic() - began
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["written"] == 50
    assert told["seconds"] < 15 and took < 40
    assert told["megabytes"] < 400
