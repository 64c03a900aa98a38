import pytest

from assay.engine.trial import NoHeadroom
from assay.models.finetune import as_prompt
from assay.trials.post_training import judge_rlvr
from assay.trials.post_training.judge_rlvr import (
    CASES,
    LONGEST,
    STEPS,
    sums_up_to,
    to_judge,
    trial,
    verdicts,
    with_labels_permuted,
)
from assay.worlds.text import sums
from assay.worlds.text.problem import parse


def test_tasks_for_the_judge_are_labelled_by_their_last_answer():
    problems = sums.world(each=100, digits=(2, 2)).sample(0)
    tasks = verdicts(problems, 0)
    labels = [verdict for _, verdict in tasks]
    for problem, (task, verdict) in zip(problems, tasks):
        assert task.startswith(to_judge(problem.prompt, ""))
        assert verdict == f"#{int(parse(task) == problem.answer)}"
    assert 30 < labels.count("#1") < 70


def test_a_wrong_reply_keeps_its_tries_and_changes_its_last_line_and_answer():
    problem = sums.sample(0, tries=(2, 2))
    wrong = sums_up_to(problem, "7")
    before, after = problem.trace.split("\n"), wrong.split("\n")
    assert before[:2] == after[:2]
    assert after[2:] == [before[2].split("=")[0] + "=7", "#7"]


def test_the_placebo_deals_the_same_labels_to_other_rows():
    judged = [{"prompt": str(i), "label": i % 2} for i in range(100)]
    dealt = with_labels_permuted(judged, 0)
    assert [row["prompt"] for row in dealt] == [row["prompt"] for row in judged]
    assert sum(row["label"] for row in dealt) == 50
    assert 20 < sum(a["label"] != b["label"] for a, b in zip(judged, dealt)) < 80
    assert dealt == with_labels_permuted(judged, 0)


def test_the_full_world_has_the_sums_its_training_is_measured_by():
    assert trial.world_args["each"] == CASES


def test_a_start_that_gives_no_verdicts_leaves_no_headroom(monkeypatch):
    from assay.models import Models

    own = [{"problem": "S12+17", "solution": "12+17=29\n#29", "label": 1}]
    monkeypatch.setattr(judge_rlvr, "START_STEPS", CASES)  # one step a sum of the world
    monkeypatch.setattr(judge_rlvr, "own_solutions", lambda *given: own)
    with pytest.raises(NoHeadroom, match="0% of the start's judgements are verdicts, wanted 90%"):
        judge_rlvr.begin(sums.world(each=1, carry=False).sample(0), Models(), 0)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["baseline", "method"])
def test_an_arm_goes_through_its_stages_and_is_measured(arm):
    from assay.models import Models

    pytest.importorskip("trl")
    models = Models()
    world = sums.world(each=8, digits=(2, 2), carry=False).sample(0)
    judged = [
        {"prompt": as_prompt(task), "label": int(verdict == "#1")}
        for task, verdict in verdicts(sums.world(each=16).sample(1), 0)
    ]
    begun = {"weights": models.load("nano")[0].state_dict(), "judged": judged}
    measures = trial.arms[arm](world, models, 0, begun)
    assert len(measures.curve) == round(STEPS * 8 / CASES)
    assert measures.value >= measures.extra["tokens"]
    assert 0 < measures.extra["tokens"] <= LONGEST


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict is None or result.verdict.outcome in ("holds", "fails", "inconclusive")
