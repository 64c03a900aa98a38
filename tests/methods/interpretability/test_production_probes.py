from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from assay.methods.activations import capture
from assay.methods.interpretability.production_probes import (
    MAKE,
    AttentionProbe,
    Design,
    DesignedProbe,
    LinearProbe,
    MultiMaxProbe,
    ProbeData,
    ProbeMonitor,
    RollingMeansAttentionProbe,
    choose_threshold,
    evolve_probes,
    load_probe,
    measure,
    parse_design,
    save_probe,
    score_all,
    threshold_randomised_optimal,
    train_probe,
    weighted_error,
)

D = 6


def made(arch: str, seed: int = 0):
    torch.manual_seed(seed)
    return MAKE[arch](D).eval()


def states(lengths: list[int], seed: int = 0, scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(len(lengths), max(lengths), D, generator=g)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    return x, mask


def streamed(probe, x, mask) -> torch.Tensor:
    found = []
    for row, real in zip(x, mask):
        state = probe.init_state(1)
        for token in row[real]:
            state = probe.step(state, token.unsqueeze(0))
        found.append(probe.score(state))
    return torch.cat(found)


# --- probes ------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(MAKE)), st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 1000))
@torch.no_grad()
def test_streaming_gives_the_score_of_the_batch(arch, lengths, seed):
    probe = made(arch, seed)
    x, mask = states(lengths, seed)
    torch.testing.assert_close(streamed(probe, x, mask), probe(x, mask), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("arch", sorted(MAKE))
@torch.no_grad()
def test_padding_on_either_side_changes_no_score(arch):
    probe = made(arch)
    x, mask = states([13, 13])
    wanted = probe(x, mask)
    rubbish = torch.full((2, 5, D), torch.nan)
    for parts, masks in (((x, rubbish), (mask, mask[:, :5] & False)), ((rubbish, x), (mask[:, :5] & False, mask))):
        padded = torch.cat(parts, 1).nan_to_num(7.0)
        torch.testing.assert_close(probe(padded, torch.cat(masks, 1)), wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_aggregations_are_those_of_the_paper_worked_token_by_token():
    x, mask = states([12])
    for probe in (AttentionProbe(D, 2, 5), MultiMaxProbe(D, 2, 5), RollingMeansAttentionProbe(D, 4, 2, 5)):
        q, v = (part[0].numpy() for part in probe.tokens(x))
        if isinstance(probe, AttentionProbe):
            wanted = sum((np.exp(q[:, h]) * v[:, h]).sum() / np.exp(q[:, h]).sum() for h in range(2))
        elif isinstance(probe, MultiMaxProbe):
            wanted = v.max(0).sum()
        else:
            windows = [slice(t - 3, t + 1) for t in range(3, 12)]
            wanted = sum(
                max((np.exp(q[w, h]) * v[w, h]).sum() / np.exp(q[w, h]).sum() for w in windows) for h in range(2)
            )
        assert probe(x, mask).item() == pytest.approx(wanted + probe.bias.item(), rel=1e-4)


@torch.no_grad()
def test_linear_probes_pool_by_mean_last_and_moving_average():
    x, mask = states([4])
    for pool in ("mean", "last", "ema"):
        probe = LinearProbe(D, pool, alpha=0.5)
        s = probe.linear(x)[0, :, 0].tolist()
        e = [s[0]]
        for value in s[1:]:
            e.append(0.5 * e[-1] + 0.5 * value)
        assert probe(x, mask).item() == pytest.approx({"mean": sum(s) / 4, "last": s[3], "ema": max(e)}[pool], rel=1e-4)


@torch.no_grad()
def test_a_rolling_weight_is_not_lost_beside_a_far_greater_one():
    probe = RollingMeansAttentionProbe(D, 2, 1, 4)
    q = torch.tensor([200.0, 0.0, 0.0, 0.0])
    v = torch.tensor([0.0, 1.0, 5.0, 5.0])
    probe.tokens = lambda x: (q[: x.shape[-2]].view(1, -1, 1), v[: x.shape[-2]].view(1, -1, 1))
    assert probe(torch.zeros(1, 4, D), torch.ones(1, 4).bool()).item() == pytest.approx(5.0, abs=1e-4)


def test_the_soft_maximum_is_for_training_only():
    probe = MultiMaxProbe(D, 2, 5, train_aggregation="softmax")
    x, mask = states([9])
    soft, hard = probe.train()(x, mask), probe.eval()(x, mask)
    assert soft < hard
    assert torch.equal(hard, MultiMaxProbe.forward(probe, x, mask))


@torch.no_grad()
def test_a_long_quiet_text_dilutes_soft_attention_but_no_rolling_mean():
    x, mask = states([10])
    quiet = torch.zeros(1, 500, D)
    long, long_mask = torch.cat([quiet, x, quiet], 1), torch.ones(1, 1010).bool()
    rolling, soft = made("rolling"), made("attention")
    assert rolling(long, long_mask) >= rolling(x, mask) - 1e-5
    nothing = soft(quiet, torch.ones(1, 500).bool())
    assert (soft(long, long_mask) - nothing).abs() < 0.2 * (soft(x, mask) - nothing).abs()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: made("mean")(*states([3])[::-1]), ValueError, r"x: got shape \(1, 3\)"),
        (lambda: made("mean")(torch.zeros(1, 0, D), torch.zeros(1, 0).bool()), ValueError, r"\(1, 0, 6\).*T >= 1"),
        (
            lambda: made("multimax")(torch.zeros(1, 2, 9), torch.ones(1, 2).bool()),
            ValueError,
            "expects 6 features, got 9",
        ),
        (
            lambda: made("rolling")(torch.zeros(2, 2, D), torch.tensor([[True, True], [False, False]])),
            ValueError,
            "row 1",
        ),
        (lambda: made("rolling")(torch.full((1, 2, D), torch.nan), torch.ones(1, 2).bool()), ValueError, "NaN"),
        (lambda: made("mean")(torch.zeros(1, 2, D), torch.ones(1, 2)), ValueError, r"wanted \(1, 2\) torch.bool"),
        (lambda: RollingMeansAttentionProbe(D, window=0), ValueError, "window: got 0"),
        (lambda: LinearProbe(D, "max"), ValueError, "pool: got 'max'"),
        (lambda: LinearProbe(D, alpha=0.0), ValueError, "alpha: got 0.0"),
        (lambda: MultiMaxProbe(D, train_aggregation="mean"), ValueError, "train_aggregation: got 'mean'"),
        (
            lambda: ProbeData(*states([3, 3]), torch.tensor([1, 1])),
            ValueError,
            "all 2 labels are 1, wanted both classes",
        ),
        (lambda: ProbeData(*states([3, 3]), torch.tensor([1, 2])), ValueError, "wanted 2 values of 0 and 1"),
        (lambda: choose_threshold([1.0], [1]), ValueError, "both of them there"),
        (lambda: choose_threshold([1.0, 2.0], [1]), ValueError, r"got shapes \(2,\), \(1,\)"),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- training ------------------------------------------------------------------------------------------------------


def needle(n: int, length: int, seed: int) -> ProbeData:
    """Half the rows hold one token that points along the first dimension."""
    x, mask = states([length] * n, seed, scale=0.5)
    y = torch.arange(n) % 2
    g = torch.Generator().manual_seed(seed)
    for row in y.nonzero().flatten().tolist():
        x[row, int(torch.randint(length, (1,), generator=g)), 0] += 4
    return ProbeData(x, mask, y)


def test_a_trained_maximum_finds_a_needle_and_stays_right_on_longer_texts():
    train, valid, long = needle(200, 16, 1), needle(60, 16, 2), needle(60, 160, 3)
    found = train_probe(lambda: MultiMaxProbe(D, 4, 16), train, valid, steps=150, lr=1e-2, n_seeds=2)
    assert found.chosen == int(np.argmin(found.losses)) and len(found.losses) == 2
    assert found.seed_variance == pytest.approx(np.var(found.losses))
    threshold = choose_threshold(score_all(found.probe, valid.x, valid.mask), valid.y)
    assert weighted_error(score_all(found.probe, long.x, long.mask), long.y, threshold) < 0.2


def test_training_twice_gives_the_same_probe():
    train, valid = needle(40, 8, 1), needle(20, 8, 2)
    one, same = (train_probe(lambda: LinearProbe(D), train, valid, steps=10, n_seeds=1, seed=4) for _ in range(2))
    assert torch.equal(one.probe.linear.weight, same.probe.linear.weight)


def test_a_threshold_weighs_the_two_errors_and_the_items():
    scores, labels = [0.0, 1.0, 2.0, 3.0], [0, 1, 0, 1]
    assert choose_threshold(scores, labels, w_fn=3) == 0.5
    assert choose_threshold(scores, labels, w_fp=3) == 2.5
    assert choose_threshold(scores, labels, w_fp=1.0, w_fn=1.1, weights=[1, 1, 9, 1]) == 2.5
    assert weighted_error(scores, labels, 0.5, w_fp=2) == 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=15), st.floats(0.1, 5))
