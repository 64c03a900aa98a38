"""Short training of a built-in model on pairs of prompt and reply, and its replies to a list of prompts.

    model, tokenizer = models.load("nano")
    losses = finetune(model, pairs, steps=300, seed=seed)
    texts = replies(model, tokenizer, prompts, max_tokens=24)

Trials use it for the start that all arms of a seed share; `as_prompt` is what TRL is given for the same prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from assay.models.decoding import Request, decode
from assay.models.local_sampler import BATCH_ROWS, prompt_ids
from assay.models.train_data import Row, pair_row
from assay.models.train_forward import reply_logits

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

WARM_UP = 0.05  # share of the steps over which the rate rises; it falls to nothing along a cosine


def as_prompt(text: str) -> str:
    """A user's turn as the built-in models read it, up to where the reply begins."""
    return f"<bos><user>{text}<bot>"


def finetune(
    model: LlamaForCausalLM,
    pairs: Sequence[tuple[str, str]],
    *,
    steps: int,
    seed: int,
    batch: int = 64,
    learning_rate: float = 1e-3,
    clip: float = 1.0,
) -> list[float]:
    """Train `model` in place on (prompt, reply) pairs by AdamW; returns each step's loss in nats a reply token.

    The pairs are gone through in an order drawn from `seed`, and drawn anew each time round. Plain text only:
    the names of special tokens in it are read as characters.
    """
    if not pairs:
        raise ValueError("pairs: got none, wanted at least one (prompt, reply)")
    rows = [pair_row(prompt, reply) for prompt, reply in pairs]
    return finetune_rows(model, rows, steps=steps, seed=seed, batch=batch, learning_rate=learning_rate, clip=clip)


def finetune_rows(
    model: LlamaForCausalLM,
    rows: Sequence[Row],
    *,
    steps: int,
    seed: int,
    batch: int = 64,
    learning_rate: float = 1e-3,
    clip: float = 1.0,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> list[float]:
    """`finetune` on rows of token ids, by any `loss` of the asked tokens' logits (A, V) and ids (A,)."""
    if not rows:
        raise ValueError("rows: got none, wanted at least one")
    if steps < 1 or batch < 1:
        raise ValueError(f"steps, batch: got {steps}, {batch}, wanted at least 1 each")
    order, losses = list[int](), list[float]()
    rng = random.Random(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    total = max(steps, 2)
    rise = WARM_UP if total * WARM_UP != 1 else 2 / total  # OneCycleLR divides by zero where the rise is one step
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=total, pct_start=rise, cycle_momentum=False
    )
    for _ in range(steps):
        while len(order) < batch:
            order += rng.sample(range(len(rows)), len(rows))
        value = loss(*reply_logits(model, [rows[order.pop()] for _ in range(batch)]))
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        losses.append(value.item())
    return losses


def scatter_words(model: LlamaForCausalLM, old: int, seed: int) -> None:
    """Start the words of the vocabulary from `old` on at random, as widely as the others lie: from the common start
    that they are loaded with they are told apart too late."""
    table = cast("torch.nn.Embedding", model.get_input_embeddings()).weight
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        table[old:] += table[:old].std() * torch.randn(table[old:].shape, generator=generator)


def replies(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    *,
    max_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
    choice: int = 0,
) -> list[str]:
    """One reply a prompt; greedy at temperature 0. `choice` numbers independent draws of one seed."""
    requests = [
        Request(prompt_ids(tokenizer, prompt), max_tokens, temperature=temperature, seed=seed, choice=choice)
        for prompt in prompts
    ]
    texts: list[str] = []
    for at in range(0, len(requests), BATCH_ROWS):
        texts += [reply.text for reply in decode(model, tokenizer, requests[at : at + BATCH_ROWS])]
    return texts
