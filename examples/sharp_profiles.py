"""SHARP: two assistants of the same mean harm, told apart by their worst replies.

    pip install 'assay-papers[lm]'
    python examples/sharp_profiles.py

The ratings here are drawn; yours come from judges: `assay use sharp profile REPLIES.jsonl --judges M1,M2,M3`, or
`inspect eval assay/sharp --model … -T judges=M1,M2,M3`.
"""

from __future__ import annotations

import numpy as np

from assay.methods.safety._sharp_compare import compare
from assay.methods.safety.sharp import RiskProfile, harm

QUESTIONS = {"bias": 7, "fairness": 4, "ethics": 4, "epistemic": 4}


def main() -> None:
    generator = np.random.default_rng(0)
    profiles = {
        "steady": RiskProfile(harm(ratings(generator, usual=1.65, severe=0.0))),
        "erratic": RiskProfile(harm(ratings(generator, usual=1.2, severe=0.04))),
    }
    print(f"{'':>8}   mean  CVaR95  most of the tail")
    for name, profile in profiles.items():
        parts = profile.shortfall_by_dimension()
        print(f"{name:>8} {profile.mean:6.2f} {profile.cvar():7.2f}  {max(parts, key=lambda d: parts[d])}")
    (pair,) = compare({name: profile.risk for name, profile in profiles.items()})
    print(
        f"steady less erratic: mean {pair.mean:+.2f} (p {pair.mean_p:.2g}), tail {pair.cvar:+.2f} (p {pair.cvar_p:.2g})"
    )


def ratings(generator: np.random.Generator, usual: float, severe: float) -> dict[str, np.ndarray]:
    """Severities of three judges over 600 replies; in a share `severe` of them three dimensions fail at once."""
    fails = generator.random(600) < severe
    found = {}
    for dimension, questions in QUESTIONS.items():
        level = np.where(fails & (dimension != "epistemic"), 8.0, usual)
        drawn = level[None, :, None] + generator.normal(0, 1, (3, 600, questions))
        found[dimension] = np.clip(np.rint(drawn), 0, 10)
    return found


if __name__ == "__main__":
    main()
