import json

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

from assay.cli.main import main

ROWS = [
    {
        "id": f"q{i}",
        "question": f"Which town is the seat of {firm}?",
        "answer": town,
        "documents": [f"{firm} has its seat in {town}."],
        "evidence": f"{firm} has its seat in {town}.",
    }
    for i, (firm, town) in enumerate([("Dovetail", "Amberg"), ("Foxmere", "Corlin"), ("Acrux", "Elstow")])
]


def lost_in_noise(*words) -> int:
    return main(["use", "lost-in-noise", *map(str, words)])


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_each_condition_is_a_file_and_the_manifest_says_what_was_turned_down(data, tmp_path, capsys):
    pool = tmp_path / "pool.jsonl"
    pool.write_text("\n".join(json.dumps({"text": text}) for text in ("Amberg is near.", "Moss likes shade.", "Owls.")))
    out = tmp_path / "noisy"
    words = ("--kind", "rag_seal", "--types", "hn,rd", "--n", 2, "--pool", pool, "--output", out)
    assert lost_in_noise("noise", data, *words) == 0
    assert sorted(file.name for file in out.iterdir()) == ["hn.jsonl", "manifest.json", "nd.jsonl", "rd.jsonl"]
    assert [len(row["distractors"]) for row in rows(out / "rd.jsonl")] == [2, 2, 2]
    assert [row["distractors"] for row in rows(out / "nd.jsonl")] == [[], [], []]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["conditions"] == ["ND", "RD", "HN"]
    assert set(rows(out / "rd.jsonl")[0]["distractors"]) == {"Moss likes shade.", "Owls."}
    assert all(entry["why"] for entry in manifest["rejected"])
    assert "3 items in ND, RD, HN" in capsys.readouterr().out


@modelapi(name="credulous")
class Credulous(ModelAPI):
    """An Inspect provider of the test's own: it believes the last sentence that says where a seat is."""

    async def generate(self, input, tools, tool_choice, config):
        said = [line for line in input[-1].text.split("\n\n") if " seat " in line and not line.startswith("Question")]
        text = f"{said[-1]}\nAnswer: {said[-1].rstrip('.').split()[-1]}"
        output = ModelOutput.from_content(self.model_name, text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=len(text.split()), total_tokens=2)
        return output


def test_a_credulous_model_loses_among_hard_negatives_and_nowhere_else(data, tmp_path, capsys):
    out = tmp_path / "noisy"
    assert lost_in_noise("noise", data, "--kind", "rag_seal", "--position", "after", "--output", out) == 0
    capsys.readouterr()
    assert lost_in_noise("eval", out, "--model", "credulous/one", "--json") == 0
    lines = {line["condition"]: line for line in json.loads(capsys.readouterr().out)}
    assert list(lines) == ["ND", "RD", "RC", "HN"]
    assert [lines[name]["accuracy"] for name in ("ND", "RD", "RC")] == [1, 1, 1]
    assert lines["HN"]["accuracy"] == 0
    assert lines["HN"]["drop"] == 1
    assert lines["HN"]["distracted"] == 1
    assert lines["ND"]["tokens"] == 8
    assert lost_in_noise("eval", out, "--model", "credulous/one", "--limit", 1) == 0
    assert "100.0%" in capsys.readouterr().out


def test_without_a_file_our_own_items_are_disturbed(tmp_path):
    assert lost_in_noise("noise", "--kind", "tool_airline", "--types", "rc", "--output", tmp_path / "own") == 0
    assert len(rows(tmp_path / "own" / "rc.jsonl")) == 24


@pytest.mark.parametrize(
    ("row", "words", "said"),
    [
        (ROWS[0], ["--kind", "rag"], "kind: got 'rag', wanted one of rag_seal, rag_multihop"),
        (ROWS[0], ["--kind", "rag_seal", "--types", "rd,xx"], "--types: got 'xx'"),
        (ROWS[0], ["--kind", "rag_seal", "--n", "0"], "n, tokens: got 0"),
        (ROWS[0], ["--kind", "rag_seal", "--position", "under"], "position: got 'under'"),
        (ROWS[0], ["--kind", "rag_seal", "--n", "4000"], "item q0: 4"),
        ({"question": "q"}, ["--kind", "rag_seal"], "item 1: no 'answer'"),
        ({"question": "q", "answer": "a"}, ["--kind", "rag_seal"], "item 1: hard negatives by rule need its evidence"),
    ],
)
def test_wrong_input_ends_in_one_line_and_leaves_nothing(tmp_path, capsys, row, words, said):
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps(row) + "\n")
    assert lost_in_noise("noise", file, *words, "--output", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_two_items_of_one_id_and_chats_of_another_shape_are_told(tmp_path, capsys):
    file, talks = tmp_path / "data.jsonl", tmp_path / "chats.jsonl"
    file.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[0]))
    assert lost_in_noise("noise", file, "--kind", "rag_seal", "--output", tmp_path / "out") == 2
    assert "two items have the id 'q0'" in capsys.readouterr().err
    talks.write_text(json.dumps({"messages": ["hello"]}))
    file.write_text(json.dumps(ROWS[0]))
    assert lost_in_noise("noise", file, "--kind", "rag_seal", "--chats", talks, "--output", tmp_path / "out") == 2
    assert "row 1: wanted 'messages' as a list" in capsys.readouterr().err


def test_a_folder_without_conditions_is_named(tmp_path, capsys):
    assert lost_in_noise("eval", tmp_path, "--model", "credulous/one") == 2
    assert "no nd.jsonl" in capsys.readouterr().err
