import numpy as np
import pytest
import torch

from assay.methods.concurrency import run_sync
from assay.methods.post_training.dr_zero import Document, Judged
from assay.trials.post_training.dr_zero_training import DeskProposer, DeskSolver, Library, trial
from assay.worlds.knowledge import world


@pytest.fixture(scope="module")
def library():
    return Library(world(**trial.arguments(quick=True)).sample(5), 3)


def test_nothing_of_the_test_can_be_asked(library):
    held_out = {(question.start, question.path) for question in library.desk.questions["test"]}
    assert held_out
    assert not held_out & {(question.start, question.path) for question in library.questions}


def test_a_document_offers_its_own_questions_of_the_hops_wanted(library):
    (name, hops), own = next((key, own) for key, own in library.choices.items() if len(own) > 1)
    assert library.candidates(name, hops) == own
    assert {library.questions[i].hops for i in own} == {hops}
    assert len({(library.questions[i].start, library.questions[i].path[0]) for i in own}) == 1
    library.choices["empty", 1], library.choices["empty", 2] = [7], []
    library.choices["empty", 3] = library.choices["empty", 4] = []
    assert library.candidates("empty", 4) == [7], "the nearest hop count that there is"


@pytest.mark.slow
def test_the_proposer_comes_to_pick_what_is_paid(library):
    proposer = DeskProposer(library, 3)
    name, hops = next(key for key, own in library.choices.items() if len(own) > 3 and key[0] != "empty")
    document = Document(name, name)
    wanted = library.questions[library.choices[name, hops][0]].path[-1]

    def share():
        made = run_sync(proposer.propose, [document] * 200, [hops] * 200)
        paid = [library.questions[int(one.question)].path[-1] == wanted for one in made]
        return made, np.array(paid)

    before = share()[1].mean()
    for _ in range(20):
        made, paid = share()
        proposer.update([Judged(one, (False, True)) for one in made], torch.from_numpy(paid - paid.mean()))
    assert share()[1].mean() > before + 0.2


@pytest.mark.slow
def test_the_solver_learns_from_what_it_is_given_and_only_from_that(library):
    solver = DeskSolver(library, 3)
    before = [p.clone() for p in solver.agent.policy.parameters()]
    solver.update([])
    assert all(torch.equal(a, b) for a, b in zip(before, solver.agent.policy.parameters()))
    made = run_sync(DeskProposer(library, 3).propose, library.documents[:40], [1] * 40)

    def right():
        answers = run_sync(solver.solve, made, 20)
        return np.mean([[a == one.answer for a in given] for one, given in zip(made, answers)])

    first = right()
    solver.update([Judged(one, (True, False)) for one in made])
    assert right() > first


def test_the_quick_run_is_reported_without_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome == "reported"
    assert all(0 <= unit.value <= 1 for unit in result.units if unit.arm in trial.arms)
