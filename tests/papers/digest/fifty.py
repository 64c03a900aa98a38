"""Digest fifty papers from a local server with the mock model; prints seconds and peak memory. Run by test_run.py."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def main(folder: Path) -> None:
    sys.path.insert(0, str(ROOT))
    os.environ["INSPECT_CACHE_DIR"] = str(folder / "inspect")
    import anyio

    from assay.papers.digest.reader import InspectReader
    from assay.papers.digest.run import digest
    from assay.papers.feed import Cache, Feed, Http
    from assay.papers.feed.ledger import Ledger
    from tests.papers.digest.world import DAY, publish, replies
    from tests.papers.server import Server

    async def work(url: str):
        from inspect_ai.model import get_model

        reader = InspectReader(get_model("mockllm/model", custom_outputs=replies()))
        with Cache(folder / "http.sqlite") as cache:
            async with Http(cache, gap=lambda _: 0.0, hosts=folder / "hosts") as http:
                feed = Feed(http, hf=url, arxiv=url, ar5iv=url)
                ledger = Ledger(folder / "ledger.sqlite")
                return await digest(DAY, reader=reader, feed=feed, ledger=ledger, out=folder / "report.md")

    with Server() as server:
        publish(server, 50)
        began = time.monotonic()
        result = anyio.run(work, server.url)
        took = time.monotonic() - began
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    print(json.dumps({"seconds": took, "megabytes": peak, "written": result.written}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
