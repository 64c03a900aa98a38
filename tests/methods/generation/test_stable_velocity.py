import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.flow import Path
from assay.methods.generation.stable_velocity import (
    AlignmentHead,
    MemoryBank,
    StableVMLoss,
    VarianceEstimate,
    alignment_weight,
    kept_steps,
    regime_split,
    stable_schedule,
    stable_solve,
    stable_step,
    stable_target,
    target_variance,
    va_repa_loss,
    variance_curve,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_target(x, refs, t, path, prediction):
    """The formula written out in float64, without streaming."""
    alpha, sigma, d_alpha, d_sigma = (c[:, None, None] for c in Path(path).coefficients(t.double()))
    x, r = x.double().flatten(1)[:, None], refs.double().flatten(1)[None]
    w = (-((x - alpha * r) ** 2).sum(-1, keepdim=True) / (2 * sigma**2)).softmax(1)
    value = r if prediction == "x" else d_sigma / sigma * x + (d_alpha - alpha * d_sigma / sigma) * r
    return (w * value).sum(1)


# --- the averaged target ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["linear", "cosine"])
@pytest.mark.parametrize("prediction", ["v", "x"])
@pytest.mark.parametrize("chunk", [1, 3, 1024])
def test_streaming_agrees_with_the_formula_written_out(path, prediction, chunk):
    draws = generator()
    x, refs = torch.randn(6, 2, 3, generator=draws), torch.randn(10, 2, 3, generator=draws)
    t = torch.tensor([0.02, 0.2, 0.4, 0.6, 0.8, 0.99])
    got = stable_target(x, refs, t, path=path, prediction=prediction, chunk=chunk)
    torch.testing.assert_close(
        got.flatten(1).double(), plain_target(x, refs, t, path, prediction), atol=2e-4, rtol=2e-4
    )


def test_two_references_by_hand():
    """x = 0.5 at t = 0.5 lies midway between 0.5 * 0 and 0.5 * 2, so the weights are 1/2 and v = (0.5 - 1) / 0.5."""
    v = stable_target(torch.tensor([[0.5]]), torch.tensor([[0.0], [2.0]]), torch.tensor([0.5]))
    assert v.item() == pytest.approx(-1.0)


@settings(deadline=None)
@given(st.integers(0, 200), st.floats(0.01, 0.99))
def test_one_reference_gives_the_single_sample_target(seed, time):
    draws = generator(seed)
    x0, noise, t = torch.randn(3, 4, generator=draws), torch.randn(3, 4, generator=draws), torch.full((3,), time)
    x_t = Path().sample(x0, noise, t)
    for row in range(3):
        one = stable_target(x_t[row : row + 1], x0[row : row + 1], t[:1])
        torch.testing.assert_close(one, (noise - x0)[row : row + 1], atol=1e-3, rtol=1e-3)


@settings(deadline=None)
@given(st.integers(0, 200), st.permutations(range(7)))
def test_the_order_of_the_references_makes_no_difference(seed, order):
    draws = generator(seed)
    x, refs, t = torch.randn(4, 3, generator=draws), torch.randn(7, 3, generator=draws), torch.full((4,), 0.6)
    torch.testing.assert_close(
        stable_target(x, refs, t), stable_target(x, refs[list(order)], t, chunk=2), atol=1e-5, rtol=1e-5
    )


def test_the_average_of_the_single_sample_target_is_the_averaged_one():
    """Unbiased: binning many noised draws near one x_t, their mean target is that of all references."""
    refs, t = torch.tensor([[-1.0], [1.0]]), 0.6
    draws = generator()
    x0 = refs[torch.randint(2, (400_000,), generator=draws)]
    noise = torch.randn(x0.shape, generator=draws)
    x_t = (1 - t) * x0 + t * noise
    near = (x_t - 0.3).abs()[:, 0] < 0.02
    want = stable_target(torch.tensor([[0.3]]), refs, torch.tensor([t])).item()
    assert (noise - x0)[near].mean().item() == pytest.approx(want, abs=0.05)


def test_target_refuses_the_ends_of_time_and_other_shapes():
    x, refs = torch.zeros(2, 3), torch.zeros(5, 3)
    with pytest.raises(ValueError, match="t: got times"):
        stable_target(x, refs, torch.tensor([0.5, 1.0]))
    with pytest.raises(ValueError, match=r"refs: got rows of \(4,\), wanted \(3,\)"):
        stable_target(x, torch.zeros(5, 4), torch.full((2,), 0.5))
    with pytest.raises(TypeError, match=r"refs: got torch\.uint8"):
        stable_target(x, refs.byte(), torch.full((2,), 0.5))
    with pytest.raises(ValueError, match="prediction"):
        stable_target(x, refs, torch.full((2,), 0.5), prediction="eps")


# --- variance -----------------------------------------------------------------------------------------------------


def test_variance_of_two_far_points_is_that_of_a_coin_near_the_noise_and_none_near_the_data():
    """At t -> 1, x_t says nothing of x_0 = +-1: E|u - u(x_t)|^2 = Var(x_0) / t^2 = 1, the rest is marginal."""
    refs = torch.tensor([[-1.0], [1.0]])
    late = target_variance(refs, 0.999, 20_000, generator=generator())
    assert late.conditional == pytest.approx(1.0, abs=0.02)
    assert late.marginal == pytest.approx(1.0, abs=0.03)  # the noise itself
    assert late.total == pytest.approx(2.0, abs=0.05)  # Var(eps - x_0)
    assert target_variance(refs, 0.05, 2000, generator=generator()).ratio < 1e-6


def test_variance_of_many_gaussian_points_is_the_closed_form():
    """For N(0, s^2) data, E|u - u(x_t)|^2 = s^2 / ((1 - t)^2 s^2 + t^2) in one dimension."""
    s, t = 0.5, 0.6
    refs = s * torch.randn(4000, 1, generator=generator())
    got = target_variance(refs, t, 8000, generator=generator(1)).conditional
    assert got == pytest.approx(s**2 / ((1 - t) ** 2 * s**2 + t**2), rel=0.05)


def test_the_split_is_the_first_time_above_the_share_of_the_maximum():
    curve = [
        VarianceEstimate(t, 0, c, 0, 0) for t, c in ((0.1, 0.0), (0.2, 0.04), (0.3, 0.06), (0.4, 1.0), (0.5, 0.02))
    ]
    assert regime_split(curve) == 0.3
    assert regime_split(curve, xi=0.5) == 0.4


def test_the_curve_rises_from_the_data_and_a_split_is_found():
    refs = torch.randn(64, 8, generator=generator())
    curve = variance_curve(refs, [0.05, 0.3, 0.6, 0.9], n=600, generator=generator())
    assert curve[0].conditional < 1e-3 < curve[2].conditional
    assert regime_split(curve) in (0.3, 0.6)


def test_a_single_reference_has_no_split():
    curve = variance_curve(torch.ones(1, 3), [0.5], n=16, generator=generator())
    with pytest.raises(ValueError, match="more than one distinct reference"):
        regime_split([VarianceEstimate(p.t, p.total, 0.0, p.marginal, 0.0) for p in curve])
    with pytest.raises(ValueError, match="xi: got 0"):
        regime_split(curve, xi=0)
    with pytest.raises(ValueError, match="ts: got"):
        variance_curve(torch.ones(2, 3), [0.5, 0.2], n=16, generator=generator())


# --- the bank and its loss ----------------------------------------------------------------------------------------


def bank_of(values: dict[int, list[float]], capacity: int = 4) -> MemoryBank:
    bank = MemoryBank(len(values), capacity, feature_shape=(1,), dtype=torch.float32)
    for label, entries in values.items():
        for value in entries:
            bank.add(torch.tensor([[value]]), torch.tensor([label]))
    return bank


@settings(deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(1, 5))
def test_a_bank_holds_the_last_entries_whatever_the_batches_were(batches, capacity):
    bank = MemoryBank(1, capacity, feature_shape=(1,), dtype=torch.float32)
    stream = torch.arange(float(sum(batches)))[:, None]
    for rows in stream.split(batches):
        bank.add(rows, torch.zeros(len(rows), dtype=torch.long))
    assert sorted(bank.entries(0)[:, 0].tolist()) == stream[-capacity:, 0].tolist()


def test_the_label_after_the_last_class_stands_for_all():
    bank = bank_of({0: [1.0, 2.0], 1: [3.0]})
    assert sorted(bank.entries(2)[:, 0].tolist()) == [1.0, 2.0, 3.0]
    drawn = bank.sample(torch.tensor([0] * 50 + [1] * 50 + [2] * 50), generator())
    assert set(drawn[:50, 0].tolist()) == {1.0, 2.0}
    assert set(drawn[50:100, 0].tolist()) == {3.0}
    assert set(drawn[100:, 0].tolist()) == {1.0, 2.0, 3.0}


def test_an_empty_class_is_named():
    bank = bank_of({0: [1.0], 1: []})
    assert not bank.ready
    with pytest.raises(ValueError, match="bank: class 1 holds 0 entries"):
        bank.sample(torch.tensor([1]), generator())
    with pytest.raises(ValueError, match="y: got labels"):
        bank.add(torch.zeros(1, 1), torch.tensor([2]))
    with pytest.raises(ValueError, match=r"x: got \(1, 2\), wanted \(1, 1\)"):
        bank.add(torch.zeros(1, 2), torch.tensor([0]))


def test_the_target_is_averaged_above_the_split_and_only_there():
    bank = bank_of({0: [-1.0, 1.0], 1: [5.0, 7.0]})
    plain = StableVMLoss(bank, split=1.0, label_dropout=0.3).batch(500, generator=generator())
    mixed = StableVMLoss(bank, split=0.5, label_dropout=0.3).batch(500, generator=generator())
    x_t, t, labels, target = mixed
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], mixed[:3]))  # the same draws
    high = t >= 0.5
    assert torch.equal(target[~high], plain[3][~high])
    for label in (0, 1, 2):
        rows = high & (labels == label)
        assert rows.any()
        torch.testing.assert_close(target[rows], stable_target(x_t[rows], bank.entries(label), t[rows]))


