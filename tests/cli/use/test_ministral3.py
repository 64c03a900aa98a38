"""`assay use ministral3` on the command line."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from assay.cli.main import main
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

STAGES = "- {n_layers: 2, tokens: 256}\n- {d_model: 16, d_ff: 24, tokens: 256}\n"


@pytest.fixture
def given(tmp_path):
    tiny_llama(hidden=32, layers=3, heads=4, mlp=48, seed=0).save_pretrained(tmp_path / "parent")
    build().save_pretrained(tmp_path / "parent")
    texts = [{"text": f"sentence {i} of the text, {i * i} letters long"} for i in range(60)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    (tmp_path / "stages.yaml").write_text(STAGES)
    return tmp_path


def words(folder, **other):
    said = {"model": "parent", "data": "data.jsonl", "stages": "stages.yaml", "out": "out"} | other
    paths = [word for name, value in said.items() for word in (f"--{name}", str(folder / value))]
    return ["use", "ministral3", "distil", *paths, "--length", "16", "--batch", "4"]


def test_a_family_is_made_taken_up_and_read_by_transformers(given, capsys):
    assert main(words(given)) == 0
    printed = capsys.readouterr().out
    assert "wrote 2 children" in printed
    child = AutoModelForCausalLM.from_pretrained(given / "out" / "stage-2")
    assert (child.config.num_hidden_layers, child.config.hidden_size) == (2, 16)
    tokenizer = AutoTokenizer.from_pretrained(given / "out" / "stage-2")
    child.generate(torch.tensor([tokenizer.encode("sentence")]), max_new_tokens=3)
    before = (given / "out" / "stage-1" / "model.safetensors").stat().st_mtime_ns
    assert main(words(given)) == 0
    assert (given / "out" / "stage-1" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ("- {n_layers: 9}\n", "n_layers: got 9, wanted 2 to 3"),
        ("- {d_model: 18}\n", "wanted a multiple of 4 heads"),
        ("- {layers: 2}\n", "no field 'layers'"),
        ("- {n_layers: two}\n", "n_layers is 'two'"),
        ("n_layers: 2\n", "wanted a list"),
        ("- [\n", "not YAML"),
        ("- {n_layers: 2, tokens: 100000}\n", "nothing is shown twice"),
    ],
)
def test_wrong_stages_are_one_line_and_leave_nothing(given, stages, told, capsys):
    (given / "stages.yaml").write_text(stages)
    assert main(words(given)) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (given / "out" / "stage-1").exists()


def test_a_teacher_of_another_vocabulary_is_refused(given, capsys):
    tiny_llama(hidden=32, layers=2, heads=4, mlp=48, vocabulary=300).save_pretrained(given / "other")
    build().save_pretrained(given / "other")
    assert main([*words(given), "--teacher", str(given / "other")]) == 2
    assert "teacher has 300 tokens, student 256" in capsys.readouterr().err


def test_pairs_get_soft_labels(tmp_path, capsys):
    rows = [
        {"prompt": "p", "a": "x", "b": "y", "a_first": 0.9, "b_first": 0.5},
        {"prompt": "p", "a": "<think>x", "b": "y", "a_first": 0.9, "b_first": 0.1},
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["use", "ministral3", "odpo", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "o.jsonl")]) == 0
    made = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["preferred"] for row in made] == pytest.approx([0.7, 0.0])
    assert [row["confidence"] for row in made] == pytest.approx([0.4, 1.0])
    assert "1 replies break the thinking format" in capsys.readouterr().out
    (tmp_path / "p.jsonl").write_text(json.dumps({**rows[0], "a_first": 1.5}) + "\n")
    assert main(["use", "ministral3", "odpo", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "o2.jsonl")]) == 2
    assert "a_first has a value outside [0, 1]" in capsys.readouterr().err
    assert not (tmp_path / "o2.jsonl").exists()
