"""`assay papers status` and `claims`: what of the catalogue is built and tried. Nothing of it is typed in."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from assay.cli.papers_catalogue import VERDICTS, add_filters, selected
from assay.cli.papers_verdicts import StoreVerdicts
from assay.cli.standing import standing
from assay.cli.stores import add_store
from assay.cli.words import rows
from assay.papers.catalogue.record import Kind, Paper, to_json

if TYPE_CHECKING:
    from assay.engine.scoreboard import Judged


@dataclass(frozen=True, slots=True)
class Row:
    """The four things that close a paper: its part imports, its trials are registered and have all run in full, and
    a user can put it to work."""

    id: str
    slug: str
    part: bool
    trials: tuple[str, ...]
    tried: tuple[str, ...]
    job: bool

    @property
    def status(self) -> Literal["open", "closed"]:
        whole = self.part and self.trials and set(self.trials) <= set(self.tried) and self.job
        return "closed" if whole else "open"


def configure(verbs: Any) -> None:
    status = verbs.add_parser("status", help="what is built, tried and usable of every paper")
    add_filters(status)
    status.add_argument("--all", action="store_true", help="also papers of which nothing is there")
    status.add_argument("--json", action="store_true")
    add_store(status)
    status.set_defaults(run=show_status)

    claims = verbs.add_parser("claims", help="what the papers claim, one line a claim")
    add_filters(claims)
    claims.add_argument("--kind", choices=get_args(Kind))
    claims.add_argument("--verdict", choices=VERDICTS, help="of the trials that try the claim, on this machine")
    claims.add_argument("--json", action="store_true")
    add_store(claims)
    claims.set_defaults(run=show_claims)


def status_rows(papers: Sequence[Paper], board: Mapping[str, Judged]) -> list[Row]:
    """The row of every paper; a part is imported only where nothing else keeps its paper open."""
    found = []
    for paper in papers:
        stands = standing(paper)
        tried = tuple(name for name in stands.trials if name in board and is_full(board[name]))
        row = Row(paper.id, paper.slug, stands.part, stands.trials, tried, stands.job)
        if row.status == "closed" and not _imports(paper.module):
            row = Row(paper.id, paper.slug, False, stands.trials, tried, stands.job)
        found.append(row)
    return found


def is_full(judged: Judged) -> bool:
    """Whether the store holds a full run: every seed was tried, or a sequential run stopped with its answer."""
    from assay.engine.sequential import RULE

    if judged.verdict.outcome == "not run":
        return False
    stopped = judged.verdict.rule == RULE and judged.verdict.outcome in ("holds", "fails")
    return stopped or len({unit.seed for unit in judged.units}) >= judged.trial.seeds


def show_status(arguments: argparse.Namespace) -> int:
    papers = selected(arguments)
    board = {judged.name: judged for judged in StoreVerdicts(arguments, papers).board}
    table = status_rows(papers, board)
    if arguments.json:
        print(json.dumps([{**asdict(row), "status": row.status} for row in table], indent=2))
        return 0
    begun = [row for row in table if arguments.all or row.part or row.trials or row.job]
    if begun:
        head = ("paper", "id", "part", "trials run", "job", "status")
        print(rows([head, *(_cells(row) for row in begun)]))
    closed = sum(row.status == "closed" for row in table)
    print(f"{closed} of {len(table)} papers closed, {len([r for r in table if r.part])} with a part")
    return 0


def show_claims(arguments: argparse.Namespace) -> int:
    """Every claim with the verdict of the trials that it names: the least favourable where there are several."""
    papers = selected(arguments)
    source = StoreVerdicts(arguments, papers)
    found = []
    for paper in papers:
        for claim, row in zip(paper.claims, to_json(paper)["claims"]):
            verdict = source.latest(claim.id)
            outcome = verdict.outcome if verdict else "untried"
            if arguments.kind in (None, claim.kind) and arguments.verdict in (None, outcome):
                found.append({**row, "paper": paper.id, "slug": paper.slug, "field": paper.field, "verdict": outcome,
                              "tried_by": verdict.trial if verdict else None})  # fmt: skip
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return 0
    for row in found:
        tried = f"  ({row['tried_by']}: {row['verdict']})" if row["tried_by"] else ""
        print(f"{row['id']}  [{row['kind']}] {row['text']}{tried}")
    print(f"{len(found)} claims of {len({row['paper'] for row in found})} papers")
    return 0


def stands_open(papers: Sequence[Paper], board: Mapping[str, Judged]) -> list[Paper]:
    """The papers that are not closed."""
    still = {row.id for row in status_rows(papers, board) if row.status == "open"}
    return [paper for paper in papers if paper.id in still]


def _cells(row: Row) -> tuple[str, ...]:
    tried = f"{len(row.tried)} of {len(row.trials)}" if row.trials else "-"
    return row.slug, row.id, _yes(row.part), tried, _yes(row.job), row.status


def _yes(there: bool) -> str:
    return "yes" if there else "-"


def _imports(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