def test_the_averaged_target_has_the_same_mean_and_less_noise():
    bank = bank_of({0: [-1.0, 1.0]})
    draws = [StableVMLoss(bank, split, 0.0).batch(40_000, generator=generator()) for split in (1.0, 0.0)]
    high = draws[0][1] > 0.6
    single, averaged = (batch[3][high] for batch in draws)
    assert single.mean().item() == pytest.approx(averaged.mean().item(), abs=0.03)
    assert averaged.var() < 0.8 * single.var()


@pytest.mark.parametrize("weighting", ["uniform", "lognormal"])
def test_the_loss_trains_a_model(weighting):
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)
    loss = StableVMLoss(bank_of({0: [2.0, 2.5]}), weighting=weighting)(
        lambda x, t, labels: model(x), 32, generator=generator()
    )
    loss.backward()
    assert loss.item() > 0 and model.weight.grad.abs().sum() > 0


# --- alignment ----------------------------------------------------------------------------------------------------


def test_alignment_acts_near_the_data_and_is_off_near_the_noise():
    ends = torch.tensor([0.0, 1.0])
    for schedule in ("sigmoid", "hard", "cosine", "snr"):
        near, far = alignment_weight(ends, schedule).tolist()
        assert near > 0.999 and far < 0.003, schedule
    assert alignment_weight(ends, "hard_high").tolist() == [0.0, 1.0]


