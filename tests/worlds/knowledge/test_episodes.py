import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.worlds.knowledge import world
from assay.worlds.knowledge.episodes import ABSTAIN, ANSWER, FEATURES, SEARCH, VERIFY, Episodes, Reading


@pytest.fixture(scope="module")
def troubled():
    return Reading(world(missing=0.35, conflict=0.15, outdated=0.1, train=100, valid=0, test=0).sample(1))


@pytest.fixture(scope="module")
def clean():
    return Reading(world(train=100, valid=0, test=0, hops=(1, 3)).sample(2))


def play(reading, policy, max_calls=4, rows=None):
    episodes = Episodes(reading, "train", np.arange(100) if rows is None else rows, max_calls)
    while not episodes.done.all():
        episodes.act(policy(episodes))
    return episodes


def search_then_answer(episodes):
    found = (episodes.hop == episodes.hops - 1) & (episodes.best >= 0)
    return np.where(found | (episodes.calls == episodes.max_calls), ANSWER, SEARCH)


def test_searching_answers_most_clean_questions_and_none_that_cannot_be_answered(troubled):
    episodes = play(troubled, search_then_answer, max_calls=8)
    right = episodes.said == episodes.gold
    status = np.array([question.status for question in troubled.desk.questions["train"]])
    assert right[status == "clean"].mean() > 0.6
    assert right[status == "missing"].mean() < 0.1
    assert right[status == "conflict"].mean() < right[status == "clean"].mean()


def by_hand(reading, row, steps, k):
    """The candidate after `steps` searches on the first hop of a question, from the texts themselves."""
    desk = reading.desk
    question = desk.questions["train"][row]
    subject, asked = question.start, question.path[0]
    evidence, newest = {}, {}
    ranked = desk.rankings[subject, asked]
    for number in ranked[: steps * k]:
        if number < 0:
            continue
        document = desk.documents[number]
        if document.subject != subject:
            continue
        if document.vague and document.relation in desk.graph.siblings(asked):
            points = 1
        elif document.relation == asked and not document.vague:
            points = 2
        else:
            continue
        evidence[document.object] = evidence.get(document.object, 0) + points
        newest[document.object] = max(newest.get(document.object, 0), document.year)
    if not evidence:
        return -1
    return max(evidence, key=lambda o: (evidence[o], newest[o]))


def test_the_candidate_is_the_one_that_reading_by_hand_gives(troubled):
    single = [row for row, question in enumerate(troubled.desk.questions["train"]) if question.hops == 1]
    episodes = Episodes(troubled, "train", np.array(single), max_calls=4)
    for steps in (1, 2, 3, 4):
        episodes.act(np.full(len(single), SEARCH))
        wanted = [by_hand(troubled, row, steps, troubled.desk.k_docs) for row in single]
        assert episodes.best.tolist() == wanted
    assert (np.array(wanted) >= 0).sum() > 10


def test_a_search_follows_a_candidate_to_the_next_hop(clean):
    episodes = Episodes(clean, "train", np.arange(100), max_calls=9)
    for _ in range(6):
        before, hop, at = episodes.best.copy(), episodes.hop.copy(), episodes.at.copy()
        episodes.act(np.full(100, SEARCH))
        follows = (before >= 0) & (hop < episodes.hops - 1)
        assert (episodes.hop == hop + follows).all()
        assert (episodes.at == np.where(follows, before, at)).all()
    assert (episodes.hop > 0).any()


def test_verify_confirms_what_the_table_holds_and_strikes_out_what_it_does_not(troubled):
    episodes = Episodes(troubled, "train", np.arange(100), max_calls=6)
    episodes.act(np.full(100, SEARCH))
    episodes.act(np.full(100, SEARCH))
    graph, before = troubled.desk.graph, episodes.best.copy()
    relations = episodes.path[np.arange(100), episodes.hop]
    holds = [
        o >= 0 and troubled.desk.verify(graph.names[s], graph.relations[r].name, graph.names[o])
        for s, r, o in zip(episodes.at, relations, before)
    ]
    episodes.act(np.full(100, VERIFY))
    sure = episodes.observe()[:, FEATURES.index("the best is verified")] == 1
    assert sure.tolist() == holds
    assert (episodes.best[sure] == before[sure]).all()
    wrong = ~np.array(holds) & (before >= 0)
    assert wrong.sum() > 3
    assert (episodes.best[wrong] != before[wrong]).all()
    assert (episodes.verified == 1).all()
    assert (episodes.calls == 3).all()


def test_verifying_every_link_leaves_no_wrong_answer_but_the_echo(troubled):
    def careful(episodes):
        sure = episodes.observe()[:, FEATURES.index("the best is verified")] == 1
        end = sure & (episodes.hop == episodes.hops - 1)
        give_up = episodes.calls == episodes.max_calls
        tool = np.where((episodes.best >= 0) & ~sure, VERIFY, SEARCH)
        return np.where(end, ANSWER, np.where(give_up, ABSTAIN, tool))

    episodes = play(troubled, careful, max_calls=20)
    answered = ~episodes.abstained
    assert answered.mean() > 0.4
    assert (episodes.said[answered] == episodes.gold[answered]).all()


def test_a_tool_call_too_many_ends_without_an_answer(clean):
    episodes = play(clean, lambda e: np.full(100, SEARCH), max_calls=2)
    assert (episodes.said == -1).all()
    assert not episodes.abstained.any()
    assert (episodes.calls == 2).all()


def test_without_evidence_the_entity_at_hand_is_answered(clean):
    episodes = play(clean, lambda e: np.full(100, ANSWER))
    assert episodes.said.tolist() == [question.start for question in clean.desk.questions["train"]]
    assert (episodes.calls == 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_any_actions_end_within_the_calls_and_change_nothing_afterwards(troubled, seed, max_calls):
    rng = np.random.default_rng(seed)
    episodes = Episodes(troubled, "train", rng.integers(0, 100, 30), max_calls)
    for _ in range(max_calls + 1):
        seen, done, said = episodes.observe(), episodes.done.copy(), episodes.said.copy()
        assert seen.shape == (30, len(FEATURES))
        assert np.isfinite(seen).all()
        assert seen.min() >= 0
        assert seen.max() <= 4
        episodes.act(rng.choice([SEARCH, VERIFY, ANSWER, ABSTAIN], 30, p=[0.5, 0.3, 0.1, 0.1]))
        assert (episodes.said[done] == said[done]).all()
        assert (episodes.calls <= max_calls).all()
    episodes.act(np.full(30, ANSWER))
    assert episodes.done.all()
    assert not (episodes.abstained & (episodes.said >= 0)).any()


def test_a_batch_of_256_episodes_is_served_in_milliseconds(troubled):
    rows, times = np.repeat(np.arange(32), 8), []
    for _ in range(5):
        start = time.process_time()
        play(troubled, search_then_answer, rows=rows)
        times.append(time.process_time() - start)
    assert min(times) < 0.1


def test_episodes_need_a_call():
    with pytest.raises(ValueError, match="max_calls: got 0"):
        Episodes(None, "train", np.arange(1), 0)
