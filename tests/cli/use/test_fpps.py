"""`assay use fpps` on the command line."""

from __future__ import annotations

import json

import pytest
import torch

from assay.cli.main import main
from assay.methods.interpretability._fpps_file import load, save
from assay.methods.interpretability._fpps_prober import FactualityProber
from assay.methods.interpretability.fpps import FPPS
from assay.worlds.text import lists


@pytest.fixture(scope="module")
def rows():
    """Lists that nano can do; another list before them confuses it."""
    problems = [lists.sample(i, "test", operations=(1, 1), letters=(4, 4)) for i in range(90)]
    return [
        {"question": p.prompt, "history": problems[i - 1].prompt if i % 2 else "", "gold": p.trace}
        for i, p in enumerate(problems)
    ]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def fitted(width):
    prober = FactualityProber(torch.zeros(2 * width), torch.ones(2 * width), torch.ones(2 * width), 0.5, 0.9)
    return FPPS(3, prober, torch.ones(width) / width**0.5, "S", gamma=0.2)


def test_a_fit_is_written_and_used(rows, tmp_path, capsys):
    data, out = write(tmp_path / "t.jsonl", rows), str(tmp_path / "f.safetensors")
    assert main(["use", "fpps", "fit", "--model", "nano", "--data", data, "--layer", "3", "--out", out]) == 0
    printed = capsys.readouterr().out
    assert "layer 3, prober AUROC" in printed
    history = write(tmp_path / "h.jsonl", [{"text": "Sabcd S"}, {"text": "Sdcba V"}])
    asked = ["use", "fpps", "run", out, "--model", "nano", "--history", history, "--question", "Sabcd V"]
    assert main([*asked, "--retrieve", "1", "--max-tokens", "16"]) == 0
    printed = capsys.readouterr().out
    assert "without history: dcba" in printed
    assert "risk" in printed


def test_a_file_comes_back_as_it_was(tmp_path):
    save(tmp_path / "f.safetensors", fitted(4))
    back = load(tmp_path / "f.safetensors")
    h_u, h_0 = torch.randn(3, 4), torch.randn(3, 4)
    torch.testing.assert_close(back.change(h_u, h_0), fitted(4).change(h_u, h_0))
    assert (back.layer, back.variant, back.prober.auroc) == (3, "S", 0.9)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"question": "x", "gold": "y"}, "no field 'history'"),
        ({"question": "x", "history": 3, "gold": "y"}, "triple 1: wanted texts"),
        ({"question": "x", "history": "", "gold": "y", "kind": "own"}, "triple 1: kind: got 'own'"),
        ({"question": "Sabcd V", "history": "", "gold": "y"}, "no personalisation-induced errors on these 1 items"),
    ],
)
def test_wrong_triples_are_one_line_and_leave_nothing(row, told, tmp_path, capsys):
    data, out = write(tmp_path / "t.jsonl", [row]), tmp_path / "f.safetensors"
    assert main(["use", "fpps", "fit", "--model", "nano", "--data", data, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_file_of_something_else_or_of_another_model_is_refused(tmp_path, capsys):
    history = write(tmp_path / "h.jsonl", [{"text": "Sabcd S"}])
    asked = ["--model", "nano", "--history", history, "--question", "x"]
    (tmp_path / "other").write_text("x")
    save(tmp_path / "f.safetensors", fitted(4))
    for name, told in (("other", "not a file"), ("none", "no such file"), ("f.safetensors", "width 4, nano has 128")):
        assert main(["use", "fpps", "run", str(tmp_path / name), *asked]) == 2
        assert told in capsys.readouterr().err
