import json
import sys
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")
pytest.importorskip("pandas")

from assay.integrations.sandbox import Session, run_python
from assay.methods.concurrency import run_sync
from assay.methods.parsing import ReplyError
from assay.methods.post_training.rl_text2vis import (
    ArtistJudge,
    Expected,
    LLMIntentJudge,
    Marks,
    PlotResult,
    Plotter,
    Text2VisReward,
    VLMJudge,
    answer_score,
    code_score,
    parse_output,
    run_plot,
    total_reward,
    visual_score,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's levels are Linux's")

TABLE = {"town": ["Ulm", "Kiel", "Bonn"], "sales": [3, 9, 6.5], "year": [2001, 2002, 2003]}
GOOD = """
import matplotlib.pyplot as plt
fig, ax = plt.subplots(figsize=(6, 4))
ax.bar(df["town"], df["sales"])
ax.set_title("Sales by town"); ax.set_xlabel("town"); ax.set_ylabel("sales")
fig.tight_layout()
plt.show()
"""
WANTED = Expected(("Ulm", "Kiel", "Bonn"), (3, 9, 6.5), frozenset({"bar", "barh"}))


@pytest.fixture(scope="module")
def plotter():
    with Plotter(Session, timeout=20) as one:
        yield one


def judged(plotter, code, expected=WANTED):
    return run_sync(ArtistJudge(), "Sales?", code, plotter(code, TABLE), expected)


def plot(body):
    return f"import matplotlib.pyplot as plt\nimport numpy as np\nfig, ax = plt.subplots()\n{body}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"answer": "9", "code": "x = 1"}', ("9", "x = 1")),
        ('Sure:\n```json\n{"answer": 9, "code": "x = 1"}\n```', ("9", "x = 1")),
        ('{"answer": "9", "code": """\nx = "a"\ny = 1\n"""}', ("9", '\nx = "a"\ny = 1\n')),
        ("{\"answer\": \"9\", \"code\": '''x = 1'''}", ("9", "x = 1")),
        ('{"answer": "9", "code": "```python\\nx = 1\\n```"}', ("9", "x = 1")),
        ('{"answer": [1, 2], "code": "x"}', ("[1, 2]", "x")),
        ('{"answer": "9"}', None),
        ('{"answer": "9", "code": " "}', None),
        ('{"code": "x"}', None),
        ('{"answer": "9", "code": """x', None),
        ("no JSON", None),
    ],
)
def test_a_reply_is_an_object_with_answer_and_code(text, wanted):
    assert parse_output(text) == wanted


@pytest.mark.parametrize(
    ("prediction", "gold", "score"),
    [
        ("The Ulm.", "ulm", 1.0),
        ("9.4", "9", 1.0),  # less than one half away
        ("it is 110", "100", 0.6 * 0.9),
        ("300", "100", 0.0),  # no number costs more than itself
        ("20 and 10", "10, 20", 1.0),
        ("10", "10, 20", 0.6 * 0.5),
        ("10, 20, 99", "10, 20", 0.6 * 2 / 3),
        ("1,000", "1000", 1.0),
        ("0", "0.7", 0.0),
        ("1", "0 or 5", 0.6 * 0.2 / 2),  # 1 is paired with 5, which it misses by four fifths
        ("Ulm", "9", 0.0),
        ("Ulm", "Kiel", 0.0),
    ],
)
def test_answers_are_scored_as_worked_by_hand(prediction, gold, score):
    assert answer_score(prediction, gold) == pytest.approx(score)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_an_answer_scores_between_0_and_1_and_its_order_does_not_matter(found, wanted):
    score = answer_score(" ".join(map(str, found)), " ".join(map(str, wanted)))
    assert 0 <= score <= 1
    assert answer_score(" ".join(map(str, found[::-1])), " ".join(map(str, wanted))) == pytest.approx(score)


def test_parts_and_total_follow_the_papers_table():
    assert [code_score(*pair) for pair in ((1, 1), (1, 0), (0, 1), (0, 0))] == [1, 0.5, 0.5, 0]
    assert [visual_score(*p) for p in ((4, 5), (3, 5), (3, 3), (2, 3), (5, 1), (2, 2))] == [1, 0.5, 0.5, 0.25, 0.25, 0]
    assert visual_score(5, 5, executed=False) == 0
    assert total_reward(1, 0.5, 0.25) == 0.5 + 0.125 + 0.0625
    with pytest.raises(ValueError, match="readability: got 6"):
        visual_score(6, 3)
    with pytest.raises(ValueError, match="visual: got 2"):
        total_reward(1, 1, 2)


