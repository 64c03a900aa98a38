"""Does a cascade that hands few texts to a dear classifier err less than either alone? Reported. (2601.11516)

World   long texts of 512, 1,024 and 2,048 tokens as in `production_probes`. On half of them the frontier is built, in
        five bins of the probe's score that hold as many texts each; on the other half it is measured.
Stages  first the probe that errs least where its threshold is set, MultiMax or rolling means, trained as there. Then
        micro, taught on short texts to say y or n, with the world's words as tokens; it reads a long text in pieces of
        whole phrases no longer than those, and the piece that looks worst counts. Asking it is said to cost 20 times
        as much as the probe; nothing here depends on how many times it is.
Metric  false positives plus false negatives (shares) on the texts measured on.
Arms    baseline: the probe alone, each bin with the better label. method: the frontier's policy for a budget of one
        text in ten; between two policies its coin is counted by expectation. placebo: as many texts handed on, whoever
        they are (by expectation). classifier: the second stage alone.
        `promised` is the error on the texts that the frontier was built on: how much lower it is than the value tells
        how much the frontier fits.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from assay.engine.trial import Fixture, Measures, Metric, Mirror, Models, Trial
from assay.methods.interpretability.production_probes import (
    Frontier,
    Mixture,
    MultiMaxProbe,
    Policy,
    RollingMeansAttentionProbe,
    choose_threshold,
    measure,
    score_all,
    threshold_randomised_optimal,
)
from assay.models.local_sampler import prompt_ids
from assay.models.train_data import asked_row
from assay.models.train_forward import reply_logits
from assay.trials.interpretability import _taught
from assay.trials.interpretability.production_probes import LONG_WEIGHT, RATE, read, trained
from assay.worlds.text.problem import digest
from assay.worlds.text.requests import (
    CALM_OBJECTS,
    CALM_VERBS,
    ENDINGS,
    OBJECTS,
    SHORT,
    VERBS,
    Item,
    Requests,
    draw_item,
)

COST, BUDGET, BINS = 20.0, 0.10, 5
LESSONS = 6400  # short texts that the classifier is taught on, once each
WORDS = (*VERBS, *OBJECTS, *CALM_VERBS, *CALM_OBJECTS, *(end for end in ENDINGS if end), " the ", "; ")
BATCH = 256  # pieces side by side

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """What both stages say of the long texts, and the truth, (N,) each; the frontier is built where `building`."""

    probe: Floats
    classifier: Floats  # probability
    harmful: Floats
    building: NDArray[np.bool_]

    def side(self, building: bool) -> tuple[Floats, Floats, Floats]:
        """Probe's scores, truth and classifier's probabilities of one half."""
        rows = self.building == building
        return self.probe[rows], self.harmful[rows], self.classifier[rows]


def begin(world: Requests, models: Models, seed: int) -> Scored:
    """Train both stages and score the long texts by them. Of every two pairs of texts one is built on."""
    found = read(world, models, seed)
    candidates = [trained(found, make, seed, RATE) for make in (MultiMaxProbe, RollingMeansAttentionProbe)]
    probe = min(candidates, key=lambda one: one[2])[0]
    lengths = sorted(world.test)
    scores = torch.cat([score_all(probe, *found.data(str(length))[:2]) for length in lengths])
    items = [item for length in lengths for item in world.test[length]]
    building = [i // 2 % 2 == 0 for length in lengths for i in range(len(world.test[length]))]
    harmful = np.array([float(item.harmful) for item in items])
    return Scored(scores.double().numpy(), second_stage(world, models, seed, items), harmful, np.array(building))


def second_stage(world: Requests, models: Models, seed: int, items: Sequence[Item]) -> Floats:
    """The taught classifier's probability for each text, one half at the threshold that the probes' rule sets."""
    rng = random.Random(digest("classifier's lessons", seed))
    short = [draw_item(rng, SHORT, i % 2 == 1) for i in range(LESSONS)]
    lessons = [(item.text, "y" if item.harmful else "n") for item in short]
    model, tokenizer = _taught.load(models, _taught.teach_lessons(models, lessons, WORDS, seed), WORDS)
    setting = [*world.valid, *world.long_benign]
    weights = np.repeat([1.0, LONG_WEIGHT], [len(world.valid), len(world.long_benign)])
    scores = worst_piece(model, tokenizer, setting)
    threshold = choose_threshold(scores, [item.harmful for item in setting], weights=weights)
    probability: Floats = 1 / (1 + np.exp(threshold - worst_piece(model, tokenizer, items)))
    return probability


def worst_piece(model: Any, tokenizer: Any, items: Sequence[Item]) -> Floats:
    """Each text's greatest log-odds of y over n among its pieces, (N,)."""
    yes, no = (tokenizer.convert_tokens_to_ids(said) for said in "yn")
    rows, text = [], []
    for number, item in enumerate(items):
        for piece in pieces(item.text):
            head = prompt_ids(tokenizer, piece)
            rows.append(asked_row(head, [yes]))
            text.append(number)
    with torch.no_grad():
        logits = torch.cat([reply_logits(model, rows[at : at + BATCH])[0] for at in range(0, len(rows), BATCH)])
    worst = np.full(len(items), -np.inf)
    np.maximum.at(worst, text, (logits[:, yes] - logits[:, no]).double().numpy())
    return worst


