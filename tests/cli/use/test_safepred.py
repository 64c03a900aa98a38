import json

import pytest

from assay.cli.main import main

STATE = {"url": "http://x/", "page_type": "Disk", "key_elements": [["button", "Clean"]], "text": "Clean"}
HARM = {**STATE, "key_elements": [["button", "Clean"], ["alert", "Backup copies were deleted."]]}
CLEAN = {"verb": "press", "role": "button", "name": "Clean disk"}


def safepred(*words) -> int:
    return main(["use", "safepred", *map(str, words)])


@pytest.fixture
def files(tmp_path):
    document = tmp_path / "rules.md"
    document.write_text("Backup copies must never be deleted.\n")
    assert safepred("policies", document, "--out", tmp_path / "p.json") == 0
    (tmp_path / "t.jsonl").write_text(json.dumps({"state": STATE, "action": CLEAN}) + "\n")
    (tmp_path / "seen.jsonl").write_text(json.dumps({"state": STATE, "action": CLEAN, "after": HARM}) + "\n")
    return tmp_path


def test_policies_are_printed_or_written_whole(files, capsys):
    rows = json.loads((files / "p.json").read_text())
    assert [row["policy_id"] for row in rows] == ["P000", "P001"]
    capsys.readouterr()
    assert safepred("policies", files / "rules.md") == 0
    assert json.loads(capsys.readouterr().out) == rows


def test_a_learned_model_warns_where_the_screen_shows_nothing(files, capsys):
    capsys.readouterr()
    words = ("review", "--policies", files / "p.json", "--trace", files / "t.jsonl")
    assert safepred(*words) == 0
    assert json.loads(capsys.readouterr().out)["safe"] is True
    assert safepred(*words, "--learned", files / "seen.jsonl") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["risk"], said["violated"]) == (0.8, ["P000"])
    assert "Backup copies were deleted." in said["why"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("policies", "none.md"), "none.md: there is no such file"),
        (("policies", "empty.md"), "empty.md: document: it holds no text"),
        (("review", "--policies", "t.jsonl", "--trace", "t.jsonl"), "no list of policies"),
        (("review", "--policies", "p.json", "--trace", "bad.jsonl"), "bad.jsonl, line 1: state wants url"),
        (
            ("review", "--policies", "p.json", "--trace", "t.jsonl", "--learned", "seen.jsonl", "--horizon", "0"),
            "horizon: got 0",
        ),
    ],
)
def test_wrong_files_end_in_one_line(files, monkeypatch, capsys, words, said):
    monkeypatch.chdir(files)
    (files / "empty.md").write_text(" ")
    (files / "bad.jsonl").write_text('{"state": {}, "action": {}}\n')
    capsys.readouterr()
    assert safepred(*words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
