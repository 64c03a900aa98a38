"""GlimpRouter on text puzzles: at equal FLOPs, is the first token's entropy a better guide than what users have?

Small = nano, large = micro, steps are lines. On problems of its own, the fixture of each seed sets the entropy
threshold so that 40 % of the steps go to the large model, then sets the baseline's threshold so that its FLOPs
equal the method's, and gives the placebo the method's share.

baseline     SpecReason: the small model drafts every step, drafts of high mean entropy are rewritten
placebo      the same share of steps goes to the large model, by coin
method       GlimpRouter
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.engine.trial import Bar, Cost, Fixture, Measures, Metric, Mirror, Models, Trial
from assay.methods.concurrency import gather, run_sync
from assay.methods.protocols import Sampler
from assay.methods.test_time._flops import call_flops, routed_flops
from assay.methods.test_time._routing_rivals import RandomRouter, SpecReason, mean_entropy_judge
from assay.methods.test_time._step_loop import Routed, StepRouter
from assay.methods.test_time.glimprouter import GlimpRouter, calibrate_threshold
from assay.worlds.text import mix6
from assay.worlds.text.problem import Problem, digest

LARGE_SHARE = 0.4
TEMPERATURE, TOP_P = 0.6, 0.95
TOKENS = 96  # the longest gold trace has 8 lines of at most 7 tokens
BISECTIONS = 6

Problems = Sequence[Problem]


@dataclass(frozen=True)
class Calibration:
    """What one seed's arms share; FLOPs are per held-out problem."""

    threshold: float
    draft_threshold: float
    large_share: float
    small_parameters: int
    large_parameters: int
    method_flops: float
    baseline_flops: float


