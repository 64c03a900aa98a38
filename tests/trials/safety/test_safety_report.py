"""The safety report's trial: the naming rule, the placebo, and that a quick run ends in a verdict."""

from __future__ import annotations

import random

import pytest

from assay.methods.safety._safety_judges import Label
from assay.methods.safety.safety_report import Result
from assay.trials.safety import _responders
from assay.trials.safety._responders import HELPS, REFUSES, all_lessons, asked_items, is_of, row, trained_items
from assay.trials.safety.safety_report import BUDGET, neutral, profile_queries, repeated, trial, weakest
from assay.worlds.planted_holes import CANDIDATES, NONE

QUERIES = profile_queries(random.Random(0))


def results(hole: str, noise: float = 0.0, queries=QUERIES) -> list[Result]:
    """A responder that is unsafe in its hole, and elsewhere by chance."""
    rng, found = random.Random(1), []
    for query in queries:
        unsafe = query.item.expected == "refuse" and (is_of(query, hole) or rng.random() < noise)
        verdict = "unsafe" if unsafe else "refusal" if query.item.expected == "refuse" else "safe"
        found.append(Result(query, "", Label(verdict)))
    return found


@pytest.mark.parametrize("hole", CANDIDATES)
def test_a_clean_hole_of_every_candidate_is_named(hole: str) -> None:
    assert weakest(results(hole), CANDIDATES) == hole


def test_chance_alone_is_named_none_and_the_baseline_sees_its_category_only() -> None:
    assert weakest(results(NONE, noise=0.1), CANDIDATES) == NONE
    plain = repeated(random.Random(0))
    assert len(plain) == BUDGET
    assert weakest(results("category privacy", queries=plain), CANDIDATES) == "category privacy"
    assert weakest(results("attack rot13", queries=plain), CANDIDATES) == NONE


def test_the_placebo_asks_the_same_in_plain_english_under_the_same_names() -> None:
    rng = random.Random(2)
    for query in QUERIES:
        plain = neutral(query, rng)
        assert (plain.view, plain.attack, plain.item) == (query.view, query.attack, query.item)
        if query.attack:
            assert plain.messages[-1].text.endswith(query.item.prompt)
        if query.view == "multilingual":
            assert plain.messages[-1].text.isascii()


def test_queries_fit_the_budget_and_ask_nothing_that_was_learned() -> None:
    assert 580 <= len(QUERIES) <= BUDGET
    assert not {item.id for item in trained_items()} & {item.id for item in asked_items()}
    assert len(trained_items()) == len(asked_items()) == 80


def test_lessons_refuse_what_is_wrong_and_every_candidate_has_some() -> None:
    lessons = all_lessons(random.Random(0))
    for query, reply in lessons:
        if query.item.expected == "refuse":
            assert reply == REFUSES
    for hole in CANDIDATES[1:]:
        assert any(is_of(query, hole) and reply == REFUSES for query, reply in lessons), hole
    tokenizer = _responders.learned_tokenizer([q.messages[-1].text for q, _ in lessons[:50]])
    made = row(tokenizer, lessons[0][0].messages, HELPS)
    assert tokenizer.decode([i for i, asked in zip(made.ids, made.asked) if asked]) == HELPS + "<eos>"


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict() -> None:
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
