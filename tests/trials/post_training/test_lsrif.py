import pytest

from assay.methods.concurrency import run_sync
from assay.methods.post_training.lsrif import (
    Conditional,
    Parallel,
    RuleVerifier,
    Sequential,
    constraints,
    flat_reward,
    structured_reward,
)
from assay.trials.post_training.lsrif import CASES, own_trees, tree, trees_of_others, trial, wrong_branch
from assay.worlds.text import instruct


def rewards(problem, text, like=None):
    """The structured and the flat reward of a reply."""
    node = tree(problem, like or problem)
    verdicts = run_sync(RuleVerifier().verify, problem.prompt, text, list(constraints(node)))
    return structured_reward(node, verdicts), flat_reward(node, verdicts)


@pytest.mark.parametrize("structure", instruct.STRUCTURES)
def test_the_right_reply_has_the_full_structured_reward(structure):
    for seed in range(30):
        problem = instruct.sample(seed, structure=structure)
        assert rewards(problem, problem.trace)[0] == 1


def test_the_flat_mean_does_not_tell_the_branches_apart_and_the_structure_does():
    even = [p for p in instruct.world(100).sample(0) if p.meta.get("then", 0) * 2 == len(p.meta["parts"])]
    assert len(even) > 20
    for problem in even:
        then, parts = problem.meta["then"], problem.meta["parts"]
        closed = parts[then:] if problem.meta["holds"] else parts[:then]
        right, wrong = rewards(problem, problem.trace), rewards(problem, " ".join(closed))
        assert right[1] == wrong[1] == 0.5
        assert (right[0], wrong[0]) == (1, 0)
        assert wrong_branch(problem, " ".join(closed))
        assert not wrong_branch(problem, problem.trace)


def test_a_part_in_the_wrong_place_counts_only_where_there_is_no_order():
    for seed in range(20):
        parallel, sequential = (instruct.sample(seed, structure=s) for s in ("parallel", "sequential"))
        assert rewards(parallel, " ".join(reversed(parallel.meta["parts"])))[0] == 1
        assert rewards(sequential, " ".join(reversed(sequential.meta["parts"])))[0] < 1


def test_the_placebo_deals_the_trees_out_anew_among_instructions_with_as_many_parts():
    problems = [instruct.sample(seed, structure=s) for s in instruct.STRUCTURES for seed in range(60)]
    own, others = own_trees(problems, 0), trees_of_others(problems, 0)
    kinds = {Parallel: "parallel", Sequential: "sequential", Conditional: "conditional"}
    assert [kinds[type(node)] for node in own] == [p.meta["structure"] for p in problems]
    assert sorted(map(str, map(type, own))) == sorted(map(str, map(type, others)))
    assert 70 < sum(type(a) is not type(b) for a, b in zip(own, others)) < 150
    for one, other in zip(own, others):
        assert list(constraints(one)) == list(constraints(other))


def test_the_full_world_has_the_instructions_its_training_is_measured_by():
    assert trial.world_args["each"] * len(instruct.STRUCTURES) == CASES


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    pytest.importorskip("trl")
    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict is None or result.verdict.outcome in ("holds", "fails", "inconclusive")