def test_alignment_weights_by_hand():
    t = torch.tensor([0.7, 0.35])
    assert alignment_weight(t, "sigmoid").tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-7))])
    assert alignment_weight(t, "snr").tolist()[0] == pytest.approx(0.5)
    assert alignment_weight(t, "cosine", tau=0.7).tolist() == pytest.approx([0.0, 0.5], abs=1e-6)
    snr, at_tau = (0.65 / 0.35) ** 2, (0.3 / 0.7) ** 2
    assert alignment_weight(t, "snr").tolist()[1] == pytest.approx(snr / (snr + at_tau), rel=1e-5)


def test_alignment_loss_is_minus_one_for_equal_directions_and_counts_only_weighted_rows():
    hidden = torch.randn(3, 4, 5, generator=generator(), requires_grad=True)
    t = torch.tensor([0.1, 0.1, 0.99])
    assert va_repa_loss(hidden, 3 * hidden.detach(), t, "hard").item() == pytest.approx(-1.0, abs=1e-6)
    target = torch.cat([hidden[:2].detach(), -hidden[2:].detach()])
    assert va_repa_loss(hidden, target, t, "hard").item() == pytest.approx(-1.0, abs=1e-6)


def test_a_batch_without_weight_costs_exactly_nothing_but_keeps_its_graph():
    hidden = torch.randn(2, 3, 4, generator=generator(), requires_grad=True)
    loss = va_repa_loss(hidden, torch.ones(2, 3, 4), torch.tensor([0.9, 0.95]), "hard")
    loss.backward()
    assert loss.item() == 0.0 and hidden.grad.abs().sum().item() == 0.0


def test_alignment_head_has_three_layers_and_maps_the_last_axis():
    head = AlignmentHead(6, 10, width=16)
    assert head(torch.zeros(2, 3, 6)).shape == (2, 3, 10)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in head) == 3


