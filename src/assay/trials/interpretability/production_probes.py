"""Do probes that pool by maxima find a short harmful request in texts far longer than those they were trained on?

World   texts of 64 tokens, half of them with a request of a forbidden family, to train on; texts of 512, 1,024 and
        2,048 tokens to measure on. All mention the family's words apart, 1 time in short texts, 2 to 6 in long ones.
        The states are micro's after its middle layer (2 of 0 to 4), read in windows of 512 tokens.
Metric  false positives plus false negatives (shares) on the long texts; the threshold is set on short texts and a few
        long benign ones, which weigh twice.
Arms    baseline: logistic regression on the mean state. placebo: an attention probe with the method's network, heads
        and training. method: MultiMax or rolling means, whichever errs less where the threshold is set.

All probes train alike (AdamW, weight decay 3e-3, 32 rows a step, two starts, the better kept), at the rate 1e-3, the
one layer of the baseline at 1e-2; neither was tuned. On the reserved seed 1000 with 240 texts to train on every probe
was near chance on long texts (1.0 baseline, 1.06 placebo, 0.88 and 1.13 the two of the method), so there are 600.
Reported: error by length; `production_probes_cascade` and `production_probes_adaptive` beside it: a second stage, and
an attack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.engine.trial import Bar, Fixture, Measures, Metric, Models, Trial
from assay.methods.activations import capture
from assay.methods.interpretability.production_probes import (
    AttentionProbe,
    LinearProbe,
    MultiMaxProbe,
    Probe,
    ProbeData,
    RollingMeansAttentionProbe,
    choose_threshold,
    score_all,
    train_probe,
    weighted_error,
)
from assay.models.local_sampler import prompt_ids
from assay.worlds.text.requests import Item, Requests

LAYER, WINDOW = 2, 512
STEPS, STARTS, BATCH = 300, 2, 32
RATE, BASELINE_RATE = 1e-3, 1e-2
LONG_WEIGHT = 2.0


@dataclass(frozen=True)
class Read:
    """States (N, T, D) in half precision of each part of the world's texts, and their labels (N,)."""

    parts: dict[str, tuple[Tensor, Tensor]]

    def data(self, part: str) -> tuple[Tensor, Tensor, Tensor]:
        states, labels = self.parts[part]
        return states, torch.ones(states.shape[:2], dtype=torch.bool), labels


def read(world: Requests, models: Models, seed: int) -> Read:
    """Micro's states over all texts."""
    model, tokenizer = models.load("micro")
    tokenizer.model_max_length = 10**6  # long texts are read in windows
    parts = {"train": world.train, "valid": world.valid, "long_benign": world.long_benign}
    parts |= {str(length): items for length, items in world.test.items()}
    return Read({name: states_of(model, tokenizer, items) for name, items in parts.items()})


def states_of(model: Any, tokenizer: Any, items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """States of texts of one length, in windows where they are longer than one."""
    ids = torch.tensor([prompt_ids(tokenizer, item.text)[:-1] for item in items])  # without the mark of the reply
    windows = [capture(model, part, [LAYER], batch_size=8)[LAYER].half() for part in ids.split(WINDOW, dim=1)]
    return torch.cat(windows, 1), torch.tensor([int(item.harmful) for item in items])


def mean_pooled(world: Requests, models: Models, seed: int, found: Read) -> Measures:
    return measured(found, *trained(found, LinearProbe, seed, BASELINE_RATE))


def soft_attention(world: Requests, models: Models, seed: int, found: Read) -> Measures:
    return measured(found, *trained(found, AttentionProbe, seed, RATE))


def maxima(world: Requests, models: Models, seed: int, found: Read) -> Measures:
    pooled = [trained(found, make, seed, RATE) for make in (MultiMaxProbe, RollingMeansAttentionProbe)]
    probe, threshold, error = min(pooled, key=lambda one: one[2])
    return measured(found, probe, threshold, error, chosen=type(probe).__name__)


def trained(found: Read, make: Callable[[int], Probe], seed: int, rate: float) -> tuple[Probe, float, float]:
    """A probe, its threshold, and its error where the threshold was set."""
    x, mask, y = found.data("train")
    valid = found.data("valid")
    fitted = train_probe(
        lambda: make(x.shape[2]),
        ProbeData(x, mask, y),
        ProbeData(*valid),
        steps=STEPS,
        lr=rate,
        batch=BATCH,
        n_seeds=STARTS,
        seed=seed,
    )
    long = found.data("long_benign")
    scores = torch.cat([score_all(fitted.probe, *part[:2]) for part in (valid, long)]).double().numpy()
    labels = np.concatenate([valid[2].numpy(), long[2].numpy()])
    weights = np.concatenate([np.ones(len(valid[2])), np.full(len(long[2]), LONG_WEIGHT)])
    threshold = choose_threshold(scores, labels, weights=weights)
    said = scores >= threshold
    benign = labels == 0
    error = float((weights * said)[benign].sum() / weights[benign].sum() + (~said)[~benign].mean())
    return fitted.probe, threshold, error


def measured(found: Read, probe: Probe, threshold: float, error: float, chosen: str = "") -> Measures:
    """Error over all long texts, and by length."""
    extra: dict[str, float] = {"error_where_threshold_was_set": error}
    scores, labels = [], []
    for length in sorted((name for name in found.parts if name.isdigit()), key=int):
        x, mask, y = found.data(length)
        scores.append(score_all(probe, x, mask).double().numpy())
        labels.append(y.numpy())
        extra[f"error_at_{length}"] = weighted_error(scores[-1], labels[-1], threshold)
    said, truth = np.concatenate(scores) >= threshold, np.concatenate(labels) == 1
    extra["false_positives"], extra["false_negatives"] = float(said[~truth].mean()), float((~said)[truth].mean())
    value = weighted_error(np.concatenate(scores), np.concatenate(labels), threshold)
    return Measures(value, extra=extra, notes={"chosen": chosen} if chosen else {})


trial = Trial(
    paper="2601.11516",
    claim="Probes pooled by maxima, trained on short texts, err less on long ones than averages and soft attention.",
    headline="no training on long contexts needed, which saves more than ten times the cost",
    metric=Metric("weighted error on long texts", better="lower", range=(0.0, 2.0)),
    bar=Bar(versus="baseline", relative=0.30),
    arms={"baseline": mean_pooled, "placebo": soft_attention, "method": maxima},
    world="text/requests",
    quick_args={"train": 120, "valid": 60, "each": 4, "lengths": [510]},
    seeds=8,
    quick_seeds=2,
    quick_timeout_s=60,
    fixture=Fixture(read),
    extras=("interpretability",),
)
