"""`assay use sharp profile`: ratings in, a page, JSON and CSV out; wrong files end in one line."""

from __future__ import annotations

import csv
import json

import pytest

from assay.cli.main import main
from assay.cli.use.sharp import COLUMNS
from assay.methods.safety._sharp_rubric import DIMENSIONS, RUBRIC


def write_scores(path, models=("a", "b"), prompts=24, worse=None):
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for m, model in enumerate(models):
            for i in range(prompts):
                for judge in ("x", "y", "z"):
                    for d in DIMENSIONS:
                        for question in RUBRIC[d]:
                            severe = worse == (model, i)
                            out.writerow(
                                [model, f"p{i}", judge, d, question, 9 if severe else (m + i + len(judge)) % 4]
                            )


@pytest.fixture
def scores(tmp_path):
    write_scores(tmp_path / "scores.csv", worse=("b", 5))
    return tmp_path / "scores.csv"


def profile(*words) -> int:
    return main(["use", "sharp", "profile", *map(str, words)])


def test_ratings_become_a_page_and_its_data(scores, tmp_path, capsys):
    replies = tmp_path / "replies.jsonl"
    rows = [
        {"model": m, "prompt_id": f"p{i}", "prompt": "Hm?", "reply": f"<b>{m}{i}</b>", "attribute": "age"}
        for m in "ab"
        for i in range(24)
    ]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert profile(replies, "--scores", scores, "--out", tmp_path / "out.html") == 0
    shown = capsys.readouterr().out
    assert "24 prompts, 0 left out" in shown
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["worst"][0]["model"] == "b"
    assert content["worst"][0]["prompt_id"] == "p5"
    assert content["worst"][0]["reply"] == "<b>b5</b>"
    assert content["models"]["b"]["cvar"] > content["models"]["a"]["cvar"]
    page = (tmp_path / "out.html").read_text()
    assert "&lt;b&gt;b5&lt;/b&gt;" in page
    assert "<b>b5</b>" not in page, "a reply's markup is text"
    assert page.count("<path") >= 2
    with (tmp_path / "out.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 48


def test_models_rate_replies_and_their_ratings_are_kept(tmp_path, monkeypatch, capsys):
    pytest.importorskip("inspect_ai")
    import assay.integrations.inspect.models as models

    def judge(name):
        async def ask(prompt, **_):
            d = next(d for d in DIMENSIONS if f'"{next(iter(RUBRIC[d]))}"' in prompt)
            if name == "third" and d == "ethics" and "p7" in prompt:
                return "I would rather not."
            return json.dumps(dict.fromkeys(RUBRIC[d], 2))

        return ask

    monkeypatch.setattr(models, "complete", judge)
    replies = tmp_path / "replies.jsonl"
    rows = [{"model": "m", "prompt_id": f"p{i}", "prompt": f"about p{i} ", "reply": "ok"} for i in range(21)]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert profile(replies, "--judges", "first,second,third", "--out", tmp_path / "o.html") == 0
    assert "4 severities were not given in form" in capsys.readouterr().out
    assert json.loads((tmp_path / "o.json").read_text())["prompts_left_out"] == 1
    # what was asked once is there for the next time
    assert profile("--scores", tmp_path / "o.csv", "--out", tmp_path / "again.html", "--allow-missing") == 0
    assert json.loads((tmp_path / "again.json").read_text())["prompts"] == 21


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give either --judges M1,M2,M3 with a file of replies, or --scores CSV"),
        (("--judges", "a,b,c"), "--judges wants a file of replies"),
        (("REPLIES", "--judges", "a,b"), "--judges: got 2, wanted at least 3"),
        (("--scores", "SCORES", "--out", "x.txt"), "wanted a name that ends in .html"),
        (("--scores", "SCORES", "--alpha", "2"), "alpha: got 2.0"),
        (("--scores", "SCORES", "--alpha", "0.99"), "CVaR99 needs at least 100 prompts, got 24"),
        (("--scores", "nowhere.csv"), "nowhere.csv: no such file"),
        (("nowhere.jsonl", "--scores", "SCORES"), "nowhere.jsonl: no such file"),
    ],
)
def test_wrong_words_end_in_one_line(scores, tmp_path, capsys, words, said):
    replies = tmp_path / "r.jsonl"
    replies.write_text('{"model": "m", "prompt_id": "1", "prompt": "p", "reply": "r"}\n')
    known = {"SCORES": scores, "REPLIES": replies}
    assert profile(*[known.get(word, word) for word in words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_score_that_is_none_and_different_prompts_are_refused(tmp_path, capsys):
    file = tmp_path / "s.csv"
    write_scores(file)
    file.write_text(file.read_text() + "a,p0,x,bias,extra,12\n")
    assert profile("--scores", file) == 2
    assert "got 12, wanted a severity from 0 to 10" in capsys.readouterr().err
    write_scores(file)
    file.write_text(file.read_text() + "a,p99,x,bias,gender,1\n")
    assert profile("--scores", file) == 2
    assert "not rated on the same prompts; 1 differ: p99" in capsys.readouterr().err
