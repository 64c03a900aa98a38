"""What is kept of the web, by one command and by several."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.cli import papers_cache
from assay.errors import UserError
from assay.papers.feed.cache import Answer, Cache, default_cache
from tests.papers.feed.conftest import NOON


def answer(url: str = "https://arxiv.org/html/2601.90001", body: bytes = b"body " * 100, **changed: object) -> Answer:
    told = {"final_url": url, "status": 200, "headers": {"etag": '"1"'}, "fetched_at": NOON, "ttl": 60.0} | changed
    return Answer(url=url, body=body, **told)


def test_what_is_put_comes_back(cache):
    cache.put(answer())
    assert cache.get(answer().url) == answer()
    assert cache.get("https://arxiv.org/html/2601.90002") is None


@given(body=st.binary(max_size=200), headers=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_any_body_and_headers_come_back(body, headers):
    with Cache(Path(":memory:")) as cache:
        cache.put(answer(body=body, headers=headers))
        assert cache.get(answer().url) == answer(body=body, headers=headers)


def test_an_answer_is_fresh_for_its_time_and_never_before_it_came():
    one = answer()
    assert [one.fresh(NOON + later) for later in (-1, 0, 59.9, 60)] == [False, True, True, False]


def test_a_later_answer_takes_the_place_of_the_earlier(cache):
    cache.put(answer())
    cache.put(answer(body=b"new"))
    assert cache.get(answer().url).body == b"new"
    assert cache.usage()[0].answers == 1


def test_a_confirmed_answer_keeps_its_body(cache):
    cache.put(answer())
    cache.confirm(answer().url, NOON + 500, 7.0)
    assert cache.get(answer().url) == answer(fetched_at=NOON + 500, ttl=7.0)


def test_bodies_are_packed_and_counted_by_host(cache):
    cache.put(answer(body=b"a" * 100_000))
    cache.put(answer("https://huggingface.co/api", b"b"))
    first, second = cache.usage()
    assert (first.host, first.answers, first.bytes) == ("arxiv.org", 1, 100_000)
    assert first.stored < 1000
    assert (second.host, second.bytes) == ("huggingface.co", 1)


@pytest.mark.parametrize("damage", [b"no zlib", None])
def test_a_damaged_body_is_as_good_as_none(cache, damage):
    cache.put(answer())
    with sqlite3.connect(cache.path) as db:
        if damage:
            db.execute("UPDATE answers SET body = ?", (damage,))
        else:
            db.execute("UPDATE answers SET sha256 = 'x'")
    assert cache.get(answer().url) is None


def test_clearing_forgets_all_and_gives_the_space_back(tmp_path):
    path = tmp_path / "http.sqlite"
    with Cache(path) as cache:
        for number in range(20):
            cache.put(answer(f"https://arxiv.org/{number}", os.urandom(50_000)))
    before = path.stat().st_size
    with Cache(path) as cache:
        assert cache.clear() == 20
        assert cache.usage() == []
    assert path.stat().st_size < before / 10


def test_a_file_that_is_no_cache_is_left_as_it_is(tmp_path):
    path = tmp_path / "http.sqlite"
    path.write_bytes(b"my thesis " * 1000)
    with pytest.raises(UserError, match="is no cache of ours: remove it"):
        Cache(path)
    assert path.read_bytes() == b"my thesis " * 1000


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/http.sqlite cannot be written"):
        Cache(tmp_path / "file" / "http.sqlite")


def test_several_commands_may_write_at_once(tmp_path):
    code = """
import sys
from pathlib import Path
from assay.papers.feed.cache import Answer, Cache
with Cache(Path(sys.argv[1])) as cache:
    for n in range(40):
        cache.put(Answer(f"http://h/{sys.argv[2]}/{n}", "http://h", 200, {}, b"x" * 1000, 0.0, 1.0))
"""
    path = tmp_path / "http.sqlite"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(3)]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    with Cache(path) as cache:
        assert cache.usage()[0].answers == 120


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """`typed("cache", "clear")`: the verb as `assay papers` will hook it in."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))

    def run(*words: str) -> int:
        parser = argparse.ArgumentParser()
        papers_cache.configure(parser.add_subparsers())
        arguments = parser.parse_args(words)
        return arguments.run(arguments)

    return run


def test_the_command_tells_what_is_kept_and_forgets_it(typed, capsys):
    with Cache() as cache:
        cache.put(answer(body=b"a" * 2_000_000))
    assert typed("cache") == 0
    assert typed("cache", "stats") == 0
    once, again = capsys.readouterr().out.split(f"1 pages in {default_cache()}\n")[:2]
    assert once == again
    assert once.splitlines()[1].split() == ["arxiv.org", "1", "2.0", "0.0"]
    assert typed("cache", "stats", "--json") == 0
    assert json.loads(capsys.readouterr().out)["hosts"][0]["bytes"] == 2_000_000
    assert typed("cache", "clear") == 0
    assert capsys.readouterr().out.startswith("1 pages forgotten")
    with Cache() as cache:
        assert cache.usage() == []


def test_the_command_makes_no_cache_where_there_is_none(typed, capsys):
    assert typed("cache", "stats") == 0
    assert typed("cache", "clear") == 0
    assert "0 pages in" in capsys.readouterr().out
    assert not default_cache().exists()
