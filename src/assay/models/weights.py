"""Where the weights of the built-in models lie: shipped with the package, else trained once into the cache.

The cache is `$ASSAY_CACHE`, else `$XDG_CACHE_HOME/assay`, else `~/.cache/assay`; a model's folder there is named
after its recipe, so that a changed recipe is trained anew.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError
from assay.models import derived, nano_long
from assay.models.nano import SIZES
from assay.places import cache_root

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

NAMES = (*SIZES, *derived.DERIVED, nano_long.NAME)
_SHIPPED = Path(__file__).parent / "data"
_WEIGHTS = "model.safetensors"


def ensure(name: str, *, train: bool = True) -> Path:
    """The folder of a model's weights, tokenizer and recipe.json; trains it where there is none (nano and micro
    about an hour, nano-long a quarter of one, the derived ones minutes).

    Raises UserError for an unknown name, or for weights that are missing while `train` is False.
    """
    if (found := find(name)) is not None:
        return found
    if not train:
        raise UserError(f"the weights of {name} are not there: `assay models train {name}` makes them")
    if name in derived.DERIVED:
        ensure(derived.DERIVED[name].parent)
        return derived.train_derived(name, cached(name))
    if name == nano_long.NAME:
        return nano_long.train(cached(name))
    from assay.models.train import train_model

    return train_model(name, cached(name))


def find(name: str) -> Path | None:
    """The folder with the weights, shipped or trained before, or None."""
    check_name(name)
    return next((p for p in (_SHIPPED / name, cached(name)) if (p / _WEIGHTS).exists()), None)


def available(name: str) -> bool:
    """Whether the weights are there already."""
    return find(name) is not None


def check_name(name: str) -> None:
    """UserError unless there is a model of that name."""
    if name not in NAMES:
        raise UserError(f"unknown model {name!r}: the built-in ones are {', '.join(NAMES)}")


def cached(name: str) -> Path:
    """The folder in the cache that belongs to the model's present recipe."""
    from assay.models.recipe import RECIPES

    if name in derived.DERIVED:
        made_of = derived.key(name)
    elif name == nano_long.NAME:
        made_of = nano_long.key()
    else:
        made_of = json.dumps(asdict(RECIPES[name]), sort_keys=True)
    return cache_root() / "models" / f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def recipe(name: str) -> dict[str, Any]:
    """What recipe.json says of the weights at hand: how they were made, and their measured accuracies."""
    found: dict[str, Any] = json.loads((ensure(name, train=False) / "recipe.json").read_text("utf-8"))
    return found


def digest(name: str) -> str:
    """SHA-256 of the weights file."""
    return hashlib.sha256((ensure(name, train=False) / _WEIGHTS).read_bytes()).hexdigest()


def save(
    model: LlamaForCausalLM, report: Mapping[str, Any], out: Path, tokenizer: PreTrainedTokenizerFast | None = None
) -> None:
    """Write float16 weights, configuration, tokenizer and recipe.json; whoever finds the weights finds all."""
    from safetensors.torch import save_file

    from assay.models import tokenizer as tok

    out.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(out)
    (tokenizer or tok.build()).save_pretrained(out)
    (out / "recipe.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    state = {
        name: tensor.detach().half().contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"  # tied to the embedding
    }
    part = out / f"{_WEIGHTS}.part"
    save_file(state, part, metadata={"format": "pt"})
    part.chmod(0o644)  # safetensors leaves it readable for its owner alone
    part.replace(out / _WEIGHTS)


def versions() -> dict[str, str]:
    """What a training ran on, for its recipe.json."""
    import torch
    import transformers

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def read(folder: Path) -> LlamaForCausalLM:
    """The model of a folder, cast to float32; leaves the global random state as it is."""
    import torch
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM

    state = {name: tensor.float() for name, tensor in load_file(folder / _WEIGHTS).items()}
    with torch.random.fork_rng():
        model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder))
    model.load_state_dict(state | {"lm_head.weight": state["model.embed_tokens.weight"]})
    model.eval()  # type: ignore[no-untyped-call]
    return model
