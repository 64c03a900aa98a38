"""Score texts by how far training on them would move a model towards what a proxy set stands for (2602.05400)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def configure(verbs: Any) -> None:
    score = verbs.add_parser("score", help="utility of every candidate under the optimiser's own geometry")
    score.add_argument("--model", required=True, metavar="HF", help="causal language model: a folder or a cached name")
    score.add_argument(
        "--candidates", type=Path, required=True, metavar="JSONL", help="`text`, and `id` if there is one"
    )
    score.add_argument("--proxy", type=Path, required=True, metavar="JSONL", help="`text`s of what should get better")
    score.add_argument(
        "--optimizer",
        type=Path,
        metavar="PT",
        help="saved state of AdamW over the model's parameters, in their order; without it, plain gradients",
    )
    score.add_argument("--out", type=Path, default=Path("scores.parquet"), help="Parquet or JSONL")
    score.add_argument("--max-tokens", type=int, default=256, help="of a text that are looked at")
    score.add_argument("--batch", type=int, default=16, help="texts at a time")
    score.add_argument("--last-layers", type=int, metavar="N", help="score by the last N decoder layers alone")
    score.set_defaults(run=run_score)


def run_score(arguments: argparse.Namespace) -> int:
    import math

    from assay.cli.local_models import load
    from assay.cli.rows import read_jsonl
    from assay.methods.data.opus import last_layers, score_offline
    from assay.methods.data.stages import SUFFIXES, write_rows

    if arguments.out.suffix not in SUFFIXES:
        raise UserError(f"--out {arguments.out}: wanted a name that ends in {' or '.join(SUFFIXES)}")
    if arguments.max_tokens < 2 or arguments.batch < 1:
        raise UserError(f"--max-tokens {arguments.max_tokens} --batch {arguments.batch}: wanted at least 2 and 1")
    candidates, proxy = read_jsonl(arguments.candidates, ["text"]), read_jsonl(arguments.proxy, ["text"])
    model, tokenizer = load(arguments.model)
    geometry = read_geometry(arguments.optimizer, model)
    modules = last_layers(model, arguments.last_layers) if arguments.last_layers is not None else None
    batches = [encode(tokenizer, part, arguments.max_tokens) for part in parts(candidates, arguments.batch)]
    own = [encode(tokenizer, part, arguments.max_tokens) for part in parts(proxy, arguments.batch)]
    utility, losses = score_offline(model, geometry, own, batches, modules)
    order = sorted(range(len(candidates)), key=lambda i: -utility[i])
    rank = {i: place for place, i in enumerate(order, 1)}
    rows = [
        {
            "id": str(row.get("id", i)),
            "utility": utility[i] if math.isfinite(utility[i]) else None,
            "rank": rank[i],
            "loss": losses[i] if math.isfinite(losses[i]) else None,
        }
        for i, row in enumerate(candidates)
    ]
    write_rows(arguments.out, rows)
    told = "its own state" if arguments.optimizer else "plain gradients (no --optimizer)"
    print(f"{len(rows)} candidates against {len(proxy)} proxy texts, geometry: {told}")
    for i in order[:5]:
        print(f"{utility[i]:+.3e}  {' '.join(str(candidates[i]['text']).split())[:90]}")
    skipped = sum(row["utility"] is None for row in rows)
    if skipped:
        print(f"{skipped} without a score: no second token, or a loss that is not finite")
    print(f"wrote {arguments.out}")
    return 0


def read_geometry(file: Path | None, model: Any) -> Any:
    """The geometry of a saved AdamW state, or plain SGD's."""
    import pickle

    import torch

    from assay.methods.data._opus_geometry import OptimizerGeometry

    if file is None:
        return OptimizerGeometry.identity(model)
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    optimizer = torch.optim.AdamW(model.parameters())
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
        optimizer.load_state_dict(state.get("optimizer", state))
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, AttributeError, EOFError) as error:
        raise UserError(f"{file}: no state of AdamW over this model ({str(error).splitlines()[0][:120]})") from error
    return OptimizerGeometry.from_optimizer(optimizer, model)


def encode(tokenizer: Any, texts: list[str], longest: int) -> dict[str, Tensor]:
    """Rows of ids, filled up on the right, with their mask."""
    import torch

    ids = [tokenizer.encode(text)[:longest] for text in texts]
    width = max(2, *map(len, ids))
    fill = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return {
        "input_ids": torch.tensor([row + [fill] * (width - len(row)) for row in ids]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids]),
    }


def parts(rows: list[dict[str, Any]], size: int) -> list[list[str]]:
    """The rows' texts, `size` at a time."""
    texts = [str(row["text"]) for row in rows]
    return [texts[at : at + size] for at in range(0, len(texts), size)]
