"""The trial of FPPS."""

from __future__ import annotations

import numpy as np
import pytest

from assay.engine.trial import NoHeadroom
from assay.methods.interpretability.fpps import Scores
from assay.trials.interpretability import _taught, fpps
from assay.trials.interpretability.fpps import begin, steered, told, trial, triples
from assay.worlds.knowledge import attributes


def test_questions_to_fit_on_and_to_be_judged_by_are_about_other_entities():
    sides = attributes.world().sample(0)
    fitted = triples([*sides.train, *sides.valid], 0, 60)
    tested = triples(sides.test, 0, 60)
    names = [{t.question.split(":")[0] for t in group if t.kind == "factual"} for group in (fitted, tested)]
    assert names[0].isdisjoint(names[1])
    assert sum(t.kind == "personal" for t in fitted) == 30


def test_the_measures_say_what_was_fitted():
    measures = told(Scores(0.5, 1.0, 0.25))
    assert measures.value == pytest.approx(2 / 3)
    assert measures.extra["hallucination"] == 0.25


def test_the_placebo_deals_the_same_risks_to_other_questions(monkeypatch):
    seen = []

    class Found:
        layer, gamma, tau_low, tau_high = 1, 0.1, 0.3, 0.7

        class prober:
            auroc = 0.9

            @staticmethod
            def risk(h_u, h_0):
                return np.arange(20) / 20

        def change(self, h_u, h_0, risk):
            seen.append(risk)

    monkeypatch.setattr(fpps.fpps, "fit", lambda *_, **__: Found())
    monkeypatch.setattr(fpps.fpps, "states", lambda *_: (None, None))
    monkeypatch.setattr(fpps.fpps, "score", lambda *_: Scores(0.5, 0.5, 0.0))
    start = fpps.Ready(None, None, [], [])
    steered(start, "M", 0)
    steered(start, "M", 0, np.random.default_rng(0))
    assert seen[0].tolist() != seen[1].tolist()
    assert sorted(seen[1]) == seen[0].tolist()


def test_a_model_that_knows_nothing_leaves_no_headroom(monkeypatch):
    from assay.models import Models
    from assay.worlds.knowledge import histories

    def untaught(models, lessons, words, seed):
        return models.load("micro", words)[0].state_dict()

    monkeypatch.setattr(_taught, "teach_lessons", untaught)
    monkeypatch.setattr(fpps, "PROBED", 12)
    monkeypatch.setattr(histories, "lessons", lambda *_: [])
    with pytest.raises(NoHeadroom, match="facts right 0% plain"):
        begin(attributes.world().sample(0), Models(), 0)


@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value():
    from assay.engine.runner import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
    assert "method" in result.table()
