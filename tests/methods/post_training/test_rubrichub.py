import json
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.data.stages import read_rows
from assay.methods.judging import Grade
from assay.methods.parsing import ReplyError
from assay.methods.post_training._rubric_stages import run_stages
from assay.methods.post_training.rubrichub import (
    Criterion,
    LLMAuthor,
    LLMGrader,
    RuFT,
    RuleGrader,
    RuRL,
    build_rubric,
    discrimination,
    export,
    merge_identical,
    pair_accuracy,
    pair_from_pool,
    read_criterion,
    read_rubric,
    rubric_reward,
)
from assay.methods.protocols import Sample

RUBRIC = [
    {"criterion": "short", "points": 6},
    {"criterion": "polite", "points": 2},
    {"criterion": "rude", "points": -4},
]
CHECKS = {
    "short": lambda prompt, reply: len(reply) < 20,
    "polite": lambda prompt, reply: "please" in reply,
    "rude": lambda prompt, reply: "fool" in reply,
}


class Scripted:
    """A model that gives these replies in turn (the last one for ever) and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.asked, self.temperatures = list(replies), [], []

    async def __call__(self, prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        self.asked.append(prompt)
        self.temperatures.append(temperature)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def criteria(*weights):
    return json.dumps(
        {"criteria": [{"title": f"t{i}", "description": f"d{i}", "weight": w} for i, w in enumerate(weights)]}
    )


def grades(*met):
    return json.dumps({"grades": [{"explanation": "because", "met": one} for one in met]})


def test_the_reward_is_points_met_over_positive_points():
    assert rubric_reward([Grade(1), Grade(0), Grade(0)], RUBRIC) == 6 / 8
    assert rubric_reward([Grade(1), Grade(1), Grade(1)], RUBRIC) == (6 + 2 - 4) / 8
    assert rubric_reward([Grade(0), Grade(0), Grade(1)], RUBRIC) == -0.5


@given(st.lists(st.tuples(st.integers(1, 10), st.booleans()), min_size=1))
def test_meeting_one_more_criterion_never_costs(rows):
    rubric = [{"criterion": str(i), "points": points} for i, (points, _) in enumerate(rows)]
    met = [Grade(float(one)) for _, one in rows]
    reward = rubric_reward(met, rubric)
    assert 0 <= reward <= 1
    for i in range(len(rows)):
        assert rubric_reward([*met[:i], Grade(1), *met[i + 1 :]], rubric) >= reward


@pytest.mark.parametrize(
    ("given_grades", "rubric", "words"),
    [
        ([], [], "criteria: got none"),
        ([Grade(1)], RUBRIC, "grades: got 1, wanted 3"),
        ([Grade(1)], [{"criterion": "a", "points": -1}], "none has positive points"),
        ([Grade(1)], [{"criterion": "a", "points": "five"}], "points: got 'five'"),
        ([Grade(float("nan"))], [{"criterion": "a", "points": 1}], "score of nan"),
    ],
)
def test_a_reward_that_cannot_be_is_refused(given_grades, rubric, words):
    with pytest.raises(ValueError, match=words):
        rubric_reward(given_grades, rubric)


def test_weights_out_of_range_are_refused_or_cut():
    row = {"title": "t", "description": "d", "weight": 11}
    with pytest.raises(ValueError, match="weight: got 11, wanted a whole number from 0 to 10"):
        read_criterion(row)
    assert read_criterion(row, clamp=True).weight == 10
    with pytest.raises(ValueError, match="got -3"):
        read_criterion({**row, "weight": -3})
    assert read_criterion({**row, "weight": -3}, allow_penalty=True).weight == -3
    assert read_criterion({**row, "weight": -3}, clamp=True).weight == 0
    for wrong in (True, "5", None, 2.5, float("nan")):
        with pytest.raises(ValueError, match="weight"):
            read_criterion({**row, "weight": wrong})
    with pytest.raises(ValueError, match="description"):
        read_criterion({"weight": 1, "description": " "})


def test_merging_keeps_the_heavier_of_the_same_and_all_that_stand_alone():
    four = [Criterion("", text, weight) for text, weight in (("a", 3), ("b", 9), ("a again", 7), ("c", 1))]
    assert [(c.description, c.weight) for c in merge_identical(four, [[2, 0]])] == [("a again", 7), ("b", 9), ("c", 1)]
    assert merge_identical(four, []) == four
    with pytest.raises(ValueError, match="got 4"):
        merge_identical(four, [[0, 4]])
    with pytest.raises(ValueError, match="0 is named twice"):
        merge_identical(four, [[0, 1], [0, 2]])


def test_export_folds_white_space_and_case_and_keeps_the_higher_points():
    base = [Criterion("", "Says  why", 3), Criterion("T", "d", 2)]
    added = [Criterion("", "says WHY ", 8), Criterion("", "new", 1)]
    final = export(base, added)
    assert [(one["criterion"].strip(), one["points"]) for one in final] == [("says WHY", 8), ("T: d", 2), ("new", 1)]
    assert [one["points"] for one in export(base, added, max_criteria=2)] == [8, 2]
    with pytest.raises(ValueError, match="max_criteria: got 0"):
        export(base, max_criteria=0)


def test_a_rubric_is_proposed_by_all_merged_by_the_first_and_hardened_by_all():
    one = Scripted(criteria(5, 4, 3), '{"groups": [[0, 3]]}', f"```json\n{criteria(1)}\n```".replace("d0", "strict"))
    two = Scripted(criteria(9, 2, 1).replace("d1", "other").replace("d2", "more"), criteria())
    rubric = run_sync(partial(build_rubric, "Why?", "Because.", ("A", "B"), [LLMAuthor(one), LLMAuthor(two)]))
    assert [c["points"] for c in rubric] == [9, 4, 3, 2, 1, 1]
    assert rubric[-1]["criterion"] == "t0: strict"
    assert "Because." in one.asked[0]
    assert all(text in one.asked[2] for text in ("A", "B", "t1: d1"))
    assert set(one.temperatures) == {0.2}
    with pytest.raises(ValueError, match="authors: got none"):
        run_sync(build_rubric, "Why?", "Because.", ("A", "B"), [])


def test_an_author_is_asked_five_times_and_then_gives_up():
    model = Scripted("no JSON here")
    with pytest.raises(ReplyError, match="no JSON object"):
        run_sync(LLMAuthor(model).propose, "q", "r")
    assert len(model.asked) == 5
    with pytest.raises(ReplyError):  # two criteria are too few
        run_sync(LLMAuthor(Scripted(criteria(1, 2))).propose, "q", "r")


def test_the_grader_asks_once_or_once_a_criterion():
    rubric = RUBRIC[:2]
    together, apart = Scripted(grades(True, False)), Scripted(grades(True))
    assert [g.score for g in run_sync(LLMGrader(together), "q", "a", rubric)] == [1, 0]
    assert [g.score for g in run_sync(LLMGrader(apart, batch=False), "q", "a", rubric)] == [1, 1]
    assert (len(together.asked), len(apart.asked)) == (1, 2)
    with pytest.raises(ReplyError):
        run_sync(LLMGrader(Scripted(grades(True))), "q", "a", rubric)


def test_the_pair_to_harden_on_is_high_and_close():
    replies = ["a very long reply indeed, fool", "please", "x", "y please", "long long long long long please"]
    assert run_sync(pair_from_pool, "q", replies, RuleGrader(CHECKS), RUBRIC) == (1, 3)
    assert run_sync(pair_from_pool, "q", replies[:1] + replies[4:], RuleGrader(CHECKS), RUBRIC) == (1, 0)
    with pytest.raises(ValueError, match="got 1"):
        run_sync(pair_from_pool, "q", ["one"], RuleGrader(CHECKS), RUBRIC)


def test_ruft_keeps_the_best_if_it_is_good_enough():
    async def sampler(prompt, *, n, temperature):
        return [Sample(text, 1, 1, "stop") for text in ("x", "please", "you fool", "y please")[:n]]

    kept = run_sync(RuFT(RuleGrader(CHECKS), k=4).sample, "q", RUBRIC, sampler)
    assert (kept.response, kept.reward, kept.rewards) == ("please", 1.0, (0.75, 1.0, 0.25, 1.0))
    assert run_sync(RuFT(RuleGrader(CHECKS), k=1, threshold=0.8).sample, "q", RUBRIC, sampler) is None
    for wrong in ({"k": 0}, {"threshold": 1.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RuFT(RuleGrader(CHECKS), **wrong)


def test_rurl_is_a_reward_of_trl_and_leaves_void_grades_unscored():
    assert RuRL(RuleGrader(CHECKS))(["q"] * 2, ["x", "please"], [[1], [1]], rubrics=[RUBRIC] * 2) == [0.75, 1.0]
    chat = [[{"role": "assistant", "content": "please"}]]
    assert RuRL(RuleGrader(CHECKS))([chat[0]], chat, rubrics=[RUBRIC]) == [1.0]
    reward = RuRL(LLMGrader(Scripted("hm")))
    assert reward(["q"], ["x"], rubrics=[RUBRIC]) == [None]
    assert reward.void == 1
    with pytest.raises(ValueError, match="rubrics: got no such column"):
        RuRL(RuleGrader(CHECKS))(["q"], ["x"])
    with pytest.raises(ValueError, match="no criteria"):
        RuRL(RuleGrader(CHECKS))(["q"], ["x"], rubrics=[[]])
    with pytest.raises(ValueError, match="no check"):
        RuRL(RuleGrader({}))(["q"], ["x"], rubrics=[RUBRIC])


def test_rurl_trains_in_trl():
    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.methods.post_training.pipeline import GroupNormalised
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    reward = RuRL(RuleGrader(CHECKS))
    rows = [{"prompt": "say: ", "rubrics": RUBRIC}] * 2
    run = run_grpo(
        tiny_llama(hidden=16, layers=1, heads=2, mlp=16), build(), rows, reward,
        advantage=GroupNormalised(), steps=1, seed=0, rollouts=2, batch=4, max_tokens=3,
    )  # fmt: skip
    assert run.log[0]["rewards/rubric/mean"] == pytest.approx(0.75)


def by_hand(scores, quality, top):
    last = sorted(quality, reverse=True)[int(np.ceil(top * len(quality))) - 1]
    best = [(s, q) for s, q in zip(scores, quality) if q >= last]
    pairs = [(a, b) if a[1] > b[1] else (b, a) for a, b in combinations(best, 2) if a[1] != b[1]]
    return sum(0.5 if a[0] == b[0] else float(a[0] > b[0]) for a, b in pairs) / len(pairs) if pairs else None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-5, 0)), min_size=1, max_size=20), st.randoms())
def test_pair_accuracy_is_that_counted_by_hand_in_any_order(rows, rng):
    expected = by_hand(*zip(*rows), 0.25)
    rng.shuffle(rows)
    assert pair_accuracy(*zip(*rows)) == (None if expected is None else pytest.approx(expected))


def test_discrimination_sees_spread_saturation_and_what_an_item_adds():
    rubric = [{"criterion": name, "points": 1} for name in "abc"]
    graded = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 1], [0, 1, 1]], dtype=float)
    found = discrimination(rubric, graded, quality=[3, 2, 0, 1])
    assert found.saturation == 0.5
    assert found.spread == pytest.approx(np.std([1, 1, 1 / 3, 2 / 3]))
    assert found.item[2] == 0, "a criterion that all meet"
    assert found.item[0] == pytest.approx(np.corrcoef(graded[:, 0], graded[:, 1] + graded[:, 2])[0, 1])
    assert found.pair_accuracy is None, "the best quarter is one answer"
    assert discrimination(rubric, np.ones((3, 3))).item == (0, 0, 0)
    with pytest.raises(ValueError, match="graded: got shape"):
        discrimination(rubric, np.ones((3, 2)))
    with pytest.raises(ValueError, match="out of range"):
        discrimination(rubric, np.full((3, 3), np.nan))


def test_a_rubric_must_be_a_list_of_criteria():
    for wrong in ("text", [], [{"points": 1}], [{"criterion": "a"}], {"criterion": "a", "points": 1}):
        with pytest.raises(ValueError, match=r"rubric|points"):
            read_rubric(wrong)


def staged(rows, folder, model):
    author = LLMAuthor(model)
    return run_sync(partial(run_stages, rows, folder, writers=[model], authors=[author], workers=1))


def test_stages_write_rubrics_and_a_failed_row_is_tried_again(tmp_path):
    class Model(Scripted):
        """Answers each stage in form, except that it cannot write criteria for `hard` at first."""

        fails = True

        async def __call__(self, prompt, *, schema=None, **settings):
            await super().__call__(prompt, schema=schema, **settings)
            if schema is None:
                return "an answer"
            if "hard" in prompt and self.fails:
                return "cannot"
            least = schema["properties"].get("criteria", {}).get("minItems")
            return '{"groups": []}' if least is None else criteria(*range(1, 1 + max(1, least)))

    model, rows = Model("unused"), [{"id": "e", "prompt": "easy"}, {"prompt": "hard", "reference": "mine"}]
    reports = staged(rows, tmp_path, model)
    assert [len(report.failed) for report in reports.values()] == [0, 0, 1, 0, 0, 0]
    (row,) = read_rows(tmp_path / "final.parquet")
    assert row["id"] == "e"
    assert [one["points"] for one in row["rubrics"]] == [1, 2, 3]

    model.fails, before = False, len(model.asked)
    assert staged(rows, tmp_path, model)["generate"].reused == 1
    assert len(model.asked) == before + 3, "only the failed row is asked about: propose, merge, harden"
    found = read_rows(tmp_path / "final.jsonl")
    assert [row["id"] for row in found] == ["e", "1"]
    assert found[1]["reference"] == "mine"


def test_a_row_without_prompt_is_that_rows_error(tmp_path):
    reports = staged([{"text": "no prompt"}], tmp_path, Scripted("x"))
    assert "prompt: got None" in reports["reference"].failed[0][1]
