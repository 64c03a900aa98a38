"""Where weights lie, and that the shipped ones are what their report says."""

from __future__ import annotations

import pytest
import torch

from assay.errors import UserError
from assay.models import access, available, ensure, load, measure, nano, weights
from assay.models import tokenizer as tok
from assay.models.recipe import RECIPES


def test_saved_weights_come_back_rounded_to_half_precision_and_nothing_else(tmp_path):
    model = nano.tiny_llama(hidden=32, layers=1, heads=2, mlp=32, seed=5)
    weights.save(model, {}, tmp_path / "tiny")
    back = weights.read(tmp_path / "tiny").state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(back[name], tensor.half().float()), name
    assert back["lm_head.weight"].data_ptr() == back["model.embed_tokens.weight"].data_ptr()


def test_missing_weights_are_refused_where_training_is_not_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_SHIPPED", tmp_path)
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    assert not available("nano")
    with pytest.raises(UserError, match="assay models train nano"):
        ensure("nano", train=False)


def test_weights_in_the_cache_are_found_by_their_recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_SHIPPED", tmp_path)
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    weights.save(nano.tiny_llama(), {}, weights.cached("nano"))
    assert ensure("nano") == weights.cached("nano")
    assert weights.cached("nano").is_relative_to(tmp_path / "cache" / "models")
    assert weights.cached("nano") != weights.cached("micro")


def test_words_get_rows_of_their_own_and_the_rest_stays():
    plain, _ = load("nano")
    model, tokenizer = load("nano", ["hello", "world"])
    assert len(tokenizer) == model.config.vocab_size == 258
    table = model.get_input_embeddings().weight
    assert torch.equal(table[:256], plain.get_input_embeddings().weight)
    torch.testing.assert_close(table[257], plain.get_input_embeddings().weight.mean(dim=0))
    assert model.lm_head.weight is table
    ids = torch.tensor([tokenizer.encode("4 hello")])
    assert model(ids).logits.shape[-1] == 258


@pytest.mark.parametrize("name", nano.SIZES)
def test_shipped_weights_were_made_by_the_recipe_in_the_code_and_meet_their_gates(name):
    report = weights.recipe(name)
    recipe = report["recipe"]
    assert {**recipe, "betas": tuple(recipe["betas"])} == {**RECIPES[name].__dict__}
    assert report["missed"] == []
    other = weights.recipe("nano")["measured"] if name == "micro" else None
    assert measure.missed_gates(name, report["measured"], other) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", nano.SIZES)
def test_shipped_weights_can_do_what_their_report_says(name):
    assert measure.measure(*load(name)) == weights.recipe(name)["measured"]


def test_shipped_nano_solves_about_as_many_fresh_lists_as_reported():
    model, tokenizer = load("nano")
    problems = [measure.TASKS["lists"].sample(50_000 + i) for i in range(100)]
    share = sum(measure.solved(model, tokenizer, "lists", problems, temperature=0)) / 100
    assert abs(share - weights.recipe("nano")["measured"]["greedy"]["lists"]) < 0.15


def test_the_longest_worked_reply_fits_the_limit_of_the_measure():
    longest = max(
        len(tok.encode(task.sample(seed, "test").trace)) for task in measure.TASKS.values() for seed in range(300)
    )
    assert longest < 42 < measure.LONGEST_REPLY


def test_a_name_with_a_slash_is_an_inspect_model():
    assert "Inspect" in type(access.sampler("mockllm/model")).__name__


def test_loading_draws_nothing_from_the_global_stream_and_prints_nothing(capfd):
    torch.manual_seed(3)
    untouched = torch.rand(2)
    torch.manual_seed(3)
    load("nano")
    assert torch.equal(torch.rand(2), untouched)
    assert capfd.readouterr() == ("", "")
