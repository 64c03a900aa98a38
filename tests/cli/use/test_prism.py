import json

import pytest

from assay.cli.main import main
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    tiny_llama(hidden=16, layers=1, heads=2, mlp=32).save_pretrained(folder)
    build().save_pretrained(folder)
    return folder


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("7+5=12 and 3+4=7. " * 40)
    return file


def bench(*words) -> int:
    return main(["use", "prism", "bench", *map(str, words)])


def test_a_table_tells_speed_density_and_perplexity(model, text, capsys):
    assert bench(model, "--text", text, "--lengths", "256,512", "--block", "16", "-p", "0.5") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["tokens", "full"]
    assert [line.split()[0] for line in lines[1:3]] == ["256", "512"]


def test_at_p_1_nothing_is_left_out_and_perplexity_stays(model, text, capsys):
    assert bench(model, "--text", text, "--lengths", "300", "--block", "16", "-p", "1", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["density"] == 1
    assert row["recall"] == pytest.approx(1)
    assert row["prism_perplexity"] == pytest.approx(row["full_perplexity"], rel=1e-4)
    assert row["speedup"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lengths", "many"], "--lengths: got 'many'"),
        (["--lengths", "1"], "at least 2 tokens"),
        (["--lengths", "4096"], "wanted at most 1024"),
        (["--lengths", "1000"], "give a longer text"),
        (["-p", "0"], "p: got 0"),
        (["--block", "100"], "block: got 100"),
    ],
)
def test_wrong_words_end_in_one_line(model, text, capsys, words, said):
    assert bench(model, "--text", text, *(["--lengths", "256"] if "--lengths" not in words else []), *words) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]  # transformers may have told of loading before it


def test_a_missing_or_odd_text_is_named(model, tmp_path, capsys):
    assert bench(model, "--text", tmp_path / "none.txt") == 2
    assert "no such file" in capsys.readouterr().err
    odd = tmp_path / "odd.txt"
    odd.write_bytes(b"\xff\xfe")
    assert bench(model, "--text", odd) == 2
    assert "not UTF-8" in capsys.readouterr().err