def test_alignment_refuses_what_it_cannot_weigh():
    with pytest.raises(ValueError, match=r"tau: got 1\.5"):
        alignment_weight(torch.tensor([0.5]), tau=1.5)
    with pytest.raises(ValueError, match="schedule: got 'linear'"):
        alignment_weight(torch.tensor([0.5]), "linear")
    with pytest.raises(ValueError, match=r"t: got \(3,\), wanted \(2,\)"):
        va_repa_loss(torch.ones(2, 3, 4), torch.ones(2, 3, 4), torch.full((3,), 0.5))


# --- sampling -----------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.floats(0.05, 1.0), st.floats(0.0, 0.99), st.integers(0, 100))
def test_without_noise_the_closed_form_step_is_eulers(t, share, seed):
    s, draws = share * t, generator(seed)
    x, v = torch.randn(3, 4, generator=draws), torch.randn(3, 4, generator=draws)
    torch.testing.assert_close(stable_step(x, v, t, s), x - (t - s) * v, atol=1e-5, rtol=1e-5)


def test_with_noise_the_step_keeps_the_distribution_of_a_conditional_velocity():
    """x_0 known: from x_t ~ N((1 - t) x_0, t^2) any noise factor must give x_s ~ N((1 - s) x_0, s^2)."""
    x0, t, s = 2.0, 0.8, 0.3
    x_t = (1 - t) * x0 + t * torch.randn(200_000, 1, generator=generator())
    v = (x_t - x0) / t
    for noise_factor in (0.0, 0.4, 1.0):
        x_s = stable_step(x_t, v, t, s, noise_factor, generator=generator(1))
        assert x_s.mean().item() == pytest.approx((1 - s) * x0, abs=0.01)
        assert x_s.std().item() == pytest.approx(s, abs=0.01)


def test_the_last_step_lands_on_the_predicted_data():
    x, v = torch.tensor([[1.0]]), torch.tensor([[3.0]])
    assert stable_step(x, v, 0.4, 0.0, 0.7, generator=generator()).item() == pytest.approx(1 - 0.4 * 3)


def test_the_schedule_keeps_what_is_high_and_thins_what_is_low():
    sigmas = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert stable_schedule(sigmas, 0.75, 1) == [1.0, 0.9, 0.8, 0.7, 0.0]
    assert stable_schedule(sigmas, 0.75, 2) == [1.0, 0.9, 0.8, 0.7, 0.1, 0.0]
    assert stable_schedule(sigmas, 0.75, 3) == [1.0, 0.9, 0.8, 0.7, 0.4, 0.1, 0.0]
    assert stable_schedule(sigmas, 0.75, 7) == sigmas


@settings(deadline=None)
@given(st.integers(3, 60), st.floats(0.05, 0.95), st.data())
def test_a_schedule_never_repeats_a_sigma_and_has_the_length_it_says(steps, split, data):
    sigmas = [1 - i / steps for i in range(steps)] + [0.0]
    low = sum(s < split for s in sigmas) - 1
    if low < 1:
        return
    count = data.draw(st.integers(1, low))
    schedule = stable_schedule(sigmas, split, count)
    assert all(b < a for a, b in itertools.pairwise(schedule))
    assert len(schedule) - 1 == (steps - low) + count == len(kept_steps(sigmas, split, count))


def test_more_low_steps_than_there_are_low_sigmas_are_refused():
    sigmas = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
    with pytest.raises(ValueError, match="low_steps: got 3, wanted 1 to 2"):
        stable_schedule(sigmas, 0.5, 3)
    with pytest.raises(ValueError, match="low_steps: got 0"):
        stable_schedule(sigmas, 0.5, 0)
    with pytest.raises(ValueError, match="sigmas"):
        stable_schedule(sigmas[:-1], 0.5, 1)
    with pytest.raises(ValueError, match=r"split: got 1\.5"):
        stable_schedule(sigmas, 1.5, 1)
    with pytest.raises(ValueError, match="s: got a step"):
        stable_step(torch.zeros(1, 1), torch.zeros(1, 1), 0.3, 0.4)


def test_sampling_the_exact_field_of_separate_points_needs_one_low_step():
    """Where the posterior has settled on one point, a single closed-form step lands on it."""
    refs = torch.tensor([[-4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    x1 = torch.randn(64, 2, generator=generator())
    sigmas = [1 - i / 40 for i in range(40)] + [0.0]
    ended = stable_solve(
        lambda x, t, cond: stable_target(x, refs, t.clamp(max=0.9999)), x1, sigmas, split=0.3, low_steps=1
    )
    assert ended.evaluations == 29 + 1  # sigmas from 1 to 0.3, and one below
    assert (torch.cdist(ended.x0, refs).min(1).values < 1e-2).all()
