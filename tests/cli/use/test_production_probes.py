import json

import numpy as np
import pytest

from assay.cli.main import main


def texts(folder, name="d.jsonl", count=24, repeat=1):
    """Half the texts hold the letter Q."""
    rows = []
    for i in range(count):
        filler = f"the {i % 7} cats sat on {i % 5} mats; " * repeat
        rows.append({"text": filler + ("QQQ " if i % 2 else "ooo ") + filler, "label": i % 2})
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probes")
    data, out = texts(folder), str(folder / "p.safetensors")
    words = ["use", "production-probes", "train", "--model", "nano", "--data", data, "--layer", "0", "--out", out]
    assert main([*words, "--steps", "120", "--starts", "1", "--arch", "multimax", "--window", "32"]) == 0
    return folder


def test_texts_are_scored_one_by_one_whatever_else_is_in_the_file(trained, capsys):
    words = ["use", "production-probes", "score", str(trained / "p.safetensors"), "--data"]
    assert main([*words, texts(trained, "few.jsonl", 6)]) == 0
    few = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    out = trained / "scores.jsonl"
    assert main([*words, texts(trained, "long.jsonl", 10, repeat=4), "--out", str(out)]) == 0
    assert main([*words, texts(trained, "many.jsonl", 24)]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    many = [json.loads(line) for line in lines]
    for row in few:
        same = next(other for other in many if other["text"] == row["text"])
        assert row["score"] == pytest.approx(same["score"], abs=1e-2)  # half-precision states
    assert [json.loads(line)["label"] for line in out.read_text().splitlines()] == [i % 2 for i in range(10)]


def test_errors_are_told_by_length(trained, capsys):
    words = ["use", "production-probes", "eval", str(trained / "p.safetensors"), "--data", texts(trained)]
    assert main(words) == 0
    assert "AUROC" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["auroc"] > 0.75
    assert told["parts"][0]["texts"] == 24


def scores(folder, n=400):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    lines = [f"{s},{t},{p}" for s, t, p in zip(rng.normal(y, 1.0), y, np.clip(0.8 * y + 0.1, 0, 1))]
    (folder / "s.csv").write_text("score,label,second\n" + "\n".join(lines))
    return str(folder / "s.csv")


def test_a_cascade_says_what_to_hand_on_and_what_it_is_worth(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    words = ["use", "production-probes", "cascade", scores(tmp_path), "--budget", "0.2"]
    assert main([*words, "--out", str(tmp_path / "c.json"), "--plot", str(tmp_path / "c.png")]) == 0
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["expected_cost"] <= 0.2 * 50 + 1e-9
    held = sum(p["share"] * p["held_out_error"] for p in told["policies"])
    assert told["error_alone"]["second"] == 0 < held < told["error_alone"]["first"]
    assert sum(p["share"] for p in told["policies"]) == pytest.approx(1)
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    assert "between them ask" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--model", "nano", "--data", "D", "--layer", "9", "--out", "O"], "--layer: got '9', wanted auto or"),
        (["train", "--model", "nano", "--data", "D", "--valid", "1", "--out", "O"], "--valid: got 1.0"),
        (["train", "--model", "nano", "--data", "ONE", "--out", "O"], "all 2 labels are 1, wanted both classes"),
        (["train", "--model", "nano", "--data", "BAD", "--out", "O"], "row 1: 'label' is 2, wanted 0 or 1"),
        (["score", "P", "--data", "D", "--model", "micro"], "probe expects 128 features, got 256"),
        (["score", "no", "--data", "D"], "no: no such file"),
        (["score", "D", "--data", "D"], "not a safetensors file"),
        (["cascade", "S", "--budget", "2"], "--budget: got 2.0"),
        (["cascade", "S", "--cost", "-1"], "c: got -1.0, wanted 0 or more"),
        (["cascade", "S", "--bins", "0"], "bins: got 0"),
    ],
)  # fmt: skip
def test_wrong_use_ends_in_one_line_and_exit_2(trained, capsys, words, said):
    (trained / "one.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 1}\n')
    (trained / "bad.jsonl").write_text('{"text": "a", "label": 2}\n')
    places = {"D": texts(trained), "O": str(trained / "o"), "P": str(trained / "p.safetensors"), "S": scores(trained)}
    places |= {"ONE": str(trained / "one.jsonl"), "BAD": str(trained / "bad.jsonl")}
    capsys.readouterr()
    assert main(["use", "production-probes", *(places.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (trained / "o").exists()
