"""Built-in models trained further on one world, by short recipes: minutes at most, made on demand into the cache.

A recipe names its lessons and the words that become tokens of their own as `module:name`, so that this table imports
no world. A changed recipe, world module or parent is another model, trained anew.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from assay.methods.protocols import Message
    from assay.models.train_data import Row


@dataclass(frozen=True)
class Derived:
    """`lessons` is a function of a seed that returns (prompt, reply) pairs; `words` a sequence of texts, or ''."""

    parent: str
    lessons: str
    steps: int
    batch: int = 64
    learning_rate: float = 1e-3
    words: str = ""


DERIVED: Mapping[str, Derived] = {
    "micro-styles": Derived("micro", "assay.worlds.text.styles:lessons", steps=500),
}


def words(name: str) -> tuple[str, ...]:
    """The words that are tokens of the model's own; none for a model that is not derived."""
    recipe = DERIVED.get(name)
    return tuple(_named(recipe.words)) if recipe and recipe.words else ()


def key(name: str) -> str:
    """What the weights depend on, in a line: the recipe, the modules it names, the parent's weights."""
    from assay.models import weights

    recipe = DERIVED[name]
    modules = sorted({place.partition(":")[0] for place in (recipe.lessons, recipe.words) if place})
    return json.dumps([asdict(recipe), *map(module_digest, modules), weights.digest(recipe.parent)], sort_keys=True)


def train_derived(name: str, out: Path, *, seed: int = 0) -> Path:
    """Train the parent further on the lessons, on one thread, and write the model into the folder `out`."""
    import torch

    from assay.models import weights
    from assay.models.finetune import finetune_rows, replies
    from assay.models.nano import load

    recipe, started, threads = DERIVED[name], time.perf_counter(), torch.get_num_threads()
    pairs = list(_named(recipe.lessons)(seed))
    model, tokenizer = load(recipe.parent, words(name))
    torch.set_num_threads(1)  # more threads change the sums, and with them the weights
    try:
        rows = [lesson_row(tokenizer, prompt, reply) for prompt, reply in pairs]
        settings: dict[str, Any] = {"batch": recipe.batch, "learning_rate": recipe.learning_rate}
        losses = finetune_rows(model, rows, steps=recipe.steps, seed=seed, **settings)
        asked = random.Random(seed).sample(pairs, min(len(pairs), 200))
        longest = max(len(row.ids) for row in rows)
        told = replies(model, tokenizer, [prompt for prompt, _ in asked], max_tokens=longest)
    finally:
        torch.set_num_threads(threads)
    report = {
        "name": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": asdict(recipe),
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": weights.versions(),
        "loss": round(sum(losses[-20:]) / len(losses[-20:]), 4),
        "told_back": round(sum(text == reply for text, (_, reply) in zip(told, asked)) / len(asked), 3),
    }
    weights.save(model, report, out, tokenizer)
    return out


def lesson_row(tokenizer: PreTrainedTokenizerFast, prompt: str | Sequence[Message], reply: str) -> Row:
    """`train_data.pair_row` with a vocabulary of the tokenizer's own; the reply and its end are asked."""
    from assay.models import tokenizer as tok
    from assay.models.local_sampler import prompt_ids
    from assay.models.train_data import asked_row

    head = list(prompt_ids(tokenizer, prompt))
    asked = [*tokenizer.encode(reply, add_special_tokens=False), tok.EOS]
    return asked_row(head, asked)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def module_digest(module: str) -> str:
    """SHA-256 of a module's source."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module {module}", name=module)
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
