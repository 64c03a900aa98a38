import json

import pytest

from assay.cli.main import main


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


PREDICTED = {
    "id": "q1",
    "messages": [
        {"role": "user", "content": "how many?"},
        {"role": "assistant", "tool_calls": [call("search", '{"query": "ann"}'), call("search", '{"query": "bob"}')]},
        {"role": "tool", "content": "…"},
        {"role": "assistant", "tool_calls": [call("add", "{broken")]},
    ],
}
GOLD = {"id": "q1", "tool_calls": [call("search", '{"query": "ann"}'), call("add", '{"a": 1}')]}


@pytest.fixture
def files(tmp_path):
    paths = tmp_path / "predicted.jsonl", tmp_path / "gold.jsonl"
    for path, row in zip(paths, (PREDICTED, GOLD)):
        path.write_text(json.dumps(row) + "\n")
    return paths


def match(*words) -> int:
    return main(["use", "matchtir", "match", *map(str, words)])


def test_calls_turns_and_what_is_missing_are_shown(files, capsys):
    assert match(*files) == 0
    shown = capsys.readouterr().out
    assert "q1: turn rewards 0.500, 0.000" in shown
    assert "redundant" in shown
    assert "missing" in shown
    assert "arguments of add are no JSON object: the call scores 0" in shown


@pytest.mark.parametrize(("flag", "first"), [("--greedy", 0.5), ("--soft", None)])
def test_json_holds_the_same_under_every_assignment(files, capsys, flag, first):
    assert match(*files, flag, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["calls"][0] == {"name": "search", "matches": 0, "similarity": 1.0}
    assert found["missing"] == ["add"]
    if first is not None:
        assert found["turn_rewards"][0] == first
    else:
        assert 0 < found["turn_rewards"][0] < 0.5


@pytest.mark.parametrize(
    ("predicted", "gold", "words"),
    [
        ('{"id": "q2", "tool_calls": []}', None, "no line with id 'q2'"),
        ('{"id": "q1", "text": "x"}', None, "neither `messages` nor `tool_calls`"),
        ('{"id": "q1", "tool_calls": [3]}', None, "wanted a tool call with a name"),
        (None, '{"id": "q1", "tool_calls": []}', "has no tool call, wanted the expert's"),
    ],
)
def test_wrong_files_end_in_one_line(files, capsys, predicted, gold, words):
    for path, text in zip(files, (predicted, gold)):
        if text is not None:
            path.write_text(text + "\n")
    assert match(*files) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_two_assignments_at_once_are_refused(files, capsys):
    assert match(*files, "--soft", "--greedy") == 2
    assert "choose one" in capsys.readouterr().err
