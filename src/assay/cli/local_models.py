"""Language models that a command loads: built-in ones, from a folder, or by name from the cache of `transformers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.errors import UserError


def check_width(model: Any, name: str, width: int, file: Path) -> None:
    """UserError where a file that was made for states of `width` is used with a model of another one."""
    own = model.get_input_embeddings().weight.shape[1]
    if own != width:
        raise UserError(f"{file} is for states of width {width}, {name} has {own}: name its own --model")


def load(name: str) -> tuple[Any, Any]:
    """A causal language model in evaluation mode, and its tokenizer. `name`: nano, micro, a folder or a hub's name."""
    from assay.models import weights

    if name in weights.NAMES:
        from assay.models.nano import load as load_built_in

        weights.ensure(name)
        return load_built_in(name)
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would stand before a command's own line
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model: Any = AutoModelForCausalLM.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UserError(f"{name}: no causal language model with a tokenizer ({str(error).splitlines()[0]})") from error
    return model.eval(), tokenizer
