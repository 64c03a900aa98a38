"""The built-in language models: nano (1.0 M parameters) and micro (4.0 M), small Llamas that run on any CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assay.models import tokenizer as tok

if TYPE_CHECKING:
    from torch import nn
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

CONTEXT = 1024  # tokens


@dataclass(frozen=True)
class Size:
    """Width of the hidden states, decoder layers, attention heads, width of the MLP."""

    hidden: int
    layers: int
    heads: int
    mlp: int


SIZES = {"nano": Size(128, 5, 4, 336), "micro": Size(256, 5, 8, 672)}


def tiny_llama(
    *,
    hidden: int = 128,
    layers: int = 5,
    heads: int = 4,
    mlp: int = 336,
    vocabulary: int = tok.SIZE,
    context: int = CONTEXT,
    seed: int = 0,
) -> LlamaForCausalLM:
    """A freshly initialised `LlamaForCausalLM` in float32: tied embeddings, RoPE theta 10,000, RMSNorm, SiLU."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if hidden % heads or (hidden // heads) % 2:
        raise ValueError(f"heads: got {heads}, wanted a divisor of hidden={hidden} that leaves an even width")
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        pad_token_id=tok.PAD,
        bos_token_id=tok.BOS,
        eos_token_id=tok.EOS,
        dtype="float32",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def inner_matrices(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The matrices inside the decoder layers, which Muon moves, and all other parameters."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and ".layers." in name else others).append(parameter)
    return matrices, others


def load(name: str, words: Sequence[str] = ()) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """A built-in model in float32 and its tokenizer; the weights must be there (`weights.ensure`).

    `words` become tokens of their own, at the end of the vocabulary, their embeddings the mean of the others.
    """
    from assay.models import derived, weights

    model = weights.read(weights.ensure(name, train=False))
    tokenizer = tok.build([*derived.words(name), *words])
    if len(tokenizer) > model.config.vocab_size:
        add_tokens(model, len(tokenizer) - model.config.vocab_size)
    return model, tokenizer


def add_tokens(model: LlamaForCausalLM, count: int) -> None:
    """Lengthen the vocabulary in place; new rows are the mean of the old ones."""
    import torch

    old = model.config.vocab_size
    with torch.random.fork_rng(), torch.no_grad():
        table = model.resize_token_embeddings(old + count, mean_resizing=False).weight
        table[old:] = table[:old].mean(dim=0)
