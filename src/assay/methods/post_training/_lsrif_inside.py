"""What training changed inside a model, and where the model looks (LSRIF, 2601.06431)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.methods.post_training._noise_attention import distractor_attention

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("q", "k", "v", "o", "gate", "up", "down")


def parameter_shift(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, float]:
    """How far each kind of projection moved: mean |W' - W| over mean |W|, of all layers together.

    before, after   state dicts of one Llama-like model; weights are told by `q_proj` … `down_proj` in their names

    Kinds that the model does not have are left out. Raises ValueError for weights that differ in name or shape, or
    where there is no such projection at all.
    """
    moved = {kind: [0.0, 0.0] for kind in KINDS}
    for name, old in before.items():
        kind = next((kind for kind in KINDS if f"{kind}_proj.weight" in name), None)
        if kind is None:
            continue
        if name not in after or after[name].shape != old.shape:
            raise ValueError(f"after: no weight {name!r} of shape {tuple(old.shape)}")
        moved[kind][0] += float((after[name].double() - old.double()).abs().sum())
        moved[kind][1] += float(old.double().abs().sum())
    table = {kind: shift / size for kind, (shift, size) in moved.items() if size > 0}
    if not table:
        raise ValueError(f"before: none of its {len(before)} weights is a projection such as q_proj.weight")
    return table


def attention_on(model: Any, tokenizer: Any, text: str, phrases: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
    """How much the last token of a prompt looks at each group of phrases, (layers,) in [0, 1], mean over heads.

    model       a transformers causal LM that can return attentions (`attn_implementation="eager"`)
    tokenizer   a fast one, which tells where in the text its tokens stand
    phrases     such as {"connectives": ["First", "then"], "constraints": [...]}; every occurrence counts

    Raises ValueError for a phrase that the text does not hold.
    """
    import torch

    coded = tokenizer(text, return_offsets_mapping=True)
    groups = {}
    for name, wanted in phrases.items():
        places = {i for phrase in wanted for i in _tokens_of(phrase, text, coded["offset_mapping"])}
        groups[name] = [(i, i + 1) for i in sorted(places)]
    return distractor_attention(model, torch.tensor(coded["input_ids"], device=model.device), groups)


def _tokens_of(phrase: str, text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """The tokens that hold a character of the phrase, wherever it occurs."""
    begin = text.find(phrase) if phrase else -1
    if begin < 0:
        raise ValueError(f"phrases: {phrase!r} does not occur in the text")
    found = []
    while begin >= 0:
        end = begin + len(phrase)
        found += [i for i, (first, last) in enumerate(offsets) if first < end and last > begin]
        begin = text.find(phrase, begin + 1)
    return found
