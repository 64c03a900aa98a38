"""The arms of `stable_velocity_sampling` and `stable_velocity_learned`: three ways to spend the same few steps.

Thirty uniform steps are shortened by StableVS: all steps above the split stay, one large step below it. The
baseline spends the same number of evaluations uniformly. The placebo is the mirrored schedule, thin above the
split and dense below. `unshortened` takes all thirty steps and is shown, not judged.

The split is computed from the variance curve of the world's own data, once a seed, and shared by the arms. So is
the solution they are measured against: 150 midpoint steps, that is 300 evaluations. (300 Euler steps cost as
much and lie further from 600: RMS 0.064 against 0.037 for a second-order solver, tuning seed 1001.)

`learned` trains its own small network a seed instead of loading a shipped one: 1,500 steps take seconds, and six
seeds then speak for six fields rather than for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from assay.engine import Measures
from assay.engine.trial import Models
from assay.methods.flow import EMA, Solution, Velocity, flow_matching_loss, sample_times, solve
from assay.methods.generation.stable_velocity import (
    EDGE,
    VarianceEstimate,
    kept_steps,
    regime_split,
    stable_solve,
    stable_target,
    variance_curve,
)
from assay.methods.image_metrics import frechet_distance
from assay.models.generators import MLPVelocity
from assay.worlds.classifier import WorldClassifier, train_classifier
from assay.worlds.digits import Digits
from assay.worlds.shapes.scenes import SceneSample

STEPS = 30
LOW_STEPS = 1
REFERENCE_STEPS = 150  # of two evaluations each
TIMES = [i / 40 for i in range(1, 40)]  # of the variance curve
NOISES = 128  # end points that are compared
TRAIN_STEPS = 1500  # of the learned field, batch 128
SAMPLES = 2000  # of the learned field, for the Fréchet distance

Weights = dict[str, NDArray[np.float32]]
Sampler = Callable[[Velocity, Tensor, float, Any], Solution]  # field, noise, split, condition


@dataclass(frozen=True)
class Reference:
    """What the arms of a seed share: the split, the noises and where a fine solution takes them."""

    split: float
    noise: NDArray[np.float32]
    ends: NDArray[np.float32]


@dataclass(frozen=True)
class LearnedReference(Reference):
    """For a learned field also its weights, the labels of the noises, and the weights of the digit classifier."""

    labels: NDArray[np.int64]
    field: Weights
    classifier: Weights


# --- the schedules ------------------------------------------------------------------------------------------------


def uniform(steps: int) -> list[float]:
    """Times of `steps` equal steps from 1 to 0."""
    return [1 - i / steps for i in range(steps)] + [0.0]


def mirrored(split: float) -> list[float]:
    """As many steps as StableVS takes, but with the wrong side thinned: the low steps stay as far as they can."""
    sigmas = uniform(STEPS)[:-1]
    budget = len(kept_steps(uniform(STEPS), split, LOW_STEPS))
    high = [sigma for sigma in sigmas if sigma >= split]
    low = [sigma for sigma in sigmas if sigma < split]
    kept_low = min(len(low), budget - 1)
    return [*_spread(high, budget - kept_low), *_spread(low, kept_low), 0.0]


def _spread(sigmas: Sequence[float], count: int) -> list[float]:
    """`count` of the sigmas, evenly spread, beginning with the first."""
    return [sigmas[round(i * (len(sigmas) - 1) / max(count - 1, 1))] for i in range(count)]


def sample_uniform(field: Velocity, noise: Tensor, split: float, cond: Any) -> Solution:
    return solve(field, noise, uniform(len(kept_steps(uniform(STEPS), split, LOW_STEPS))), cond=cond)


def sample_mirrored(field: Velocity, noise: Tensor, split: float, cond: Any) -> Solution:
    return solve(field, noise, mirrored(split), cond=cond)


def sample_stable(field: Velocity, noise: Tensor, split: float, cond: Any) -> Solution:
    return stable_solve(field, noise, uniform(STEPS), split=split, low_steps=LOW_STEPS, cond=cond)


def sample_unshortened(field: Velocity, noise: Tensor, split: float, cond: Any) -> Solution:
    return solve(field, noise, uniform(STEPS), cond=cond)


# --- the exact field of 2,048 rendered scenes ---------------------------------------------------------------------


def exact_field(images: NDArray[np.float32]) -> Velocity:
    """The marginal velocity of a finite set of images. It is asked at 1 - 1e-4 where the solver stands at 1."""
    refs = torch.from_numpy(images)
    return lambda x, t, cond=None: stable_target(x, refs, t.clamp(max=1 - EDGE))


def exact_reference(world: SceneSample, models: Models, seed: int) -> Reference:
    """Split and fine solution for the images of a seed."""
    generator = torch.Generator().manual_seed(seed)
    curve = variance_curve(torch.from_numpy(world.images), TIMES, n=128, generator=generator)
    noise = torch.randn(NOISES, *world.images.shape[1:], generator=generator)
    ends = solve(exact_field(world.images), noise, uniform(REFERENCE_STEPS), method="midpoint").x0
    return Reference(regime_split(curve), noise.numpy(), ends.numpy())


def exact_uniform(world: SceneSample, models: Models, seed: int, fixture: Reference) -> Measures:
    return _exact(sample_uniform, world, fixture)


def exact_mirrored(world: SceneSample, models: Models, seed: int, fixture: Reference) -> Measures:
    return _exact(sample_mirrored, world, fixture)


def exact_stable(world: SceneSample, models: Models, seed: int, fixture: Reference) -> Measures:
    return _exact(sample_stable, world, fixture)


def exact_unshortened(world: SceneSample, models: Models, seed: int, fixture: Reference) -> Measures:
    return _exact(sample_unshortened, world, fixture)


def _exact(sampler: Sampler, world: SceneSample, fixture: Reference) -> Measures:
    ended = sampler(exact_field(world.images), torch.from_numpy(fixture.noise), fixture.split, None)
    return Measures(rms(ended.x0, fixture.ends), extra={"evaluations": ended.evaluations, "split": fixture.split})


def rms(ends: Tensor, reference: NDArray[np.float32]) -> float:
    """Root mean square distance per pixel."""
    return float((ends.double() - torch.from_numpy(reference)).square().mean().sqrt())


# --- a field learned from real digits -----------------------------------------------------------------------------


def learned_reference(world: Digits, models: Models, seed: int) -> LearnedReference:
    """Train the field of a seed, per class; then its split and its fine solution for the first 128 noises."""
    generator = torch.Generator().manual_seed(seed)
    field = train_digits(world, seed, generator)
    noise = torch.randn(SAMPLES, *world.train.shape[1:], generator=generator)
    labels = torch.randint(10, (SAMPLES,), generator=generator)
    ends = solve(field, noise[:NOISES], uniform(REFERENCE_STEPS), method="midpoint", cond=labels[:NOISES]).x0
    return LearnedReference(
        split=regime_split(_curve_within_classes(world, generator)),
        noise=noise.numpy(),
        ends=ends.numpy(),
        labels=labels.numpy(),
        field=_weights(field),
        classifier=_weights(train_classifier(world.train, world.train_labels, seed=seed)),
    )


def _weights(module: nn.Module) -> Weights:
    return {name: value.numpy() for name, value in module.state_dict().items()}


def _load(module: nn.Module, weights: Weights) -> None:
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})


def train_digits(world: Digits, seed: int, generator: torch.Generator) -> MLPVelocity:
    """Class-conditional flow matching on the 1,400 training digits; the average of the weights is handed out."""
    images, labels = torch.from_numpy(world.train), torch.from_numpy(world.train_labels)
    torch.manual_seed(seed)
    model = _digits_model()
    ema = EMA(model, 0.995)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, TRAIN_STEPS)
    for _ in range(TRAIN_STEPS):
        rows = torch.randint(len(images), (128,), generator=generator)
        times = sample_times(128, generator=generator)
        loss = flow_matching_loss(model, images[rows], labels[rows], times=times, generator=generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        ema.update(model)
    return ema.model


def _digits_model() -> MLPVelocity:
    return MLPVelocity((1, 8, 8), width=256, blocks=6, num_classes=10)


def _curve_within_classes(world: Digits, generator: torch.Generator) -> list[VarianceEstimate]:
    """The variance curve of each digit's own images, averaged over the ten: what a conditional field faces."""
    classes = [torch.from_numpy(world.train[world.train_labels == digit]) for digit in range(10)]
    curves = [variance_curve(refs, TIMES, n=256, generator=generator) for refs in classes]
    return [_mean(points) for points in zip(*curves, strict=True)]


