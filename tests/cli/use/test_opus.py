"""`assay use opus score`: a model of a folder, texts in, a ranked table out."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("transformers")

import torch

from assay.cli.main import main
from assay.methods.data.stages import read_rows
from assay.models import tokenizer as tok
from assay.models.nano import tiny_llama

PROXY = ["12 + 13 = 25", "12 + 14 = 26", "12 + 15 = 27"]
CANDIDATES = ["12 + 16 = 28", "zzzz qqqq zzzz", "12 + 17 = 29", "x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with its tokenizer, two files of texts, and the state of an optimiser that took a step."""
    path = tmp_path_factory.mktemp("opus")
    model = tiny_llama(hidden=16, layers=2, heads=2, mlp=24, context=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.arange(20, 40).reshape(2, 10), labels=torch.arange(20, 40).reshape(2, 10)).loss.backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), path / "state.pt")
    torch.save({"p": 1}, path / "other.pt")
    model.save_pretrained(path / "model")
    tok.build().save_pretrained(path / "model")
    for name, texts in (("proxy", PROXY), ("candidates", CANDIDATES)):
        rows = [json.dumps({"id": f"{name}-{i}", "text": text}) for i, text in enumerate(texts)]
        (path / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    return path


def score(folder, *more) -> int:
    words = [
        "--model",
        folder / "model",
        "--candidates",
        folder / "candidates.jsonl",
        "--proxy",
        folder / "proxy.jsonl",
    ]
    return main(["use", "opus", "score", *map(str, [*words, *more])])


@pytest.mark.parametrize("more", [(), ("--optimizer", "STATE"), ("--last-layers", "1")])
def test_texts_like_the_proxy_rank_first(folder, tmp_path, capsys, more):
    out = tmp_path / "scores.parquet"
    words = [folder / "state.pt" if word == "STATE" else word for word in more]
    assert score(folder, *words, "--out", out, "--batch", "3") == 0
    shown = capsys.readouterr().out
    assert ("its own state" in shown) == ("--optimizer" in more)
    rows = {row["id"]: row for row in read_rows(out)}
    assert rows["candidates-0"]["utility"] > rows["candidates-1"]["utility"]
    assert sorted(row["rank"] for row in rows.values()) == [1, 2, 3, 4]
    assert rows["candidates-3"]["utility"] is None, "one token has nothing to predict"
    assert "1 without a score" in shown


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--out", "scores.txt"), "wanted a name that ends in .jsonl or .parquet"),
        (("--max-tokens", "1"), "wanted at least 2 and 1"),
        (("--optimizer", "nowhere.pt"), "nowhere.pt: no such file"),
        (("--optimizer", "OTHER"), "no state of AdamW over this model"),
        (("--last-layers", "7"), "n: got 7, wanted 1 to 2"),
        (("--model", "no/such/model/here"), "no causal language model with a tokenizer"),
    ],
)
def test_wrong_words_end_in_one_line(folder, capsys, more, said):
    assert score(folder, *[folder / "other.pt" if word == "OTHER" else word for word in more]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("assay: ") == 1
    assert "Traceback" not in err


def test_a_file_without_texts_is_named(folder, tmp_path, capsys):
    wrong = tmp_path / "c.jsonl"
    wrong.write_text('{"words": "x"}\n')
    assert score(folder, "--candidates", wrong) == 2
    assert "no field 'text'" in capsys.readouterr().err
