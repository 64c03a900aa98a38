import json
import random
import sys

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("pandas")

from assay.integrations.sandbox import Session
from assay.methods.post_training.rl_text2vis import Plotter, Scored, parse_output
from assay.trials.post_training import rl_text2vis
from assay.trials.post_training._plot_policy import (
    ANGLES,
    ASKS,
    CHARTS,
    FEATURES,
    HEADS,
    QUOTING,
    means_to,
    observed,
    written,
)
from assay.trials.post_training.rl_text2vis import Writer, blind, shuffled, trial, whole
from assay.worlds.table_questions import AGGREGATES, world

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's levels are Linux's")
WORLD = world(2)
SAMPLE = WORLD.sample(5)


def best(question, table):
    """The slots that a perfect policy would fill in."""
    names = list(table)
    chart = {"compare": "barh", "develop": "line", "share": "barh"}[question.kind]
    return [
        CHARTS.index(chart), names.index(question.x), names.index(question.y) - 2,
        AGGREGATES.index(question.aggregate), 2 if question.kind == "develop" else 1,
        1, 1, ANGLES.index(0), 0, 1, ASKS.index(question.ask), QUOTING.index("json"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def plotter():
    with Plotter(Session, timeout=30) as one:
        yield one


def test_the_best_slots_earn_the_whole_reward_and_the_checkers_whole_mark(plotter):
    writer = Writer(SAMPLE, 0, plotter)
    for question in SAMPLE.held_out:
        scored = writer.scored(
            question, written(best(question, SAMPLE.tables[question.table]), SAMPLE.tables[question.table])
        )
        assert scored.total == 1, (question.text, scored)
        assert WORLD.check(question, scored.result.figures) == 1


def test_a_slot_that_only_the_picture_shows_costs_the_method_and_not_the_baseline(plotter):
    writer, question = Writer(SAMPLE, 0, plotter), next(q for q in SAMPLE.train if q.kind == "compare")
    table = SAMPLE.tables[question.table]
    good = best(question, table)
    for slot, worse in ((5, 0), (6, 0), (4, 0)):  # no title, no labels, not in order
        bad = [*good[:slot], worse, *good[slot + 1 :]]
        pair = [writer.scored(question, written(slots, table)) for slots in (good, bad)]
        assert blind(pair, None)[0] == blind(pair, None)[1]
        assert pair[0].visual >= pair[1].visual
    bare = [*good[:5], 0, 0, *good[7:]]
    assert whole([writer.scored(question, written(bare, table))], None)[0] < 1


def test_the_placebo_deals_the_same_picture_scores_within_each_group():
    rng = random.Random(0)
    scored = [Scored(0, True, 0.0, 0.0, visual) for visual in (1.0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 1.0)]
    dealt = [[reward * 4 for reward in shuffled(scored, rng)] for _ in range(20)]
    assert all(sorted(one[:4]) == [0, 0.25, 0.5, 1] and sorted(one[4:]) == [0, 0, 0, 1] for one in dealt)
    assert len({tuple(one) for one in dealt}) > 10
    assert shuffled([Scored(0, False)] * 3 + [Scored(1, True, 0, 0, 1.0)], rng)[:3] == [0, 0, 0]


def test_every_filling_of_the_slots_is_a_reply_in_form_unless_quoted_badly():
    rng, table = random.Random(1), SAMPLE.tables[0]
    for _ in range(300):
        slots = [rng.randrange(n) for n in HEADS]
        parsed = parse_output(written(slots, table))
        assert (parsed is None) == (QUOTING[slots[-1]] == "bare")
        if parsed is not None:
            compile(parsed[1], "plot.py", "exec")


def test_what_a_policy_sees_tells_all_questions_apart():
    for number, table in enumerate(SAMPLE.tables):
        own = [q for q in (*SAMPLE.train, *SAMPLE.held_out) if q.table == number]
        seen = {tuple(observed(question, table).tolist()) for question in own}
        assert len(seen) == len(own)
        assert {len(one) for one in seen} == {FEATURES}


def test_intent_is_read_off_the_code():
    question = SAMPLE.train[0]
    table = SAMPLE.tables[question.table]
    slots = best(question, table)
    code = json.loads(written(slots, table))["code"]
    assert means_to(question, code)
    for slot in (1, 2, 3):
        other = [*slots[:slot], 1 - min(1, slots[slot]), *slots[slot + 1 :]]
        assert not means_to(question, json.loads(written(other, table))["code"])


def test_an_arm_trains_and_is_measured(monkeypatch):
    monkeypatch.setattr(rl_text2vis, "UPDATES", 12)
    found = rl_text2vis.text2vis(SAMPLE, None, 5)
    assert 0 <= found.value <= 1
    assert found.cost.env_steps == 2 * 8 * 4
    assert found.value <= found.extra["executed"]
    assert found == rl_text2vis.text2vis(SAMPLE, None, 5), "the same seed gives the same figures"


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, seeds=6, arms=["baseline", "placebo", "method"], isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
