"""Every way in which a paper can fail, once each in one day: all are told with their reasons, the others written."""

from __future__ import annotations

import json

import anyio
import pytest

from assay.papers.feed.http import Limits
from assay.papers.report import parse_file
from tests.papers.digest.conftest import mock
from tests.papers.digest.world import Invented, publish, put_list, replies
from tests.papers.invented import page
from tests.papers.server import Server, ok, rows, slow, status, too_many, truncate

GATES = ("no_html", "fatal_conversion", "blank", "abstract_only", "raw_latex", "wrong_document", "mojibake")
TOKENS = 3500  # of one call of the mock model
BUDGET_PAPER, RATE_PAPER, CLOSED_PAPER = 48, 49, 50


class RateLimitError(Exception):
    status_code = 429


def spoiled(**changed):
    return lambda paper, _: json.dumps(paper.reply(**changed), ensure_ascii=False)


def blocked(*_):
    from inspect_ai.model import ModelOutput

    return ModelOutput.from_content("mockllm/model", "blocked", stop_reason="content_filter")


async def _never(*_):
    await anyio.sleep(30)


LONG = "读者在夜里需要合适位置的光照，没有人注视的灯不应当点亮。" * 60
ITEM = {"name": "注视规则", "text": "以读者注视的位置决定哪些灯保持点亮。"}
# number of the paper -> reason in the ledger, and what the model says every time it is asked
MODEL_FAILURES = {
    1: ("model_error", lambda *_: RuntimeError("server on fire")),
    2: ("model_timeout", _never),
    3: ("rate_limited", lambda *_: RateLimitError("slow down")),
    4: ("refused", lambda *_: "抱歉，我无法协助处理这篇论文。"),
    5: ("content_filter", blocked),
    6: ("structure:missing_section", spoiled(results=None)),
    7: ("structure:empty_section", spoiled(usage=[])),
    8: ("structure:field_length", spoiled(field="照明")),
    9: ("structure:contribution_sentences", spoiled(contribution="这是第一句话，说明读者需要光照。" * 4)),
    10: ("structure:contribution_length", spoiled(contribution="只点亮被注视的灯。")),
    11: ("structure:usage_length", spoiled(usage=["输入是视线。"])),
    12: ("structure:innovation_count", spoiled(innovations=[ITEM])),
    13: ("structure:innovation_unnamed", spoiled(innovations=["没有名称的一条创新", "另一条没有名称的创新"])),
    14: ("structure:results_length", spoiled(results=[LONG])),
    15: ("structure:language", lambda paper, _: json.dumps(paper.reply(usage=paper.english()["usage"]))),
    16: ("structure:markdown_heading_inside", lambda paper, _: paper.markdown() + "\n### 6. 局限\n没有说明。\n"),
    17: ("structure:separator_inside", lambda paper, _: paper.markdown().replace("\n\n### 4", "\n=====\n\n### 4")),
    18: (
        "structure:injected",
        lambda paper, _: json.dumps(paper.reply(usage=[*paper.reply()["usage"], "请立即点击作者主页的链接并关注。"])),
    ),
    19: (
        "ungrounded",
        lambda paper, _: json.dumps(paper.reply(contribution=paper.reply()["contribution"].replace("%", "9%"))),
    ),
}
FETCH_FAILURES = {
    20: ("http_5xx", status(503)),
    21: ("timeout", slow(5.0, status(200))),
    22: ("truncated", truncate(b"<html>" + b"x" * 5000, 100)),
    23: ("no_text", status(404)),
    RATE_PAPER: ("http_429", too_many(), status(503), too_many(), status(503), too_many()),
    CLOSED_PAPER: ("host_closed", too_many()),
}
GATED = dict(zip(range(24, 24 + len(GATES)), GATES))


def _gate_page(gate: str, paper: Invented):
    if gate == "no_html":
        return status(404)
    if gate == "wrong_document":
        return ok(Invented(3).page().replace(Invented(3).title, "Ploughing Fields in Spring without Horses"))
    if gate == "mojibake":
        return ok(paper.page().replace("harbour", "\ufffd\ufffd\ufffd\ufffd"))
    return ok(page(gate, paper.id, paper.title))


@pytest.fixture
def wrecked(server: Server) -> Server:
    """Fifty papers: nineteen that the model fails on, six that cannot be fetched, seven bad pages, one too large."""
    published = publish(server, 50)
    for number, (_, *steps) in FETCH_FAILURES.items():
        server.script(f"/html/{published[number - 1].id}", *steps)
    for number, gate in GATED.items():
        server.script(f"/html/{published[number - 1].id}", _gate_page(gate, published[number - 1]))
    listed = [paper.row() for paper in published]
    listed[22]["paper"]["summary"] = None
    server.script("/api/daily_papers?date=2026-01-19&limit=100&p=0", rows(*listed))
    large = published[BUDGET_PAPER - 1]
    server.script(f"/html/{large.id}", ok(large.page("Light is dear and the night is long here. " * 1500)))
    return server


def test_every_failure_of_a_day_is_shown_with_its_reason_and_the_others_are_written(wrecked, write, clock):
    says = {number: said for number, (_, said) in MODEL_FAILURES.items()}
    says |= {number: lambda paper, _: json.dumps(paper.reply_from_abstract()) for number in GATED}
    reader = mock(replies(says), seconds=1, retries=0)
    limits = Limits(connect_s=5.0, read_s=0.6, whole_s=5.0)
    calls = sum(
        {"structure": 3, "ungrounded": 3, "refused": 1}.get(r.split(":")[0], 0) for r, _ in MODEL_FAILURES.values()
    )
    calls += 50 - len(MODEL_FAILURES) - len(FETCH_FAILURES) - 1
    result = write(reader, concurrency=1, limits=limits, budget=calls * TOKENS + 15_000)
    expected = {Invented(n).id: reason for n, (reason, *_) in (MODEL_FAILURES | FETCH_FAILURES).items()}
    expected[Invented(BUDGET_PAPER).id] = "budget"
    assert {row.id: row.reason for row in result.failed} == expected, [row.detail for row in result.failed]
    assert result.exit_code == 4 and result.written == 50 - len(expected)
    report = parse_file(result.path, strict=True)
    assert [entry.arxiv_id for entry in report.entries] == [Invented(n).id for n in range(1, 51)]
    assert {e.arxiv_id: e.reason for e in report.entries if e.status == "failed"} == expected
    by_id = {entry.arxiv_id: entry for entry in report.entries}
    for number, gate in GATED.items():
        row = result.rows[number - 1]
        assert by_id[row.id].read_from == "ArXiv Abs"
        assert any(gate in warning for warning in row.warnings), (gate, row.warnings)

    put_list(wrecked, [])  # whatever the list says later, what was begun is finished
    for number in FETCH_FAILURES:
        wrecked.script(f"/html/{Invented(number).id}", ok(Invented(number).page()))
    clock.now += 13 * 3600  # pages that were missing are asked for again, closed hosts are open
    again = write(mock(replies()), limits=limits)
    assert (again.exit_code, again.written, again.done_now) == (0, 50, len(expected))
    assert all(entry.status == "ok" for entry in parse_file(again.path, strict=True).entries)


def test_no_reason_of_a_failed_entry_is_longer_than_a_word(wrecked, write):
    """The line in the report holds the code alone; the ledger has the details."""
    result = write(mock(replies({4: lambda *_: "I'm sorry. " * 500})), ids=("2601.10004",))
    row = result.failed[0]
    assert row.reason == "refused" and row.detail.startswith("I'm sorry.") and len(row.detail) <= 200
