import json

import pytest

from assay.cli.main import main
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    tiny_llama(hidden=16, layers=2, heads=2, mlp=32).save_pretrained(folder)
    build().save_pretrained(folder)
    return folder


def heads(*words) -> int:
    return main(["use", "slash_pattern", "heads", *map(str, words)])


def test_a_table_and_a_page_show_the_heads(model, tmp_path, capsys):
    text, out = tmp_path / "text.txt", tmp_path / "page.html"
    text.write_text("7+5=12 and 3+4=7. " * 20)
    assert heads(model, "--text", text, "--length", "100", "--threshold", "0.01", "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["layer", "head", "lag"]
    assert lines[-1].startswith("4 of 4 heads")
    assert out.read_text().count("<svg") == 4


def test_json_holds_every_head_and_random_tokens_serve_without_a_text(model, capsys):
    assert heads(model, "--length", "64", "--max-delta", "8", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(head["layer"], head["head"]) for head in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len(found[0]["profile"]) == 9
    assert set(found[0]["bands"]) == {"high", "middle", "low"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--threshold", "0"], "--threshold: got 0.0"),
        (["--length", "1"], "--length: got 1"),
        (["--length", "16", "--max-delta", "16"], "deltas: got 0 to 16"),
        (["--text", "none.txt"], "none.txt: no such file"),
    ],
)
def test_wrong_words_end_in_one_line(model, tmp_path, capsys, words, said):
    out = tmp_path / "page.html"
    assert heads(model, *words, "--out", out) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()


def test_a_short_text_and_a_model_without_rope_are_named(model, tmp_path, capsys):
    from transformers import GPT2Config, GPT2LMHeadModel

    text = tmp_path / "text.txt"
    text.write_text("7+5=12")
    assert heads(model, "--text", text) == 2
    assert "give more text" in capsys.readouterr().err
    GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2)).save_pretrained(tmp_path / "gpt2")
    build().save_pretrained(tmp_path / "gpt2")
    assert heads(tmp_path / "gpt2", "--length", "16") == 2
    assert "has no rotary embedding" in capsys.readouterr().err
