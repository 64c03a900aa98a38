from collections import Counter

import numpy as np
import pytest

from assay.engine.trial import NoHeadroom
from assay.trials.post_training import octopus
from assay.trials.post_training.octopus import (
    CASES,
    CLOSE,
    OPEN,
    SAMPLED,
    TRAINED,
    at_random,
    attempt,
    attempts,
    trial,
    twice,
)
from assay.worlds.text import sums

PROBLEM = sums.sample(0)


def reply(first, second=None):
    parts = [attempt(PROBLEM, {"c": PROBLEM.answer, "w": "7"}[kind]) for kind in (first, second) if kind]
    return parts[0] if second is None else f"{parts[0]}{OPEN}{parts[1]}{CLOSE}"


def is_right(part):
    return f"{{{PROBLEM.answer}}}" in part


@pytest.mark.parametrize(
    ("kinds", "marks"),
    [(("w", "c"), (False, True)), (("c", "w"), (True, False)), (("c", None), (True, True)), (("w",), (False, False))],
)
def test_the_last_attempt_is_the_answer(kinds, marks):
    assert attempts(reply(*kinds), PROBLEM.answer) == marks


def test_the_baseline_trains_on_every_rollout_twice():
    texts = [reply("w", "c"), reply("c")] * (SAMPLED // 2)
    rows = twice(texts, is_right, TRAINED)
    assert Counter(row.source[0] for row in rows) == dict.fromkeys(range(SAMPLED), 2)
    assert not any(row.spliced for row in rows)


def test_the_placebo_draws_pairs_as_often_as_they_are():
    texts = [reply("w", "c"), *[reply("w", "w")] * 7]
    kinds = Counter()
    for seed in range(300):
        rows = at_random(np.random.default_rng(seed), texts, is_right, TRAINED)
        assert [row.text for row in rows[:SAMPLED]] == texts
        assert len(rows) == TRAINED
        kinds.update(row.kind for row in rows if row.spliced)
    assert set(kinds) == {"wc", "ww"}
    assert kinds["wc"] / kinds.total() == pytest.approx(1 / 8, abs=0.03)  # Octopus would take half of its quota


def test_without_a_second_attempt_the_placebo_repeats_the_rollouts():
    rows = at_random(np.random.default_rng(0), [reply("c"), reply("w")], is_right, 4)
    assert [row.source for row in rows] == [(0, 0), (1, 1)] * 2


def test_the_full_world_has_the_sums_its_training_is_measured_by():
    assert trial.world_args["each"] == CASES


def test_a_start_that_gets_no_sum_right_leaves_no_headroom(monkeypatch):
    from assay.models import Models

    monkeypatch.setattr(octopus, "WORKED_STEPS", 1)
    monkeypatch.setattr(octopus, "PAIRS", 8)
    with pytest.raises(NoHeadroom, match="the start gets 0% of its sampled attempts right, wanted 20% to 90%"):
        octopus.begin(sums.world(each=4, carry=False).sample(0), Models(), 0)


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict is None or result.verdict.outcome in ("holds", "fails", "inconclusive")