def test_no_other_threshold_errs_less(items, w_fp):
    scores, labels = [float(s) for s, _ in items], [int(y) for _, y in items]
    if len(set(labels)) < 2:
        return
    chosen = weighted_error(scores, labels, choose_threshold(scores, labels, w_fp), w_fp)
    best = min(weighted_error(scores, labels, t, w_fp) for t in np.arange(-0.5, 8))
    assert chosen == pytest.approx(best)


def test_a_saved_probe_is_read_back(tmp_path):
    probe = made("rolling")
    save_probe(probe, "rolling", tmp_path / "p.safetensors", {"layer": 3})
    back, about = load_probe(tmp_path / "p.safetensors")
    x, mask = states([12])
    assert torch.equal(back(x, mask), probe(x, mask))
    assert about == {"arch": "rolling", "dim": D, "layer": 3}
    (tmp_path / "no").write_bytes(b"no")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_probe(tmp_path / "no")


# --- cascade -------------------------------------------------------------------------------------------------------


def lower_left(points: list[tuple[float, float]], cost: float) -> float:
    """The least error of any mixture of the points at no more than that cost."""
    under = [e for c, e in points if c <= cost + 1e-12]
    mixed = [
        e0 + (cost - c0) / (c1 - c0) * (e1 - e0)
        for c0, e0 in points
        for c1, e1 in points
        if c0 <= cost < c1 and c1 > c0
    ]
    return min(under + mixed)


