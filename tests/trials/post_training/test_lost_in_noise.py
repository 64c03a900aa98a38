import random

import pytest

from assay.engine.trial import NoHeadroom
from assay.methods.post_training.lost_in_noise import HintMatch
from assay.models.access import Models
from assay.trials.post_training import lost_in_noise
from assay.trials.post_training.lost_in_noise import paid_for_hints, rows, trial
from assay.worlds.text import cite


def test_all_arms_train_on_the_same_prompts_and_only_the_placebos_hints_are_distractors():
    own, misled = rows(3, misled=False, count=40), rows(3, misled=True, count=40)
    for right, wrong in zip(own, misled):
        assert [right[name] for name in ("prompt", "answer", "context")] == [
            wrong[name] for name in ("prompt", "answer", "context")
        ]
        asked = right["prompt"].rpartition("?")[2].removesuffix("<bot>")
        assert right["hint"] == asked + right["answer"]
        assert wrong["hint"] in wrong["context"]
        assert not wrong["hint"].startswith(asked)


def test_citing_the_asked_note_pays_in_the_method_and_quoting_a_distractor_in_the_placebo():
    reward = paid_for_hints()
    for row, condition in ((rows(1, misled=False, count=2)[0], "note"), (rows(1, misled=True, count=2)[0], "noise")):
        note = cite_of(row)
        texts = [f"{note}\n#{row['answer']}", f"#{row['answer']}", f"{row['hint']}\n#00", f"{row['context']}\n#00"]
        paid = reward([row["prompt"]] * 4, texts, **{name: [row[name]] * 4 for name in ("hint", "answer", "context")})
        assert paid == ([1.5, 1.0, 0.5, 0.0] if condition == "note" else [1.0, 1.0, 0.5, 0.0])


def cite_of(row):
    return row["prompt"].rpartition("?")[2].removesuffix("<bot>") + row["answer"]


@pytest.mark.parametrize("condition", ["RD", "RC"])
def test_a_citation_of_training_contexts_never_quotes_more_than_half_of_them(condition):
    judge = HintMatch()
    for seed in range(200):
        problem = cite.sample(seed, "train", condition=condition)
        context = problem.prompt[1:].rpartition("?")[0]
        assert judge.matches(problem.meta["hint"], problem.meta["hint"], context)


def test_hard_negatives_are_never_trained_on():
    notes = [row["context"] for row in rows(5, misled=False, count=40)]
    for context in random.Random(0).sample(notes, 20):
        names = [piece[:3] for piece in context.split() if piece[0].isalpha() and piece[1:5].isdigit()]
        letters, numbers = [name[0] for name in names], [name[1:] for name in names]
        assert len(set(letters)) == len(letters)
        assert len(set(numbers)) == len(numbers)


@pytest.fixture
def short(monkeypatch):
    """Two steps of either training, whatever the start can do."""
    for name, value in (("START_STEPS", 2), ("STEPS", 50), ("LEAST", 0.0), ("LEAST_CITED", 0.0)):
        monkeypatch.setattr(lost_in_noise, name, value)
    return cite.world(each=6).sample(2)


@pytest.mark.slow
def test_without_the_bonus_the_method_is_the_baseline_and_with_it_another(short, monkeypatch):
    begun = lost_in_noise.begin(short, Models(), 2)
    baseline, placebo, method = (trial.arms[name](short, Models(), 2, begun) for name in trial.arms)
    assert len(baseline.curve) == 2
    assert baseline.curve[0] <= method.curve[0]
    assert set(begun["figures"]) == {"ND", "RD", "RC", "HN", "HN_distracted", "HN_cited", "sampled_cited"}
    assert len(placebo.extra) == 2 * len(begun["figures"]) - 1
    monkeypatch.setattr(lost_in_noise, "paid_for_hints", lambda: unpaid(paid_for_hints()))
    assert trial.arms["method"](short, Models(), 2, begun) == baseline


def unpaid(reward):
    reward.weight = 0.0
    return reward


@pytest.mark.slow
def test_a_start_that_noise_does_not_touch_leaves_no_headroom(short, monkeypatch):
    monkeypatch.setattr(lost_in_noise, "MOST", -1.0)
    with pytest.raises(NoHeadroom, match="among hard negatives, wanted"):
        lost_in_noise.begin(short, Models(), 2)


@pytest.mark.slow
def test_a_start_that_never_cites_leaves_no_headroom(short, monkeypatch):
    monkeypatch.setattr(lost_in_noise, "LEAST_CITED", 0.05)
    with pytest.raises(NoHeadroom, match=r"cites the asked note in 0\.00 of its sampled replies"):
        lost_in_noise.begin(short, Models(), 2)


@pytest.mark.slow
def test_the_quick_run_trains_all_arms():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert all(unit.extra["ND_at_the_start"] > unit.extra["HN_at_the_start"] for unit in result.arms)