def calibrate(problems: Problems, models: Models, seed: int) -> Calibration:
    """Thresholds from half as many problems as the trial has, drawn from another stream of the same world."""
    if models.outside:
        raise ValueError("--model: this trial compares FLOPs of the built-in models; see `assay use glimprouter`")
    seen = {problem.prompt for problem in problems}
    drawn = mix6.world(each=max(2, len(problems) // 6)).sample(digest(seed, "calibration"))
    held_out = [problem for problem in drawn if problem.prompt not in seen]
    sizes = [sum(p.numel() for p in models.load(name)[0].parameters()) for name in ("nano", "micro")]

    threshold, routed = float("inf"), []
    for _ in range(2):  # the second pass sees the entropies of steps that follow the large model's
        routed = solve(glimprouter(models, threshold), held_out, seed)
        entropies = [s.entropy for r in routed for s in r.steps if s.entropy is not None]
        threshold = calibrate_threshold(entropies, LARGE_SHARE)
    routed = solve(glimprouter(models, threshold), held_out, seed)
    target = mean_flops(routed, sizes)
    draft_threshold, baseline_flops = match_flops(models, held_out, seed, sizes, target)
    return Calibration(threshold, draft_threshold, large_share(routed), *sizes, target, baseline_flops)


def match_flops(
    models: Models, held_out: Problems, seed: int, sizes: Sequence[int], target: float
) -> tuple[float, float]:
    """The mean-entropy threshold at which SpecReason spends `target` FLOPs a problem, by bisection: a lower
    threshold rewrites more. Returns it with the FLOPs reached."""
    low, high = 0.0, 3.0
    best = (float("inf"), 0.0, 0.0)
    for _ in range(BISECTIONS):
        threshold = (low + high) / 2
        spent = mean_flops(solve(spec_reason(models, threshold), held_out, seed), sizes)
        best = min(best, (abs(spent - target), threshold, spent))
        low, high = (threshold, high) if spent > target else (low, threshold)
    return best[1], best[2]


def method(problems: Problems, models: Models, seed: int, shared: Calibration) -> Measures:
    return judged(solve(glimprouter(models, shared.threshold), problems, seed), problems, shared)


def spec_reason_arm(problems: Problems, models: Models, seed: int, shared: Calibration) -> Measures:
    return judged(solve(spec_reason(models, shared.draft_threshold), problems, seed), problems, shared)


def random_share(problems: Problems, models: Models, seed: int, shared: Calibration) -> Measures:
    router = RandomRouter(share=shared.large_share, **settings(models))
    return judged(solve(router, problems, seed), problems, shared)


def small_alone(problems: Problems, models: Models, seed: int, shared: Calibration) -> Measures:
    return alone(problems, models.sampler("nano"), seed, shared.small_parameters)


def large_alone(problems: Problems, models: Models, seed: int, shared: Calibration) -> Measures:
    return alone(problems, models.sampler("micro"), seed, shared.large_parameters)


def settings(models: Models) -> dict[str, object]:
    """The loop's settings for the text worlds: a step is a line, `#` opens the answer."""
    return {
        "small": models.sampler("nano"),
        "large": models.sampler("micro"),
        "step_stop": "\n",
        "end_of_thinking": "#",
        "temperature": TEMPERATURE,
        "top_p": TOP_P,
        "max_step_tokens": 16,
        "max_answer_tokens": 8,
        "token_budget": TOKENS,
    }


def glimprouter(models: Models, threshold: float) -> GlimpRouter:
    return GlimpRouter(threshold=threshold, **settings(models))


def spec_reason(models: Models, threshold: float) -> SpecReason:
    return SpecReason(judge=mean_entropy_judge(threshold), top_logprobs=20, **settings(models))


def solve(router: StepRouter, problems: Problems, seed: int) -> list[Routed]:
    """All problems at once, so that the samplers can batch."""

    async def everything() -> list[Routed]:
        return await gather([lambda p=p: router.solve(p.prompt, seed=seed) for p in problems])

    return run_sync(everything)


def judged(routed: Sequence[Routed], problems: Problems, shared: Calibration) -> Measures:
    sizes = (shared.small_parameters, shared.large_parameters)
    right = [mix6.check(problem, reply.text) for problem, reply in zip(problems, routed)]
    flops = mean_flops(routed, sizes) * len(problems)
    kinds = sorted({problem.kind for problem in problems})
    return Measures(
        sum(right) / len(right),
        Cost(
            tokens_in=sum(r.small_prefill + r.large_prefill for r in routed),
            tokens_out=sum(r.small_tokens + r.large_tokens + r.probe_tokens for r in routed),
            flops=flops,
        ),
        extra={"flops": flops, "large_share": large_share(routed), "threshold": shared.threshold}
        | {f"accuracy_{kind}": accuracy_of(kind, right, problems) for kind in kinds},
    )


def alone(problems: Problems, sampler: Sampler, seed: int, parameters: int) -> Measures:
    """One model writes everything."""

    async def everything() -> list[list]:
        return await gather(
            [
                lambda p=p: sampler(p.prompt, max_tokens=TOKENS, temperature=TEMPERATURE, top_p=TOP_P, seed=seed)
                for p in problems
            ]
        )

    replies = [samples[0] for samples in run_sync(everything)]
    tokens_in, tokens_out = sum(r.tokens_in for r in replies), sum(r.tokens_out for r in replies)
    flops = call_flops(parameters, tokens_in, tokens_out)
    right = [mix6.check(problem, reply.text) for problem, reply in zip(problems, replies)]
    return Measures(
        sum(right) / len(right),
        Cost(model_calls=len(replies), tokens_in=tokens_in, tokens_out=tokens_out, flops=flops),
        extra={"flops": flops},
    )


def mean_flops(routed: Sequence[Routed], sizes: Sequence[int]) -> float:
    return sum(routed_flops(r, *sizes) for r in routed) / len(routed)


def large_share(routed: Sequence[Routed]) -> float:
    """Share of all steps that the large model wrote."""
    return sum(s.by == "large" for r in routed for s in r.steps) / sum(len(r.steps) for r in routed)


def accuracy_of(kind: str, right: Sequence[bool], problems: Problems) -> float:
    of_kind = [r for r, problem in zip(right, problems) if problem.kind == kind]
    return sum(of_kind) / len(of_kind)


trial = Trial(
    paper="2601.05110",
    claim="Routing steps by the entropy of their first token beats drafting and rewriting them, at equal FLOPs.",
    headline="AIME25 accuracy +10.7 % and latency -25.9 % against the large model alone",
    metric=Metric("accuracy at equal FLOPs", better="higher", unit="share right", range=(0, 1)),
    bar=Bar(versus="baseline", relative=0.05),
    arms={
        "baseline": spec_reason_arm,
        "placebo": random_share,
        "method": method,
        "small_alone": small_alone,
        "large_alone": large_alone,
    },
    world="text/mix6",
    fixture=Fixture(calibrate),
    prepare=("nano", "micro"),
    seeds=10,
    quick_seeds=2,
    quick_args={"each": 4},
    quick_timeout_s=60,
    extras=("lm",),
    mirrors=(
        Mirror("accuracy against the large model alone", 1.107, ("method", "large_alone")),
        Mirror("latency (here FLOPs) against the large model alone", 0.741, ("method", "large_alone"), metric="flops"),
    ),
)
