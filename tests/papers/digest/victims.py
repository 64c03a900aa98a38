"""Digests that are killed with SIGKILL at many moments, each then run again to its end; prints how that came out.

One process loads everything and forks a child for each digest, so that a death costs tenths of a second. Half of the
deaths come at a chosen step (before or after it, at a random occurrence), half at a random time. Run by test_kill.py.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAPERS = 6
LEDGER_STEPS = (
    "enlist", "begin", "started", "fetched", "keep_reply", "written", "failed", "report_next", "report_done",
    "rendered", "end",
)  # fmt: skip
ONCE = ("enlist", "begin", "end")
STEPS = (*LEDGER_STEPS, "fsync", "replace")


def run_digest(url: str, folder: Path) -> int:
    import anyio

    from assay.papers.digest.reader import InspectReader
    from assay.papers.digest.run import digest
    from assay.papers.feed import Cache, Feed, Http
    from assay.papers.feed.ledger import Ledger
    from tests.papers.digest.world import DAY, replies
    from tests.papers.feed.conftest import FakeClock

    os.environ["INSPECT_CACHE_DIR"] = str(folder / "inspect")
    says = {
        3: lambda *_: "抱歉，我无法协助处理这篇论文。",
        5: lambda paper, call: "nothing yet" if call == 1 else json.dumps(paper.reply(), ensure_ascii=False),
        6: lambda paper, _: json.dumps(paper.reply(usage=None)),
    }

    async def work() -> int:
        from inspect_ai.model import get_model

        reader = InspectReader(get_model("mockllm/model", custom_outputs=replies(says, pause=0.01)))
        clock = FakeClock()
        with Cache(folder / "http.sqlite") as cache:
            async with Http(cache, clock=clock, gap=lambda _: 0.0, hosts=folder / "hosts") as http:
                feed = Feed(http, hf=url, arxiv=url, ar5iv=url)
                ledger = Ledger(folder / "ledger.sqlite")
                out = folder / "report.md"
                return (await digest(DAY, reader=reader, feed=feed, ledger=ledger, out=out, clock=clock)).exit_code

    return anyio.run(work)


def die_at(step: str, after: bool, occurrence: int) -> None:
    """Arrange for this process to kill itself before or after the n-th time it takes a step."""
    from assay.papers.feed.ledger import Ledger

    holder, name = (Ledger, step) if step in LEDGER_STEPS else (os, step) if step == "fsync" else (Path, step)
    plain, taken = getattr(holder, name), Counter()

    def fatal(*args, **kwargs):
        taken[step] += 1
        last = taken[step] == occurrence
        if last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = plain(*args, **kwargs)
        if last and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, name, fatal)


def child(url: str, folder: Path, death: tuple[str, bool, int] | None = None) -> int:
    """Fork a digest; its pid."""
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        if death:
            die_at(*death)
        code = run_digest(url, folder)
    finally:
        sys.stderr.flush()
        os._exit(code)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def stages(folder: Path) -> Counter:
    try:
        with sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
            return Counter(stage for (stage,) in connection.execute("SELECT stage FROM papers"))
    except sqlite3.Error:
        return Counter(["no ledger"])


def has_ended(folder: Path) -> bool:
    try:
        with sqlite3.connect(f"file:{folder / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL").fetchone()[0] > 0
    except sqlite3.Error:
        return False


def main(url: str, home: Path, moments: int) -> None:
    sys.path.insert(0, str(ROOT))
    import inspect_ai.model  # noqa: F401 - loaded once, before the first fork

    import tests.papers.digest.world  # noqa: F401

    draw = random.Random(20260119)
    began = time.monotonic()
    assert exit_code(child(url, home / "whole")) == 4
    took = time.monotonic() - began
    reference = (home / "whole" / "report.md").read_bytes()
    told: dict = {"killed": 0, "same": 0, "steps": Counter(), "stages": Counter(), "differing": []}
    for number in range(3 * moments):  # one that ended before its death does not count
        if told["killed"] == moments:
            break
        folder = home / str(number)
        by_step = number % 2 == 0
        step = STEPS[number // 2 % len(STEPS)]
        occurrence = 1 if step in ONCE else draw.randint(1, 2)
        death = (step, draw.random() < 0.5, occurrence) if by_step else None
        pid = child(url, folder, death)
        if not by_step:
            time.sleep(draw.uniform(0.02, 0.7 * took))
            os.kill(pid, signal.SIGKILL)
        killed = exit_code(pid) == -signal.SIGKILL
        told["killed"] += killed
        told["steps"][death[0] if death else "any time"] += killed
        told["stages"] += stages(folder)
        if (folder / "report.md").exists():
            from assay.papers.report import parse_file

            parse_file(folder / "report.md", strict=True)  # readable at the moment of death
        if killed and has_ended(folder):  # it died when all was done: the report must be there already
            told["same"] += (folder / "report.md").read_bytes() == reference
            continue
        code = exit_code(child(url, folder))
        same = code == 4 and (folder / "report.md").read_bytes() == reference and not list(folder.glob("*.tmp"))
        told["same"] += same and killed
        if killed and not same:
            told["differing"].append([number, death, code])
    told["seconds"] = time.monotonic() - began
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
