"""Find a model's heads that attend at a fixed distance, and the RoPE frequencies that make them (2601.08297)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.interpretability.slash_pattern import SlashHead


def configure(verbs: Any) -> None:
    heads = verbs.add_parser(
        "heads", help="table of slash heads: lag, strength, strength on random tokens, rank, bands"
    )
    heads.add_argument("model", help="folder or name of a causal model with rotary embeddings (transformers)")
    heads.add_argument("--text", type=Path, metavar="FILE", help="UTF-8 text (default: random tokens alone)")
    heads.add_argument("--length", type=int, default=512, metavar="N", help="tokens read (default: 512)")
    heads.add_argument("--max-delta", type=int, metavar="N", help="longest lag looked at (default: half the tokens)")
    heads.add_argument("--threshold", type=float, default=0.1, help="least mean attention at the lag (default: 0.1)")
    heads.add_argument("--json", action="store_true", help="print every head's figures as JSON")
    heads.add_argument("--out", type=Path, metavar="FILE.html", help="also write a page")
    heads.set_defaults(run=run_heads)


def run_heads(arguments: argparse.Namespace) -> int:
    from assay.cli.files import replacing
    from assay.cli.local_models import load
    from assay.cli.rows import read_text
    from assay.methods.interpretability._slash_page import page
    from assay.methods.interpretability.slash_pattern import examine, find_sdh

    if not 0 < arguments.threshold <= 1:
        raise UserError(f"--threshold: got {arguments.threshold}, wanted a share in (0, 1]")
    if arguments.length < 2:
        raise UserError(f"--length: got {arguments.length}, wanted at least 2 tokens")
    text = None if arguments.text is None else read_text(arguments.text)
    model, tokenizer = load(arguments.model)
    tokens = tokens_of(model, tokenizer, text, arguments)
    heads = examine(model, tokens, max_delta=arguments.max_delta)
    found = find_sdh(heads, arguments.threshold)
    if arguments.out is not None:
        with replacing(arguments.out) as part:
            part.write_text(page(arguments.model, heads, arguments.threshold), "utf-8")
    if arguments.json:
        from dataclasses import asdict

        print(json.dumps([asdict(head) for head in heads], indent=2))
    else:
        print_table(found, len(heads))
    return 0


def tokens_of(model: Any, tokenizer: Any, text: str | None, arguments: argparse.Namespace) -> Any:
    """`(1, length)` tokens, of the text or random."""
    import torch

    length = arguments.length
    if text is None:
        generator = torch.Generator().manual_seed(1)
        return torch.randint(model.get_input_embeddings().num_embeddings, (1, length), generator=generator)
    tokens = tokenizer(text, return_tensors="pt", add_special_tokens=False, verbose=False).input_ids
    if tokens.shape[1] < length:
        raise UserError(f"{arguments.text}: {tokens.shape[1]} tokens, wanted {length}: give more text or --length")
    return tokens[:, :length]


def print_table(found: Sequence[SlashHead], of: int) -> None:
    from assay.cli.words import rows

    table = [["layer", "head", "lag", "score", "shuffled", "random", "rank q", "rank k", "high", "middle", "low"]]
    for head in found:
        figures = (head.score, head.shuffled_score, head.ood_score, head.queries.ratio, head.keys.ratio)
        table.append(
            [
                str(head.layer),
                str(head.head),
                str(head.delta),
                *(f"{figure:.2f}" for figure in figures),
                *(f"{share:.0%}" for share in head.bands.values()),
            ]
        )
    print(rows(table))
    print(f"{len(found)} of {of} heads are slash heads; score: mean attention at the lag; rank: share of rank one")
