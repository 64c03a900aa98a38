import json

import pytest

from assay.cli.main import main

CALL = {"id": "a", "type": "function", "function": {"name": "search", "arguments": "{}"}}
RUN = [
    {
        "correct": True,
        "messages": [
            {"role": "user", "content": "how far?"},
            {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "b"}]},
            {"role": "tool", "tool_call_id": "a", "content": "seven miles"},
            {"role": "tool", "tool_call_id": "b", "content": "Error: busy"},
            {"role": "assistant", "content": "seven miles"},
        ],
    },
    {"correct": False, "messages": [{"role": "assistant", "content": "who knows really now"}]},
]
ROLLOUTS = [
    {"id": name, "tool_calls": calls, "correct": right}
    for name, calls, right in [
        ("wide", 1, 1), ("wide", 5, 0), ("narrow", 2, 1), ("narrow", 2, 0), ("easy", 0, 1), ("easy", 4, 1),
    ]
]  # fmt: skip


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def use(*words) -> int:
    return main(["use", "et_agent", *map(str, words)])


def test_the_report_is_worked_by_hand(tmp_path, capsys):
    file = write(tmp_path / "run.jsonl", RUN)
    assert use("report", file, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["trajectories"], figures["correctness"], figures["calls"]) == (2, 0.5, 1.0)
    assert (figures["efficiency"], figures["conciseness"]) == (25.0, 3.0)
    assert (figures["tool_success"], figures["redundant"]) == (0.5, 0.5)
    assert use("report", file) == 0
    shown = capsys.readouterr().out
    assert "25.0 right answers per 100 calls" in shown
    assert "50.0 %" in shown


def test_a_run_without_tools_is_reported_too(tmp_path, capsys):
    assert use("report", write(tmp_path / "run.jsonl", RUN[1:])) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["redundant", "calls", "-"] in lines


def test_the_questions_that_tell_most_come_first(tmp_path, capsys):
    file = write(tmp_path / "rollouts.jsonl", ROLLOUTS)
    assert use("select", file, "--n", 1) == 0
    said = capsys.readouterr()
    assert said.out == "wide\n"
    assert "1 of 3 questions chosen" in said.err
    out = tmp_path / "chosen.jsonl"
    assert use("select", file, "--n", 9, "--output", out) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["front"], row["tool_calls"]) for row in rows] == [
        ("wide", 0, [1.0, 5.0]),
        ("narrow", 1, [2.0, 2.0]),
    ]
    told = capsys.readouterr().err
    assert "there are only 3, all were taken" in told
    assert "1 left out" in told


@pytest.mark.parametrize(
    ("verb", "rows", "words", "said"),
    [
        ("report", [{"correct": 3, "messages": []}], [], "row 1: correct: got 3"),
        ("report", [{"correct": 1}], [], "no field 'messages'"),
        ("report", [{"correct": 1, "messages": ["x"]}], [], "row 1: messages: wanted a list"),
        ("select", ROLLOUTS[:1], ["--n", 1], "'wide' has a single rollout"),
        ("select", [{**ROLLOUTS[0], "tool_calls": -1}], ["--n", 1], "row 1: 'tool_calls' is -1, wanted a count"),
        ("select", [ROLLOUTS[0], {**ROLLOUTS[0], "correct": 1.5}], ["--n", 1], "row 2: 'correct' is 1.5"),
        ("select", ROLLOUTS, ["--n", 0], "n: got 0"),
        ("select", [], ["--n", 1], "no rows"),
    ],
)
def test_wrong_input_ends_in_one_line_and_exit_2(tmp_path, capsys, verb, rows, words, said):
    assert use(verb, write(tmp_path / "rows.jsonl", rows), *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
