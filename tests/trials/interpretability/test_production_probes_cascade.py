"""The reported companions of the trial of probes: a second stage, and an attack."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from assay.engine.runner import run
from assay.methods.interpretability.production_probes import LinearProbe
from assay.models import tokenizer as tok
from assay.models.access import Models
from assay.trials.interpretability import production_probes_adaptive as adaptive
from assay.trials.interpretability import production_probes_cascade as companion
from assay.trials.interpretability.production_probes_cascade import Scored
from assay.worlds.text.requests import OBJECTS, SHORT, VERBS, Item, draw_item

EVEN = np.arange(240) % 2 == 0


def scored(probe, classifier, harmful):
    return Scored(np.asarray(probe, float), np.asarray(classifier, float), np.asarray(harmful, float), EVEN)


def perfect_second_stage():
    """Two thirds of the texts are clear to the probe; the middle third it cannot tell apart."""
    rng = np.random.default_rng(0)
    harmful = rng.permutation(np.repeat([0.0, 1.0], 120))
    clear = np.where(harmful == 1, 2.0, -2.0) + rng.normal(0, 0.1, 240)
    return scored(np.where(np.arange(240) % 3 == 0, rng.normal(0, 0.1, 240), clear), harmful, harmful)


def test_pieces_are_whole_phrases_and_nothing_is_lost():
    for seed in range(20):
        item = draw_item(random.Random(seed), 510, harmful=True)
        found = companion.pieces(item.text)
        assert {len(piece) for piece in found} == {SHORT}
        assert "; ".join(piece.rstrip() for piece in found) == item.text.rstrip()


def test_a_text_as_short_as_the_lessons_is_one_piece():
    item = draw_item(random.Random(1), SHORT, harmful=False)
    assert companion.pieces(item.text) == [item.text]


def test_a_cascade_keeps_to_its_budget_and_errs_less_than_the_probe_and_than_chance():
    both = perfect_second_stage()
    alone, dealt, cascade, asked = (
        arm(None, None, 0, both)
        for arm in (companion.probe_alone, companion.dealt_at_random, companion.cascade, companion.classifier_alone)
    )
    assert (alone.extra["deferred"], asked.extra["deferred"], asked.value) == (0, 1, 0)
    assert 0 < cascade.extra["deferred"] < 0.2
    assert dealt.extra["deferred"] == cascade.extra["deferred"]
    assert cascade.value < dealt.value < alone.value


def test_a_second_stage_that_is_wrong_is_not_asked():
    right = perfect_second_stage()
    wrong = scored(right.probe, 1 - right.classifier, right.harmful)
    cascade, alone = (arm(None, None, 0, wrong) for arm in (companion.cascade, companion.probe_alone))
    assert cascade.extra["deferred"] == 0
    assert cascade.value == alone.value


def test_the_error_is_that_of_texts_the_frontier_has_not_seen():
    seen = perfect_second_stage()
    turned = scored(seen.probe, seen.classifier, np.where(EVEN, seen.harmful, 1 - seen.harmful))
    told = companion.probe_alone(None, None, 0, turned)
    assert told.extra["promised"] < 0.6
    assert told.value > 1.4


def test_the_request_is_found_with_what_stands_beside_it():
    item = Item("open the door; purge the vault now; mend the lamp", True)
    assert item.text[slice(*adaptive.request_at(item))] == " purge the vault "
    for seed in range(20):
        drawn = draw_item(random.Random(seed), SHORT, harmful=True)
        inside = drawn.text[slice(*adaptive.request_at(drawn))]
        assert any(f"{verb} the {thing}" in inside for verb in VERBS for thing in OBJECTS)
        assert len(tok.encode(drawn.text)) == len(drawn.text)
    with pytest.raises(ValueError, match="has no request"):
        adaptive.request_at(Item("open the door", False))


def test_a_probe_that_counts_no_text_as_harmful_is_not_attacked_and_one_that_sees_all_is():
    torch.set_num_threads(1)
    probe = LinearProbe(256)
    with torch.no_grad():
        probe.linear.weight.zero_()
        probe.linear.bias.fill_(1.0)
    told = adaptive.attacked(Models(), 0, probe, 2.0)
    assert (told.value, told.extra["found"]) == (0.0, 0.0)
    assert adaptive.scores(Models().load("micro")[0], probe, [tok.encode("open the door")]) == [1.0]


@pytest.mark.slow
@pytest.mark.parametrize("trial", [companion.trial, adaptive.trial])
def test_a_quick_run_gives_every_arm_a_value(trial):
    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert {unit.arm for unit in result.units} >= {"baseline", "placebo", "method"}
