"""What a causal language model makes of replies to prompts: token ids in its chat form, and log-probabilities."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from assay.methods.activations import capture

BATCH_ROWS = 64


@torch.no_grad()
def reply_log_probs(model: Any, tokenizer: Any, rows: Sequence[tuple[str, str]]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each (prompt, reply): log p of the reply's tokens and its end, the best other's, and where they are."""
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    heads = [prompt_ids(tokenizer, prompt) for prompt, _ in rows]
    tails = [tokenizer.encode(reply, add_special_tokens=False) + end for _, reply in rows]
    ids, mask = padded([head + tail for head, tail in zip(heads, tails)], pad_of(tokenizer))
    device = next(model.parameters()).device
    longest = max(map(len, tails))
    given = {"input_ids": ids, "attention_mask": mask}
    if "position_ids" in inspect.signature(model.forward).parameters:
        given["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)  # padding on the left is not counted
    logits = model(**{name: value.to(device) for name, value in given.items()}, logits_to_keep=longest + 1).logits
    log_p = logits[:, :-1].float().log_softmax(dim=-1).cpu()
    targets = ids[:, -longest:]
    gold = log_p.gather(2, targets.unsqueeze(-1)).squeeze(-1)
    best_other = log_p.scatter(2, targets.unsqueeze(-1), -torch.inf).amax(dim=-1)
    places = torch.arange(longest)
    return [(gold[i], best_other[i], places >= longest - len(tail)) for i, tail in enumerate(tails)]


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """A user's turn in the tokenizer's chat form; the bare text where it has none."""
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": prompt}]
        ids: list[int] = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        return ids
    plain: list[int] = tokenizer.encode(prompt)
    return plain or [tokenizer.bos_token_id or pad_of(tokenizer)]  # something must come before the reply


def padded(rows: Sequence[list[int]], pad: int, side: Literal["left", "right"] = "left") -> tuple[Any, Tensor]:
    """Rows padded to one length, (N, T), and their mask. On the left every row's last token is in the last column."""
    longest = max(map(len, rows))

    def joined(parts: Sequence[list[int]], filler: int) -> Tensor:
        gaps = [[filler] * (longest - len(row)) for row in rows]
        return torch.tensor([gap + part if side == "left" else part + gap for gap, part in zip(gaps, parts)])

    return joined(rows, pad), joined([[1] * len(row) for row in rows], 0)


def prompt_states(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    layers: Sequence[int],
    positions: Literal["last", "mean"] = "last",
) -> dict[int, Tensor]:
    """(N, D) in float32 for each layer: the state of each prompt's last token, or the mean over its tokens."""
    # Padded on the right, where it changes nothing: positions are counted from the left by some models.
    ids, mask = padded([prompt_ids(tokenizer, prompt) for prompt in prompts], pad_of(tokenizer), "right")
    if positions == "last":
        found = capture(model, ids, layers, positions="last", attention_mask=mask)
        return {layer: states[:, 0].float() for layer, states in found.items()}
    found = capture(model, ids, layers, attention_mask=mask)
    return {layer: states.float().sum(dim=1) / mask.sum(dim=1, keepdim=True) for layer, states in found.items()}


def pad_of(tokenizer: Any) -> int:
    found = tokenizer.pad_token_id
    return int(found if found is not None else tokenizer.eos_token_id or 0)
