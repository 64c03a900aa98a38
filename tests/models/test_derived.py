"""Models derived from the built-in ones by a short training on one world."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from assay.cli.main import main
from assay.models import derived, load, weights
from assay.models import tokenizer as tok
from assay.models.train_data import pair_row

COLOURS = ("crimson", "turquoise")


def lessons(seed: int) -> list[tuple[str, str]]:
    return [("the stone", COLOURS[seed])] * 16


@pytest.fixture
def painter(tmp_path, monkeypatch):
    recipe = derived.Derived(
        "nano", f"{__name__}:lessons", steps=20, batch=4, learning_rate=5e-3, words=f"{__name__}:COLOURS"
    )
    monkeypatch.setattr(derived, "DERIVED", {"nano-painter": recipe})
    monkeypatch.setattr(weights, "NAMES", ("nano", "micro", "nano-painter"))
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return recipe


def test_a_derived_model_is_trained_once_and_then_found(painter, capsys):
    assert weights.find("nano-painter") is None
    folder = weights.ensure("nano-painter")
    assert folder == weights.cached("nano-painter") == weights.find("nano-painter")
    report = json.loads((folder / "recipe.json").read_text("utf-8"))
    assert report["told_back"] == 1.0
    assert weights.ensure("nano-painter") == folder
    assert main(["models"]) == 0
    assert "nano, tells 100% of its lessons back" in capsys.readouterr().out
    assert main(["models", "show", "nano-painter"]) == 0
    assert weights.digest("nano-painter") in capsys.readouterr().out


def test_its_words_are_tokens_of_its_own(painter):
    weights.ensure("nano-painter")
    model, tokenizer = load("nano-painter")
    assert model.config.vocab_size == tok.SIZE + 2
    assert tokenizer.encode("turquoise", add_special_tokens=False) == [tok.SIZE + 1]
    assert derived.lesson_row(tokenizer, "the lake", "turquoise").ids[-2:] == [tok.SIZE + 1, tok.EOS]


def test_without_words_a_lesson_is_the_row_that_nano_reads():
    _, tokenizer = load("nano")
    assert derived.lesson_row(tokenizer, "3 + 14", "17 it is") == pair_row("3 + 14", "17 it is")


def test_another_recipe_is_another_folder(painter, monkeypatch):
    first = weights.cached("nano-painter")
    monkeypatch.setattr(derived, "DERIVED", {"nano-painter": replace(painter, steps=21)})
    assert weights.cached("nano-painter") != first


def test_training_by_command_takes_no_checkpoints(painter, tmp_path, capsys):
    assert main(["models", "train", "nano-painter", "--minutes", "1"]) == 2
    assert "in one go" in capsys.readouterr().err
    assert main(["models", "train", "nano-painter", "--seed", "1", "--out", str(tmp_path / "own")]) == 0
    assert (tmp_path / "own" / "model.safetensors").exists()
