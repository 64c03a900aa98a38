"""Show which tokens of fine-tuning data a model finds probable, and how many each threshold would keep (2601.09195)."""

from __future__ import annotations

import argparse
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.errors import UserError

THRESHOLDS = (0.01, 0.03, 0.1, 0.3, 0.5)


def configure(verbs: Any) -> None:
    tokens = verbs.add_parser("tokens", help="probability of each reference token, and whether ProFit trains on it")
    tokens.add_argument("model", help="folder or name of the model to be fine-tuned (transformers, causal)")
    tokens.add_argument("file", type=Path, help='JSONL: {"prompt": "...", "completion": "..."}, "id" at will')
    tokens.add_argument("--field", metavar="NAME", help="take the text under NAME instead, without a prompt")
    tokens.add_argument("--threshold", type=float, default=0.1, metavar="TAU", help="keep p >= TAU (default: 0.1)")
    tokens.add_argument("--output", type=Path, default=Path("tokens.jsonl"), metavar="FILE")
    tokens.add_argument("--html", type=Path, metavar="FILE", help="also write a page of the texts, coloured by p")
    tokens.set_defaults(run=run_tokens)


def run_tokens(arguments: argparse.Namespace) -> int:
    from assay.cli.local_models import load
    from assay.cli.rows import read_jsonl
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.profit import ProFit, kept_tokens, token_probabilities

    threshold = ProFit(arguments.threshold).threshold  # checks it before a model is loaded
    wanted = ("prompt", "completion") if arguments.field is None else (arguments.field,)
    texts = []
    for number, row in enumerate(read_jsonl(arguments.file, wanted), 1):
        texts.append(read_text(row, arguments.field, f"{arguments.file}, row {number}"))
    model, tokenizer = load(arguments.model)
    found = []
    for number, (name, prompt, completion) in enumerate(texts, 1):
        try:
            tokens, p = token_probabilities(model, tokenizer, prompt, completion)
        except ValueError as error:
            raise UserError(f"{arguments.file}, row {number}: {error}") from error
        kept = kept_tokens(p, threshold).tolist()
        found.append({"id": number if name is None else name, "tokens": tokens, "p": p.tolist(), "kept": kept})
    write_rows(arguments.output, found)
    if arguments.html is not None:
        write_page(arguments.html, [prompt for _, prompt, _ in texts], found, arguments.threshold)
    print_table([p for row in found for p in row["p"]], arguments.threshold)
    print(f"wrote {arguments.output}" + (f" and {arguments.html}" if arguments.html else ""))
    return 0


def read_text(row: dict[str, Any], field: str | None, where: str) -> tuple[Any, str, str]:
    """A row's own id or None, its prompt and its completion."""
    names = ("prompt", "completion") if field is None else (field,)
    for name in names:
        if not isinstance(row[name], str) or (name != "prompt" and not row[name]):
            raise UserError(f"{where}: {name!r} is {row[name]!r}, wanted text")
    return row.get("id"), "" if field is not None else row["prompt"], row[names[-1]]


def print_table(p: Sequence[float], threshold: float) -> None:
    """Share of all tokens kept at the usual thresholds and the chosen one."""
    from assay.cli.words import rows

    table = [["tau", "kept", "dropped"]]
    for tau in sorted({*THRESHOLDS, threshold}):
        kept = sum(one >= tau for one in p)
        table.append([f"{tau:g}", f"{kept / len(p):.1%}", str(len(p) - kept)])
    print(rows(table))
    print(f"{len(p)} tokens, mean probability {sum(p) / len(p):.3f}")


def write_page(path: Path, prompts: Sequence[str], found: Sequence[dict[str, Any]], threshold: float) -> None:
    """A page without any other file: each text with its tokens coloured by probability, dropped ones struck out."""
    from assay.cli.files import replacing

    strips = [
        f"<p><b>{html.escape(str(row['id']))}</b> <i>{html.escape(prompt)}</i> {''.join(map(mark, *columns(row)))}</p>"
        for prompt, row in zip(prompts, found)
    ]
    with replacing(path) as part:
        part.write_text(PAGE.format(tau=f"{threshold:g}", strips="\n".join(strips)), "utf-8")


def columns(row: dict[str, Any]) -> tuple[list[str], list[float], list[bool]]:
    return row["tokens"], row["p"], row["kept"]


def mark(token: str, p: float, kept: bool) -> str:
    """One token: white at p = 1, full colour at 0."""
    name = "span" if kept else "s"
    return f'<{name} style="--p:{1 - p:.2f}" title="p = {p:.3g}">{html.escape(token)}</{name}>'


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tokens at tau = {tau}</title>
<style>
body {{ font: 16px/1.7 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }}
p {{ white-space: pre-wrap }}
i {{ color: #595959 }}
span, s {{ background: rgb(230 120 20 / calc(var(--p) * .7)); border-radius: 2px }}
</style>
<h1>Tokens at tau = {tau}</h1>
<p>The deeper the colour, the less probable the model finds the token; struck out: left out of the loss.</p>
{strips}
</html>
"""
