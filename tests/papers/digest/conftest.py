"""A server with a day of papers, and one call that writes its report with the mock model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from assay.papers.digest.reader import InspectReader
from assay.papers.digest.run import DigestOptions, digest
from assay.papers.feed import Cache, Feed, Http
from assay.papers.feed.ledger import Ledger
from tests.papers.digest.world import DAY, replies
from tests.papers.feed import conftest as feed_tests
from tests.papers.feed.conftest import FakeClock
from tests.papers.server import Server

clock, server = feed_tests.clock, feed_tests.server


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or leaves anything outside its own folder."""
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "ASSAY_CACHE", "INSPECT_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("ASSAY_MODEL", raising=False)
    monkeypatch.delenv("INSPECT_EVAL_MODEL", raising=False)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def mock(outputs: object = None, **options: object) -> InspectReader:
    """Inspect's own mock model, as the digest's reader."""
    from inspect_ai.model import get_model

    return InspectReader(get_model("mockllm/model", custom_outputs=outputs or replies()), **options)


@pytest.fixture
def write(server: Server, clock: FakeClock, ledger: Ledger, tmp_path: Path):
    """`write(reader, out=…, offline=…, **DigestOptions)`: the digest of the day, against the local server."""

    def go(reader: object = "mock", *, day=DAY, out: Path | None = None, offline: bool = False, limits=None, **options):
        async def work():
            with Cache(tmp_path / "http.sqlite") as cache:
                http = Http(
                    cache, clock=clock, gap=lambda _: 0.0, hosts=tmp_path / "hosts", offline=offline, limits=limits
                )
                anew = Http(None, clock=clock, gap=lambda _: 0.0, hosts=tmp_path / "hosts")
                async with http, anew:
                    lists = Feed(anew, hf=server.url, arxiv=server.url, ar5iv=server.url)
                    feed = Feed(http, hf=server.url, arxiv=server.url, ar5iv=server.url)
                    return await digest(
                        day,
                        reader=mock() if reader == "mock" else reader,
                        feed=feed,
                        lists=lists if options.get("refresh") else None,
                        ledger=ledger,
                        out=out or tmp_path / f"{day}.md",
                        options=DigestOptions(**options),
                        clock=clock,
                    )

        return anyio.run(work)

    return go
