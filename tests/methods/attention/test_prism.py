import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.attention.block_sparse import Grid, block_mass
from assay.methods.attention.prism import (
    PrismConfig,
    band_probabilities,
    density,
    mean_pool_score,
    mean_pool_select,
    oracle_select,
    prism_select,
    random_select,
    streaming_select,
    top_k,
    top_p,
)
from assay.worlds.longheads import HEAD_DIM, LongHeads, rotate


def drawn(queries=200, keys=200, heads=4, kv_heads=2, dim=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(2, heads, queries, dim, generator=generator)
    return q, torch.randn(2, kv_heads, keys, dim, generator=generator)


def test_bands_are_in_proportion_to_the_head_and_follow_the_layout():
    high, low = PrismConfig().bands(128)
    assert (len(high), len(low)) == (64, 96)
    high, low = PrismConfig().bands(8)
    assert high.tolist() == [0, 1, 4, 5]
    assert low.tolist() == [1, 2, 3, 5, 6, 7]
    high, low = PrismConfig(layout="interleaved", d_low=4).bands(8)
    assert sorted(high.tolist()) == [0, 1, 2, 3]
    assert sorted(low.tolist()) == [4, 5, 6, 7]
    high, low = PrismConfig(rotary_dim=4).bands(8)
    assert high.tolist() == [0, 2]
    assert low.tolist() == [1, 3, 4, 5, 6, 7]


def test_probabilities_follow_the_formula():
    q, k = drawn(64, 64, heads=1, kv_heads=1, dim=8)
    high, _ = band_probabilities(q, k, PrismConfig(block=16))
    pooled_q, pooled_k = (x.view(2, 1, 4, 16, 8).mean(3) for x in (q, k))
    dims = [0, 1, 4, 5]

    def rms(x):
        return x.square().mean((2, 3)).sqrt().view(2)

    energy = rms(pooled_q[..., dims]) / rms(pooled_q) * rms(pooled_k[..., dims]) / rms(pooled_k)
    t = math.sqrt(4 / 8) * energy
    logits = pooled_q[0, 0][:, dims] @ pooled_k[0, 0][:, dims].T / (2 * t[0])
    for i in range(4):
        assert high[0, 0, i, : i + 1].tolist() == pytest.approx(logits[i, : i + 1].softmax(0).tolist(), abs=1e-6)
        assert high[0, 0, i, i + 1 :].tolist() == [0.0] * (3 - i)


def test_the_temperature_gives_a_weakened_band_its_contrast_back():
    """Where pooling left a hundredth of a band in queries and keys, calibrated probabilities do not change."""
    q, k = drawn(64, 64, heads=1, kv_heads=1, dim=8)
    weak = torch.ones(8)
    weak[[0, 1, 4, 5]] = 0.01
    alone = PrismConfig(block=16, d_low=4)  # bands that do not overlap
    rest = torch.zeros(8).index_fill(0, torch.tensor([2, 3, 6, 7]), 3.0)  # keeps r_q, r_k nearly the same
    flat = {
        c: band_probabilities(q * weak + rest, k * weak + rest, replace(alone, calibrate=c))[0] for c in (True, False)
    }
    spread = {c: (p[0, 0, 3].max() - p[0, 0, 3].min()).item() for c, p in flat.items()}
    assert spread[False] < 0.01
    assert spread[True] > 0.3


@settings(max_examples=30, deadline=None)
@given(
    keys=st.integers(1, 120),
    queries=st.integers(1, 120),
    p=st.floats(0.05, 1.0),
    more=st.floats(0.0, 1.0),
    seed=st.integers(0, 999),
)
def test_masks_are_causal_hold_sink_and_diagonal_and_grow_with_p(keys, queries, p, more, seed):
    queries = min(queries, keys)
    q, k = drawn(queries, keys, seed=seed)
    grid = Grid(queries, keys, 16)
    mask = prism_select(q, k, PrismConfig(p=p, block=16))
    assert not (mask & ~grid.causal()).any()
    assert mask[..., 0].all()
    assert mask[..., torch.arange(grid.n_q), torch.arange(grid.n_q) + grid.first].all()
    larger = prism_select(q, k, PrismConfig(p=p + (1 - p) * more, block=16))
    assert not (mask & ~larger).any()


def test_p_1_keeps_every_block_even_those_whose_probability_vanishes():
    q, k = drawn()
    mask = prism_select(q * 1000, k * 1000, PrismConfig(p=1, block=16))
    assert density(mask) == 1


def test_a_common_shift_of_positions_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 512, HEAD_DIM, generator=generator, dtype=torch.float64)
    positions = torch.arange(512.0)
    near, far = ([rotate(x[0], 10_000.0, positions + at)[None].float() for x in (q, k)] for at in (0, 5000))
    config = PrismConfig(p=0.7, block=32)
    for one, other in zip(band_probabilities(*near, config), band_probabilities(*far, config)):
        assert torch.allclose(one, other, atol=1e-4)
    assert torch.equal(prism_select(*near, config), prism_select(*far, config))


