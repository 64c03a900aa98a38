"""Write a day's report from Python: `python examples/digest.py 2026-01-19 [openai/gpt-5]`.

Without a model the entries are sentences of the papers themselves. The second run of the same day does only what is
missing.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import anyio

from assay.papers.digest.reader import open_reader
from assay.papers.digest.run import DigestOptions, digest
from assay.papers.feed import Cache, Feed, Http
from assay.papers.feed.ledger import Ledger
from assay.papers.report import parse_file


async def main(day: date, model: str | None) -> None:
    with Cache() as cache:
        async with Http(cache) as http:
            result = await digest(
                day,
                reader=open_reader(model) if model else None,
                feed=Feed(http),
                ledger=Ledger(Path("ledger.sqlite")),
                out=Path(f"{day}.md"),
                options=DigestOptions(lang="en", limit=5),
                on_paper=lambda row, done, of: print(f"{done}/{of} {row.title}: {row.reason or 'written'}"),
            )
    for entry in parse_file(result.path).entries:
        print(f"\n{entry.title}\n  {entry.contribution or entry.reason}")
        for figure in entry.figures[:3]:
            print(f"    {figure.text}")


if __name__ == "__main__":
    anyio.run(main, date.fromisoformat(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
