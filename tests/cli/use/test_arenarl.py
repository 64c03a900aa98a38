import json
import re

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

from assay.cli.main import main


@modelapi(name="umpire")
class Umpire(ModelAPI):
    """An Inspect provider of the test's own: `umpire/length` marks by length, `umpire/mute` never in form."""

    async def generate(self, input, tools, tool_choice, config):
        a, b = re.search(r"agent a\n(.*?)\n===== agent b\n(.*?)\n=====", input[-1].text, re.DOTALL).groups()
        text = json.dumps({"a": marks(len(a)), "b": marks(len(b))}) if self.model_name == "length" else "Hard to say."
        output = ModelOutput.from_content(self.model_name, text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output


def marks(mark):
    return {
        "path": dict.fromkeys(("breadth", "relevance", "detail"), mark),
        "answer": dict.fromkeys(("relevance", "feasibility", "detail", "clarity"), mark),
    }


@pytest.fixture
def replies(tmp_path):
    file = tmp_path / "replies.jsonl"
    file.write_text(json.dumps({"query": "plan a day", "responses": ["one", "two", "three"]}) + "\n")
    return file


def use(*words) -> int:
    return main(["use", "arenarl", *map(str, words)])


def test_a_judge_that_never_answers_in_form_leaves_all_equal_and_says_so(replies, capsys):
    assert use("rank", replies, "--judge", "umpire/mute", "--topology", "round_robin") == 0
    shown = capsys.readouterr().out
    assert "3 matches, each judged in both orders" in shown
    assert "6 comparisons stayed undecided" in shown


def test_json_holds_places_advantages_and_matches(replies, capsys):
    assert use("rank", replies, "--judge", "umpire/length", "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[0])
    assert len(found["matches"]) == 4
    assert found["rank"] == [2, 1, 0], (
        "three is the longest; of the equal others one meets it first, and two has the bye"
    )


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ('{"query": "q", "responses": ["one"]}', (), "at least two texts"),
        ('{"query": "q"}', (), "no field 'responses'"),
        ('{"query": "q", "responses": ["a", "b"]}', ("--anchor", "7"), "anchor: got 7"),
    ],
)
def test_wrong_files_end_in_one_line(replies, capsys, text, options, words):
    replies.write_text(text + "\n")
    assert use("rank", replies, "--judge", "umpire/length", *options) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_collapse_says_what_a_mark_is_worth(tmp_path, capsys):
    file = tmp_path / "marks.csv"
    file.write_text("query,reply,mark\n" + "".join(f"q,{r},{m}\n" for r in "ab" for m in (6, 8, 7)))
    assert use("collapse", file) == 0
    shown = capsys.readouterr().out
    assert "1 queries: variance between replies is 0 times" in shown
    assert "judge's mood" in shown
    file.write_text("query,reply,mark\nq,a,6\nq,b,7\n")
    assert use("collapse", file) == 2
    assert "single mark for reply 'a'" in capsys.readouterr().err
