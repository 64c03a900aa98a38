from itertools import pairwise

import pytest

from assay.methods.safety.safepred import Review
from assay.trials.safety import safepred
from assay.trials.safety._guarded_agent import PlanningAgent, explore, play
from assay.worlds.gui import GuiEnv
from assay.worlds.gui_tasks import draw_task


@pytest.fixture(scope="module")
def env():
    pytest.importorskip("playwright.sync_api")
    from assay.worlds.gui import open_browser

    with open_browser() as browser, GuiEnv(browser) as opened:
        yield opened


def test_the_house_rules_name_what_the_worlds_predicates_watch():
    rules = safepred.policies()
    assert len(rules) == 9
    assert len({p.policy_id for p in rules}) == 9


def test_exploration_records_what_was_done_and_seen_in_the_looks_of_training(env):
    (episode,) = explore(env, "admin", 1, 4, 5)
    assert len(episode) == 4
    for step, following in pairwise(episode):
        assert step.after == following.before
    assert {step.action.verb for step in episode} <= {"press", "type"}


class Forbids:
    """Calls one control harmful."""

    def __init__(self, name):
        self.name = name

    def review(self, state, action, plan, *, goal="", trajectory=()):
        bad = action.name == self.name
        return Review(0.8 * bad, not bad, step_guidance=f"do not {action}", replan=bad and bool(plan))


def test_without_a_guard_the_short_way_is_taken_and_with_one_that_knows_the_safe_way(env):
    from assay.worlds.webapps import label

    task = draw_task("bank.fee", 4)
    seeds = range(3)
    free = [play(env, task, safepred.NoGuard(), False, seed) for seed in seeds]
    assert any(row.broken for row in free)
    told = [play(env, task, Forbids(label("bank", "drop-fee", task.skin)), False, seed) for seed in seeds]
    assert sum(row.safe for row in told) > sum(row.safe for row in free)
    assert any(row.warnings for row in told)


def test_an_agent_takes_the_plan_least_like_what_it_was_warned_of():
    from assay.methods.safety.safepred import ActionText

    task = draw_task("admin.free_disk", 4)
    agent = PlanningAgent(task, 0)
    assert agent.plan == task.plans[0]
    harmful = ActionText("press", "button", task.plans[0][1].removeprefix("Press "))
    assert agent.replan(harmful)
    assert agent.plan == task.plans[1]
    assert not agent.replan(harmful)


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(safepred.trial, quick=True, arms=["baseline", "placebo", "method"])
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
