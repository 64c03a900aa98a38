from __future__ import annotations

import random

import pytest
import torch

from assay.engine.runner import run
from assay.methods.interpretability.mfa import Code
from assay.models.access import Models
from assay.trials.interpretability import _taught, mfa
from assay.trials.interpretability._questions import Questions, conversation, turns
from assay.worlds.knowledge import attributes


@pytest.fixture(scope="module")
def asked():
    torch.set_num_threads(1)
    entities = attributes.subjects(24)
    return Questions(*_taught.load(Models(), _taught.teach(Models(), entities, 5)), mfa.LAYER, entities)


def test_the_model_learns_most_facts_of_a_few_entities(asked):
    assert asked.share_right > 0.8
    assert len(asked.facts) == len(asked.states) == len(asked.answers)


def test_a_state_exchanged_whole_carries_the_answer_and_one_left_alone_does_not(asked):
    relation = max(range(6), key=lambda r: sum(fact[1] == r for fact in asked.facts))
    exam = asked.exam(relation, 12, random.Random(0))
    cause, isolate = exam.scores(lambda base, source: base)
    assert (cause, isolate) == (0, 1)
    cause, isolate = exam.scores(lambda base, source: source)
    assert cause > 0.4
    assert isolate < 0.4


def test_an_exam_asks_of_the_concept_and_then_of_others_with_sources_that_answer_otherwise(asked):
    exam = asked.exam(0, 9, random.Random(1))
    for i, (base, source) in enumerate(zip(exam.base.tolist(), exam.source.tolist())):
        assert (asked.facts[base][1] == 0) == (i < 9)
        assert asked.facts[source][1] == 0
        assert i >= 9 or asked.answers[base] != asked.answers[source]


def test_a_conversation_asks_all_of_an_entity_in_one_text():
    _, tokenizer = Models().load("micro", attributes.WORDS)
    entity = attributes.subjects(1)[0]
    own = turns(entity, random.Random(0))
    assert sorted(q for q, _ in own) == sorted(attributes.question(*f) for f, _ in attributes.facts_of(entity))
    text = tokenizer.decode(conversation(tokenizer, own))
    assert text.count("<bos>") == 1
    assert all(f"{q}<bot>{a}<eos>" in text for q, a in own)


def test_a_perfect_code_would_be_seen(asked):
    """With the whole state as one feature everything moves: the metric then is a half, as for no feature at all."""
    code = Code(lambda x: x, torch.eye(256))
    swap = mfa.interchange(code, asked.states[:3], asked.states[3:6], torch.arange(256))
    torch.testing.assert_close(swap, asked.states[3:6])


@pytest.mark.slow
def test_the_quick_trial_runs_to_its_end():
    result = run(mfa.trial, quick=True, isolation="inline")
    assert not result.failed
    assert {unit.arm for unit in result.units} >= {"baseline", "placebo", "method"}
