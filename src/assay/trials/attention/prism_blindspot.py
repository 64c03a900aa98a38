"""Are plain block means blind to attention at a fixed distance, and do Prism's bands see it? (2602.08426)

World   eight constructed heads of d = 64 at 8k tokens (`worlds/longheads.py`, theta 10,000): a slash of peak logit 14
        at a lag of 64 to 2,000 tokens, under topics of peak 4 to 8.
Metric  share of the true attention kept when every query block keeps equally many key blocks, 3 and 6 of 64 (5 and
        10 %), the first and the diagonal one among them; mean of both counts, over the query blocks of the last three
        quarters. Blocks are ranked by the larger of the bands' probabilities.
Arms    baseline: one probability from the plain means of all dimensions. placebo: Prism's two bands without their
        restored temperatures. method: Prism. Shown: the true masses as oracle.
        Each also reports, on every fourth block of queries: the same heads at theta 500,000, the same with the slash
        on fast pairs alone (4 to 15, all in Prism's fast band), and the heads of a mixed model by kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from assay.engine.trial import Bar, Measures, Metric, Models, Trial
from assay.methods.attention.block_sparse import block_mass
from assay.methods.attention.prism import PrismConfig, band_probabilities, mean_pool_score, top_k
from assay.worlds.longheads import LongHeads, Recipe

BLOCK = 128
SHARES = (0.05, 0.10)  # of all key blocks
THETA = 500_000.0
FAST = (4, 15)  # pairs

Score = Callable[[Tensor, Tensor], Tensor]  # (q, k) -> (1, H, n_q, n_k)


def plain_means(world: Recipe, models: Models, seed: int) -> Measures:
    return measure(world, lambda q, k: mean_pool_score(q, k, BLOCK))


def uncalibrated(world: Recipe, models: Models, seed: int) -> Measures:
    return measure(world, lambda q, k: two_bands(q, k, calibrate=False))


def prism(world: Recipe, models: Models, seed: int) -> Measures:
    return measure(world, lambda q, k: two_bands(q, k, calibrate=True))


def true_masses(world: Recipe, models: Models, seed: int) -> Measures:
    return measure(world, lambda q, k: block_mass(q, k, BLOCK))


def two_bands(q: Tensor, k: Tensor, calibrate: bool) -> Tensor:
    return torch.maximum(*band_probabilities(q, k, PrismConfig(block=BLOCK, calibrate=calibrate)))


def measure(world: Recipe, score: Score) -> Measures:
    """On the sample's heads; the report's other heads on a quarter of the rows."""
    at_each = recovered(world, score)
    extra = {f"at_{share:.0%}".rstrip("%"): kept.mean().item() for share, kept in zip(SHARES, at_each)}
    extra["theta_500k"] = recovered(replace(world, theta=THETA), score, every=4).mean().item()
    fast = replace(world, heads=tuple(replace(head, pairs=FAST) for head in world.heads))
    extra["fast_slash"] = recovered(fast, score, every=4).mean().item()
    mixed = LongHeads("mixed", world.lengths).sample(world.seed)
    by_head = recovered(mixed, score, every=4).mean(0)
    for kind in dict.fromkeys(head.kind for head in mixed.heads):
        of_kind = [i for i, head in enumerate(mixed.heads) if head.kind == kind]
        extra[kind.replace(" ", "_")] = by_head[of_kind].mean().item()
    return Measures(at_each.mean().item(), extra=extra)


def recovered(world: Recipe, score: Score, every: int = 1) -> Tensor:
    """Share of the true attention kept, `(len(SHARES), H)`, over `every` so many-th block of queries."""
    q, k, _ = (x[None] for x in world.draw(world.lengths[0]))
    n = -(-world.lengths[0] // BLOCK)
    rows = torch.arange(n // 4, n, every)
    mass, scores = block_mass(q, k, BLOCK, rows), score(q, k)
    masks = [top_k(scores, max(1, round(share * n)))[:, :, rows] for share in SHARES]
    return torch.stack([(mass * mask).sum(-1).mean((0, 2)) for mask in masks])


trial = Trial(
    paper="2602.08426",
    claim="Plain block means lose attention at a fixed distance where topics compete; Prism's bands keep it.",
    headline="Mean pooling is a low-pass filter on rotated queries and keys, blind to local positional structure",
    metric=Metric("attention kept at 5 and 10 % of the blocks", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", absolute=0.15),
    arms={"baseline": plain_means, "placebo": uncalibrated, "method": prism, "oracle": true_masses},
    oracle="oracle",
    world="longheads",
    world_args={"kind": "loaded", "lengths": [8192]},
    seeds=20,
    quick_seeds=2,
    extras=("lm",),
)