def test_a_good_figure_is_read_off_its_artists_and_gets_full_marks(plotter):
    (figure,) = plotter(GOOD, TABLE).figures
    (axes,) = figure.axes
    (bars,) = axes.series
    assert (bars.kind, bars.x, bars.y) == ("bar", ("Ulm", "Kiel", "Bonn"), (3, 9, 6.5))
    assert (axes.title, axes.xlabel, axes.ylabel, axes.legend) == ("Sales by town", "town", "sales", ())
    assert {text.role for text in axes.texts} == {"title", "xlabel", "ylabel", "xtick", "ytick"}
    assert judged(plotter, GOOD) == Marks(5, 5, ())


@pytest.mark.parametrize(
    ("body", "kind", "x", "y"),
    [
        ("ax.barh(df.town, df.sales)", "barh", ("Bonn", "Kiel", "Ulm"), (6.5, 9, 3)),
        ("ax.plot(df.year, df.sales)", "line", (2001, 2002, 2003), (3, 9, 6.5)),
        ("ax.plot(df.town, df.sales, 'o')", "scatter", ("Ulm", "Kiel", "Bonn"), (3, 9, 6.5)),
        ("ax.scatter(df.year, df.sales)", "scatter", (2001, 2002, 2003), (3, 9, 6.5)),
        ("ax.pie(df.sales, labels=df.town)", "pie", ("Ulm", "Kiel", "Bonn"), (3 / 18.5, 9 / 18.5, 6.5 / 18.5)),
        ("ax.hist([1, 1, 2, 4], bins=[0.5, 1.5, 2.5, 4.5])", "hist", (1, 2, 3.5), (2, 1, 1)),
        ("ax.boxplot([[1, 2, 3, 4, 5]])", "box", (1,), (2,)),
        ("ax.imshow([[1, 2], [3, 4]])", "heat", (), (1, 2, 3, 4)),
        ("ax.bar(range(3), df.sales); ax.set_xticks(range(3), df.town)", "bar", ("Ulm", "Kiel", "Bonn"), (3, 9, 6.5)),
        ("df.plot.bar(x='town', y='sales', ax=ax)", "bar", ("Ulm", "Kiel", "Bonn"), (3, 9, 6.5)),
    ],
)
def test_each_kind_of_chart_is_known_with_its_data(plotter, body, kind, x, y):
    result = plotter(plot(body), TABLE)
    assert result.ok, result.error
    (series,) = result.figures[0].axes[0].series
    assert series.kind == kind
    assert list(series.x) == [pytest.approx(one) if not isinstance(one, str) else one for one in x]
    assert series.y == pytest.approx(y, abs=1e-6)


DRESSED = "ax.set_title('t'); ax.set_xlabel('x'); ax.set_ylabel('y'); fig.tight_layout()"


@pytest.mark.parametrize(
    ("body", "readability", "correctness", "reason"),
    [
        ("ax.bar(df.town, df.sales)", 3, 5, "no title"),
        (f"ax.bar(df.town, df.sales + 1); {DRESSED}", 5, 1, "none of the values is there"),
        (f"ax.bar(df.town[:2], df.sales[:2]); {DRESSED}", 5, 3, "some values are missing or wrong"),
        (f"ax.plot(df.town, df.sales); {DRESSED}", 5, 4, "another kind of chart"),
        (f"ax.plot(df.town, df.sales * 0); ax.bar(df.town, df.sales); {DRESSED}", 4, 4, "several series and no legend"),
        (f"ax.bar(df.town, df.sales, color='#fffff0'); {DRESSED}", 4, 5, "too faint"),
        (f"ax.bar(df.town, df.sales); ax.set_xticks(range(3), df.town * 9); {DRESSED}", 3, 1, "tick labels overlap"),
        ("ax.bar(df.town, df.sales); ax.set_xlabel('x'); ax.set_ylabel('y'); ax.set_title('t' * 300)", 4, 5, "clipped"),
        (f"{DRESSED}", 5, 1, "no data is drawn"),
    ],
)
def test_the_table_of_deductions_is_kept(plotter, body, readability, correctness, reason):
    marks = judged(plotter, plot(body))
    assert (marks.readability, marks.correctness) == (readability, correctness), marks
    assert any(reason in one for one in marks.reasons)


def test_order_counts_where_it_was_asked_for_and_lying_bars_are_read_from_above(plotter):
    falling = Expected(("Kiel", "Bonn", "Ulm"), (9, 6.5, 3), frozenset({"bar", "barh"}), ordered=True)
    assert judged(plotter, GOOD, falling).reasons == ("the order is another",)
    rising = plot(f"d = df.sort_values('sales'); ax.barh(d.town, d.sales); {DRESSED}")
    assert judged(plotter, rising, falling).correctness == 5


