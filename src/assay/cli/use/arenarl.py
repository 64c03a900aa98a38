"""Let the replies to one query meet in a tournament, and see whether your judge can tell replies apart (2601.06487)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training._tournaments import Ranking

TOPOLOGIES = ("single", "double", "round_robin", "anchor", "swiss")  # named here so that --help imports no torch


def configure(verbs: Any) -> None:
    rank = verbs.add_parser("rank", help="places and advantages of the replies to each query, judged in pairs")
    rank.add_argument("file", type=Path, help='JSONL: {"query": …, "responses": [two or more]}')
    rank.add_argument("--judge", required=True, metavar="MODEL", help="an Inspect model such as openai/gpt-5")
    rank.add_argument("--topology", choices=TOPOLOGIES, default="single")
    rank.add_argument("--anchor", type=int, default=0, metavar="I", help="the reply that seeds the others (default 0)")
    rank.add_argument("--concurrency", type=int, default=8, metavar="N")
    rank.add_argument("--json", action="store_true", help="print a JSON object a query")
    rank.set_defaults(run=run_rank)
    collapse = verbs.add_parser("collapse", help="between-reply over repeated-mark variance of a pointwise judge")
    collapse.add_argument("file", type=Path, help="CSV or Parquet with columns query, reply, mark; marks repeated")
    collapse.set_defaults(run=run_collapse)


def run_rank(arguments: argparse.Namespace) -> int:
    from inspect_ai.model import get_model

    from assay.cli.rows import read_jsonl
    from assay.integrations.inspect.models import complete
    from assay.methods.concurrency import run_sync
    from assay.methods.judging import both_orders
    from assay.methods.post_training.arenarl import RubricPairJudge, tournament

    rows = read_jsonl(arguments.file, ("query", "responses"))
    for number, row in enumerate(rows, 1):
        replies = row["responses"]
        if not isinstance(replies, list) or len(replies) < 2 or not all(isinstance(one, str) for one in replies):
            raise UserError(f"{arguments.file}, row {number}: responses must be a list of at least two texts")
    judge = RubricPairJudge(complete(get_model(arguments.judge)))

    async def ranked(row: dict[str, Any]) -> Ranking:
        return await tournament(
            arguments.topology,
            row["query"],
            row["responses"],
            both_orders(judge),
            anchor=arguments.anchor,
            concurrency=arguments.concurrency,
        )

    for row in rows:
        ranking = run_sync(ranked, row)
        print(json.dumps(as_json(row["query"], ranking)) if arguments.json else as_text(row["query"], ranking))
    if judge.undecided:
        print(f"{judge.undecided} comparisons stayed undecided: the judge never answered in form")
    return 0


def as_json(query: str, ranking: Ranking) -> dict[str, Any]:
    """What `--json` prints of one query."""
    matches = [{"round": m.round, "a": m.a, "b": m.b, "scores": list(m.scores)} for m in ranking.matches]
    return {"query": query, "rank": ranking.rank, "advantages": advantages(ranking), "matches": matches}


def as_text(query: str, ranking: Ranking) -> str:
    """The places, then the bracket round by round; a star marks the winner."""
    given = advantages(ranking)
    lines = [query, f"  {'place':<7}{'reply':<7}advantage"]
    lines += [f"  {ranking.rank[i] + 1:<7g}{i:<7}{given[i]:+.3f}" for i in ranking.order]
    named = ""
    for match in ranking.matches:
        if match.round != named:
            named = match.round
            lines.append(f"  {named}")
        stars = ["*" if other == match.loser else " " for other in (match.b, match.a)]
        first, second = match.scores
        lines.append(f"    {match.a:>2} {first:5.1f}{stars[0]}  {match.b:>2} {second:5.1f}{stars[1]}")
    return "\n".join([*lines, f"  {len(ranking.matches)} matches, each judged in both orders"])


def advantages(ranking: Ranking) -> list[float]:
    import torch

    from assay.methods.post_training.arenarl import rank_advantages

    return [round(float(value), 4) for value in rank_advantages(torch.tensor(ranking.reward))]


def run_collapse(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import numbers, read_columns
    from assay.methods.post_training.arenarl import discrimination_collapse

    queries, replies, marks = read_columns(arguments.file, ["query", "reply", "mark"])
    table: dict[str, dict[str, list[float]]] = {}
    for query, reply, mark in zip(queries, replies, numbers(marks, "mark")):
        table.setdefault(str(query), {}).setdefault(str(reply), []).append(mark)
    for query, of_reply in table.items():
        short = next((reply for reply, given in of_reply.items() if len(given) < 2), None)
        if short is not None or len(of_reply) < 2:
            what = "has one reply" if short is None else f"has a single mark for reply {short!r}"
            raise UserError(f"query {query!r} {what}: wanted two replies or more, each marked twice or more")
    ratio = discrimination_collapse([list(of_reply.values()) for of_reply in table.values()])
    print(f"{len(table)} queries: variance between replies is {ratio:.3g} times that of repeated marks")
    print("below 1 a single mark says more about the judge's mood than about the reply" if ratio < 1 else "")
    return 0
