"""Three trials of Stable Velocity (2602.05435): its training target, and its sampler on two kinds of field.

`stable_velocity` asks whether averaging the flow-matching target over references teaches a better field; the
exact field of a mixture of 100 Gaussians in 16 dimensions is the judge, and every arm sees the same 2,048 points.
`stable_velocity_sampling` asks whether few large steps near the data lose nothing where the velocity is exact,
so that the claim about the field is tried and not a network's fit. `stable_velocity_learned` asks the same of a
small network trained on real digits. How the arms were tuned stands with the arms.
"""

from __future__ import annotations

from assay.engine import Bar, Bars, Fixture, Metric, Mirror, Trial
from assay.trials.generation import _stable_velocity_sampling as sampling
from assay.trials.generation import _stable_velocity_training as training

_SHORTENED = Mirror(
    figure="StableVS: 20 steps instead of 30",
    paper_ratio=20 / 30,
    of=("method", "unshortened"),
    metric="evaluations",
)
_HEADLINE = "StableVS keeps the scores of SD3.5, Flux, Qwen-Image and Wan2.2 at 20 steps instead of 30"

trials = (
    Trial(
        name="stable_velocity",
        paper="2602.05435",
        claim="Averaging the flow-matching target over a reference bank where its variance is high learns the "
        "velocity field more exactly in the same number of steps.",
        headline="StableVM with VA-REPA beats REPA on ImageNet-256 after 80 epochs",
        metric=Metric("velocity error", better="lower", unit="squared, summed over 16 dimensions"),
        bar=Bar(versus="baseline", relative=0.12),
        arms={
            "baseline": training.flow_matching,
            "placebo": training.larger_batch,
            "method": training.stable_vm,
        },
        world="mixtures",
        world_args={"preset": "hundred16", "points": 2048},
        quick_args={"points": 341},  # a sixth of the points is a sixth of the steps
        seeds=6,
        quick_seeds=1,
        extras=("generation",),
    ),
    Trial(
        name="stable_velocity_sampling",
        paper="2602.05435",
        claim="Below the point where the velocity is almost conditional, one large step does the work of many: the "
        "steps saved there are better spent near the noise.",
        headline=_HEADLINE,
        metric=Metric("end-point error", better="lower", unit="RMS per pixel, images in [-1, 1]"),
        bar=Bar(versus="baseline", relative=0.20),
        arms={
            "baseline": sampling.exact_uniform,
            "placebo": sampling.exact_mirrored,
            "method": sampling.exact_stable,
            "unshortened": sampling.exact_unshortened,
        },
        world="shapes/scenes",
        world_args={"count": 2048, "size": 32},
        quick_args={"count": 256},
        fixture=Fixture(sampling.exact_reference),
        mirrors=(_SHORTENED,),
        seeds=6,
        quick_seeds=1,
        extras=("generation",),
        budget=("evaluations",),
    ),
    Trial(
        name="stable_velocity_learned",
        paper="2602.05435",
        claim="With a learned field, too, StableVS's allocation of steps gives better samples than uniform steps of "
        "the same number.",
        headline=_HEADLINE,
        metric=Metric("Fréchet distance", better="lower", unit="32 features of a digit classifier"),
        bar=Bars(Bar(relative=0.20), Bar(relative=0.20, metric="endpoint_rms", better="lower")),
        arms={
            "baseline": sampling.learned_uniform,
            "placebo": sampling.learned_mirrored,
            "method": sampling.learned_stable,
            "unshortened": sampling.learned_unshortened,
        },
        world="digits",
        fixture=Fixture(sampling.learned_reference),
        mirrors=(_SHORTENED,),
        seeds=6,
        quick_seeds=1,
        extras=("generation",),
        budget=("evaluations",),
    ),
)
