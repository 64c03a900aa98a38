import pytest

from assay.methods.concurrency import run_sync
from assay.methods.post_training.memcontrol import read_memory
from assay.trials.post_training import memcontrol
from assay.trials.post_training.memcontrol import CASES, SCORE, measured, rows, task, trial, worked
from assay.worlds.text import recall


def level_of(problem, text):
    return run_sync(SCORE, problem.meta["query"], read_memory(problem.meta["memory"]), text)


@pytest.mark.parametrize(("copies", "level"), [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 5)])
def test_each_copied_number_is_a_level(copies, level):
    problem = recall.sample(1, copied=[0] * 5)
    text = " ".join([*problem.meta["memory"][:copies], *problem.trace.split()[copies:]])
    assert level_of(problem, text) == level


def test_the_task_is_paid_by_its_fit_numbers():
    assert run_sync(task, "b same way", read_memory(""), "40 41 42 43 44") == 5
    assert run_sync(task, "b same way", read_memory(""), "10 11 12 13 14") == 1


def test_the_start_is_shown_replies_that_copy_whatever_is_wished_and_none_without_memory():
    pairs = worked(0, 500)
    assert len(pairs) == 500
    shares = [len(set(reply.split()) & set(prompt[1:].split())) / 5 for prompt, reply in pairs]
    forgetful = [share for (prompt, _), share in zip(pairs, shares) if prompt.startswith("R ")]
    phrased = [share for (prompt, _), share in zip(pairs, shares) if "level" not in prompt][: 3 * 500 // 5]
    assert len(forgetful) == 100
    assert max(forgetful) == 0
    assert 0.7 < sum(phrased) / len(phrased) < 0.9


class Copier:
    """Stands for `replies`: writes what the prompt remembers, or five fit numbers where it remembers nothing."""

    def __init__(self):
        self.prompts = []

    def __call__(self, model, tokenizer, prompts, **settings):
        self.prompts = prompts
        fit = {"a": 10, "b": 40, "c": 70}
        texts = []
        for prompt in prompts:
            *memory, kind, _, _ = prompt[1:].split()
            texts.append(" ".join(memory) or " ".join(str(fit[kind] + i) for i in range(5)))
        return texts


def test_the_baseline_hides_the_memory_below_level_3_and_is_at_1_there(monkeypatch):
    copier = Copier()
    monkeypatch.setattr(memcontrol, "replies", copier)
    problems = recall.world(100).sample(0)
    plain = measured(None, None, problems, 0)
    assert copier.prompts == [problem.prompt for problem in problems]
    assert (plain["copied"], plain["quality"], plain["level"], plain["error_at_1"]) == (1, 1, 5, 4)
    switched = measured(None, None, problems, 0, explicit=True, switched=True)
    for problem, prompt in zip(problems, copier.prompts):
        assert prompt.startswith("R ") == (problem.meta["level"] < 3)
        assert prompt.endswith(f"level {problem.meta['level']}")
    assert [switched[f"error_at_{level}"] for level in recall.LEVELS] == [0, 1, 2, 1, 0]


def test_the_placebo_deals_the_same_levels_to_other_prompts():
    own, dealt = rows(0, 300, False), rows(0, 300, True)
    assert [row["prompt"] for row in own] == [row["prompt"] for row in dealt]
    assert sorted(row["preference"] for row in own) == sorted(row["preference"] for row in dealt)
    assert 200 < sum(a["preference"] != b["preference"] for a, b in zip(own, dealt)) < 280


def test_the_full_world_has_the_questions_its_training_is_measured_by():
    assert trial.world_args["each"] == CASES


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    pytest.importorskip("trl")
    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict is None or result.verdict.outcome in ("holds", "fails", "inconclusive")
