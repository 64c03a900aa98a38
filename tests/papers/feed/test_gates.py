"""One rate a host: within a client, between hosts, between processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from assay.errors import UserError
from assay.papers.feed import FeedError, SystemClock
from assay.papers.feed.gates import Gates, polite_gap
from tests.papers.feed.conftest import NOON
from tests.papers.server import Server, ok, slow, too_many

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("host", "gap"),
    [
        ("arxiv.org", 3.0),
        ("export.arxiv.org", 3.0),
        ("ar5iv.labs.arxiv.org", 3.0),
        ("ar5iv.org:443", 3.0),
        ("huggingface.co", 1.0),
        ("notarxiv.org", 0.5),
        ("127.0.0.1:8000", 0.5),
    ],
)
def test_each_host_has_the_gap_it_asks_for(host, gap):
    assert polite_gap(host) == gap


def test_many_questions_to_one_host_go_out_one_by_one_with_the_gap_between(server, client):
    server.script("/a", slow(0.03, ok("here")))

    async def go():
        async with (
            client(clock=SystemClock(), gap=lambda host: 0.1, cache=None) as http,
            anyio.create_task_group() as g,
        ):
            for _ in range(6):
                g.start_soon(lambda: http.get(f"{server.url}/a", ttl=0))

    anyio.run(go)
    assert len(server.log) == 6
    assert min(server.gaps()) >= 0.1


def test_questions_to_a_host_are_asked_in_the_order_they_came(server, client):
    paths = [f"/{number}" for number in range(10)]
    for path in paths:
        server.script(path, slow(0.1, ok("here")))

    async def go():
        async with client(clock=SystemClock()) as http, anyio.create_task_group() as group:
            for path in paths:
                group.start_soon(lambda path: http.get(server.url + path, ttl=0), path)
                await anyio.sleep(0.017)

    anyio.run(go)
    assert server.paths() == paths


def test_with_the_published_rate_of_arxiv_five_papers_take_twelve_seconds_of_waiting(server, client, clock):
    server.script("/a", ok("here"))

    async def go():
        async with client(gap=lambda host: polite_gap("arxiv.org"), cache=None) as http:
            for _ in range(5):
                await http.get(f"{server.url}/a", ttl=0)

    anyio.run(go)
    assert clock.slept == [3.0] * 4


def test_two_hosts_are_asked_at_the_same_time(server, client):
    with Server() as other:
        for one in (server, other):
            one.script("/a", slow(0.3, ok("here")))

        async def go():
            async with client(clock=SystemClock(), cache=None) as http, anyio.create_task_group() as group:
                for one in (server, other):
                    group.start_soon(lambda url: http.get(url, ttl=0), f"{one.url}/a")

        anyio.run(go)
        both = [server.log[0], other.log[0]]
        assert max(request.at for request in both) < min(request.done for request in both)


ASK = """
import os, sys, time, anyio
from pathlib import Path
from assay.papers.feed import Http

async def go(url, hosts, processes):
    async with Http(gap=lambda host: 0.08, hosts=hosts) as http:
        hosts.mkdir(exist_ok=True)
        (hosts / f"{os.getpid()}.ready").touch()
        while len(list(hosts.glob("*.ready"))) < processes:
            time.sleep(0.01)
        for _ in range(12):
            await http.get(url, ttl=0)

anyio.run(go, sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
"""


def start(hosts: Path, *urls: str) -> list[subprocess.Popen[bytes]]:
    """Twelve questions to each URL, each URL by a process of its own, all at once."""
    return [subprocess.Popen([sys.executable, "-c", ASK, url, str(hosts), str(len(urls))], cwd=ROOT) for url in urls]


def test_two_processes_share_one_rate_and_take_turns(server, tmp_path):
    server.script("/a", slow(0.02, ok("here")))
    server.script("/b", slow(0.02, ok("here")))
    running = start(tmp_path / "hosts", f"{server.url}/a", f"{server.url}/b")
    assert [process.wait(30) for process in running] == [0, 0]
    assert len(server.log) == 24
    assert min(server.gaps()) >= 0.08
    assert "".join(path[1] for path in server.paths()) not in ("a" * 12 + "b" * 12, "b" * 12 + "a" * 12)


def test_a_killed_process_leaves_the_host_free(server, tmp_path, get):
    server.script("/a", slow(30, ok("late")))
    server.script("/b", ok("here"))
    (process,) = start(tmp_path / "hosts", f"{server.url}/a")
    deadline = time.monotonic() + 20
    while not list((tmp_path / "hosts").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert get(f"{server.url}/b").body == b"here"


def test_while_a_host_rests_no_other_question_goes_to_it(server, client, clock):
    server.script("/a", too_many(retry_after=100), ok("a"))
    server.script("/b", ok("b"))
    times = {}

    async def go():
        async def ask(path: str) -> None:
            await http.get(server.url + path, ttl=0)
            times[path] = clock.now

        async with client() as http, anyio.create_task_group() as group:
            group.start_soon(ask, "/a")
            group.start_soon(ask, "/b")

    anyio.run(go)
    assert min(times.values()) >= NOON + 100


def test_a_clock_that_was_set_back_does_not_shut_the_gate(clock, tmp_path):
    gates = Gates(tmp_path, clock, gap=lambda host: 3.0)

    async def turn() -> None:
        async with gates.turn("arxiv.org"):
            pass

    anyio.run(turn)
    clock.now -= 86_400
    anyio.run(turn)
    assert clock.slept == []


def test_a_half_written_file_says_nothing(clock, tmp_path):
    (tmp_path / "arxiv.org.json").write_text('{"free_at": 9')
    gates = Gates(tmp_path, clock)

    async def turn() -> None:
        async with gates.turn("arxiv.org"):
            pass

    anyio.run(turn)
    assert clock.slept == []
    anyio.run(turn)
    assert clock.slept == [3.0]


def test_a_host_closed_by_one_process_is_closed_to_the_next(clock, tmp_path):
    async def refuse() -> None:
        async with Gates(tmp_path, clock).turn("h") as turn:
            turn.refused(clock.time())

    for _ in range(2):
        anyio.run(refuse)
    for _ in range(2):
        with pytest.raises(FeedError) as caught:
            anyio.run(refuse)
        assert caught.value.reason == "host_closed"


def test_a_host_with_an_odd_name_gets_a_file_in_the_folder(clock, tmp_path):
    async def turn() -> None:
        async with Gates(tmp_path / "hosts", clock).turn("[::1]:80/../../x"):
            pass

    anyio.run(turn)
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "hosts"]


def test_a_folder_that_cannot_be_made_is_told(clock, tmp_path):
    (tmp_path / "file").write_text("")

    async def turn() -> None:
        async with Gates(tmp_path / "file" / "hosts", clock).turn("h"):
            pass

    with pytest.raises(UserError, match="cannot be written"):
        anyio.run(turn)