def pieces(text: str, longest: int = SHORT) -> list[str]:
    """Whole phrases side by side, as many as fit into `longest` characters, filled up with spaces."""
    found = [""]
    for phrase in text.rstrip().split("; "):
        longer = f"{found[-1]}; {phrase}" if found[-1] else phrase
        if len(longer) <= longest or not found[-1]:
            found[-1] = longer
        else:
            found.append(phrase)
    return [piece.ljust(longest) for piece in found]


def probe_alone(world: Requests, models: Models, seed: int, scored: Scored) -> Measures:
    mixture = frontier(scored).at_budget(0.0)
    return told(*measured(scored, mixture), promised=mixture.error)


def cascade(world: Requests, models: Models, seed: int, scored: Scored) -> Measures:
    mixture = frontier(scored).at_budget(BUDGET * COST)
    return told(*measured(scored, mixture), promised=mixture.error)


def dealt_at_random(world: Requests, models: Models, seed: int, scored: Scored) -> Measures:
    built = frontier(scored)
    deferred = measured(scored, built.at_budget(BUDGET * COST))[0]
    alone, asked = measured(scored, built.at_budget(0.0))[1], measured(scored, ALWAYS)[1]
    return told(deferred, (1 - deferred) * alone + deferred * asked)


def classifier_alone(world: Requests, models: Models, seed: int, scored: Scored) -> Measures:
    return told(*measured(scored, ALWAYS))


ASK = Policy((), ("defer",))
ALWAYS = Mixture(ASK, ASK, 0.0, COST, float("nan"))


def frontier(scored: Scored) -> Frontier:
    """Of the texts that are built on."""
    s1, y, p2 = scored.side(building=True)
    return threshold_randomised_optimal(s1, y, p2, COST, bins=BINS)


def measured(scored: Scored, mixture: Mixture) -> tuple[float, float]:
    """Share handed on and error, both by expectation, on the texts that nothing was built on."""
    rest = scored.side(building=False)
    (often, e0), (rare, e1) = (measure(policy, *rest, COST) for policy in (mixture.often, mixture.rare))
    return (often + mixture.chance * (rare - often)) / COST, e0 + mixture.chance * (e1 - e0)


def told(deferred: float, error: float, promised: float | None = None) -> Measures:
    return Measures(error, extra={"deferred": deferred} | ({} if promised is None else {"promised": promised}))


trial = Trial(
    paper="2601.11516",
    name="production_probes_cascade",
    claim="A cascade that hands one text in ten to a dear classifier errs less than the probe alone.",
    headline="a cascade that hands over about 8 % errs less than either part alone",
    metric=Metric("weighted error on long texts", better="lower", range=(0.0, 2.0)),
    bar=None,
    arms={
        "baseline": probe_alone,
        "placebo": dealt_at_random,
        "method": cascade,
        "classifier": classifier_alone,
    },
    mirrors=(Mirror("about 8 % handed over", 0.08, ("method", "classifier"), metric="deferred"),),
    world="text/requests",
    world_args={"each": 24},
    quick_args={"train": 120, "valid": 60, "each": 8, "lengths": [510]},
    seeds=3,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin),
    extras=("interpretability",),
    note="Reported without a bar: how much a second stage helps depends on how good it was made.",
)
