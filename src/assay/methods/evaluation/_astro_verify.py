"""Whether a plan is possible and what it is worth, for each family."""

from __future__ import annotations

from collections.abc import Sequence

from assay.methods.evaluation._astro_case import Action, Case, Kind, Plan, Verified
from assay.methods.evaluation._astro_coverage import (
    observation_metrics,
    regional_metrics,
    revisit_score,
    stereo_metrics,
)
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.evaluation._astro_latency import latency_metrics, terminal_violations
from assay.methods.evaluation._astro_satnet import satnet_metrics, track_violations

KINDS: dict[str, tuple[Kind, ...]] = {
    "satnet": ("track",),
    "revisit": ("observation", "downlink"),
    "regional": ("strip", "downlink"),
    "stereo": ("observation", "downlink"),
    "latency": ("link", "observation", "downlink"),
}


def verify(case: Case, plan: Plan, flight: Flight | None = None) -> Verified:
    """Check every limit of a plan and measure it. `flight`: the case's geometry where it is at hand already.

    An invalid plan has score 0; its metrics are those it would have if it were possible.
    """
    flight = flight or Flight(case)
    violations = tuple(plan_violations(case, plan, flight))
    metrics, score = measure(case, plan, flight)
    return Verified(not violations, violations, metrics, 0.0 if violations else score)


def plan_violations(case: Case, plan: Sequence[Action], flight: Flight) -> list[str]:
    """Every rule that a plan breaks, in words."""
    strange = [a for a in plan if a.kind not in KINDS[case.family]]
    if strange:
        return [f"{a.id}: a {a.kind} does not belong in a {case.family} case" for a in strange]
    if case.family == "satnet":
        return track_violations(case, plan)
    found = flight.violations(plan)
    return found + terminal_violations(case, plan) if case.family == "latency" else found


def measure(case: Case, plan: Sequence[Action], flight: Flight) -> tuple[dict[str, float], float]:
    """The family's metrics, and its score in [0, 1]."""
    if case.family == "satnet":
        metrics = satnet_metrics(case, plan)
        return metrics, metrics["satisfied_share"]
    if case.family == "regional":
        metrics = regional_metrics(case, plan, flight)
        return metrics, metrics["coverage"]
    metrics = observation_metrics(case, plan)
    if case.family == "stereo":
        metrics |= stereo_metrics(case, plan, flight)
        return metrics, metrics["coverage"]
    if case.family == "revisit":
        return metrics, revisit_score(case, metrics)
    metrics |= latency_metrics(case, plan, flight)
    shares = [metrics["connected"], *([revisit_score(case, metrics)] if case.targets else [])]
    return metrics, sum(shares) / len(shares)