def _mean(points: Sequence[VarianceEstimate]) -> VarianceEstimate:
    conditional, marginal = (
        float(np.mean([getattr(point, part) for point in points])) for part in ("conditional", "marginal")
    )
    total = conditional + marginal
    return VarianceEstimate(points[0].t, total, conditional, marginal, conditional / total)


def learned_uniform(world: Digits, models: Models, seed: int, fixture: LearnedReference) -> Measures:
    return _learned(sample_uniform, world, fixture)


def learned_mirrored(world: Digits, models: Models, seed: int, fixture: LearnedReference) -> Measures:
    return _learned(sample_mirrored, world, fixture)


def learned_stable(world: Digits, models: Models, seed: int, fixture: LearnedReference) -> Measures:
    return _learned(sample_stable, world, fixture)


def learned_unshortened(world: Digits, models: Models, seed: int, fixture: LearnedReference) -> Measures:
    return _learned(sample_unshortened, world, fixture)


def _learned(sampler: Sampler, world: Digits, fixture: LearnedReference) -> Measures:
    """Fréchet distance of 2,000 samples from the training digits, and how far the end points moved."""
    field, classifier = _digits_model(), WorldClassifier(channels=1, size=8, classes=10)
    _load(field, fixture.field)
    _load(classifier, fixture.classifier)
    ended = sampler(field, torch.from_numpy(fixture.noise), fixture.split, torch.from_numpy(fixture.labels))
    distance = frechet_distance(classifier.features(ended.x0), classifier.features(world.train))
    extra = {
        "endpoint_rms": rms(ended.x0[: len(fixture.ends)], fixture.ends),
        "evaluations": ended.evaluations,
        "split": fixture.split,
    }
    return Measures(distance, extra=extra)
