import json
from collections import Counter

import pytest

from assay.cli.main import main
from assay.methods.post_training.octopus import CLOSE, OPEN

RIGHT, WRONG = r"\boxed{4}", r"\boxed{5}"


def row(first, second=None, correct=True, prompt="2+2?"):
    text = first if second is None else f"{first}{OPEN}{second}{CLOSE}"
    return {"prompt": prompt, "response": text, "correct": correct}


ROLLOUTS = [row(WRONG, RIGHT), row(RIGHT, RIGHT), row(WRONG, WRONG, False), row(r"\boxed{6}", WRONG, False)]


def splice(folder, rows, *words) -> int:
    file = folder / "rollouts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return main(["use", "octopus", "splice", str(file), "--output", str(folder / "sc.jsonl"), *words])


def written(folder):
    return [json.loads(line) for line in (folder / "sc.jsonl").read_text().splitlines()]


def test_rows_are_spliced_counted_and_told_what_to_hide(tmp_path, capsys):
    assert splice(tmp_path, ROLLOUTS) == 0
    rows = written(tmp_path)
    assert [row["spliced"] for row in rows] == [False] * 4 + [True] * 4
    # half of two wrong ones is 1: one wc, one cc, one cw, then ww
    assert Counter(row["kind"] for row in rows[4:]) == {"wc": 1, "cc": 1, "cw": 1, "ww": 1}
    assert all(row["response"][: row["hidden_characters"]].endswith(OPEN) for row in rows)
    assert all(row["hidden_characters"] == row["kl_characters"] + len(OPEN) for row in rows)
    assert rows[3]["kind"] is None  # nobody says whether 6 is right
    shown = capsys.readouterr().out
    assert "8 rows of 1 groups, 4 of them spliced" in shown
    assert "wrong to right 1, right to right 1, wrong to wrong 1, right to wrong 1" in shown


def test_in_stage_two_only_attempts_that_differ_are_hidden(tmp_path):
    assert splice(tmp_path, ROLLOUTS, "--stage", "2", "--target", "12") == 0
    rows = written(tmp_path)
    assert len(rows) == 12
    assert all(bool(row["hidden_characters"]) == (row["kind"] in ("wc", "cw")) for row in rows)
    assert not any(row["kl_characters"] for row in rows)


def test_a_group_without_a_pair_is_told(tmp_path, capsys):
    assert splice(tmp_path, [row(RIGHT), row(WRONG, correct=False)], "--target", "5") == 0
    assert [r["response"] for r in written(tmp_path)] == [RIGHT, WRONG, RIGHT, WRONG, RIGHT]
    assert "1 groups had no pair to splice" in capsys.readouterr().out


def test_prompts_are_cut_into_groups_of_as_many_responses(tmp_path, capsys):
    assert splice(tmp_path, ROLLOUTS, "--responses", "2") == 0
    assert "8 rows of 2 groups" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        (ROLLOUTS[:1], [], "originals: got 1"),
        (ROLLOUTS, ["--responses", "3"], "has 4 responses, wanted a multiple of 3"),
        (ROLLOUTS, ["--responses", "1"], "--responses: got 1"),
        (ROLLOUTS, ["--target", "3"], "target: got 3"),
        ([row(RIGHT), row(RIGHT, correct=False)], [], "is called right and wrong"),
        ([row(RIGHT), row(RIGHT, correct=2)], [], "row 2: 'correct' is 2"),
        ([{"prompt": "p", "response": 1, "correct": 1}], [], "row 1: 'response' is 1"),
        ([{"prompt": "p", "response": "a"}], [], "no field 'correct'"),
    ],
)
def test_wrong_files_end_in_one_line_and_exit_2(tmp_path, capsys, rows, words, said):
    assert splice(tmp_path, rows, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "sc.jsonl").exists()
