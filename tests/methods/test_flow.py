import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.flow import (
    EMA,
    Guidance,
    Path,
    drop_labels,
    flow_matching_loss,
    sample_times,
    shift_times,
    solve,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


MEAN, STD = 1.5, 0.4


def gaussian_velocity(x, t, cond=None):
    """Exact velocity of one-dimensional data N(MEAN, STD^2) on the linear path."""
    alpha, t = (1 - t)[:, None], t[:, None]
    gain = (x - alpha * MEAN) / (alpha**2 * STD**2 + t**2)
    return t * gain - (MEAN + alpha * STD**2 * gain)


def uniform(steps: int) -> list[float]:
    return [1 - i / steps for i in range(steps)] + [0.0]


@settings(deadline=None)
@given(st.floats(0.0, 1.0), st.sampled_from(["linear", "cosine"]), st.integers(0, 1000))
def test_data_and_noise_are_recovered_from_the_velocity_at_every_time(time, kind, seed):
    path, draws = Path(kind), generator(seed)
    x0, noise = torch.randn(3, 2, 4, generator=draws), torch.randn(3, 2, 4, generator=draws)
    t = torch.full((3,), time)
    x_t, v = path.sample(x0, noise, t), path.velocity(x0, noise, t)
    torch.testing.assert_close(path.x0_from_velocity(x_t, v, t), x0, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(path.noise_from_velocity(x_t, v, t), noise, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_the_velocity_is_the_derivative_of_the_path(kind):
    path, draws = Path(kind), generator()
    x0, noise = torch.randn(2, 5, generator=draws).double(), torch.randn(2, 5, generator=draws).double()
    t = torch.tensor([0.2, 0.7], dtype=torch.float64)
    slope = (path.sample(x0, noise, t + 1e-6) - path.sample(x0, noise, t - 1e-6)) / 2e-6
    torch.testing.assert_close(path.velocity(x0, noise, t), slope, atol=1e-7, rtol=1e-7)


def test_the_linear_path_by_hand():
    x0, noise, t = torch.tensor([[2.0]]), torch.tensor([[-1.0]]), torch.tensor([0.25])
    assert Path().sample(x0, noise, t).item() == pytest.approx(1.25)
    assert Path().velocity(x0, noise, t).item() == pytest.approx(-3.0)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2), ("midpoint", 2)])
def test_halving_the_step_divides_the_error_as_the_order_of_the_solver_says(method, order):
    """dx/dt = x cos 3t has the solution x_0 = x_1 exp(-sin(3) / 3)."""
    x1 = torch.ones(1, 1, dtype=torch.float64)
    errors = [
        abs(solve(lambda x, t, c: x * (3 * t)[:, None].cos(), x1, uniform(n), method=method).x0.item() - exact)
        for n in (512, 1024)  # coarser steps are not yet in the regime of the order
        for exact in [math.exp(-math.sin(3) / 3)]
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


def test_integrating_the_exact_velocity_of_a_gaussian_gives_its_moments():
    x1 = torch.randn(20_000, 1, generator=generator()).double()
    x0 = solve(gaussian_velocity, x1, uniform(60), method="heun").x0
    assert x0.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert x0.std().item() == pytest.approx(STD, abs=0.01)


def test_evaluations_are_counted_and_guidance_counts_twice_inside_its_interval():
    asked = []

    def field(x, t, cond=None):
        asked.append(cond)
        return torch.full_like(x, float(cond))

    x1 = torch.zeros(2, 1)
    assert solve(field, x1, uniform(4), method="heun", cond=1).evaluations == 8
    asked.clear()
    guided = solve(field, x1, [1.0, 0.5, 0.0], cond=1, guidance=Guidance(3.0, null=0, interval=(0.0, 0.7)))
    assert guided.evaluations == len(asked) == 3
    assert guided.x0[0].item() == pytest.approx(-0.5 * 1 - 0.5 * 3)  # v = 0 + 3 (1 - 0) below 0.7


def test_the_callback_sees_every_step():
    seen = []
    end = solve(gaussian_velocity, torch.ones(1, 1), uniform(3), callback=lambda i, x: seen.append((i, x.item())))
    assert [i for i, _ in seen] == [0, 1, 2]
    assert seen[-1][1] == end.x0.item()


@pytest.mark.parametrize("kind", ["uniform", "logit_normal", "lognormal"])
def test_times_lie_in_the_unit_interval_and_follow_the_generator(kind):
    t = sample_times(5000, kind, generator=generator(3))
    assert t.shape == (5000,) and t.min() >= 0 and t.max() <= 1
    assert torch.equal(t, sample_times(5000, kind, generator=generator(3)))
    assert t.median().item() == pytest.approx(0.5, abs=0.03)


def test_shifting_moves_times_towards_the_noise_and_keeps_the_ends():
    t = shift_times(torch.tensor([0.0, 0.5, 1.0]), 3.0)
    assert t.tolist() == pytest.approx([0.0, 0.75, 1.0])


def test_the_loss_is_zero_for_the_velocity_it_regresses_on_and_weights_scale_rows():
    x0, times = torch.zeros(4, 3), torch.full((4,), 0.5)
    assert flow_matching_loss(lambda x, t, c: 2 * x, x0, times=times, generator=generator()).item() < 1e-12
    halved = flow_matching_loss(
        lambda x, t, c: 0 * x, x0, times=times, generator=generator(), weights=torch.full((4,), 0.5)
    )
    whole = flow_matching_loss(lambda x, t, c: 0 * x, x0, times=times, generator=generator())
    assert halved.item() == pytest.approx(whole.item() / 2)


def test_labels_are_dropped_at_the_given_rate():
    labels = torch.zeros(10_000, dtype=torch.long)
    dropped = drop_labels(labels, 0.1, 7, generator=generator())
    assert set(dropped.tolist()) == {0, 7}
    assert (dropped == 7).float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_an_average_of_weights_moves_by_one_minus_the_decay():
    model = torch.nn.Linear(1, 1)
    ema = EMA(model, 0.9)
    before = ema.model.weight.item()
    with torch.no_grad():
        model.weight += 1.0
    ema.update(model)
    assert ema.model.weight.item() == pytest.approx(before + 0.1)
    assert not ema.model.weight.requires_grad


def test_wrong_input_is_named():
    x, t = torch.zeros(2, 3), torch.full((2,), 0.5)
    with pytest.raises(ValueError, match=r"noise: got \(2, 4\)|x0: got \(2, 3\)"):
        Path().sample(x, torch.zeros(2, 4), t)
    with pytest.raises(TypeError, match=r"x0: got torch\.uint8"):
        Path().sample(x.byte(), x, t)
    with pytest.raises(ValueError, match="x0: holds NaN"):
        Path().sample(x / 0, x, t)
    with pytest.raises(ValueError, match="t: got times"):
        Path().sample(x, x, t + 1)
    with pytest.raises(ValueError, match="at least one row"):
        Path().sample(x[:0], x[:0], t[:0])
    with pytest.raises(ValueError, match="path: got 'quadratic'"):
        Path("quadratic")
    with pytest.raises(ValueError, match="sigmas"):
        solve(gaussian_velocity, x[:, :1], [1.0, 0.5])
    with pytest.raises(ValueError, match="strictly decreasing"):
        solve(gaussian_velocity, x[:, :1], [1.0, 0.5, 0.5, 0.0])
    with pytest.raises(ValueError, match="method: got 'rk4'"):
        solve(gaussian_velocity, x[:, :1], [1.0, 0.0], method="rk4")
    with pytest.raises(ValueError, match="kind: got 'normal'"):
        sample_times(3, "normal", generator=generator())