def test_queries_without_energy_stay_finite():
    q, k = drawn()
    mask = prism_select(torch.zeros_like(q), k, PrismConfig(block=16))
    assert not (mask & ~Grid(200, 200, 16).causal()).any()
    assert mask[..., 0].all()


def test_padding_takes_no_part_in_the_choice():
    """A sequence behind 32 tokens of padding gets the blocks it gets alone."""
    q, k = drawn(160, 160)
    keep = torch.ones(160, 160, dtype=torch.bool).tril()
    keep[:, :32] = False
    keep = keep.expand(2, 1, -1, -1)
    config = PrismConfig(p=0.6, block=16)
    behind = prism_select(q, k, config, keep)
    alone = prism_select(q[:, :, 32:], k[:, :, 32:], config)
    assert torch.equal(behind[:, :, 2:, 2:], alone)
    assert not behind[:, :, :, :2].any()


def test_top_p_keeps_the_fewest_that_hold_p():
    probabilities = torch.tensor([0.1, 0.5, 0.0, 0.4])
    assert top_p(probabilities, 0.5).tolist() == [False, True, False, False]
    assert top_p(probabilities, 0.6).tolist() == [False, True, False, True]
    assert top_p(probabilities, 0.95).tolist() == [True, True, False, True]
    assert top_p(probabilities, 1).tolist() == [True, True, False, True]


def test_top_k_counts_sink_and_diagonal():
    mask = top_k(torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)), 3)
    assert mask.sum(-1)[0].tolist() == [1, 2, 3, 3, 3, 3, 3, 3]
    assert mask[..., 0].all()


def test_at_most_the_given_share_is_chosen():
    q, k = drawn(320, 320)
    free, capped = (prism_select(q, k, PrismConfig(block=16, max_density=most)) for most in (None, 0.2))
    assert not (capped & ~free).any()
    allowed = torch.arange(1, 21)
    assert (capped.sum(-1) <= (0.2 * allowed).ceil() + 2).all(), "sink and diagonal come on top"
    assert (free.sum(-1) > (0.2 * allowed).ceil() + 2).any()


def test_the_rivals_keep_what_they_say():
    q, k = drawn(320, 320)
    generator = torch.Generator().manual_seed(0)
    assert density(random_select(q, k, 0.3, 16, generator)) == pytest.approx(0.3 + 0.7 * 39 / 210, abs=0.05)
    streaming = streaming_select(q, k, 3, 16)
    assert streaming[0, 0].sum(1).tolist() == [1, 2, 3, *[4] * 17]
    mass, mask = block_mass(q, k, 16), oracle_select(q, k, 0.8, 16)
    assert (mass * mask).sum(-1).min() >= 0.8
    assert torch.equal(mean_pool_select(q, k, 1, 16), Grid(320, 320, 16).causal().expand(2, 4, -1, -1))


def test_calibrated_bands_see_a_slash_on_fast_pairs_that_plain_means_lose():
    recipe = LongHeads("loaded", (4096,)).sample(1000)
    recipe = replace(recipe, heads=tuple(replace(head, pairs=(4, 15)) for head in recipe.heads[4:]))
    q, k, _ = (x[None] for x in recipe.draw(4096))
    rows = torch.arange(16, 32, 3)
    mass = block_mass(q, k, 128, rows)

    def kept(scores):
        return (mass * top_k(scores, 3)[:, :, rows]).sum(-1).mean().item()

    assert kept(torch.maximum(*band_probabilities(q, k))) > kept(mean_pool_score(q, k)) + 0.05


@pytest.mark.parametrize(
    ("arguments", "dim", "said"),
    [
        ({"p": 0}, 8, "p: got 0"),
        ({"p": 1.2}, 8, "p: got 1.2"),
        ({"block": 100}, 8, "block: got 100"),
        ({"block": 8}, 8, "block: got 8"),
        ({"layout": "odd"}, 8, "layout"),
        ({"max_density": 0}, 8, "max_density"),
        ({"d_high": 3}, 8, "d_high: got 3, wanted an even number"),
        ({"d_low": 10}, 8, "d_low: got 10"),
        ({}, 7, "head_dim"),
    ],
)
def test_wrong_settings_are_named(arguments, dim, said):
    with pytest.raises(ValueError, match=said):
        PrismConfig(**arguments).bands(dim)


def test_numbers_that_are_not_finite_are_refused():
    q, k = drawn()
    q[0, 0, 5, 3] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinity"):
        prism_select(q, k, PrismConfig(block=16))
    with pytest.raises(ValueError, match="p: got 2"):
        top_p(torch.tensor([0.5, 0.5]), 2)
