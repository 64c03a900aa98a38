from __future__ import annotations

import pytest
import torch

from assay.methods.interpretability.sae import TopKSAE, fit_sae


def sparse_states(n: int = 3000, width: int = 12, dim: int = 16, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of two of a dozen directions, and the directions (width, D)."""
    g = torch.Generator().manual_seed(seed)
    atoms = torch.nn.functional.normalize(torch.randn(width, dim, generator=g), dim=1)
    places = torch.rand(n, width, generator=g).topk(2, dim=1).indices
    codes = torch.zeros(n, width).scatter(1, places, 1 + torch.rand(n, 2, generator=g))
    return codes @ atoms + 0.5, atoms


def test_at_most_k_codes_of_a_row_are_above_zero_and_none_below():
    torch.manual_seed(0)
    codes = TopKSAE(5, 20, 3).encode(torch.randn(50, 5))
    assert ((codes > 0).sum(1) <= 3).all()
    assert (codes >= 0).all()


def test_training_finds_the_directions_that_the_states_are_made_of():
    x, atoms = sparse_states()
    sae = fit_sae(x, width=24, k=2, epochs=30, lr=5e-3, batch=128)
    left = (x - sae(x)).square().sum() / (x - x.mean(0)).square().sum()
    assert left < 0.15
    cosines = (atoms @ sae.dictionary).amax(1)
    assert (cosines > 0.9).double().mean() > 0.7


def test_codes_times_dictionary_plus_bias_is_the_reconstruction():
    x, _ = sparse_states(200)
    sae = fit_sae(x, width=24, k=2, epochs=1)
    torch.testing.assert_close(sae.encode(x) @ sae.dictionary.T + sae.bias, sae(x))
    torch.testing.assert_close(sae.dictionary.norm(dim=0), torch.ones(24))
    assert sae.stored == 2 * 24 * 16 + 24 + 16


def test_the_same_seed_gives_the_same_autoencoder():
    x, _ = sparse_states(300)
    one, same = (fit_sae(x, 24, 2, epochs=1, seed=3) for _ in range(2))
    assert torch.equal(one.decoder, same.decoder)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TopKSAE(4, 3, 5), "dim, width, k: got 4, 3, 5"),
        (lambda: fit_sae(torch.randn(4), 4, 1), r"x: got shape \(4,\)"),
        (lambda: fit_sae(torch.full((4, 2), torch.nan), 4, 1), "wanted finite states"),
        (lambda: TopKSAE(4, 8, 2).encode(torch.randn(2, 3)), r"x: got shape \(2, 3\), wanted \(N, 4\)"),
    ],
)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
