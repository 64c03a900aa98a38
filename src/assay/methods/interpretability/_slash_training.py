"""How a slash head comes about: a one- or two-layer RoPE transformer on answers that lie a fixed lag back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from assay.methods.interpretability.slash_pattern import SlashHead, examine

Task = Literal["copy_delta", "in_context"]
VOCABULARY = 32


@dataclass(frozen=True)
class Stage:
    """A moment of training, seen at the head that attends the task's lag most: loss in nats, S(delta), how near rank
    one its queries and keys are, and its bands' shares."""

    step: int
    loss: float
    score: float
    queries: float
    keys: float
    bands: Mapping[str, float]


def train_shallow(
    seed: int,
    T: int = 64,
    d: int = 32,
    task: Task = "copy_delta",
    *,
    delta: int = 9,
    steps: int = 300,
    every: int = 20,
    learning_rate: float = 3e-3,
) -> list[Stage]:
    """Train on rows of `T` tokens by AdamW, width `d`, two heads; a stage before the first step and `every` so many.

    copy_delta: one layer, the answer at each place is the token `delta` back. in_context: two layers, each row repeats
    with a period of its own, from delta / 2 to delta, and the next token is the answer.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    if task not in ("copy_delta", "in_context"):
        raise ValueError(f"task: got {task!r}, wanted 'copy_delta' or 'in_context'")
    if not 2 <= delta < T // 2:
        raise ValueError(f"delta: got {delta}, wanted a lag from 2 to below half of T = {T}")
    if d % 4:
        raise ValueError(f"d: got {d}, wanted a multiple of 4")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=d,
                intermediate_size=2 * d,
                num_hidden_layers=1 if task == "copy_delta" else 2,
                num_attention_heads=2,
                max_position_embeddings=T,
            )
        )
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    probe, _ = _rows(task, 16, T, delta, generator)
    stages = []
    for step in range(steps + 1):
        rows, answers = _rows(task, 32, T, delta, generator)
        seen = answers >= 0
        loss = F.cross_entropy(model(input_ids=rows).logits[seen], answers[seen])
        if step % every == 0 or step == steps:
            stages.append(_stage(step, loss.item(), examine(model, probe), delta))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return stages


def _stage(step: int, loss: float, heads: list[SlashHead], delta: int) -> Stage:
    best = max(heads, key=lambda head: head.profile[delta])
    return Stage(step, loss, best.profile[delta], best.queries.ratio, best.keys.ratio, best.bands)


def _rows(task: Task, count: int, length: int, delta: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens and answers, `(count, length)` each; -1 where nothing is asked."""
    rows = torch.randint(VOCABULARY, (count, length), generator=generator)
    answers = torch.full_like(rows, -1)
    if task == "copy_delta":
        answers[:, delta:] = rows[:, :-delta]
        return rows, answers
    periods = torch.randint(delta // 2, delta + 1, (count, 1), generator=generator)
    rows = rows.gather(1, torch.arange(length) % periods)
    answers[:, :-1] = torch.where(torch.arange(1, length) >= periods, rows[:, 1:], -1)
    return rows, answers
