"""Items of a task, and by how much a model has each right (steer2adapt)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
BATCH_ROWS = 64


@dataclass(frozen=True)
class Item:
    """One calibration example: what is asked, the right reply, and the wrong ones it is chosen from.

    Without `others` an item is right when greedy decoding writes `gold`.
    """

    prompt: str
    gold: str
    others: tuple[str, ...] = ()


@torch.no_grad()
def margins(model: Any, tokenizer: Any, items: Sequence[Item]) -> Floats:
    """How far each item is on the right side, in nats (N,); above 0 it is right.

    With `others`: the log-probability of gold as a whole less that of the best other. Without: over the tokens of
    gold and the end of the reply, the least of log p(token) - max log p(another token), so that it is above 0 exactly
    when greedy decoding writes gold.
    """
    if not items:
        raise ValueError("items: got none, wanted at least one")
    rows = [(item.prompt, reply) for item in items for reply in (item.gold, *item.others)]
    sums, least = [], []
    for start in range(0, len(rows), BATCH_ROWS):
        for gold_logits, best_other, asked in _replies(model, tokenizer, rows[start : start + BATCH_ROWS]):
            sums.append(float(gold_logits[asked].sum()))
            least.append(float((gold_logits - best_other)[asked].min()))
    found, at = [], 0
    for item in items:
        count = 1 + len(item.others)
        found.append(sums[at] - max(sums[at + 1 : at + count]) if item.others else least[at])
        at += count
    return np.array(found)


def _replies(model: Any, tokenizer: Any, rows: Sequence[tuple[str, str]]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each (prompt, reply): log p of the reply's tokens and its end, the best other's, and where they are."""
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    heads = [prompt_ids(tokenizer, prompt) for prompt, _ in rows]
    tails = [tokenizer.encode(reply, add_special_tokens=False) + end for _, reply in rows]
    ids, mask = padded([head + tail for head, tail in zip(heads, tails)], pad_of(tokenizer))
    device = next(model.parameters()).device
    longest = max(map(len, tails))
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), logits_to_keep=longest + 1).logits
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


def padded(rows: Sequence[list[int]], pad: int) -> tuple[Any, Tensor]:
    """Rows padded on the left, and their mask: the last column is every row's last token."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def pad_of(tokenizer: Any) -> int:
    found = tokenizer.pad_token_id
    return int(found if found is not None else tokenizer.eos_token_id or 0)
