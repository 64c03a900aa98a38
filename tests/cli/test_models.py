"""`assay models` on the command line."""

from __future__ import annotations

import json

import pytest

from assay.cli.main import main
from assay.models import weights


def test_list_names_the_models_with_their_accuracies(capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "nano" in printed
    assert "micro" in printed
    assert f"lists {weights.recipe('nano')['measured']['greedy']['lists']:.2f}" in printed
    assert main(["models", "list", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(weights.NAMES) > {"nano", "micro"}


def test_show_says_how_a_model_was_made(capsys):
    assert main(["models", "show", "nano"]) == 0
    printed = capsys.readouterr().out
    assert "1,006,976 parameters" in printed
    assert weights.digest("nano") in printed
    assert main(["models", "show", "nano", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == weights.recipe("nano")


def test_the_card_is_in_the_docs_as_measured(capsys, request):
    assert main(["models", "card"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() in (request.config.rootpath / "docs" / "models.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["show", "pico"], "unknown model 'pico'"),
        (["train", "pico"], "unknown model 'pico'"),
        (["train", "nano", "--minutes", "0"], "--minutes: got 0"),
    ],
)
def test_wrong_words_are_one_line_and_exit_code_2(words, complaint, capsys):
    assert main(["models", *words]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def test_a_training_that_runs_out_of_time_leaves_a_checkpoint_and_no_weights(tmp_path, capsys, monkeypatch):
    from assay.models import train

    monkeypatch.setattr(train, "LOG_EVERY", 1)
    assert main(["models", "train", "nano", "--minutes", "0.0001", "--out", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "step     1 of 1960" in captured.out
    assert "--resume goes on" in captured.err
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert main(["models", "train", "nano", "--out", str(tmp_path)]) == 2
    assert "add --resume" in capsys.readouterr().err