def all_policies(s, y, p2, c, w_fp, w_fn, monotone):
    """Every assignment of an action to every distinct score, by brute force."""
    unique = sorted(set(s))
    for actions in itertools.product((0, 1, 2), repeat=len(unique)):
        if monotone and list(actions) != sorted(actions, key=lambda a: (0, 2, 1)[a]):
            continue
        does = dict(zip(unique, actions))
        said = [does[a] == 1 if does[a] != 2 else p >= 0.5 for a, p in zip(s, p2)]
        positives, negatives = max(sum(y), 1), max(len(y) - sum(y), 1)
        error = sum(
            w_fp / negatives if yes and not t else w_fn / positives if t and not yes else 0 for yes, t in zip(said, y)
        )
        yield c * sum(does[a] == 2 for a in s) / len(s), error


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=12),
    st.floats(0.5, 50),
    st.floats(0.2, 3),
    st.booleans(),
)
def test_the_frontier_is_that_of_all_policies(items, c, w_fp, monotone):
    s, y, p2 = ([row[i] for row in items] for i in range(3))
    s, y, p2 = [float(v) for v in s], [int(v) for v in y], [0.9 if v else 0.1 for v in p2]
    points = list(all_policies(s, y, p2, c, w_fp, 1.0, monotone))
    frontier = threshold_randomised_optimal(s, y, p2, c, w_fp, 1.0, monotone=monotone)
    for budget in np.linspace(0, c, 7):
        assert frontier.at_budget(budget).error == pytest.approx(lower_left(points, budget), abs=1e-9)
    for policy, point in zip(frontier.policies, frontier.points):
        assert measure(policy, s, y, p2, c, w_fp) == pytest.approx(point)
        assert not monotone or policy.thresholds is not None
    costs, errors = zip(*frontier.points)
    assert list(costs) == sorted(set(costs)) and list(errors) == sorted(set(errors), reverse=True)
    slopes = np.diff(errors) / np.diff(costs)
    assert (np.diff(slopes) >= -1e-9).all()


