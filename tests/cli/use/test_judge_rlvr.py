import json

import pytest

from assay.cli.main import main

SOLUTIONS = [
    {"problem": "p", "solution": r"<think>hm</think>so \boxed{4}", "answer": "4"},
    {"problem": "p", "solution": r"so \boxed{5}", "answer": "4"},
    {"problem": "p", "solution": r"thus \boxed{6}", "correct": False},
    {"problem": "q", "solution": "easy", "correct": True},
    {"problem": "q", "solution": "easy too", "correct": True},
]


def use(*words) -> int:
    return main(["use", "judge_rlvr", *map(str, words)])


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_judging_data_is_balanced_and_what_was_left_out_is_told(tmp_path, capsys):
    out = tmp_path / "judge.jsonl"
    assert use("judge-set", write(tmp_path / "s.jsonl", SOLUTIONS), "--output", out) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(row["label"] for row in rows) == [0, 1]
    assert next(row for row in rows if row["label"])["solution"] == r"so \boxed{4}"
    shown = capsys.readouterr().out
    assert "2 solutions of 1 problems, 1 of them right" in shown
    assert "1 problems with only right or only wrong" in shown


def test_all_solutions_can_be_kept(tmp_path):
    out = tmp_path / "judge.jsonl"
    assert use("judge-set", write(tmp_path / "s.jsonl", SOLUTIONS), "--output", out, "--all") == 0
    assert [json.loads(line)["label"] for line in out.read_text().splitlines()] == [1, 0, 0]


def test_backtracking_is_told_for_each_group(tmp_path, capsys):
    rows = [
        {"text": "but wait", "step": 0},
        {"text": "it is 31", "step": 100},
        {"text": "wait it is 31 again", "step": 100},
    ]
    file = write(tmp_path / "r.jsonl", rows)
    assert use("backtracking", file, "--field", "text", "--by", "step", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {"of": "0", "responses": 1, "per_1000_words": 1000.0, "with_any": 1},
        {"of": "100", "responses": 2, "per_1000_words": 100.0, "with_any": 1},
    ]
    assert use("backtracking", file, "--field", "text", "--phrase", "again") == 0
    assert "66.7" in capsys.readouterr().out  # 200 per 1,000 in one of three


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        (SOLUTIONS[3:], ["judge-set", "--output", "o.jsonl"], "none is left to judge"),
        ([{"problem": "p", "solution": "s"}], ["judge-set", "--output", "o.jsonl"], "neither 'correct' nor 'answer'"),
        (
            [{"problem": "p", "solution": "s", "correct": 2}],
            ["judge-set", "--output", "o.jsonl"],
            "'correct' is 2, wanted true or false",
        ),
        (
            [{"problem": "p", "solution": "s", "correct": 1}, {"problem": "p", "solution": "s", "correct": 0}],
            ["judge-set", "--output", "o.jsonl"],
            "row 2: the same solution is called right and wrong",
        ),
        ([{"problem": "p"}], ["judge-set", "--output", "o.jsonl"], "no field 'solution'"),
        (SOLUTIONS, ["judge-set", "--output", "o.jsonl", "--keep-rate", "0.9", "0.1"], "keep_rate: got"),
        ([{"text": "a"}], ["backtracking"], "no field 'response'; it has text"),
        ([{"response": 3}], ["backtracking"], "row 1: 'response' is 3, wanted text"),
        ([{"response": "a"}], ["backtracking", "--phrase", ""], "lexicon: got"),
    ],
)
def test_wrong_files_end_in_one_line_and_exit_2(tmp_path, capsys, monkeypatch, rows, words, said):
    monkeypatch.chdir(tmp_path)
    verb, *options = words
    assert use(verb, write(tmp_path / "in.jsonl", rows), *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o.jsonl").exists()
