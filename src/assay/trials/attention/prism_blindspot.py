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

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from assay.engine.trial import Bar, Fixture, Measures, Metric, Models, Trial
from assay.methods.attention.block_sparse import block_mass
from assay.methods.attention.prism import PrismConfig, band_probabilities, mean_pool_score, top_k
from assay.worlds.longheads import LongHeads, Recipe

BLOCK = 128
SHARES = (0.05, 0.10)  # of all key blocks
THETA = 500_000.0
FAST = (4, 15)  # pairs

Score = Callable[[Tensor, Tensor], Tensor]  # (q, k) -> (1, H, n_q, n_k)


def masses(world: Recipe, models: Models, seed: int) -> dict[str, Tensor]:
    """The true attention of each key block, `(1, H, rows, n_k)`, of every view: what all arms are judged by."""
    found = {}
    for name, recipe, rows in views(world):
        q, k, _ = (x[None] for x in recipe.draw(recipe.lengths[0]))
        found[name] = block_mass(q, k, BLOCK, rows)
    return found


def views(world: Recipe) -> Iterator[tuple[str, Recipe, Tensor]]:
    """The sample's heads on all rows of the last three quarters, and the report's other heads on a quarter of them."""
    n = blocks(world)
    fast = tuple(replace(head, pairs=FAST) for head in world.heads)
    yield "judged", world, torch.arange(n // 4, n)
    yield "theta_500k", replace(world, theta=THETA), torch.arange(n // 4, n, 4)
    yield "fast_slash", replace(world, heads=fast), torch.arange(n // 4, n, 4)
    yield "mixed", LongHeads("mixed", world.lengths).sample(world.seed), torch.arange(n // 4, n, 4)


def plain_means(world: Recipe, models: Models, seed: int, fixture: dict[str, Tensor]) -> Measures:
    return measure(world, fixture, lambda q, k: mean_pool_score(q, k, BLOCK))


def uncalibrated(world: Recipe, models: Models, seed: int, fixture: dict[str, Tensor]) -> Measures:
    return measure(world, fixture, lambda q, k: two_bands(q, k, calibrate=False))


def prism(world: Recipe, models: Models, seed: int, fixture: dict[str, Tensor]) -> Measures:
    return measure(world, fixture, lambda q, k: two_bands(q, k, calibrate=True))


def true_masses(world: Recipe, models: Models, seed: int, fixture: dict[str, Tensor]) -> Measures:
    return measure(world, fixture, None)


def two_bands(q: Tensor, k: Tensor, calibrate: bool) -> Tensor:
    return torch.maximum(*band_probabilities(q, k, PrismConfig(block=BLOCK, calibrate=calibrate)))


def measure(world: Recipe, mass: Mapping[str, Tensor], score: Score | None) -> Measures:
    """Attention kept by a score's choice of blocks; by the choice of the true masses where there is none."""
    n, extra, value = blocks(world), {}, 0.0
    for name, recipe, rows in views(world):
        if score is None:
            scores = mass[name].new_zeros(*mass[name].shape[:2], n, n).index_copy(2, rows, mass[name])
        else:
            q, k, _ = (x[None] for x in recipe.draw(recipe.lengths[0]))
            scores = score(q, k)
        kept = torch.stack([recovered(mass[name], scores, rows, share) for share in SHARES])
        if name == "mixed":
            for kind in dict.fromkeys(head.kind for head in recipe.heads):
                of_kind = [i for i, head in enumerate(recipe.heads) if head.kind == kind]
                extra[kind.replace(" ", "_")] = kept[:, of_kind].mean().item()
        elif name == "judged":
            value = kept.mean().item()
            extra |= {f"at_{100 * share:.0f}": of.mean().item() for share, of in zip(SHARES, kept)}
        else:
            extra[name] = kept.mean().item()
    return Measures(value, extra=extra)


def recovered(mass: Tensor, scores: Tensor, rows: Tensor, share: float) -> Tensor:
    """Share of the attention in the rows that the best-scored blocks hold, for each head: `(H,)`."""
    count = max(1, round(share * scores.shape[-1]))
    return (mass * top_k(scores, count)[:, :, rows]).sum(-1).mean((0, 2))


def blocks(world: Recipe) -> int:
    return -(-world.lengths[0] // BLOCK)


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
    fixture=Fixture(masses),
    seeds=20,
    quick_seeds=2,
    extras=("lm",),
)
