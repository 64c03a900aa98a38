from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.utils.estimator_checks import check_estimator
from transformers import LlamaConfig, LlamaForCausalLM

from assay.methods.activations import capture, intervene
from assay.methods.interpretability.mfa import (
    MFA,
    MFADecomposition,
    MFASteerer,
    at_random,
    describe,
    fit_mfa,
    init_projected_kmeans,
    interchange,
    localise,
    mfa_code,
    neighbours,
    rank_features,
)

K, D, Q = 3, 7, 2


def made(seed: int = 0, own: bool = False, regions: int = K, dim: int = D, rank: int = Q) -> MFA:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    psi = normal(regions, dim).exp() if own else normal(dim).exp()
    return MFA.from_parts(3 * normal(regions, dim), normal(regions, dim, rank), psi, normal(regions).softmax(0))


def drawn(mfa: MFA, n: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the mixture, and the region of each."""
    g = torch.Generator().manual_seed(seed)
    k = torch.multinomial(mfa.weights, n, True, generator=g)
    z = torch.randn(n, mfa.rank, 1, generator=g, dtype=torch.float64)
    noise = torch.randn(n, mfa.centroids.shape[1], generator=g, dtype=torch.float64)
    return mfa.centroids[k] + (mfa.loadings[k] @ z).squeeze(2) + noise * mfa.psi.expand(mfa.regions, -1)[k].sqrt(), k


def covariance(mfa: MFA, k: int) -> np.ndarray:
    return (mfa.loadings[k] @ mfa.loadings[k].T + torch.diag(mfa.psi.expand(mfa.regions, -1)[k])).numpy()


@pytest.mark.parametrize("own", [False, True])
def test_woodbury_gives_the_density_that_scipy_gives(own):
    mfa = made(own=own)
    x = torch.randn(11, D, dtype=torch.float64) * 4
    wanted = np.stack([multivariate_normal(mfa.centroids[k], covariance(mfa, k)).logpdf(x) for k in range(K)], 1)
    np.testing.assert_allclose(mfa.log_prob_components(x), wanted, rtol=1e-10)
    mixed = np.log((np.exp(wanted) * mfa.weights.numpy()).sum(1))
    np.testing.assert_allclose(mfa.log_prob(x), mixed, rtol=1e-10)
    assert mfa.nll(x).item() == pytest.approx(-mixed.mean())


def test_the_posterior_is_that_of_a_gaussian_worked_by_hand():
    mfa = made()
    x = torch.randn(5, D, dtype=torch.float64)
    mean, cov = mfa.posterior(x)
    for k in range(K):
        w, precision = mfa.loadings[k], torch.diag(1 / mfa.psi[0])
        wanted = torch.linalg.inv(torch.eye(Q, dtype=torch.float64) + w.T @ precision @ w)
        torch.testing.assert_close(cov[k], wanted)
        torch.testing.assert_close(mean[:, k], (x - mfa.centroids[k]) @ precision @ w @ wanted)


def test_blocks_of_regions_change_nothing(monkeypatch):
    mfa = made(regions=5)
    x = torch.randn(4, D, dtype=torch.float64)
    whole, place = mfa.log_prob_components(x), mfa.posterior(x)[0]
    monkeypatch.setattr("assay.methods.interpretability._mfa_density.BLOCK", 2)
    torch.testing.assert_close(mfa.log_prob_components(x), whole)
    torch.testing.assert_close(mfa.posterior(x)[0], place)


def test_codes_and_dictionary_rebuild_the_state():
    mfa = made()
    x, _ = drawn(mfa, 50)
    code = mfa.encode(x)
    by_hand = sum(code.alpha[:, [k]] * (mfa.centroids[k] + code.z[:, k] @ mfa.loadings[k].T) for k in range(K))
    torch.testing.assert_close(code.recon, by_hand)
    torch.testing.assert_close(mfa.reconstruct(x), by_hand)
    assert code.coeffs.shape == (50, K * (1 + Q))
    assert code.index_map[[0, 1, 4]].tolist() == [[0, -1], [0, 0], [1, 0]]
    torch.testing.assert_close(code.dictionary[:, 3], mfa.centroids[1])
    torch.testing.assert_close(code.coeffs[:, 4], code.alpha[:, 1] * code.z[:, 1, 0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.booleans())
def test_varimax_is_a_view_that_changes_neither_density_nor_reconstruction(seed, gamma, kaiser):
    mfa = made(seed, own=seed % 2 == 0)
    x, _ = drawn(mfa, 20, seed)
    turned = mfa.varimax(gamma=gamma, kaiser=kaiser)
    torch.testing.assert_close(turned.log_prob(x), mfa.log_prob(x), atol=1e-5, rtol=1e-7)
    torch.testing.assert_close(turned.reconstruct(x), mfa.reconstruct(x), atol=1e-5, rtol=1e-7)


def test_varimax_finds_loadings_that_touch_one_dimension_each():
    simple = torch.zeros(1, 6, 2, dtype=torch.float64)
    simple[0, :3, 0], simple[0, 3:, 1] = 2.0, 1.0
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    mixed = MFA.from_parts(torch.zeros(1, 6).double(), simple @ turn, torch.ones(6).double(), torch.ones(1).double())
    back = mixed.varimax().loadings[0].abs()
    assert sorted(((back > 0.01).sum(0)).tolist()) == [3, 3]


@pytest.mark.parametrize("own", [False, True])
def test_em_never_lowers_the_likelihood(own):
    x, _ = drawn(made(own=own), 400)
    curve = fit_mfa(x, K, Q, "em", epochs=25, val=0, psi_per_component=own).train
    assert all(after <= before + 1e-9 for before, after in pairwise(curve))
    assert curve[-1] < curve[0]


def test_em_agrees_with_a_reference_that_forms_every_matrix():
    """Three rounds of textbook EM, row by row, with D x D inverses, from the same start."""
    from assay.methods.interpretability import _mfa_fit as fitting

    x, _ = drawn(made(), 60)
    data = fitting._Rows(x, 0.0, 0)
    rows = data.at(data.train)
    near, start = torch.cdist(rows, rows[:3]).argmin(1), made(seed=5)
    mfa = MFA.from_parts(
        torch.stack([rows[near == k].mean(0) for k in range(3)]), start.loadings, start.psi[0], start.weights
    )
    for _ in range(3):
        wanted = reference_round(mfa, rows)
        _, mfa = fitting._em_round(mfa, data)
        for own, other in zip((mfa.centroids, mfa.loadings, mfa.psi[0], mfa.weights), wanted):
            torch.testing.assert_close(own, other, atol=1e-8, rtol=1e-8)


def reference_round(mfa: MFA, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    n, q = len(x), mfa.rank
    r = torch.zeros(n, mfa.regions, dtype=torch.float64)
    places = torch.zeros(n, mfa.regions, q, dtype=torch.float64)
    second = torch.zeros(n, mfa.regions, q, q, dtype=torch.float64)
    for k in range(mfa.regions):
        c = torch.tensor(covariance(mfa, k))
        beta = mfa.loadings[k].T @ torch.linalg.inv(c)
        r[:, k] = mfa.weights[k] * torch.tensor(np.exp(multivariate_normal(mfa.centroids[k], c.numpy()).logpdf(x)))
        for i in range(n):
            places[i, k] = beta @ (x[i] - mfa.centroids[k])
            spread = torch.eye(q, dtype=torch.float64) - beta @ mfa.loadings[k]
            second[i, k] = spread + torch.outer(places[i, k], places[i, k])
    r = r / r.sum(1, keepdim=True)
    centroids, loadings, left = [], [], torch.zeros(x.shape[1], dtype=torch.float64)
    for k in range(mfa.regions):
        xz = torch.zeros(x.shape[1], q + 1, dtype=torch.float64)
        zz = torch.zeros(q + 1, q + 1, dtype=torch.float64)
        for i in range(n):
            one = torch.cat([places[i, k], torch.ones(1, dtype=torch.float64)])
            block = torch.outer(one, one)
            block[:q, :q] = second[i, k]
            xz += r[i, k] * torch.outer(x[i], one)
            zz += r[i, k] * block
        both = xz @ torch.linalg.inv(zz)
        loadings.append(both[:, :q])
        centroids.append(both[:, q])
        left += (r[:, [k]] * x * x).sum(0) - (both * xz).sum(1)
    return torch.stack(centroids), torch.stack(loadings), left / n, r.mean(0)


@pytest.mark.parametrize(("method", "epochs"), [("em", 30), ("sgd", 40)])
def test_a_fit_recovers_the_mixture_that_made_the_data(method, epochs):
    truth = made(seed=3, dim=10)
    x, k = drawn(truth, 2000)
    fit = fit_mfa(x, K, Q, method, epochs=epochs, lr=1e-2, batch=128)
    assert fit.mfa.nll(x) == pytest.approx(truth.nll(x).item(), abs=0.15)
    agreement = torch.stack(
        [(fit.mfa.responsibilities(x).argmax(1) == p)[k == t].double().mean() for t in range(K) for p in range(K)]
    )
    assert (agreement.view(K, K).amax(1) > 0.95).all()
    assert len(fit.train) == len(fit.validation) == epochs


def test_a_fit_does_not_depend_on_the_units_of_the_data():
    x, _ = drawn(made(), 500)
    small, large = (fit_mfa(scale * x + shift, K, Q, "em", epochs=5, val=0).mfa for scale, shift in ((1, 0), (100, 7)))
    torch.testing.assert_close(large.centroids, 100 * small.centroids + 7)
    torch.testing.assert_close(large.psi, 1e4 * small.psi)


def test_a_region_without_rows_is_put_where_the_fit_is_worst():
    from assay.methods.interpretability import _mfa_fit as fitting

    x, _ = drawn(made(), 300)
    data = fitting._Rows(x, 0.0, 0)
    mfa = made(seed=2)
    with torch.no_grad():
        mfa.centroids[1] = 1e4
    _, after = fitting._em_round(mfa, data)
    worst = data.at(data.train)[mfa.log_prob(data.at(data.train)).argmin()]
    torch.testing.assert_close(after.centroids[1], worst)


def test_projected_kmeans_gives_the_means_of_its_clusters():
    x, _ = drawn(made(dim=100), 400)
    for metric in ("euclidean", "cosine"):
        centroids, labels = init_projected_kmeans(x, 5, proj_dim=8, metric=metric)
        for k in range(5):
            torch.testing.assert_close(centroids[k], x[labels == k].mean(0))


def test_half_precision_and_memory_maps_are_read(tmp_path):
    x, _ = drawn(made(), 200)
    np.save(tmp_path / "x.npy", x.numpy().astype(np.float16))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    mfa = fit_mfa(mapped, K, Q, epochs=1).mfa
    assert mfa.centroids.dtype == torch.float32
    assert mfa.log_prob(x.half()).isfinite().all()


def test_a_saved_mixture_is_read_back(tmp_path):
    mfa = made(own=True)
    mfa.save(tmp_path / "m.safetensors", {"layer": "3"})
    back, metadata = MFA.load(tmp_path / "m.safetensors")
    x = torch.randn(4, D, dtype=torch.float64)
    assert torch.equal(back.log_prob(x), mfa.log_prob(x))
    assert metadata == {"layer": "3"}
    (tmp_path / "no.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match="not a safetensors file"):
        MFA.load(tmp_path / "no.safetensors")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fit_mfa(x[0], 2, 1), r"X: got shape \(7,\), wanted states \(N, D\)"),
        (lambda x: fit_mfa(torch.where(x > 3, torch.nan, x), 2, 1), r"X: \d+ of 30 rows are not finite"),
        (lambda x: fit_mfa(x, 31, 1), "regions: got 31, wanted 1 to 30"),
        (lambda x: fit_mfa(x, 29, 1, val=0.1), "regions: got 29, wanted at most 27"),
        (lambda x: fit_mfa(x, 2, 7), "rank: got 7, wanted 1 to 6"),
        (lambda x: fit_mfa(x, 2, 0), "rank: got 0, wanted 1 to 6"),
        (lambda x: fit_mfa(x, 2, 1, "newton"), "method: got 'newton'"),
        (lambda x: fit_mfa(x, 2, 1, epochs=0), "epochs, batch, val: got 0"),
        (lambda x: made().log_prob(x[:, :3]), r"x: got shape \(30, 3\), wanted \(B, 7\)"),
        (lambda x: made().responsibilities(x, tau=0), "tau: got 0"),
        (lambda x: init_projected_kmeans(x, 2, metric="l1"), "metric: got 'l1'"),
        (lambda x: neighbours(made(), 3), "count: got 3, wanted 1 to 2"),
        (lambda x: describe(made(), x, ["a"], ["a"]), "tokens, contexts: got 1 and 1, wanted 30"),
    ],
)
def test_wrong_input_is_named(call, message):
    x, _ = drawn(made(), 30)
    with pytest.raises(ValueError, match=message):
        call(x)


def test_columns_that_never_change_are_told_of():
    x, _ = drawn(made(), 100)
    x[:, 2] = 5.0
    with pytest.warns(UserWarning, match="1 columns never change"):
        mfa = fit_mfa(x, K, Q, "em", epochs=3).mfa
    assert mfa.log_prob(x).isfinite().all()


def test_scikit_learn_takes_the_estimator_for_one_of_its_own():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(MFADecomposition(epochs=3))


def test_the_estimator_scores_and_rebuilds():
    truth = made(dim=6)
    x, _ = drawn(truth, 600)
    own = MFADecomposition(K, Q, random_state=1).fit(x.numpy())
    assert own.score(x.numpy()) == pytest.approx(truth.log_prob(x).mean().item(), abs=0.2)
    codes = own.transform(x.numpy())
    np.testing.assert_allclose(own.inverse_transform(codes), own.mfa_.reconstruct(x), rtol=1e-9)
    assert own.predict(x.numpy()).shape == (600,)


# --- regions ---------------------------------------------------------------------------------------------------


def test_a_region_is_told_by_its_tokens_contexts_and_what_it_would_write():
    truth = made(seed=4)
    x, k = drawn(truth, 300)
    tokens = ["abc"[i] if i < 2 else f"w{n}" for n, i in enumerate(k.tolist())]
    unembed = torch.eye(D, dtype=torch.float64)
    told = {r.number: r for r in describe(truth, x, tokens, [f"...{t}" for t in tokens], unembed, list("0123456"))}
    assert [told[0].tokens[0][0], told[1].tokens[0][0]] == ["a", "b"]
    assert told[0].kind == "narrow" and told[2].kind == "broad"
    assert told[2].evenness > told[0].evenness
    away = truth.centroids[0] - truth.weights @ truth.centroids
    assert told[0].writes[0] == str(int(away.argmax()))
    local = truth.loadings[1].square().sum()
    assert told[1].local_share == pytest.approx(float(local / (local + truth.psi.sum())))
    assert 1 <= told[1].effective_rank <= Q


def test_neighbours_are_those_of_the_whole_covariances():
    mfa = made(own=True, regions=4)
    covs = [torch.tensor(covariance(mfa, k)) for k in range(4)]

    def kl(a: int, b: int) -> float:
        one = torch.distributions.MultivariateNormal(mfa.centroids[a], covs[a])
        return float(
            torch.distributions.kl_divergence(one, torch.distributions.MultivariateNormal(mfa.centroids[b], covs[b]))
        )

    for k, found in enumerate(neighbours(mfa, 3)):
        wanted = sorted((kl(k, o) + kl(o, k), o) for o in range(4) if o != k)
        assert [o for o, _ in found] == [o for _, o in wanted]
        np.testing.assert_allclose([apart for _, apart in found], [apart for apart, _ in wanted], rtol=1e-8)


# --- steering and localisation ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=8,
    )
    return LlamaForCausalLM(config).eval()


IDS = torch.tensor([[3, 4, 5], [6, 7, 8]])


def test_steering_moves_states_by_the_formulas(model):
    mfa = made(dim=8)
    steerer = MFASteerer(model, mfa, 0)
    h = capture(model, IDS, [0])[0]
    z = torch.tensor([1.0, -2.0], dtype=torch.float64)
    own = mfa.responsibilities(h.flatten(0, 1)) @ mfa.centroids
    wanted = {
        steerer.centroid(1, 0.3): 0.7 * h + 0.3 * mfa.centroids[1],
        steerer.centroid(None, 1.0): own.view(2, 3, 8),
        steerer.latent(2, 0.0, z): h + mfa.loadings[2] @ z,
        steerer.latent(2, 0.5, z): 0.5 * h + 0.5 * mfa.centroids[2] + mfa.loadings[2] @ z,
    }
    for intervention, state in wanted.items():
        with intervene(model, [intervention]):
            moved = capture(model, IDS, [1], site="resid_pre")[1]
        torch.testing.assert_close(moved, state.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.centroid(0, 1.1), "alpha: got 1.1, wanted a share"),
        (lambda s: s.centroid(3, 0.5), "k: got 3, wanted 0 to 2"),
        (lambda s: s.latent(0, 0.5, torch.zeros(3)), r"z: got shape \(3,\), wanted \(2,\)"),
        (lambda s: MFASteerer(s.model, s.mfa, 2), "layer: got 2, wanted 0 to 1"),
    ],
)
def test_wrong_steering_is_named(model, call, message):
    steerer = MFASteerer(model, made(dim=8), 0)
    steerer.model = model
    with pytest.raises(ValueError, match=message):
        call(steerer)


def test_interchange_of_all_features_moves_what_they_explain_and_of_none_nothing():
    mfa = made()
    code = mfa_code(mfa)
    base, source = drawn(mfa, 9, 1)[0], drawn(mfa, 9, 2)[0]
    every = torch.arange(K * (1 + Q))
    torch.testing.assert_close(
        interchange(code, base, source, every), base + mfa.reconstruct(source) - mfa.reconstruct(base)
    )
    assert torch.equal(interchange(code, base, source, every[:0]), base)


def test_the_feature_that_tells_the_classes_apart_comes_first():
    mfa = made(seed=6)
    x, k = drawn(mfa, 400)
    first = rank_features(mfa_code(mfa), x, k)[0]
    assert mfa.encode(x[:1]).index_map[first, 1] == -1  # a centroid: the classes are the regions
    with pytest.raises(ValueError, match="labels: all alike"):
        rank_features(mfa_code(mfa), x, k * 0)


def test_localise_keeps_the_number_of_features_that_disentangles_best():
    mfa = made(seed=6)
    x, k = drawn(mfa, 200)
    asked = []

    def scores(swap):
        moved = swap(x[:1], x[1:2])
        asked.append(moved)
        return (0.2 * len(asked), 1.0) if len(asked) < 3 else (0.0, 0.5)

    found = localise(mfa_code(mfa), x, k, [1, 2, 3], scores)
    assert len(found.features) == 2 and found.disentangle == pytest.approx(0.7)
    assert len(asked) == 3
    with pytest.raises(ValueError, match="counts: got"):
        localise(mfa_code(mfa), x, k, [10], scores)


def test_random_directions_keep_regions_lengths_and_noise():
    mfa = made()
    other = at_random(mfa, torch.Generator().manual_seed(0))
    torch.testing.assert_close(other.loadings.norm(dim=1), mfa.loadings.norm(dim=1))
    torch.testing.assert_close(other.centroids, mfa.centroids)
    torch.testing.assert_close(other.psi, mfa.psi)
    gram = other.loadings.mT @ other.loadings
    torch.testing.assert_close(gram, torch.diag_embed(gram.diagonal(dim1=1, dim2=2)))
    assert not torch.allclose(other.loadings, mfa.loadings)


@pytest.mark.slow
def test_a_hundred_thousand_states_of_96_numbers_are_fitted_in_a_minute():
    import time

    truth = made(regions=64, dim=96, rank=8)
    x = drawn(truth, 100_000)[0].float()
    start = time.process_time()
    fit = fit_mfa(x, 64, 8, "em", epochs=6)
    assert time.process_time() - start < 60
    assert fit.validation[-1] < fit.validation[0]
