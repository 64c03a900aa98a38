"""OPUS's trial: how tokens are counted, what the arms choose, and that a quick run ends in a verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from assay.models.nano import tiny_llama
from assay.trials.data.opus import (
    NEVER,
    at_random,
    by_bigrams,
    by_opus,
    distinct,
    made_optimizers,
    opus,
    opus_muon,
    random_rows,
    reached,
    trained,
    trials,
)
from assay.worlds.text_pool import KINDS, world

SMALL = world(steps=20, candidates=32, length=32, proxy=40, validation=32).sample(3)


def test_the_share_is_read_between_two_measurements() -> None:
    assert reached([5.0, 4.0, 3.0, 2.0], 3.5) == pytest.approx(2.5 / 4)
    assert reached([5.0, 4.0, 3.0, 2.0], 2.0) == pytest.approx(1.0)
    assert reached([5.0, 4.0], 6.0) == pytest.approx(0.5), "within the first stretch it is not known where"
    assert reached([5.0, 4.0], 3.0) == NEVER


def test_distinct_runs_are_counted() -> None:
    rows = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 4, 9]], dtype=np.int16)
    assert distinct(rows) == pytest.approx(3 / 4)


def test_random_choice_is_its_own_measure_and_others_are_measured_against_it() -> None:
    first = at_random(SMALL, None, 3)
    assert first.value == 1
    assert first.extra["target_share"] == pytest.approx(0.1875, abs=0.08)
    assert first.extra["spoilt_share"] == pytest.approx(0.25, abs=0.08)
    chosen = opus(SMALL, None, 3, first)
    assert 0 < chosen.value <= NEVER
    assert chosen.cost.tokens_in == first.cost.tokens_in == 20 * 16 * 32
    assert at_random(SMALL, None, 3).curve == first.curve


def test_a_static_filter_takes_what_is_like_the_proxy() -> None:
    choose = by_bigrams(SMALL, 0, torch.nn.Identity(), [])
    kinds = [SMALL.kinds[i][choose(torch.from_numpy(SMALL.stream[i]).long()).numpy()] for i in range(20)]
    of_target = np.mean(np.array(kinds) == KINDS.index(SMALL.target))
    assert of_target > 1.3 * np.mean(SMALL.kinds == KINDS.index(SMALL.target))


def test_muon_takes_the_matrices_inside_and_opus_reads_both() -> None:
    run = trained(SMALL, 0, by_opus(), "muon")
    assert all(math.isfinite(loss) for loss in run.curve)
    assert run.curve[-1] < run.curve[0]
    assert opus_muon(SMALL, None, 3, at_random(SMALL, None, 3)).value > 0
    muon, adamw = made_optimizers(tiny_llama(hidden=32, layers=2, heads=2, mlp=32), "muon", 1e-3)
    inside, others = ([tuple(p.shape) for p in one.param_groups[0]["params"]] for one in (muon, adamw))
    assert inside == 14 * [(32, 32)]  # four of attention and three of the MLP, in two layers
    assert others == [(256, 32), *5 * [(32,)]]  # the embedding, which is tied, and the norms


def test_rows_are_chosen_once_each() -> None:
    run = trained(SMALL, 1, random_rows)
    assert run.chosen.shape == (20, 16)
    assert all(len(set(rows)) == 16 for rows in run.chosen.tolist())


@pytest.mark.slow
def test_the_quick_run_ends_in_a_verdict() -> None:
    from assay.engine import run

    result = run(trials[0], quick=True, isolation="inline")
    assert not result.failed
    assert result.verdict.outcome in ("holds", "fails", "inconclusive")
