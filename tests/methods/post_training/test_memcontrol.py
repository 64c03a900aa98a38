import json
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.parsing import ReplyError
from assay.methods.post_training._memcontrol_timeline import EVENTS_A_SESSION, TASKS
from assay.methods.post_training.memcontrol import (
    SCENARIOS,
    Event,
    LLMMDScore,
    LLMRewriter,
    LLMSource,
    LLMTaskScore,
    MemControlReward,
    Memory,
    OverlapMDScore,
    RuleSource,
    TemplateRewriter,
    Timeline,
    align_dataset,
    alignment_error,
    anchoring_report,
    confusion,
    grow,
    llm_coherence,
    mask_memory,
    memcontrol_reward,
    read_memory,
    synthesise,
)

RNG = np.random.default_rng
MEMORY = Memory(profile=("Likes oolong.",), inter_session=("Bought a kettle.",), intra_session=("Asked about Wuyi.",))


class Model:
    """Gives its replies in turn, the last for ever, and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    async def __call__(self, prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        self.asked.append(prompt)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def level(number):
    return json.dumps({"reason": "seen", "level": number})


def md(response, query="", memory=MEMORY, **options):
    return run_sync(OverlapMDScore(**options), query, memory, response)


@pytest.mark.parametrize(
    ("copied", "wanted"), [(0, 1), (1, 2), (2, 2), (3, 3), (5, 3), (6, 4), (7, 4), (8, 5), (10, 5)]
)
def test_the_share_of_remembered_words_is_cut_into_five_levels(copied, wanted):
    words = [f"known{i}" for i in range(10)]
    response = " ".join([*words[:copied], *[f"fresh{i}" for i in range(10 - copied)]])
    assert md(response, memory=Memory(inter_session=(" ".join(words),))) == wanted


def test_what_the_query_names_is_not_remembered():
    assert md("oolong kettle", query="anything") == 5
    assert md("oolong kettle", query="Which oolong, which kettle?") == 1
    assert md("oolong kettle", query="Which kettle?") == 3  # one of two


def test_common_words_carry_nothing_and_own_units_may_be_given():
    assert md("the and with") == 1
    assert md("12 99", memory=Memory(profile=("12 34",)), units=str.split) == 3
    assert OverlapMDScore().share("", MEMORY, "oolong oolong tea") == pytest.approx(2 / 3)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_a_level_is_one_of_five_whatever_is_written_and_1_without_memory(query, memory, response):
    assert md(response, query, read_memory(memory)) in (1, 2, 3, 4, 5)
    assert md(response, query, Memory()) == 1


def test_a_memory_without_text_is_none():
    assert not Memory(profile=(" ",))
    assert MEMORY
    assert read_memory("") == Memory()


def test_a_judge_is_told_memory_and_query_and_asked_again_until_it_gives_a_level():
    model = Model("five", '{"level": 6}', level(4))
    assert run_sync(LLMMDScore(model), "Which tea?", MEMORY, "oolong") == 4
    assert len(model.asked) == 3
    assert "Bought a kettle." in model.asked[0]
    assert "Which tea?" in model.asked[0]
    with pytest.raises(ReplyError):
        run_sync(LLMMDScore(Model("five")), "q", MEMORY, "r")


def test_without_memory_the_level_is_1_and_no_judge_is_asked():
    model = Model(level(5))
    assert run_sync(LLMMDScore(model), "q", Memory(), "r") == 1
    assert model.asked == []
    assert run_sync(LLMTaskScore(model), "q", Memory(), "r") == 5  # the task can be judged


@pytest.mark.parametrize(("got", "wanted", "error"), [(1, 5, 4), (3, 3, 0), (5, 4, 1)])
def test_the_error_is_the_distance_of_levels(got, wanted, error):
    assert alignment_error(got, wanted) == error


def test_the_reward_is_task_plus_general_less_the_distance():
    assert memcontrol_reward([5, 1, 3], [1, 1, 3], [4, 4, 1], [0.5, -0.5, 0]).tolist() == [0.5, 3.5, 1]
    assert memcontrol_reward([5], [1], [4]).tolist() == [0]


def test_standardised_parts_have_mean_0_and_what_does_not_vary_counts_nothing():
    reward = memcontrol_reward([5, 1], [1, 1], [3, 3], [10, 30], normalise=True)
    assert reward == pytest.approx([-2, 2])  # -1 - 1 and 1 + 1; the task is the same
    assert memcontrol_reward([2], [2], [5], [1], normalise=True).tolist() == [0]


@given(st.lists(st.tuples(*[st.integers(1, 5)] * 3, st.floats(-5, 5)), min_size=1, max_size=12), st.booleans())
def test_rewards_are_finite_and_follow_their_rows(rows, normalise):
    md, preference, task, general = (np.array(column) for column in zip(*rows))
    reward = memcontrol_reward(md, preference, task, general, normalise=normalise)
    assert np.isfinite(reward).all()
    turned = memcontrol_reward(md[::-1], preference[::-1], task[::-1], general[::-1], normalise=normalise)
    assert turned == pytest.approx(reward[::-1])
    if not normalise:
        assert (reward <= 10).all()
        assert (reward >= -8).all()


def test_trl_is_given_one_reward_a_row_and_none_where_the_judge_fails():
    judge = Model(level(4), "no", "no", "no")
    reward = MemControlReward(LLMMDScore(judge), partial(graded, 3.0), concurrency=1)
    memory = [MEMORY.to_dict(), ["Likes oolong."], ""]
    got = reward(["p"] * 3, ["a", "b", "c"], query=["q"] * 3, memory=memory, preference=[2, 5, 3])
    assert got == [pytest.approx(-2 + 3), None, pytest.approx(-2 + 3)]  # the last has no memory: level 1
    assert reward.void == 1


async def graded(score, query, memory, response):
    return score


def test_trl_trains_with_the_reward_and_centred_advantages():
    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.methods.post_training.pipeline import GroupNormalised
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    rows = [{"prompt": f"{i}", "query": "q", "memory": ["a b c", "1 2"], "preference": 1 + i % 5} for i in range(4)]
    reward = MemControlReward(OverlapMDScore(units=list), partial(graded, 1.0))
    run = run_grpo(
        tiny_llama(hidden=16, layers=1, heads=2, mlp=32), build(), rows, reward,
        advantage=GroupNormalised(scale="none"), steps=2, seed=0, rollouts=4, batch=8, max_tokens=4,
    )  # fmt: skip
    assert all(math.isfinite(step["reward"]) for step in run.log if "reward" in step)
    assert any("rewards/memcontrol/mean" in step for step in run.log)


def test_the_switch_shows_all_or_nothing():
    assert [bool(mask_memory(MEMORY, wish)) for wish in (1, 2, 3, 4, 5)] == [False, False, True, True, True]
    assert mask_memory(MEMORY, 4, shown_from=5) == Memory()


def test_wishes_and_outcomes_are_counted_in_a_table():
    found = confusion([4, 5, 1], [1, 5, 1])
    assert found.error == 1
    assert found.level == pytest.approx(10 / 3)
    assert found.confusion[0].tolist() == [1, 0, 0, 1, 0]
    assert found.confusion.sum() == 3


async def always_remembers(query, memory):
    return " ".join(memory.texts)


async def obeys(query, memory):
    return "something entirely different" if "afresh" in query else " ".join(memory.texts)


def test_an_anchored_model_stays_at_5_whatever_it_is_told_and_another_moves():
    samples = [{"query": "Which tea?", "memory": MEMORY}] * 3
    report = run_sync(anchoring_report, always_remembers, OverlapMDScore(), samples)
    assert set(report) == {"none", "low", "medium", "high"}
    assert all(counts == {1: 0, 2: 0, 3: 0, 4: 0, 5: 3} for counts in report.values())
    moved = run_sync(anchoring_report, obeys, OverlapMDScore(), samples)
    assert moved["low"][1] == 3
    assert moved["high"][5] == 3


PHRASES = {number: [f"({number})"] for number in (1, 2, 3, 4, 5)}


def test_a_row_hints_at_the_level_that_came_out_and_keeps_the_best_answer():
    asked = []

    async def remembering(query, memory):
        asked.append(query)
        return "kettle oolong"

    async def fresh(query, memory):
        asked.append(query)
        return "something entirely different"

    async def likes_length(query, memory, response):
        assert query == "Which tea?"  # judged against the query as it was
        return float(len(response))

    samples = [{"query": "Which tea?", "memory": MEMORY}] * 2
    made = partial(align_dataset, samples, TemplateRewriter(PHRASES, RNG(0)), generator=RNG(0))
    rows = run_sync(partial(made, [remembering, fresh], OverlapMDScore(), likes_length))
    assert [row.response for row in rows] == ["something entirely different"] * 2
    assert [(row.preference, row.query) for row in rows] == [(1, "Which tea? (1)")] * 2
    assert len(asked) == 8
    assert set(asked) == {f"Which tea? ({row.asked})" for row in rows}
    rows = run_sync(partial(made, [remembering], OverlapMDScore(), likes_length))
    assert [row.preference for row in rows] == [5, 5]
    assert read_memory(rows[0].to_row()["memory"]) == MEMORY


def test_a_rewriter_that_names_the_scale_is_asked_again():
    model = Model("Use memory level 2 please", "Something rather new on tea, please")
    assert run_sync(LLMRewriter(model), "Which tea?", 2) == "Something rather new on tea, please"
    assert "mostly new" in model.asked[0]
    with pytest.raises(ReplyError, match="names the scale"):
        run_sync(LLMRewriter(Model("2 out of 5")), "Which tea?", 2)


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_every_event_of_a_timeline_has_what_it_needs_and_none_is_told_twice(scenario):
    timeline = run_sync(grow, scenario, "tides", 12, RuleSource(RNG(0)))
    for i, event in enumerate(timeline.events):
        assert set(event.needs) <= set(timeline.artifacts(i))
        assert "tides" in event.text
    assert len({event.text for event in timeline.events}) == 12
    assert timeline.turned_down["needs"] > 0


def test_an_artifact_has_its_latest_version_and_memory_knows_nothing_of_what_comes_later():
    events = [Event("survey", f"text {i}", (), "reading notes") for i in range(5)]
    timeline = Timeline("research", "tides", events)
    assert timeline.artifacts() == {"reading notes": (5, "text 4")}
    memory = timeline.memory(EVENTS_A_SESSION + 1)
    assert memory.inter_session == ("reading notes, version 3: text 2",)
    assert memory.intra_session == ("survey: text 3",)
    assert "tides" in memory.profile[0]
    assert timeline.memory(EVENTS_A_SESSION).inter_session == ()


def test_queries_ask_for_something_that_is_there():
    rows = run_sync(partial(synthesise, "tutoring", ["tides", "fractions"], 40, generator=RNG(0)))
    assert {row["task"] for row in rows} == set(TASKS)
    assert [row["topic"] for row in rows[:2]] == ["tides", "fractions"]
    assert len({row["id"] for row in rows}) == 40
    for row in rows:
        assert row["target"] in row["query"]
        assert row["memory"]
    again = run_sync(partial(synthesise, "tutoring", ["tides", "fractions"], 40, generator=RNG(0)))
    assert rows == again


def test_a_model_may_tell_the_events_and_another_may_object():
    said = [json.dumps({"kind": "survey", "text": f"read paper {i}"}) for i in range(4)]
    judge = Model('{"fits": false}', '{"fits": true}')
    timeline = run_sync(grow, "research", "tides", 2, LLMSource(Model(*said)), llm_coherence(judge))
    assert [event.text for event in timeline.events] == ["read paper 1", "read paper 2"]
    assert timeline.turned_down == {"needs": 0, "repeats": 0, "incoherent": 1}
    assert "read paper 1" in judge.asked[-1]


def test_a_source_that_only_repeats_itself_is_given_up():
    with pytest.raises(ValueError, match="20 proposals in a row do not fit after 1 events"):
        run_sync(grow, "research", "tides", 2, LLMSource(Model('{"kind": "survey", "text": "again"}')))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: alignment_error(6, 1), "md: got 6"),
        (lambda: alignment_error(1, 0), "preference: got 0"),
        (lambda: alignment_error(True, 1), "md: got True"),
        (lambda: memcontrol_reward([6], [1], [1]), r"md: got \[6\]"),
        (lambda: memcontrol_reward([1], [1.5], [1]), r"preference: got \[1.5\]"),
        (lambda: memcontrol_reward([1], [1], [0]), r"task: got \[0.0\]"),
        (lambda: memcontrol_reward([1], [1], [1], [math.nan]), "general: got"),
        (lambda: mask_memory(MEMORY, 7), "level: got 7"),
        (lambda: OverlapMDScore(cuts=(0.3, 0.1, 0.5, 0.8)), "cuts: got"),
        (lambda: read_memory(3), "memory: got '3', wanted a list of texts"),
        (lambda: read_memory({"past": []}), "memory: got the field 'past'"),
        (lambda: confusion([], []), "got 0 and 0"),
        (lambda: TemplateRewriter({1: ["a"]}, RNG(0)), "phrases: got none for level 2"),
        (lambda: Timeline("cooking", "tea"), "scenario: got 'cooking'"),
        (lambda: Timeline("research", " "), "topic: got an empty text"),
        (lambda: run_sync(partial(synthesise, "research", [], 3, generator=RNG(0))), "topics, n, events: got 0"),
        (lambda: run_sync(partial(align_dataset, [], None, [], None, None, generator=RNG(0))), "pool: got no models"),
        (lambda: run_sync(anchoring_report, obeys, OverlapMDScore(), []), "samples: got none"),
        (lambda: MemControlReward(OverlapMDScore(), graded)([""], [""], query=[""]), "not all three are columns"),
        (lambda: MemControlReward(OverlapMDScore(), graded, concurrency=0), "concurrency: got 0"),
    ],
)
def test_wrong_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
