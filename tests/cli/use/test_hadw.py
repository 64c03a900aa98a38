import json

import pytest

from assay.cli.main import main

ROWS = """prompt_id,reward,epoch
a,1,1
a,0,1
a,0,2
a,0,2
b,1,1
b,1,1
b,,2
b,1,2
b,0,2
"""


@pytest.fixture
def rewards(tmp_path):
    file = tmp_path / "rewards.csv"
    file.write_text(ROWS)
    return file


def bias(*words) -> int:
    return main(["use", "hadw", "bias", *map(str, words)])


def test_a_table_is_printed_by_difficulty(rewards, capsys):
    assert bias(rewards) == 0
    shown = capsys.readouterr().out
    assert "0.25 to 0.5" in shown
    assert "0.75" in shown
    assert "1 unscored rows were left out" in shown


def test_json_holds_the_same_figures(rewards, capsys):
    assert bias(rewards, "--step-column", "epoch", "--json") == 0
    hard, easy = json.loads(capsys.readouterr().out)
    assert (hard["prompts"], hard["groups"], hard["wasted"]) == (1, 2, 0.5)
    assert hard["success_rate"] == 0.25
    assert hard["bias"] == pytest.approx(-0.25)  # p = 1/4, and the only mixed pass rate of two rollouts is 1/2
    assert easy["bias"] == pytest.approx(0.25)


def test_parquet_is_read_like_csv(rewards, tmp_path, capsys):
    import duckdb

    parquet = tmp_path / "rewards.parquet"
    duckdb.read_csv(str(rewards)).write_parquet(str(parquet))
    bias(rewards, "--json")
    from_csv = capsys.readouterr().out
    assert bias(parquet, "--json") == 0
    assert capsys.readouterr().out == from_csv


def test_graded_rewards_need_a_threshold(tmp_path, capsys):
    file = tmp_path / "graded.csv"
    file.write_text("q,score\na,0.2\na,0.9\n")
    columns = ["--group-column", "q", "--reward-column", "score"]
    assert bias(file, *columns) == 2
    assert "--success-at" in capsys.readouterr().err
    assert bias(file, *columns, "--success-at", "0.5", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["success_rate"] == 0.5


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (ROWS, ["--group-column", "qid"], "no column 'qid'; it has prompt_id, reward, epoch"),
        (ROWS, ["--step-column", "prompt_id"], "column 'prompt_id', row 1: got 'a', wanted a number"),
        ("prompt_id,reward\na,1\na\n", [], "line 3: 1 cells, the header has 2"),
        ("prompt_id,reward\na,1\na,yes\n", [], "column 'reward', row 2: got 'yes', wanted a number"),
        ("prompt_id,reward\na,1\na,inf\n", [], "got 'inf', wanted a number"),
        ("prompt_id,reward\na,1\nb,0\nb,1\n", [], "a has a group of a single scored row"),
        ("prompt_id,reward\na,\na,\n", [], "none of the 2 rows is scored"),
        ("prompt_id,reward\n", [], "no rows below the header"),
        ("", [], "no column 'prompt_id'; it has none"),
    ],
)
def test_wrong_files_end_in_one_line_and_exit_2(tmp_path, capsys, text, words, said):
    file = tmp_path / "rewards.csv"
    file.write_text(text)
    assert bias(file, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_or_broken_file_is_named(tmp_path, capsys):
    assert bias(tmp_path / "none.csv") == 2
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "odd.parquet").write_text("not parquet")
    assert bias(tmp_path / "odd.parquet") == 2
    assert "not a Parquet file" in capsys.readouterr().err
