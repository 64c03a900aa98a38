"""Time a language model's prefill with block-sparse attention against full attention, on your own text (2602.08426)."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.errors import UserError

JUDGED = 1024  # tokens at the end of a text, whose perplexity is compared
REPEATS = 3


def configure(verbs: Any) -> None:
    bench = verbs.add_parser("bench", help="speed-up, density and perplexity of a prefill, full and sparse")
    bench.add_argument("model", help="folder or name of a causal model with rotary embeddings (transformers)")
    bench.add_argument("--text", type=Path, required=True, metavar="FILE", help="UTF-8 text, as long as the prefills")
    bench.add_argument("--lengths", default="8192,16384", metavar="N,...", help="tokens (default: 8192,16384)")
    bench.add_argument("-p", type=float, default=0.95, help="share of block probability kept (default: 0.95)")
    bench.add_argument("--block", type=int, default=128, help="tokens a block (default: 128)")
    bench.add_argument("--json", action="store_true", help="print the figures as JSON")
    bench.set_defaults(run=run_bench)


def run_bench(arguments: argparse.Namespace) -> int:
    from assay.cli.local_models import load
    from assay.cli.rows import read_text
    from assay.integrations.transformers import PrismConfig

    lengths = parse_lengths(arguments.lengths)
    config = PrismConfig(p=arguments.p, block=arguments.block)
    text = read_text(arguments.text)
    model, tokenizer = load(arguments.model)
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and max(lengths) > longest:
        raise UserError(f"--lengths: got {max(lengths)}, wanted at most {longest}, the context of {arguments.model}")
    tokens = tokenizer(text, return_tensors="pt", add_special_tokens=False, verbose=False).input_ids
    if tokens.shape[1] < max(lengths):
        raise UserError(f"{arguments.text}: {tokens.shape[1]} tokens, wanted {max(lengths)}: give a longer text")
    model.config.assay_prism = config
    found = [measure(model, tokens[:, :length]) for length in lengths]
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        print_table(found)
    return 0


def parse_lengths(text: str) -> list[int]:
    try:
        lengths = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--lengths: got {text!r}, wanted token counts such as 8192,16384") from None
    if min(lengths) < 2:
        raise UserError(f"--lengths: got {min(lengths)}, wanted at least 2 tokens")
    return lengths


def measure(model: Any, tokens: Any) -> dict[str, float | int]:
    """One length: both ways once for what they give, then in turn for their seconds (medians)."""
    from assay.integrations.transformers import prism_stats

    full, _ = prefill(model, tokens, "sdpa")
    with prism_stats(rows=4) as stats:
        sparse, _ = prefill(model, tokens, "assay_prism")
    seconds: dict[str, list[float]] = {"sdpa": [], "assay_prism": []}
    for _ in range(REPEATS):
        for name, times in seconds.items():
            times.append(prefill(model, tokens, name)[1])
    full_s, sparse_s = (statistics.median(times) for times in seconds.values())
    return {
        "length": tokens.shape[1],
        "full_seconds": full_s,
        "prism_seconds": sparse_s,
        "speedup": statistics.median(a / b for a, b in zip(*seconds.values())),
        "density": statistics.fmean(stats.densities) if stats.densities else 1.0,
        "recall": statistics.fmean(stats.recalls) if stats.recalls else 1.0,
        "full_perplexity": full,
        "prism_perplexity": sparse,
    }


def prefill(model: Any, tokens: Any, implementation: str) -> tuple[float, float]:
    """Perplexity of the last tokens, and the seconds of the whole forward pass."""
    import torch

    model.set_attn_implementation(implementation)
    judged = min(JUDGED, tokens.shape[1] - 1)
    with torch.inference_mode():
        start = time.perf_counter()
        logits = model(tokens, logits_to_keep=judged + 1, use_cache=False).logits
        seconds = time.perf_counter() - start
        loss = torch.nn.functional.cross_entropy(logits[0, :-1].float(), tokens[0, -judged:])
    return loss.exp().item(), seconds


def print_table(found: Sequence[dict[str, float | int]]) -> None:
    from assay.cli.words import rows

    table = [["tokens", "full s", "prism s", "speed-up", "density", "recall", "perplexity full", "prism"]]
    for row in found:
        table.append(
            [
                str(row["length"]),
                f"{row['full_seconds']:.2f}",
                f"{row['prism_seconds']:.2f}",
                f"{row['speedup']:.2f}x",
                f"{row['density']:.1%}",
                f"{row['recall']:.1%}",
                f"{row['full_perplexity']:.4g}",
                f"{row['prism_perplexity']:.4g}",
            ]
        )
    print(rows(table))
    print("speed-up: of the whole prefill; density: blocks attended; recall: attention kept, on four blocks a layer")
    print(f"perplexity: of the last {JUDGED} tokens at most")
