import numpy as np
import pytest
import torch

from assay.methods.post_training.dr_zero import HRPO
from assay.trials.post_training._dr_zero_desk import (
    MAX_SEARCHES,
    MOST_HOPS,
    MOVES,
    chances,
    every_question,
    sentences,
    table,
    train_solver,
)
from assay.trials.post_training._search_agent import SearchAgent
from assay.trials.post_training.dr_zero import (
    ATTEMPTS,
    Expected,
    OthersHops,
    between,
    draw,
    expected_difficulty,
    expected_form,
    form,
    measure,
    pearson,
    trial,
)
from assay.worlds.knowledge import world


@pytest.fixture(scope="module")
def desk():
    return world(**{**trial.world_args, "entities": 100, "train": 60}).sample(5)


@pytest.fixture(scope="module")
def policy(desk):
    return train_solver(desk, 10, 3)


@pytest.fixture(scope="module")
def asked(desk, policy):
    return table(desk, policy)


def test_every_way_on_from_a_document_is_a_question_and_none_passes_an_entity_twice(desk):
    questions, first, count = every_question(desk.graph)
    assert len(questions) == count.sum()
    assert (count[:, 0] == 1).all()
    found = {(question.start, question.path) for question in questions}
    assert len(found) == len(questions)
    for question in questions:
        assert len(set(question.entities)) == question.hops + 1
        assert list(question.entities) == desk.graph.follow(question.start, question.path)
    for split in desk.questions.values():
        assert {(q.start, q.path) for q in split} <= found
    for d in range(0, len(first), 17):
        for hops in range(MOST_HOPS):
            own = questions[first[d, hops] : first[d, hops] + count[d, hops]]
            assert all(q.hops == hops + 1 and q.path[0] == own[0].path[0] and q.start == own[0].start for q in own)


def test_chances_are_the_shares_that_playing_shows(desk, policy):
    agent = SearchAgent(desk, MOVES, max_calls=MAX_SEARCHES, seed=1)
    agent.policy = policy
    questions = desk.questions["train"][:12]
    exact = chances(desk, policy, questions)
    played = agent.play("train", np.arange(12).repeat(3000))
    shares = (played.scores == 1).double().view(12, 3000).mean(dim=1).numpy()
    assert np.abs(shares - exact).max() < 0.04
    assert 0.05 < exact.mean() < 0.95


def test_difficulty_is_expected_as_drawing_shows():
    chance = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    right = np.random.default_rng(0).binomial(ATTEMPTS, chance, (100_000, 5))
    paid = np.where((right == 0) | (right == ATTEMPTS), 0, (ATTEMPTS - right) / (ATTEMPTS - 1)).mean(axis=0)
    assert expected_difficulty(chance) == pytest.approx(paid, abs=0.01)


def test_the_form_has_the_mean_that_is_stated(desk, asked):
    generator, texts = np.random.default_rng(0), sentences(desk)
    for hops in range(1, MOST_HOPS + 1):
        rows = asked.first[:, hops - 1][asked.count[:, hops - 1] > 0]
        scores = [form(desk, asked.entities[q], hops, texts, generator) for q in generator.choice(rows, 1500)]
        assert np.mean(scores) == pytest.approx(expected_form(hops), abs=0.012)


def test_the_expected_reward_of_a_document_is_the_mean_over_its_questions(desk, asked):
    known, generator, texts = Expected(asked), np.random.default_rng(0), sentences(desk)
    drawn = [draw(desk, asked, known, texts, generator, 40, 60) for _ in range(4)]
    for batch in drawn:
        luck = batch.reward - batch.expected
        assert abs(luck.mean()) < 0.03, "rewards are what is expected of them"
        means = (batch.expected - batch.of_document).reshape(40, 60).mean(axis=1)
        assert np.abs(means).max() < 0.15
        assert abs(means.mean()) < 0.02


def test_a_batch_has_one_question_a_document_and_the_stated_hops(desk, asked):
    batch = draw(desk, asked, Expected(asked), sentences(desk), np.random.default_rng(0), 100, 1)
    assert len(set(batch.document.tolist())) == 100
    wanted = np.bincount(batch.hops, minlength=MOST_HOPS + 1)[1:]
    assert np.abs(wanted - [40, 30, 20, 10]).max() <= 5  # a document without so long a way is asked one hop
    rows = batch.rows()
    assert rows.key.tolist() == batch.hops.tolist()


def test_the_placebo_moves_hop_counts_between_the_rows(desk, asked):
    batch = draw(desk, asked, Expected(asked), sentences(desk), np.random.default_rng(0), 100, 1).rows()
    seen = []

    class Watched(HRPO):
        def __call__(self, batch):
            seen.append(batch.key)
            return super().__call__(batch)

    placebo = OthersHops(np.random.default_rng(0))
    placebo.hrpo = Watched()
    placebo(batch)
    assert not torch.equal(seen[0], batch.key)
    assert torch.equal(seen[0].sort().values, batch.key.sort().values)


class Told:
    """An estimator that hands out the exact advantage of the batch at hand."""

    needs = frozenset()

    def __init__(self, value):
        self.value = value

    def __call__(self, batch):
        return torch.from_numpy(self.value(batch))


def test_the_metric_is_one_for_the_exact_advantage_and_costs_are_attempts(desk, asked, monkeypatch):
    from assay.trials.post_training import dr_zero

    monkeypatch.setattr(dr_zero, "BATCHES", 3)
    drawn, original = [], dr_zero.draw

    def watched(*arguments):
        drawn.append(original(*arguments))
        return drawn[-1]

    monkeypatch.setattr(dr_zero, "draw", watched)
    exact = Told(lambda batch: drawn[-1].expected - drawn[-1].of_document)
    found = measure(desk, 3, asked, exact, documents=50)
    assert found.value == pytest.approx(1)
    assert found.cost.env_steps == 3 * 50 * ATTEMPTS
    assert measure(desk, 3, asked, Told(lambda batch: np.ones(len(batch))), documents=50).value == 0


def test_shares_and_correlations_are_those_worked_by_hand():
    assert between(np.array([0.0, 2.0, 4.0, 6.0]), [0, 0, 1, 1]) == pytest.approx(4 / 5)
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])) == pytest.approx(1)
    assert pearson(np.ones(3), np.arange(3.0)) == 0


def test_the_quick_run_ends_in_a_verdict():
    from assay.engine import run

    result = run(trial, quick=True, arms=["baseline", "placebo", "method"], isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
