"""Does a trained model recall as well through Prism's blocks as through full attention? Reported. (2602.08426)

World   text of 16,384 tokens whose facts are told once and asked for later (`worlds/recall_text.py`).
Model   nano-long, two layers of four heads trained on such text up to 4,096 tokens, its context stretched.
Metric  share of the values asked for that the model would say. Shown beside it for each arm: the same on texts of half
        and of twice the length, the share of blocks attended to, and the attention kept in the worst and the average
        head, over every fourth block of queries.
Arms    baseline: full attention. method: Prism with the smallest p of the grid of `prism` that keeps 0.92 of the
        attention on another text of half the length, else the largest. placebo: as many blocks in each head, at
        random; the first and the diagonal block are always among them. means: a score on plain block means, its p
        chosen in the same way. as_it_comes: Prism at its default, p = 0.95. oracle: the true attention of each block, p
        chosen in the same way; what could be had from blocks at all.

Thirteen minutes on two cores, of which the texts of 32,768 tokens and the oracle take most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from assay.engine.trial import Measures, Metric, Mirror, Models, Trial
from assay.methods.attention.block_sparse import block_mass, block_sparse_attention
from assay.methods.attention.prism import PrismConfig, density, mean_pool_select, prism_select, random_select, top_p
from assay.methods.attention.registration import register
from assay.models import nano_long
from assay.trials.attention.prism import BLOCK, GRID, WANTED, kept, sampled
from assay.worlds import recall_text

Texts = tuple[str, ...]
Select = Callable[[Tensor, Tensor], Tensor]  # rotated queries and keys (B, H, L, d) -> blocks (B, H, n, n)
Watched = list[tuple[float, Tensor]]  # share of blocks and attention kept by each head (H,), for each text and layer

CALIBRATION = 10_000  # added to a seed for the text that p is chosen on
IMPLEMENTATION = "assay_chosen_blocks"


def full(world: Texts, models: Models, seed: int) -> Measures:
    return recalled(models.load(nano_long.NAME)[0], world, seed, None)


def prism(world: Texts, models: Models, seed: int) -> Measures:
    return calibrated(models, world, seed, by_bands)


def plain_means(world: Texts, models: Models, seed: int) -> Measures:
    return calibrated(models, world, seed, by_means)


def oracle(world: Texts, models: Models, seed: int) -> Measures:
    return calibrated(models, world, seed, by_truth)


def as_it_comes(world: Texts, models: Models, seed: int) -> Measures:
    return recalled(models.load(nano_long.NAME)[0], world, seed, by_bands(PrismConfig().p))


def at_random(world: Texts, models: Models, seed: int) -> Measures:
    """As many blocks in each head as Prism takes there."""
    model = models.load(nano_long.NAME)[0]
    generator = torch.Generator().manual_seed(seed)
    p = smallest_p(model, world, seed, by_bands)

    def select(q: Tensor, k: Tensor) -> Tensor:
        heads = zip(q.split(1, 1), k.split(1, 1), by_bands(p)(q, k).split(1, 1))
        drawn = [random_select(*head, density(mask), BLOCK, generator) for *head, mask in heads]
        return torch.cat(drawn, 1)

    return recalled(model, world, seed, select)


def by_bands(p: float) -> Select:
    return lambda q, k: prism_select(q, k, PrismConfig(p=p, block=BLOCK))


def by_means(p: float) -> Select:
    return lambda q, k: mean_pool_select(q, k, p, BLOCK)


def by_truth(p: float) -> Select:
    return lambda q, k: top_p(block_mass(q, k, BLOCK), p)


def calibrated(models: Models, texts: Texts, seed: int, select: Callable[[float], Select]) -> Measures:
    """`recalled` at the p that `smallest_p` finds, which is reported."""
    model = models.load(nano_long.NAME)[0]
    p = smallest_p(model, texts, seed, select)
    found = recalled(model, texts, seed, select(p))
    found.extra["p"] = p
    return found


def smallest_p(model: Any, texts: Texts, seed: int, select: Callable[[float], Select]) -> float:
    """The smallest of the grid that keeps the wanted attention on a text of half the length, else the largest."""
    length = tokens(texts) // 2
    other = recall_text.world(1, length).sample(seed + CALIBRATION)
    for p in GRID:
        watched: Watched = []
        attended(model, other, length, select(p), watched)
        if torch.cat([held for _, held in watched]).mean() >= WANTED:
            return p
    return GRID[-1]


def recalled(model: Any, texts: Texts, seed: int, select: Select | None) -> Measures:
    """What the model recalls while every layer attends to the chosen blocks; None: to everything."""
    length = tokens(texts)
    extra: dict[str, float] = {}
    for name, other in (("half", length // 2), ("twice", 2 * length)):
        extra[f"right_at_{name}"] = attended(model, recall_text.world(1, other).sample(seed), other, select)
    watched: Watched = []
    right = attended(model, texts, length, select, watched)
    if watched:
        shares, held = zip(*watched)
        heads = torch.stack(held).unflatten(0, (len(texts), -1)).mean(0)  # (layers, H)
        extra |= {
            "density": sum(shares) / len(shares),
            "attention_kept": heads.mean().item(),
            "worst_attention_kept": heads.min().item(),
        }
    return Measures(right, extra=extra)


def tokens(texts: Texts) -> int:
    """How many tokens a text has; all have as many."""
    return nano_long.encoded(texts[:1])[0].shape[1]


def attended(model: Any, texts: Texts, length: int, select: Select | None, watched: Watched | None = None) -> float:
    """Share of values right. What is kept for each text and layer is appended to `watched` where there is one."""
    longer = nano_long.stretched(model, length)
    if select is None:
        return nano_long.share_right(longer, texts)
    register(IMPLEMENTATION, through(select, watched))
    longer.set_attn_implementation(IMPLEMENTATION)
    try:
        return nano_long.share_right(longer, texts)
    finally:
        longer.set_attn_implementation("sdpa")  # the model is the caller's


def through(select: Select, watched: Watched | None) -> Callable[..., tuple[Tensor, None]]:
    """The attention function of a transformers model that attends to chosen blocks, and notes what they keep."""

    def forward(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float, **_: Any
    ) -> tuple[Tensor, None]:
        mask = select(query, key)
        if watched is not None:
            rows = sampled(query.shape[2])
            mass = block_mass(query, key, BLOCK, rows, scaling)
            watched.append((density(mask), kept(mass, mask[:, :, rows])))
        out = block_sparse_attention(query, key, value, mask, BLOCK, scale=scaling)
        return out.transpose(1, 2).contiguous(), None

    return forward


trial = Trial(
    paper="2602.08426",
    name="prism_trained",
    claim="A model that reads long text recalls through Prism's blocks what it recalls through full attention.",
    headline="Full attention's accuracy",
    metric=Metric("values recalled at 16k tokens", better="higher", range=(0.0, 1.0)),
    bar=None,
    arms={
        "baseline": full,
        "placebo": at_random,
        "method": prism,
        "means": plain_means,
        "as_it_comes": as_it_comes,
        "oracle": oracle,
    },
    mirrors=(Mirror("recalled within 2 points of full attention", 0.0, ("method", "baseline"), kind="difference"),),
    world="recall_text",
    world_args={"count": 1, "length": 16_384},
    quick_args={"count": 1, "length": 2048},
    seeds=6,
    quick_seeds=1,
    prepare=(nano_long.NAME,),
    extras=("lm",),
    note="A model of 1.4 million parameters; reported without a bar, because the claim is about speed.",
)
