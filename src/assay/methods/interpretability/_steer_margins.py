"""Items of a task, and by how much a model has each right (steer2adapt)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.methods.interpretability._replies import BATCH_ROWS, reply_log_probs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Item:
    """One calibration example: what is asked, the right reply, and the wrong ones it is chosen from.

    Without `others` an item is right when greedy decoding writes `gold`.
    """

    prompt: str
    gold: str
    others: tuple[str, ...] = ()


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
        for gold_logits, best_other, asked in reply_log_probs(model, tokenizer, rows[start : start + BATCH_ROWS]):
            sums.append(float(gold_logits[asked].sum()))
            least.append(float((gold_logits - best_other)[asked].min()))
    found, at = [], 0
    for item in items:
        count = 1 + len(item.others)
        found.append(sums[at] - max(sums[at + 1 : at + count]) if item.others else least[at])
        at += count
    return np.array(found)
