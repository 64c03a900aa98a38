import pickle
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.engine.registry import get_world
from assay.worlds.knowledge import world
from assay.worlds.knowledge.desk import DEPTH
from assay.worlds.knowledge.facts import YEARS, facts
from assay.worlds.knowledge.graph import CLOSED, RELATIONS, make_graph

TROUBLED = {"entities": 120, "train": 40, "valid": 20, "test": 20, "missing": 0.35, "conflict": 0.15, "outdated": 0.1}


@pytest.fixture(scope="module")
def desk():
    return world(**TROUBLED).sample(3)


def questions(desk):
    return [question for split in desk.questions.values() for question in split]


def test_names_are_one_word_and_two_letters_apart():
    names = make_graph(0).names
    assert len(set(names)) == len(names) == 400
    assert all(re.fullmatch(r"[A-Z][a-z]+", name) for name in names)

    def shortened(name):
        return {name} | {name[:i] + name[i + 1 :] for i in range(len(name))}

    counts = Counter(short for name in names for short in shortened(name))
    assert max(counts.values()) == 1  # two names one edit apart would share a shortened form


def test_every_relation_leads_from_its_kind_to_its_kind():
    graph = make_graph(1)
    for r, relation in enumerate(graph.relations):
        for s, o in enumerate(graph.objects[:, r]):
            assert (o >= 0) == (graph.kinds[s] == relation.subject)
            assert o < 0 or (graph.kinds[o] == relation.object and o != s)


def test_closed_answers_come_from_a_short_list_that_the_question_shows():
    closed = world(entities=80, train=20, valid=0, test=0, answers="closed").sample(0)
    for question in questions(closed):
        assert question.answer in question.options
        assert len(question.options) <= CLOSED
    assert all(question.options == () for question in questions(world(train=4, valid=0, test=0).sample(0)))


def test_a_seed_always_gives_the_same_desk_in_any_process(desk):
    code = (
        "from assay.worlds.knowledge import world; from assay.worlds.text.problem import digest;"
        f"d = world(**{TROUBLED!r}).sample(3); print(digest(d.documents, d.rankings.tolist(), d.questions))"
    )
    from assay.worlds.text.problem import digest

    here = digest(desk.documents, desk.rankings.tolist(), desk.questions)
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert int(there.stdout) == here
    assert world(**TROUBLED).sample(4).documents != desk.documents


def test_the_graph_answers_every_question(desk):
    graph, checker = desk.graph, world()
    for question in questions(desk):
        end = graph.follow(question.start, question.path)[-1]
        assert checker.check(question, graph.names[end].lower())
        assert not checker.check(question, graph.names[question.start])
        names = [graph.relations[r].name for r in reversed(question.path)]
        assert question.text.endswith(f"the {' of the '.join(names)} of {graph.names[question.start]}?")


def test_shares_of_status_are_exact_and_hops_do_not_tell_them(desk):
    train = desk.questions["train"]
    assert Counter(question.status for question in train) == {"missing": 14, "conflict": 6, "clean": 20}
    for status in ("missing", "conflict", "clean"):
        hops = Counter(question.hops for question in train if question.status == status)
        assert max(hops.values()) - min(hops[h] for h in range(1, 5)) <= 1
    assert len({question.text for question in questions(desk)}) == 80


def test_the_documents_say_what_a_questions_status_says(desk):
    records = {(d.subject, d.relation) for d in desk.documents if d.source == "record"}
    rumours = {(d.subject, d.relation) for d in desk.documents if d.source == "rumour"}
    for question in questions(desk):
        way = list(zip(question.entities, question.path))
        assert question.answerable == all(fact in records for fact in way)
        if question.answerable:
            assert (question.status == "conflict") == any(fact in rumours for fact in way)


def test_records_are_true_and_what_contradicts_them_looks_newer_or_older(desk):
    years = {(d.subject, d.relation): d.year for d in desk.documents if d.source == "record"}
    sources = Counter()
    for d in desk.documents:
        true = desk.graph.objects[d.subject, d.relation] == d.object
        assert true == (d.source == "record")
        assert desk.graph.names[d.subject] in d.text
        assert desk.graph.names[d.object] in d.text
        assert d.text.startswith(f"({d.year}) ")
        sources[d.source] += 1
        if d.source == "record":
            assert YEARS[0] <= d.year <= YEARS[1]
        else:
            assert (d.year > years[d.subject, d.relation]) == (d.source == "rumour")
    assert sources["rumour"] == round(0.15 * len(list(facts(desk.graph))))
    assert sources["old copy"] > 10


