"""`assay papers show ID --raw`: what models replied about a paper, as it came.

`assay papers show` calls `show_raw` with the id that the user typed.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from assay.cli.digest import open_ledger
from assay.errors import UserError


def show_raw(paper: str, *, as_json: bool = False) -> int:
    """Print every kept reply about a paper, oldest first, each under a line that says whose and what was wrong."""
    from assay.papers.feed.model import normal_id

    try:
        id = normal_id(paper)
    except ValueError as error:
        raise UserError(str(error)) from error
    replies = open_ledger().replies(id)
    if not replies:
        raise UserError(f"no replies are kept for {id}: assay digest or assay papers add keep those of a model")
    if as_json:
        print(json.dumps([asdict(reply) for reply in replies], ensure_ascii=False, indent=2))
        return 0
    for reply in replies:
        faults = ", ".join(reply.faults) or "no faults"
        print(f"=== {id} {reply.lang}, try {reply.attempt}, call {reply.number}, {reply.model}, {reply.at}: {faults}")
        print(f"{reply.text}\n")
    return 0
