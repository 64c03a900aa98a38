"""Scores: counts by hand, reports of any tool, and what cannot be scored said so."""

from __future__ import annotations

import json

import anyio
import pytest

from assay.papers.digest.plan import plan
from assay.papers.digest.run import DigestOptions
from assay.papers.digest.score import score
from assay.papers.feed import Cache, Feed, Http
from assay.papers.report import parse, parse_file
from tests.papers.digest.conftest import mock
from tests.papers.digest.world import DAY, publish, replies


@pytest.fixture
def offline(server, clock, tmp_path):
    """`offline(work)`: run `work(feed)` with a feed that has the cache alone."""

    def go(work):
        async def run():
            with Cache(tmp_path / "http.sqlite") as cache:
                async with Http(cache, clock=clock, offline=True, hosts=tmp_path / "hosts") as http:
                    return await work(Feed(http, hf=server.url, arxiv=server.url, ar5iv=server.url))

        return anyio.run(run)

    return go


def test_counts_are_those_of_a_count_by_hand(server, write, ledger, offline):
    publish(server, 3)
    path = write().path
    found = offline(lambda feed: score(parse_file(path), feed, ledger))
    # contribution: lamps, accuracy; results: accuracy, Torch's, their difference, lamps, minutes
    assert [paper.numbers for paper in found.papers] == [7, 7, 7]
    assert found.grounded_share == 1.0 and found.headline_recall == 1.0
    assert [paper.headline for paper in found.papers] == [3, 3, 3]
    assert found.mean("tokens") == 3500 and found.faults == {} and found.failed == 0
    assert "21 of 21, in 3 papers" in "\n".join(found.lines())


def test_an_invented_number_a_lost_headline_and_a_fault_are_seen(server, write, ledger, offline):
    publish(server, 2)
    text = write().path.read_text("utf-8")
    spoiled = text.replace("61.0%", "66.6%").replace("输入", "", 1)
    found = offline(lambda feed: score(parse(spoiled), feed, ledger))
    one, two = found.papers
    assert (one.numbers - one.grounded, one.headline - one.headline_told) == (2, 1)
    assert two.numbers == two.grounded and found.grounded_share == 12 / 14
    assert one.tokens is None and two.tokens == 3500, "what somebody changed was not written here"


def test_a_report_of_another_tool_is_scored_and_what_is_not_cached_is_told(server, write, ledger, offline):
    publish(server, 1)
    write()
    other = write().path.read_text("utf-8").replace("### 1. 应用领域\n", "1. **应用领域**：\n")
    other = other.replace("2601.10001", "2601.77777")
    found = offline(lambda feed: score(parse(other), feed, ledger))
    assert [paper.unscored for paper in found.papers] == ["its text is not in the cache"]
    assert found.grounded_share is None and found.mean("length") > 100
    told = "\n".join(found.lines())
    assert "no numbers to score" in told and "2601.77777: its text is not in the cache" in told
    assert json.dumps(found.as_dict())


def test_failed_entries_are_counted_and_not_scored(server, write, ledger, offline):
    publish(server, 2)
    path = write(mock(replies({1: lambda *_: "I'm sorry."}))).path
    found = offline(lambda feed: score(parse_file(path), feed, ledger))
    assert found.failed == 1 and [paper.id for paper in found.papers] == ["2601.10002"]


def test_a_model_beats_the_extract_of_the_same_day_in_what_it_must(server, write, ledger, offline, tmp_path):
    publish(server, 4)
    extract = write(None, lang="en", out=tmp_path / "extract.md").path
    model = write(mock(replies(lang="en")), lang="en", out=tmp_path / "model.md", redo=("all",)).path
    scores = [offline(lambda feed, p=p: score(parse_file(p), feed, ledger)) for p in (extract, model)]
    assert [s.grounded_share for s in scores] == [1.0, 1.0]
    assert sum(scores[1].faults.values()) == 0 < sum(scores[0].faults.values())


def test_a_plan_says_what_is_cached_and_writes_nothing(server, write, ledger, offline):
    publish(server, 3)
    options = DigestOptions(lang="zh")
    write(limit=1)
    planned = offline(lambda feed: plan(DAY, feed, feed, ledger, options))
    assert [(paper.stage, paper.cached, paper.tokens > 0) for paper in planned] == [
        ("rendered", True, False), ("listed", False, True), ("listed", False, True),
    ]  # fmt: skip
    assert planned[1].tokens > 20_000, "what is not there yet may be as long as the context"
    fresh = offline(lambda feed: plan(DAY, feed, feed, ledger, DigestOptions(lang="en")))
    assert [paper.tokens < 6000 for paper in fresh] == [True, False, False] and ledger.rows(DAY, "en") == []
