import numpy as np
import pytest
from scipy.stats import multivariate_normal

from assay.worlds.mixtures import GaussianMixture, world


def one(mean: float = 1.5, std: float = 0.4) -> GaussianMixture:
    return GaussianMixture(np.ones(1), np.array([[mean]]), np.array([[std**2]]))


def test_the_velocity_of_one_gaussian_is_the_closed_form():
    """x_t ~ N((1 - t) m, (1 - t)^2 s^2 + t^2), and E[eps - x_0 | x_t] is linear in x."""
    t, x = np.array([0.0, 0.3, 1.0]), np.array([[1.2], [0.1], [-0.7]])
    residual = (x[:, 0] - (1 - t) * 1.5) / ((1 - t) ** 2 * 0.16 + t**2)
    expected = t * residual - (1.5 + (1 - t) * 0.16 * residual)
    np.testing.assert_allclose(one().velocity(x, t)[:, 0], expected)


def test_the_density_agrees_with_scipy():
    mixture = world("hundred16").sample(3).mixture
    x = mixture.draw(5, np.random.default_rng(0))
    parts = [multivariate_normal(m, np.diag(v)).pdf(x) for m, v in zip(mixture.means, mixture.variances)]
    np.testing.assert_allclose(mixture.density(x), mixture.weights @ np.array(parts), rtol=1e-9)


def test_the_score_is_the_gradient_of_the_log_density():
    mixture = world("grid25").sample(0).mixture
    x, t, step = np.array([[0.2, -0.3], [0.9, 0.6]]), np.array([0.2, 0.5]), 1e-6
    for axis in range(2):
        shift = step * np.eye(2)[axis]
        slope = (mixture.log_density(x + shift, t) - mixture.log_density(x - shift, t)) / (2 * step)
        np.testing.assert_allclose(mixture.score(x, t)[:, axis], slope, rtol=1e-5, atol=1e-6)


def test_velocity_and_score_tell_the_same():
    """On the linear path E[eps] = -t score, so v = (E[eps] - x_t) / (1 - t)."""
    mixture = world("ring8").sample(0).mixture
    x, t = np.random.default_rng(1).normal(size=(6, 2)), np.linspace(0.1, 0.9, 6)
    expected = (-t[:, None] * mixture.score(x, t) - x) / (1 - t)[:, None]
    np.testing.assert_allclose(mixture.velocity(x, t), expected, rtol=1e-8)


def test_the_target_variance_of_one_gaussian_is_the_closed_form():
    t = 0.6
    expected = 0.16 / ((1 - t) ** 2 * 0.16 + t**2)
    assert one().target_variance(t, 10, np.random.default_rng(0)) == pytest.approx(expected)


def test_the_target_variance_agrees_with_noised_draws():
    sample, draws, t = world("grid25").sample(0), np.random.default_rng(0), 0.5
    x0 = sample.mixture.draw(40_000, draws)
    noise = draws.standard_normal(x0.shape)
    error = sample.mixture.velocity((1 - t) * x0 + t * noise, t) - (noise - x0)
    exact = sample.mixture.target_variance(t, 40_000, np.random.default_rng(1))
    assert np.square(error).sum(1).mean() == pytest.approx(exact, rel=0.03)


def test_integrating_the_velocity_brings_noise_to_the_ring():
    mixture = world("ring8").sample(0).mixture
    x, steps = np.random.default_rng(0).normal(size=(200, 2)), 200
    for i in range(steps):
        x = x - mixture.velocity(x, 1 - i / steps) / steps
    distance = np.abs(np.hypot(*x.T) - 1)
    assert np.quantile(distance, 0.95) < 0.2


def test_the_same_seed_gives_the_same_sample_and_another_seed_another():
    a, b, c = world(points=64).sample(1), world(points=64).sample(1), world(points=64).sample(2)
    np.testing.assert_array_equal(a.data, b.data)
    assert a.data.shape == (64, 16) and a.data.dtype == np.float32
    assert not np.array_equal(a.mixture.means, c.mixture.means)


def test_check_is_zero_for_the_exact_field_only():
    chosen = world(points=64)
    sample = chosen.sample(0)
    exact = sample.mixture.velocity(sample.data, 0.5)
    assert chosen.check(sample, sample.data, 0.5, exact) == 0
    assert chosen.check(sample, sample.data, 0.5, exact + 1) == pytest.approx(16)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="preset: got 'ring9'"):
        world("ring9")
    with pytest.raises(ValueError, match="points: got 0"):
        world(points=0)
    with pytest.raises(ValueError, match=r"x: got \(3, 2\), wanted \(n, 1\)"):
        one().velocity(np.zeros((3, 2)), 0.5)
    with pytest.raises(ValueError, match="t: got times"):
        one().velocity(np.zeros((3, 1)), 1.5)
    with pytest.raises(ValueError, match="weights: wanted positive"):
        GaussianMixture(np.array([0.5]), np.zeros((1, 1)), np.ones((1, 1)))
