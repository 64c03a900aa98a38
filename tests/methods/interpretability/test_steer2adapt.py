"""Steer2Adapt: concept vectors, mixes, margins, the objective and the search."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from assay.methods.activations import capture
from assay.methods.interpretability import _minimal_pairs, _steer_report
from assay.methods.interpretability._replies import prompt_ids
from assay.methods.interpretability._steer_search import Tried, maximise, starts
from assay.methods.interpretability.steer2adapt import (
    STABLE,
    Basis,
    Item,
    Objective,
    Recipe,
    SteeredModel,
    build_basis,
    concept_vector,
    load,
    margins,
    middle_third,
    save,
    search,
    steered,
)
from assay.models import load as load_model
from assay.models.finetune import replies
from assay.worlds.text import lists

CONCEPTS = {"reverse": (["Sabcd V", "Sbdac V"], ["Sabcd S", "Sbdac S"]), "rotate": (["Sabcd R1"], ["Sabcd W"])}


@pytest.fixture(scope="module")
def nano():
    return load_model("nano")


@pytest.fixture(scope="module")
def items():
    return [Item(p.prompt, p.trace) for p in (lists.sample(i, "test") for i in range(24))]


def test_the_objective_is_the_one_worked_by_hand():
    before = np.array([0.1, 0.5, 2.0, -1.0, 3.0])
    after = np.array([-0.1, -0.5, -2.0, 1.0, 3.0])
    alpha = np.array([2.0, -1.0])
    nudge = (np.tanh(-0.2) + np.tanh(-1.0) + np.tanh(-4.0) + np.tanh(2.0) + 0.0) / 5
    assert STABLE(before, after, alpha) == pytest.approx(1 - (1 + 2 + 3) + 0.1 * nudge - 0.01 * 5)
    flat = Objective(middling=1.0, confident=1.0)
    assert flat(before, after, alpha) == pytest.approx(1 - 3 + 0.1 * nudge - 0.01 * 5)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=20), st.randoms())
def test_the_objective_knows_no_order_and_is_nought_for_nothing(pairs, rng):
    before, after = np.array(pairs).T
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    again = np.array(shuffled).T
    alpha = np.array([0.3])
    assert STABLE(before, after, alpha) == pytest.approx(STABLE(again[0], again[1], alpha))
    assert STABLE(before, before, np.zeros(3)) == 0


def test_an_item_is_right_exactly_when_greedy_decoding_writes_it(nano, items):
    written = replies(*nano, [item.prompt for item in items], max_tokens=80)
    hits = [text == item.gold for text, item in zip(written, items)]
    assert (margins(*nano, items) > 0).tolist() == hits
    assert 0 < sum(hits) < len(hits)


def test_a_choice_is_worth_what_the_model_itself_says(nano):
    model, tokenizer = nano
    item = Item("Sabcd V", "dcba", ("abcd", "d"))

    def log_p(reply: str) -> float:
        head = prompt_ids(tokenizer, item.prompt)
        tail = tokenizer.encode(reply, add_special_tokens=False) + [tokenizer.eos_token_id]
        with torch.no_grad():
            found = model(torch.tensor([head + tail])).logits[0].log_softmax(-1)
        return sum(float(found[len(head) - 1 + i, token]) for i, token in enumerate(tail))

    wanted = log_p("dcba") - max(log_p("abcd"), log_p("d"))
    assert margins(model, tokenizer, [item, Item("S", "x")])[0] == pytest.approx(wanted, abs=1e-3)


def test_padding_changes_no_margin_where_positions_are_absolute():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=256, n_embd=32, n_layer=2, n_head=2, n_positions=64)).eval()
    tokenizer = load_model("nano")[1]
    items = [Item("Sab", "ba", ("ab",)), Item("Sabcdefgh V", "hgfedcba", ("abc",))]
    together = margins(model, tokenizer, items)
    assert together == pytest.approx([margins(model, tokenizer, [item])[0] for item in items], abs=1e-4)


def test_a_concept_is_the_difference_of_the_means_at_the_length_of_the_states(nano):
    model, tokenizer = nano
    positive, negative = CONCEPTS["reverse"]
    states = [
        capture(model, torch.tensor([prompt_ids(tokenizer, p)]), [2], positions="last")[2][0, 0]
        for p in positive + negative
    ]
    apart = (states[0] + states[1] - states[2] - states[3]) / 2
    length = torch.stack(states).norm(dim=1).mean()
    found = concept_vector(model, tokenizer, positive, negative, 2)
    torch.testing.assert_close(found, apart / apart.norm() * length, atol=1e-4, rtol=1e-4)


def test_the_first_component_points_to_the_positive_side(nano):
    prompts = [[f"S{p.prompt[1:5]} {op}" for p in (lists.sample(i) for i in range(8))] for op in "VS"]
    mean, first = (concept_vector(*nano, *prompts, 2, method=method) for method in ("mean_diff", "pca"))
    assert float(mean @ first) > 0
    assert float(first.norm()) == pytest.approx(float(mean.norm()), rel=1e-5)


def test_orthogonal_concepts_keep_their_lengths_and_sides(nano):
    plain = build_basis(*nano, CONCEPTS, layers=[2])
    apart = build_basis(*nano, CONCEPTS, layers=[2], orthogonalise=True)
    assert float(apart.gram[0, 1]) == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(apart.vectors.norm(dim=1), plain.vectors.norm(dim=1))
    assert ((apart.vectors * plain.vectors).sum(dim=1) > 0).all()


def test_concepts_that_are_nearly_one_are_named(nano):
    basis = build_basis(*nano, {"a": CONCEPTS["reverse"], "b": CONCEPTS["reverse"]}, layers=[2])
    assert basis.alike() == [("a", "b", pytest.approx(1.0, abs=1e-5))]
    assert middle_third(5) == (1, 2)
    assert middle_third(1) == (0,)
    assert middle_third(12) == (4, 5, 6, 7)


@pytest.mark.parametrize("positions", ["all", "generated"])
def test_a_mix_is_added_up_to_its_cap_and_only_where_it_should(nano, positions):
    model, tokenizer = nano
    ids = torch.tensor([prompt_ids(tokenizer, "Sabcd V")])
    before = capture(model, ids, [2])[2]
    mix = torch.full((before.shape[-1],), 3.0)
    with steered(model, mix, [2], positions=positions, norm_cap=0.25):
        change = capture(model, ids, [2])[2] - before
    lengths = change.norm(dim=-1)[0]
    capped = torch.minimum(0.25 * before.norm(dim=-1)[0], mix.norm())
    torch.testing.assert_close(lengths[-1:], capped[-1:], atol=1e-3, rtol=1e-3)
    if positions == "all":
        torch.testing.assert_close(lengths, capped, atol=1e-3, rtol=1e-3)
    else:
        assert not lengths[:-1].any()


def test_no_mix_leaves_the_logits_as_they_are_and_so_does_the_end_of_the_block(nano, items):
    model, tokenizer = nano
    plain = margins(model, tokenizer, items)
    with steered(model, torch.zeros(128), [1, 2]):
        assert np.array_equal(margins(model, tokenizer, items), plain)
    with steered(model, torch.ones(128), [1, 2]):
        assert not np.array_equal(margins(model, tokenizer, items), plain)
    assert np.array_equal(margins(model, tokenizer, items), plain)


@pytest.mark.parametrize("backend", ["botorch", "optuna"])
def test_both_searches_find_the_top_of_a_hill(backend):
    top = np.array([0.8, -0.5])

    def score(alpha):
        return Tried(tuple(alpha.tolist()), float(-((alpha - top) ** 2).sum()), ())

    settings = {"bounds": (-2.0, 2.0), "n_init": 6, "n_iter": 8, "patience": 12, "backend": backend, "seed": 3}
    tried = maximise(score, 2, **settings)
    assert max(one.score for one in tried[:6]) < -0.2
    assert max(one.score for one in tried) > -0.05
    assert [one.alpha for one in maximise(score, 2, **settings)] == [one.alpha for one in tried]


def test_it_starts_with_nothing_each_concept_alone_and_sobol_points():
    found = starts(2, (-2.0, 0.5), 7, seed=0)
    assert [alpha.tolist() for alpha in found[:5]] == [[0, 0], [0.5, 0], [0, 0.5], [-1, 0], [0, -1]]
    assert len(found) == 7
    assert all(((alpha >= -2) & (alpha <= 0.5)).all() for alpha in found)


def test_it_stops_when_the_best_has_long_been_the_same():
    tried = maximise(
        lambda alpha: Tried(tuple(alpha.tolist()), 0.0, ()),
        1,
        bounds=(-1.0, 1.0),
        n_init=3,
        n_iter=30,
        patience=2,
        backend="optuna",
        seed=0,
    )
    assert len(tried) == 5


def test_a_recipe_is_never_worse_than_none_and_comes_back_from_its_file(nano, items, tmp_path):
    model, tokenizer = nano
    basis = build_basis(model, tokenizer, CONCEPTS, layers=[2])
    recipe = search(model, tokenizer, basis, items, n_iter=2, backend="optuna")
    assert recipe.score >= 0
    assert recipe.score == max(one.score for one in recipe.trace)
    save(tmp_path / "r.json", basis, recipe)
    again, read = load(tmp_path / "r.json")
    assert read == recipe
    torch.testing.assert_close(again.vectors, basis.vectors)
    (tmp_path / "other.json").write_text('{"schema": "x"}')
    with pytest.raises(ValueError, match="not a steering recipe"):
        load(tmp_path / "other.json")


def test_a_steered_model_generates_and_is_itself_again_afterwards(nano):
    model, tokenizer = nano
    basis = build_basis(model, tokenizer, CONCEPTS, layers=[2])
    ids = torch.tensor([prompt_ids(tokenizer, "Sabcd V")])
    asked = {"input_ids": ids, "max_new_tokens": 8, "do_sample": False}
    plain = model.generate(**asked)
    pushed = SteeredModel(model, basis, Recipe((-2.0, 2.0), basis.names, 0.0, (2,), norm_cap=2.0)).generate(**asked)
    assert not torch.equal(plain, pushed)
    assert torch.equal(model.generate(**asked), plain)


def test_the_report_says_what_each_concept_brings(nano, items):
    model, tokenizer = nano
    basis = build_basis(model, tokenizer, CONCEPTS, layers=[2])
    recipe = search(model, tokenizer, basis, items, n_iter=1, backend="optuna")
    idle = Recipe((0.0, 0.0), basis.names, 0.0, (2,), before=recipe.before, trace=recipe.trace[:1])
    assert _steer_report.leave_one_out(model, tokenizer, basis, idle, items) == {"reverse": 0.0, "rotate": 0.0}
    assert _steer_report.sign_stability(idle) == {"reverse": 1.0, "rotate": 1.0}
    whole = _steer_report.change(model, tokenizer, basis, idle, items)
    assert whole.before == whole.after == (margins(model, tokenizer, items) > 0).mean()
    assert _steer_report.transfer(model, tokenizer, basis, {"a": idle}, {"b": items}) == {"a": {"b": 0.0}}


def test_minimal_pairs_are_of_twelve_kinds_and_differ_little():
    found = _minimal_pairs.build(0)
    assert len(found) == 12
    for pairs in found.values():
        assert len(set(pairs)) == 50
        for good, bad in pairs:
            assert good != bad
            assert abs(len(good.split()) - len(bad.split())) <= 1
    assert _minimal_pairs.build(1) != found


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda m: build_basis(*m, {}), "concepts: got none"),
        (lambda m: build_basis(*m, {"a": (["x"], ["y", "z"])}), "got 1 and 2 prompts"),
        (lambda m: build_basis(*m, {"a": (["x"], ["x"])}), "the same for both"),
        (lambda m: build_basis(*m, CONCEPTS, layers=[9]), "wanted some of 0 to 4"),
        (lambda m: concept_vector(*m, ["x"], ["y"], 2, method="best"), "wanted 'mean_diff' or 'pca'"),
        (lambda m: margins(*m, []), "items: got none"),
        (lambda m: steered(m[0], torch.ones(128), [2], norm_cap=0), "norm_cap: got 0"),
        (lambda m: steered(m[0], torch.ones(128), [2], positions="some"), "wanted 'all' or 'generated'"),
        (lambda m: Basis(torch.ones(2, 3), ("a", "b"), 0, (0,)).compose([1.0]), "alpha: got shape (1,)"),
        (lambda m: Objective(t1=2.0), "wanted t1 <= t2"),
        (lambda m: starts(1, (0.0, 1.0), 3, 0) and _search(m, bounds=(1.0, -1.0)), "wanted low < 0 < high"),
        (lambda m: _search(m, backend="grid"), "wanted 'botorch' or 'optuna'"),
        (lambda m: _search(m, n_iter=-1), "n_init, n_iter, patience"),
    ],
)
def test_wrong_input_is_named(nano, call, told):
    with pytest.raises(ValueError) as raised:
        call(nano)
    assert told in str(raised.value)


def test_items_that_are_all_right_or_all_wrong_are_refused(nano):
    basis = build_basis(*nano, CONCEPTS, layers=[2])
    with pytest.raises(ValueError, match="has none of the 2 right"):
        search(*nano, basis, [Item("Sabcd V", "zzz"), Item("Sabcd V", "zzzz")], backend="optuna")


def _search(nano, **settings):
    basis = build_basis(*nano, CONCEPTS, layers=[2])
    items = [Item("Sabcd V", "zzz"), Item("Sabcd S", replies(*nano, ["Sabcd S"], max_tokens=40)[0])]
    return search(*nano, basis, items, **settings)
