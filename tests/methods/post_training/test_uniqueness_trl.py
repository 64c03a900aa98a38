"""The judge's clusters inside a real TRL run of a model with a few thousand weights."""

from functools import partial

import pytest

pytest.importorskip("trl")

from assay.integrations.trl import run_grpo
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.uniqueness import SignatureJudge, Uniqueness, clustered
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build


def test_a_judge_fills_the_clusters_before_the_estimator_of_a_trl_run():
    seen = []

    class Recorded(Uniqueness):
        def __call__(self, batch, advantages):
            weighted = super().__call__(batch, advantages)
            seen.append((batch, advantages, weighted))
            return weighted

    run = run_grpo(
        tiny_llama(hidden=16, layers=1, heads=2, mlp=32),
        build(),
        [{"prompt": f"{i}: "} for i in range(4)],
        lambda completions, **columns: [float(text[:1] < "m") for text in completions],
        advantage=Pipeline(GroupNormalised(), Recorded()),
        annotate=partial(clustered, judge=SignatureJudge(lambda text: text[:1].isalpha())),
        steps=2,
        seed=0,
        rollouts=4,
        batch=8,
        max_tokens=3,
    )
    assert len(seen) == 2
    for batch, advantages, weighted in seen:
        alike = [text[:1].isalpha() for text in batch.completions]
        for row in range(8):
            own = [alike[other] for other in range(8) if batch.group[other] == batch.group[row]]
            assert weighted[row].item() == pytest.approx(advantages[row].item() / own.count(alike[row]), abs=1e-6)
    assert run.model is not None