def test_no_coin_is_needed_for_a_linear_trade_off():
    rng = np.random.default_rng(0)
    s, y = rng.normal(size=60), rng.integers(0, 2, 60)
    p2 = np.clip(y + rng.normal(0, 0.4, 60), 0, 1)
    frontier = threshold_randomised_optimal(s, y, p2, 10.0, bins=8)
    for price in (0.001, 0.01, 0.1):
        vertex = min(e + price * c for c, e in frontier.points)
        mixtures = [frontier.at_budget(budget) for budget in np.linspace(0, 10, 200)]
        assert vertex <= min(m.error + price * m.cost for m in mixtures) + 1e-12


def test_equal_scores_make_one_bin_with_a_frontier_of_its_three_choices():
    frontier = threshold_randomised_optimal([1, 1, 1, 1], [0, 0, 0, 1], [0.1, 0.1, 0.1, 0.9], 5.0)
    assert frontier.points == ((0.0, 1.0), (5.0, 0.0))
    assert [policy.actions for policy in frontier.policies] == [("negative",), ("defer",)]
    half = frontier.at_budget(2.5)
    assert (half.chance, half.error) == (0.5, 0.5)


def test_a_bin_for_every_score_fits_labels_that_mean_nothing_and_wide_bins_do_not():
    rng = np.random.default_rng(1)
    s, y = rng.normal(size=400), rng.integers(0, 2, 400)
    p2 = np.full(400, 0.1)
    fitted = threshold_randomised_optimal(s[:200], y[:200], p2[:200], 1.0)
    wide = threshold_randomised_optimal(s[:200], y[:200], p2[:200], 1.0, bins=4)
    assert fitted.points[0] == (0.0, pytest.approx(0.0))
    assert measure(fitted.policies[0], s[200:], y[200:], p2[200:], 1.0)[1] > 0.8
    assert wide.points[0][1] > 0.6


def test_a_frontier_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    threshold_randomised_optimal([1, 2, 3], [0, 1, 1], [0.1, 0.9, 0.9], 1.0).plot(tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [0, 1], [0.1], 1.0), r"got shapes \(2,\), \(2,\), \(1,\)"),
        (([1, np.nan], [0, 1], [0.1, 0.2], 1.0), "s1: has NaN"),
        (([1, 2], [0, 2], [0.1, 0.2], 1.0), "y: got a value other than 0 and 1"),
        (([1, 2], [0, 1], [0.1, 1.2], 1.0), r"p2: got a value outside \[0, 1\]"),
        (([1, 2], [0, 1], [0.1, 0.2], -1.0), "c: got -1.0, wanted 0 or more"),
    ],
)
def test_a_wrong_cascade_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        threshold_randomised_optimal(*arguments)


# --- search --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregation", ["mean", "softmax", "max", "rolling", "topk", "bipolar"])
@torch.no_grad()
def test_a_designed_probe_is_blind_to_padding(aggregation):
    torch.manual_seed(0)
    probe = DesignedProbe(Design("gated", aggregation, "none", 2, 16, 5), D).eval()
    x, mask = states([12, 3])
    alone = torch.cat([probe(x[:1], mask[:1]), probe(x[1:, :3], mask[1:, :3])])
    torch.testing.assert_close(probe(torch.where(mask.unsqueeze(2), x, 50.0), mask), alone, atol=1e-5, rtol=1e-5)