def test_a_plain_sentence_names_its_relation_and_a_vague_one_does_not():
    sentences = [sentence for relation in RELATIONS for sentence in relation.plain]
    assert len(set(sentences)) == len(sentences)
    from assay.worlds.knowledge.facts import VAGUE_SENTENCES

    assert set(VAGUE_SENTENCES) == {(relation.subject, relation.object) for relation in RELATIONS}
    assert not set(sentences) & {vague for some in VAGUE_SENTENCES.values() for vague in some}


def test_the_kept_rankings_are_what_search_gives(desk):
    graph = desk.graph
    for s, r in list(facts(graph))[::37]:
        found = desk.search(f"{graph.names[s]} {graph.relations[r].name}", DEPTH)
        kept = desk.rankings[s, r]
        assert [int(passage.id) for passage in found] == kept[kept >= 0].tolist()
        assert [passage.text for passage in found] == [desk.documents[i].text for i in kept[kept >= 0]]
    assert (desk.rankings[graph.objects < 0] == -1).all()


def test_a_search_gives_k_docs_unless_told_otherwise(desk):
    name = desk.graph.names[0]
    assert len(desk.search(name)) == desk.k_docs
    assert len(desk.search(name, 1)) == 1


def test_verify_holds_exactly_the_facts_that_are_not_missing(desk):
    graph = desk.graph
    for s, r in facts(graph):
        subject, relation, object_ = graph.names[s], graph.relations[r].name, graph.names[graph.objects[s, r]]
        assert desk.verify(subject, relation, object_.upper()) == ((s, r) not in desk.missing)
        assert not desk.verify(subject, relation, subject)
    assert not desk.verify("Nobody", "mayor", "Nobody")
    assert not desk.verify(graph.names[0], "mayor", graph.names[0])


def test_a_desk_pickles_and_still_searches(desk):
    desk.search("anything")
    again = pickle.loads(pickle.dumps(desk))
    assert again.search(desk.graph.names[5]) == desk.search(desk.graph.names[5])
    assert np.array_equal(again.rankings, desk.rankings)
    assert replace(again, rankings=0, graph=0) == replace(desk, rankings=0, graph=0)


def test_the_engine_finds_the_world_by_name():
    sample = get_world("knowledge")(entities=60, train=6, valid=0, test=0, hops=(1, 2)).sample(0)
    assert {question.hops for question in sample.questions["train"]} == {1, 2}


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**32),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.integers(1, 3),
    st.sampled_from(["open", "closed"]),
)
def test_any_knobs_give_the_questions_asked_for(seed, missing, conflict, hops, answers):
    made = world(
        entities=100, train=12, valid=0, test=5, hops=(1, hops), missing=missing, conflict=conflict, answers=answers
    ).sample(seed)
    counts = Counter(question.status for question in made.questions["train"])
    assert (counts["missing"], counts["conflict"]) == (round(12 * missing), round(12 * conflict))
    assert len(made.questions["test"]) == 5


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"missing": 1.5}, "missing: got 1.5"),
        ({"missing": 0.7, "conflict": 0.5}, r"missing \+ conflict"),
        ({"outdated": -0.1}, "outdated: got -0.1"),
        ({"test": -1}, "test: got -1"),
        ({"hops": (0, 2)}, r"hops: got \(0, 2\)"),
        ({"hops": (3, 2)}, r"hops: got \(3, 2\)"),
        ({"k_docs": 0}, "k_docs: got 0"),
        ({"entities": 10}, "entities: got 10"),
        ({"relations": 9}, "relations: got 9"),
        ({"answers": "free"}, "answers: got 'free'"),
        ({"entities": 40, "train": 5000, "hops": (1, 1)}, "found no further 1-hop question that is clean"),
    ],
)
def test_wrong_knobs_are_named(knobs, words):
    with pytest.raises(ValueError, match=words):
        world(**knobs).sample(0)
