import json
import re

import pytest

from assay.cli.main import main
from assay.methods.post_training.profit import token_probabilities
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

ROWS = [
    {"id": "easy", "prompt": "12+3=", "completion": "15\n#15"},
    {"prompt": "", "completion": "<b>&"},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model saved with its tokenizer."""
    folder = tmp_path_factory.mktemp("models") / "small"
    tiny_llama(hidden=16, layers=1, heads=2, mlp=32).save_pretrained(folder)
    build().save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def tokens(*words) -> int:
    return main(["use", "profit", "tokens", *map(str, words)])


def test_each_token_is_written_with_its_probability_and_whether_it_is_kept(model, data, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert tokens(model, data, "--threshold", "0.004", "--output", out) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["easy", 2]
    assert ["".join(row["tokens"]) for row in rows] == ["15\n#15", "<b>&"]
    small = tiny_llama(hidden=16, layers=1, heads=2, mlp=32)
    for row, given in zip(rows, ROWS):
        _, p = token_probabilities(small, build(), given["prompt"], given["completion"])
        assert row["p"] == pytest.approx(p.tolist(), rel=1e-4)
        assert row["kept"] == [one >= 0.004 for one in row["p"]]
    kept = [k for row in rows for k in row["kept"]]
    printed = capsys.readouterr().out
    assert re.search(rf"^0\.004 +{100 * sum(kept) / len(kept):.1f}% +{len(kept) - sum(kept)}$", printed, re.MULTILINE)
    assert f"{len(kept)} tokens" in printed


def test_the_page_shows_every_token_and_strikes_out_the_dropped_ones(model, data, tmp_path):
    page, out = tmp_path / "page.html", tmp_path / "out.jsonl"
    assert tokens(model, data, "--threshold", "1", "--html", page, "--output", out) == 0
    shown = page.read_text()
    assert shown.count("<s ") == 8 and "<span " not in shown
    assert "&lt;" in shown and "<b>&<" not in shown
    assert tokens(model, data, "--threshold", "0", "--html", page, "--output", out) == 0
    assert page.read_text().count("<span ") == 8
    assert "http" not in shown


def test_a_field_of_text_needs_no_prompt(model, tmp_path):
    file, out = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    file.write_text('{"text": "12+3=15"}\n')
    assert tokens(model, file, "--field", "text", "--output", out) == 0
    assert "".join(json.loads(out.read_text())["tokens"]) == "12+3=15"


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ('{"prompt": "p"}', [], "line 1: no field 'completion'"),
        ('{"prompt": "p", "completion": ""}', [], "row 1: 'completion' is '', wanted text"),
        ('{"prompt": ["p"], "completion": "c"}', [], "row 1: 'prompt' is ['p'], wanted text"),
        ('{"text": "c"}', ["--field", "body"], "no field 'body'; it has text"),
        (json.dumps(ROWS[0]), ["--threshold", "1.3"], "threshold: got 1.3, wanted a number in [0, 1]"),
        ("", [], "no rows"),
    ],
)
def test_wrong_input_ends_in_one_line_and_nothing_written(model, tmp_path, capsys, text, words, said):
    file, out = tmp_path / "data.jsonl", tmp_path / "out.jsonl"
    file.write_text(text + "\n")
    assert tokens(model, file, "--output", out, *words) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not out.exists()


def test_a_folder_without_a_model_is_named(data, tmp_path, capsys):
    assert tokens(tmp_path, data, "--output", tmp_path / "out.jsonl") == 2
    assert f"{tmp_path}: no causal language model" in capsys.readouterr().err