def test_of_several_figures_the_worst_counts_and_it_is_said(plotter):
    marks = judged(plotter, GOOD + "plt.figure(); plt.plot([1, 2])\n")
    assert marks.correctness == 1
    assert marks.reasons[-1] == "the worst of 2 figures"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = 1", "no figure open"),
        ("df['price']", "KeyError: 'price' (line 1)"),
        ("\n\n1/0", "division by zero (line 3)"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os; os._exit(0)", "ended its own process"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended its own process"),
    ],
)
def test_what_goes_wrong_is_said(plotter, code, error):
    result = plotter(code, TABLE)
    assert not result.ok
    assert error in result.error


def test_the_plotter_draws_the_same_code_once_and_survives_an_endless_loop():
    with Plotter(Session, timeout=5) as plotter:
        assert plotter(GOOD, TABLE) is plotter(GOOD, TABLE)
        assert plotter.drawn == 1
        looped = plotter("while True: pass", TABLE)
        assert not looped.ok
        assert "time" in looped.error
        assert plotter(GOOD + "\n", TABLE).ok
        spoiled = "import matplotlib.pyplot as plt\nplt.figure = None\nimport matplotlib.axes\n"
        plotter(spoiled + "matplotlib.axes.Axes.bar = None", TABLE)
        assert plotter(GOOD + "\n\n", TABLE).ok, "one code's changes to the libraries do not reach the next"


def test_one_run_alone_gives_the_picture_too():
    result = run_plot(GOOD, TABLE, run_python, timeout=60)
    assert result.ok, result.error
    assert result.png.startswith(b"\x89PNG")


def test_the_table_may_be_a_data_frame_and_must_be_one_table(plotter):
    import pandas as pd

    assert plotter(GOOD + "#", pd.DataFrame(TABLE)).figures == plotter(GOOD, TABLE).figures
    with pytest.raises(ValueError, match="wanted one length"):
        plotter(GOOD, {"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="timeout: got 0"):
        Plotter(Session, timeout=0)


class Scripted:
    def __init__(self, reply):
        self.reply, self.asked, self.images = reply, [], []

    async def __call__(self, prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        self.asked.append(prompt)
        self.images += images
        return self.reply


def test_models_judge_code_and_picture():
    eye = Scripted('{"why": "blurred", "readability": 2, "correctness": 4}')
    result = PlotResult(True, None, b"\x89PNG", ())
    assert run_sync(VLMJudge(eye), "q", "c", result, WANTED) == Marks(2, 4, ("blurred",))
    assert eye.images == ["data:image/png;base64,iVBORw=="]
    assert "'Kiel': 9" in eye.asked[0]
    assert run_sync(VLMJudge(eye), "q", "c", PlotResult(False, "boom", b"", ())).reasons == ("boom",)
    assert run_sync(LLMIntentJudge(Scripted('{"why": "so", "fits": true}')), "q", "c") is True
    with pytest.raises(ReplyError):
        run_sync(LLMIntentJudge(Scripted("hm")), "q", "c")


async def yes(question, code):
    return True


def reply(answer, code):
    return json.dumps({"answer": answer, "code": code})


def test_the_reward_adds_up_and_is_0_without_the_form(plotter):
    reward = Text2VisReward({"t": TABLE}, plotter, ArtistJudge(), yes)
    replies = [reply("9", GOOD), reply("Ulm", GOOD), reply("9", "1/0"), "Kiel, 9", reply("9", plot("ax.plot([1])"))]
    columns = {"question": ["Most?"] * 5, "answer": ["9"] * 5, "table": ["t"] * 5, "expected": [WANTED] * 5}
    assert reward(["p"] * 5, replies, **columns) == pytest.approx([1, 0.5, 0.625, 0, 0.8125])
    chat = [[{"role": "assistant", "content": replies[0]}]]
    assert reward(["p"], chat, **{name: column[:1] for name, column in columns.items()}) == [1]


def test_a_void_judge_leaves_the_row_unscored_and_missing_columns_are_named(plotter):
    reward = Text2VisReward({"t": TABLE}, plotter, ArtistJudge(), LLMIntentJudge(Scripted("hm")))
    call = partial(reward, ["p"], [reply("9", GOOD)], question=["q"], answer=["9"])
    assert call(table=["t"]) == [None]
    assert reward.void == 1
    with pytest.raises(ValueError, match="table: got no such column"):
        call()
    with pytest.raises(ValueError, match="table: got 'u', wanted one of t"):
        call(table=["u"])


def test_the_reward_trains_in_trl(plotter):
    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.methods.post_training.pipeline import GroupNormalised
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    rows = [{"prompt": "plot: ", "question": "q", "answer": "9", "table": "t"}] * 2
    run = run_grpo(
        tiny_llama(hidden=16, layers=1, heads=2, mlp=16), build(), rows,
        Text2VisReward({"t": TABLE}, plotter, ArtistJudge(), yes),
        advantage=GroupNormalised(), steps=1, seed=0, rollouts=2, batch=4, max_tokens=3,
    )  # fmt: skip
    assert run.log[0]["rewards/text2vis/mean"] == 0, "three letters are no reply in form"
