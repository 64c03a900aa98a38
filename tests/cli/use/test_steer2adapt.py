"""`assay use steer2adapt` on the command line."""

from __future__ import annotations

import json

import pytest
import torch

from assay.cli.main import main
from assay.methods.interpretability.steer2adapt import Item, margins
from assay.models import load
from assay.worlds.text import lists

CONCEPTS = """\
reverse:
  positive: [Sabcd V, Sbdac V]
  negative: [Sabcd S, Sbdac S]
rotate: {positive: [Sabcd R1], negative: [Sabcd W]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Concepts, calibration items, and nano as a folder that `transformers` reads."""
    path = tmp_path_factory.mktemp("steer")
    model, tokenizer = load("nano")
    model.save_pretrained(path / "model")
    tokenizer.save_pretrained(path / "model")
    (path / "concepts.yaml").write_text(CONCEPTS)
    problems = [lists.sample(i, "test") for i in range(24)]
    lines = [json.dumps({"prompt": p.prompt, "gold": p.trace}) for p in problems]
    (path / "items.jsonl").write_text("\n".join(lines) + "\n")
    return path


def test_a_recipe_is_fitted_run_and_judged(folder, capsys):
    given = ["--concepts", str(folder / "concepts.yaml"), "--data", str(folder / "items.jsonl")]
    words = ["--backend", "optuna", "--n-iter", "2", "--layers", "2", "--out", str(folder / "r.json")]
    assert main(["use", "steer2adapt", "fit", "--model", str(folder / "model"), *given, *words]) == 0
    printed = capsys.readouterr().out
    assert "of 24 calibration items right before" in printed
    assert "reverse" in printed
    assert main(["use", "steer2adapt", "run", "--model", "nano", str(folder / "r.json"), "--prompt", "Sabcd V"]) == 0
    assert capsys.readouterr().out.startswith("plain:\ndcba")
    judged = ["use", "steer2adapt", "eval", "--model", "nano", str(folder / "r.json")]
    assert main([*judged, "--data", str(folder / "items.jsonl"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    items = [Item(p.prompt, p.trace) for p in (lists.sample(i, "test") for i in range(24))]
    assert told["before"] == (margins(*load("nano"), items) > 0).mean()
    assert set(told["concepts"]) == {"reverse", "rotate"}


@pytest.mark.parametrize(
    ("concepts", "items", "words", "told"),
    [
        ("a: [x]\n", None, [], "concept a: wanted positive and negative"),
        ("a: {positive: [x, y], negative: [z]}\n", None, [], "2 positive and 1 negative"),
        ("a: [\n", None, [], "not YAML"),
        ("", None, [], "wanted name:"),
        (None, '{"prompt": "x"}\n', [], "no field 'gold'"),
        (None, '{"prompt": "x", "gold": 3}\n', [], "item 1: wanted texts"),
        (None, '{"prompt": "Sabcd V", "gold": "zzzz"}\n', [], "has none of the 1 right"),
        (None, None, ["--layers", "two"], "--layers: got 'two'"),
        (None, None, ["--layers", "7"], "wanted some of 0 to 4"),
        (None, None, ["--model", "nowhere/at/all"], "no causal language model"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(folder, tmp_path, capsys, concepts, items, words, told):
    files = {"concepts.yaml": concepts, "items.jsonl": items}
    for name, text in files.items():
        (tmp_path / name).write_text((folder / name).read_text() if text is None else text)
    given = ["--concepts", str(tmp_path / "concepts.yaml"), "--data", str(tmp_path / "items.jsonl")]
    words = ["--model", "nano", "--backend", "optuna", "--out", str(tmp_path / "r.json"), *words]
    assert main(["use", "steer2adapt", "fit", *given, *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "r.json").exists()


def test_a_recipe_of_another_model_is_refused(folder, tmp_path, capsys):
    from assay.methods.interpretability import steer2adapt

    basis = steer2adapt.Basis(torch.ones(1, 7), ("a",), 0, (0,))
    steer2adapt.save(tmp_path / "r.json", basis, steer2adapt.Recipe((1.0,), ("a",), 0.0, (0,)))
    assert main(["use", "steer2adapt", "run", "--model", "nano", str(tmp_path / "r.json"), "--prompt", "x"]) == 2
    assert "width 7, nano has 128" in capsys.readouterr().err
    assert main(["use", "steer2adapt", "run", "--model", "nano", str(tmp_path / "none.json"), "--prompt", "x"]) == 2
    assert "no such file" in capsys.readouterr().err
