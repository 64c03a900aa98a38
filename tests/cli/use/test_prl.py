import json

import pytest
import torch

from assay.cli.main import main
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

ROWS = [
    {"prompt": "12+3=", "response": "12+3=15\n#15", "reward": 1},
    {"prompt": "7+4=", "response": "7+4=10\n#10", "reward": 0},
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two small models saved with their tokenizer; the second differs in every weight."""
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("trained", 0), ("start", 1)):
        tiny_llama(hidden=16, layers=1, heads=2, mlp=32, seed=seed).save_pretrained(folder / name)
        build().save_pretrained(folder / name)
    return folder


@pytest.fixture
def responses(tmp_path):
    file = tmp_path / "responses.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def rewards(*words) -> int:
    return main(["use", "prl", "rewards", *map(str, words)])


def test_steps_are_written_with_rewards_that_add_up(models, responses, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert rewards(models / "trained", models / "start", responses, "--eta", "10", "--output", out) == 0
    assert "4 steps of 2 responses" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert ["".join(step["text"] for step in row["steps"]) for row in rows] == [row["response"] for row in ROWS]
    for row in rows:
        divergence = sum(step["log_ratio"] for step in row["steps"])
        assert divergence == pytest.approx(total(models, row), abs=1e-4)
        assert sum(step["reward"] for step in row["steps"]) == pytest.approx(row["reward"] - divergence / 10, abs=1e-5)


def total(models, row):
    """log pi(response) - log pi_0(response) by the models' own losses."""
    tokenizer, sums = build(), []
    prompt = tokenizer(row["prompt"])["input_ids"]
    response = tokenizer(row["response"], add_special_tokens=False)["input_ids"]
    for seed in (0, 1):
        model = tiny_llama(hidden=16, layers=1, heads=2, mlp=32, seed=seed).eval()
        labels = torch.tensor([[-100] * len(prompt) + response])
        with torch.no_grad():
            loss = model(torch.tensor([prompt + response]), labels=labels).loss
        sums.append(-loss.item() * len(response))
    return sums[0] - sums[1]


def test_a_model_against_itself_has_spent_nothing(models, responses, tmp_path):
    out = tmp_path / "out.jsonl"
    words = [models / "start", models / "start", responses, "--output", out, "--split", "fixed", "--size", "3"]
    assert rewards(*words) == 0
    steps = [json.loads(line)["steps"] for line in out.read_text().splitlines()]
    assert all(step["log_ratio"] == 0 and not step["flagged"] for own in steps for step in own)
    assert [own[-1]["reward"] for own in steps] == [1, 0]


def test_an_outlying_step_is_flagged():
    from assay.cli.use.prl import flag

    steps = [[{"log_ratio": value, "tokens": 2} for value in (0.1, 0.2, 0.3, 0.2, 9.0)]]
    assert flag(steps) == 1
    assert [step["flagged"] for step in steps[0]] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ('{"prompt": "p", "response": "r"}', [], "line 1: no field 'reward'"),
        ('{"prompt": "p", "response": "", "reward": 1}', [], "'response' is '', wanted text"),
        ('{"prompt": "p", "response": "r", "reward": "good"}', [], "'reward' is 'good', wanted a number"),
        (json.dumps(ROWS[0]), ["--eta", "0"], "--eta: got 0.0"),
        (json.dumps(ROWS[0]), ["--split", "fixed", "--size", "0"], "size: got 0"),
        ("", [], "no rows"),
    ],
)
def test_wrong_input_ends_in_one_line_and_nothing_written(models, tmp_path, capsys, text, words, said):
    file, out = tmp_path / "responses.jsonl", tmp_path / "out.jsonl"
    file.write_text(text + "\n")
    assert rewards(models / "trained", models / "start", file, "--output", out, *words) == 2
    error = capsys.readouterr().err.strip()
    assert said in error.splitlines()[-1]
    assert not out.exists()


def test_a_folder_without_a_model_is_named(models, responses, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert rewards(models / "trained", empty, responses) == 2
    assert f"{empty}: no causal language model" in capsys.readouterr().err
