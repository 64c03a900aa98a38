"""Disturb a data set with documents, chat and hard negatives, and see what a model loses (2601.07226)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.lost_in_noise import Chat, Item, Sources

MANIFEST = "manifest.json"


def configure(verbs: Any) -> None:
    noise = verbs.add_parser("noise", help="write a data set in several noisy conditions")
    noise.add_argument("file", type=Path, nargs="?", help="JSONL of that kind; without it, items of our own")
    noise.add_argument("--kind", required=True, help="rag_musique, reason_aime, align_bbq, tool_retail ... (eleven)")
    noise.add_argument("--types", default="rd,rc,hn", help="conditions beside nd, by commas (default: rd,rc,hn)")
    noise.add_argument("--n", type=int, default=5, help="distractors an item (default: 5)")
    noise.add_argument("--position", default="interleaved", help="before, after, around, interleaved (default)")
    noise.add_argument("--pool", type=Path, metavar="FILE", help='documents, JSONL: {"text": "..."}')
    noise.add_argument("--chats", type=Path, metavar="FILE", help='chats, JSONL: {"messages": [{"role", "content"}]}')
    noise.add_argument("--model", help="Inspect model that writes hard negatives; without it, rules on the evidence")
    noise.add_argument("--seed", type=int, default=0)
    noise.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="one JSONL a condition, a manifest")
    noise.set_defaults(run=run_noise)

    evaluate = verbs.add_parser("eval", help="accuracy in each condition, and the drops")
    evaluate.add_argument("folder", type=Path, help="what `noise` wrote")
    evaluate.add_argument("--model", required=True, help="Inspect model to evaluate")
    evaluate.add_argument("--limit", type=int, help="items of each condition")
    evaluate.add_argument("--logs", type=Path, metavar="FOLDER", help="keep Inspect's logs here")
    evaluate.add_argument("--json", action="store_true", help="print the table as JSON")
    evaluate.set_defaults(run=run_eval)


def run_noise(arguments: argparse.Namespace) -> int:
    from functools import partial

    from assay.cli.files import replacing
    from assay.methods.concurrency import run_sync
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.lost_in_noise import NoiseSpec, make_noisy

    conditions = wanted_conditions(arguments.types)
    items, sources = read_items(arguments), read_sources(arguments)
    made = {}
    for condition in conditions:
        spec = NoiseSpec(condition, arguments.n, position=arguments.position, seed=arguments.seed)
        made[condition] = run_sync(partial(make_noisy, items, spec, sources))

    arguments.output.mkdir(parents=True, exist_ok=True)
    rejected = []
    for condition, rows in made.items():
        for row in rows:
            told = {"id": row["id"], "condition": condition}
            rejected += [{**told, "text": text, "why": why} for text, why in row.pop("rejected")]
        write_rows(arguments.output / f"{condition.lower()}.jsonl", rows)
    manifest = {
        "kind": arguments.kind,
        "items": len(items),
        "conditions": conditions,
        "n": arguments.n,
        "position": arguments.position,
        "seed": arguments.seed,
        "writer": arguments.model or "rule",
        "rejected": rejected,
    }
    with replacing(arguments.output / MANIFEST) as part:
        part.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(items)} items in {', '.join(conditions)}; {len(rejected)} distractors turned down, see {MANIFEST}")
    return 0


def run_eval(arguments: argparse.Namespace) -> int:
    from assay.methods.post_training.lost_in_noise import CONDITIONS, noise_report

    found = [(one, arguments.folder / f"{one.lower()}.jsonl") for one in CONDITIONS]
    files = [file for _, file in found if file.is_file()]
    if not files:
        raise UserError(f"{arguments.folder}: no nd.jsonl, rd.jsonl, rc.jsonl or hn.jsonl; write them with `noise`")
    lines = noise_report(evaluated(files, arguments))
    if arguments.json:
        print(json.dumps(lines, indent=2))
    else:
        print_table(lines)
    return 0


def wanted_conditions(types: str) -> list[Any]:
    """ND first, then the named conditions in their usual order."""
    from assay.methods.post_training.lost_in_noise import CONDITIONS

    named = [word.strip().upper() for word in types.split(",") if word.strip()]
    unknown = [word for word in named if word not in CONDITIONS]
    if unknown:
        raise UserError(f"--types: got {unknown[0].lower()!r}, wanted some of nd,rd,rc,hn")
    return [one for one in CONDITIONS if one == "ND" or one in named]


def read_items(arguments: argparse.Namespace) -> list[Item]:
    """The user's items, or ours."""
    from assay.cli.rows import read_jsonl
    from assay.methods.post_training.lost_in_noise import own_rows, read_item

    rows = own_rows(arguments.kind) if arguments.file is None else read_jsonl(arguments.file)
    items = [read_item(arguments.kind, row, number) for number, row in enumerate(rows, 1)]
    names = [item.id for item in items]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise UserError(f"{arguments.file}: two items have the id {twice!r}, wanted one of its own for each")
    return items


def read_sources(arguments: argparse.Namespace) -> Sources:
    """Documents, chats and a writer: the user's where they were named."""
    from assay.cli.rows import read_jsonl
    from assay.methods.post_training.lost_in_noise import RuleWriter, Sources, Writer, WriterLLM, chats, documents

    pool = documents(seed=arguments.seed)
    talks: list[Chat] = [*chats(seed=arguments.seed)]
    if arguments.pool is not None:
        pool = [str(row["text"]) for row in read_jsonl(arguments.pool, ("text",))]
    if arguments.chats is not None:
        rows = read_jsonl(arguments.chats, ("messages",))
        talks = [read_chat(row["messages"], f"{arguments.chats}, row {i}") for i, row in enumerate(rows, 1)]
    writer: Writer = RuleWriter()
    if arguments.model is not None:
        from assay.integrations.inspect.models import complete

        writer = WriterLLM(complete(arguments.model))
    return Sources(pool, talks, writer)


def read_chat(messages: Any, where: str) -> list[tuple[str, str]]:
    """Messages as (role, content)."""
    try:
        return [(str(turn["role"]), str(turn["content"])) for turn in messages]
    except (TypeError, KeyError) as error:
        raise UserError(f"{where}: wanted 'messages' as a list of objects with 'role' and 'content'") from error


def evaluated(files: list[Path], arguments: argparse.Namespace) -> list[Any]:
    """One outcome a reply, of all files."""
    import tempfile

    from inspect_ai import eval

    from assay.integrations.inspect.lost_in_noise import lost_in_noise, outcomes

    tasks = [lost_in_noise(file=str(file), limit=arguments.limit) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        logs = eval(tasks, model=arguments.model, log_dir=str(arguments.logs or folder), display="none")
        return outcomes(logs)  # here, because samples are read from the logs' files


def print_table(lines: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    table.add_column("kind", no_wrap=True)
    for name in ("noise", "items", "right", "drop", "tokens", "slope", "misled"):
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(
            line["kind"],
            line["condition"],
            str(line["n"]),
            f"{line['accuracy']:.3f}",
            "-" if line["drop"] is None else f"{line['drop']:.1%}",
            f"{line['tokens']:.0f}",
            "-" if line["slope"] is None else f"{line['slope']:+.2f}",
            f"{line['distracted']:.1%}",
        )
    Console().print(table)
    print("drop: lost against ND, relative; slope: of being right on 1,000 tokens; misled: quote a distractor")