def test_evolution_finds_the_best_design_of_a_toy_fitness_and_keeps_its_lineage():
    def fitness(design: Design) -> float:
        if design.transform == "linear":
            raise ValueError("too simple")
        return 2 * (design.aggregation == "topk") + (design.heads == 4) + (design.regulariser == "l1")

    tried = evolve_probes(fitness, 12, 8, generator=np.random.default_rng(0))
    assert tried[0].fitness == 4
    assert tried[-1].fitness == -np.inf
    born = {one.design: one.generation for one in tried}
    for one in tried:
        assert all(born[parent] < one.generation or born[parent] == one.generation for parent in one.parents)
    assert {one.how for one in tried} == {"drawn", "crossed", "mutated"}
    again = evolve_probes(fitness, 12, 8, generator=np.random.default_rng(0))
    assert [one.design for one in again] == [one.design for one in tried]


def test_a_proposer_adds_designs_and_its_rubbish_is_passed_over():
    texts = iter(['design(aggregation="bipolar", heads=2)', "import os", 'design(heads="many")', "design()"])
    tried = evolve_probes(
        lambda d: float(d.heads), 5, 2, lambda ranked: next(texts), generator=np.random.default_rng(0)
    )
    assert [one.design.aggregation for one in tried if one.how == "proposed"].count("bipolar") == 1


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "__import__('os').system('x')", "design('mlp')", "design(heads=[4])", "design(colour='red')",
     "design(width=17)", "design(heads=4.0)", "probe()"],
)  # fmt: skip
def test_what_is_no_design_is_refused(text):
    with pytest.raises(ValueError):
        parse_design(text)
    assert parse_design('design(transform="gated", heads=4)') == Design(transform="gated", heads=4)


# --- monitor -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30, hidden_size=D, num_hidden_layers=2, num_attention_heads=1, num_key_value_heads=1,
        intermediate_size=8, pad_token_id=0, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("arch", ["rolling", "attention", "mean"])
def test_a_monitor_scores_what_was_read_and_written(model, arch):
    probe = made(arch)
    ids, mask = torch.tensor([[0, 3, 4], [5, 6, 7]]), torch.tensor([[0, 1, 1], [1, 1, 1]])
    with ProbeMonitor(model, probe, 1) as monitor:
        out = model.generate(ids, attention_mask=mask, max_new_tokens=5, do_sample=False)
    read = out[:, :-1]  # the last token was written but never read
    real = torch.cat([mask, torch.ones(2, read.shape[1] - 3, dtype=torch.long)], 1)
    whole = [capture(model, read[[i]][:, real[i].bool()], [1])[1] for i in range(2)]
    wanted = torch.cat([probe(x, torch.ones(x.shape[:2]).bool()) for x in whole])
    torch.testing.assert_close(monitor.scores, wanted, atol=1e-4, rtol=1e-4)


def test_a_monitor_stops_a_reply(model):
    ids = torch.tensor([[3, 4, 5]])
    with ProbeMonitor(model, made("multimax"), 0, stop_on=-100.0) as monitor:
        out = model.generate(
            ids, attention_mask=ids * 0 + 1, max_new_tokens=9, do_sample=False, stopping_criteria=[monitor]
        )
    assert out.shape[1] == 4
    with ProbeMonitor(model, made("multimax"), 0, stop_on=100.0) as monitor:
        out = model.generate(
            ids, attention_mask=ids * 0 + 1, max_new_tokens=9, do_sample=False, stopping_criteria=[monitor]
        )
    assert out.shape[1] == 12
    monitor.reset()
    with pytest.raises(ValueError, match="nothing was read yet"):
        _ = monitor.scores


def test_a_design_is_plain_data():
    assert json.loads(json.dumps(Design().__dict__)) == Design().__dict__
