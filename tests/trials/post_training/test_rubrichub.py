import pytest

from assay.methods.concurrency import run_sync
from assay.trials.post_training.rubrichub import Bench, coarse_to_fine, padded, prepare, trial, whole_library
from assay.worlds.defective_answers import world

TASKS = world(tasks=8).sample(5)


@pytest.fixture(scope="module")
def passed():
    return prepare(TASKS, None, 5)


def test_authors_know_different_checks_and_together_all(passed):
    for number, task in enumerate(TASKS):
        first, second = (
            {one.text for one in author.known} for author in Bench(task, passed[number], 5, number).authors
        )
        assert first | second == {check.asks for check in task.checks}
        assert first - second
        assert second - first


def test_hardening_adds_only_what_one_of_the_two_fails_and_was_not_there(passed):
    bench = Bench(TASKS[0], passed[0], 5, 0)
    author, pair = bench.authors[0], (TASKS[0].pool[0].text, TASKS[0].pool[1].text)
    added = run_sync(author.harden, "", [], pair)
    rows = {answer.text: row for answer, row in zip((*TASKS[0].answers, *TASKS[0].pool), passed[0])}
    place = {check.asks: i for i, check in enumerate(TASKS[0].checks)}
    wanted = [one for one in author.known if not all(rows[text][place[one.text]] for text in pair)]
    assert added == wanted
    assert run_sync(author.harden, "", wanted, pair) == []


def test_the_placebo_grades_by_as_many_criteria_as_the_method(passed):
    method, placebo = coarse_to_fine(TASKS, None, 5, passed), padded(TASKS, None, 5, passed)
    assert method.cost.model_calls == placebo.cost.model_calls
    assert method.extra["criteria"] == placebo.extra["criteria"]


def test_a_grader_that_passes_everything_is_worth_a_coin(passed):
    blind = [[[True] * len(row) for row in rows] for rows in passed]
    found = whole_library(TASKS, None, 5, blind)
    assert found.value == 0.5
    assert found.extra["saturated"] == 1


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, arms=["baseline", "placebo", "method", "whole_library"], isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
    mean = {arm: sum(u.value for u in result.units if u.arm == arm) / 6 for arm in ("baseline", "whole_library")}
    assert 0.5 < mean["baseline"] < mean["whole_library"] - 0.1, "the world can show a difference"
