"""A server, a clock that does not wait, and a way to make clients of a test's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from assay.papers.feed import Cache, Http
from assay.papers.feed.http import Limits
from tests.papers.server import Server

NOON = 1_768_824_000.0  # 2026-01-19T12:00:00Z


class FakeClock:
    """Time that passes only when somebody sleeps; `slept` is how long, each time."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await anyio.sleep(0)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with Cache(tmp_path / "http.sqlite") as opened:
        yield opened


@pytest.fixture
def client(tmp_path: Path, clock: FakeClock, cache: Cache):
    """`client()` is an Http on the test's folder, with the test's clock and cache, and no gaps unless told."""

    def make(**changed: object) -> Http:
        options = {"cache": cache, "clock": clock, "gap": lambda host: 0.0, "hosts": tmp_path / "hosts"} | changed
        return Http(**options)

    return make


@pytest.fixture
def get(client):
    """`get(url, ttl=…, **options of Http)`: one GET with a client of its own."""

    def ask(url: str, *, ttl: float = 0.0, missing_ttl: float = 0.0, **options: object):
        async def go():
            async with client(**options) as http:
                return await http.get(url, ttl=ttl, missing_ttl=missing_ttl)

        return anyio.run(go)

    return ask


@pytest.fixture
def quick() -> Limits:
    """Limits that a test can reach."""
    return Limits(connect_s=2.0, read_s=0.15, whole_s=0.4, body=1_000_000, tries=2)
