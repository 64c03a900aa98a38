"""AstroReason-Bench: evaluating agentic planning on heterogeneous space planning problems (arXiv 2601.11354).

Five families of planning case over real orbits, one protocol for agents (`Session`), one verifier, and the
solvers that an agent is measured against. `verify(case, plan)` says whether a plan is possible and what it is
worth; `cp_sat` also gives an upper bound, so that a score can be read as a share of what can be had.

Families: `satnet` (deep-space tracks), `revisit` (short gaps and quotas), `regional` (strips over polygons),
`stereo` (pairs of looks), `latency` (links between stations, and quotas).

Where this differs from the paper: cases are generated (`assay.worlds.orbits`), not the authors' files. Frames
leave polar motion out, the Earth's shadow is a cylinder, off-nadir is measured from the Earth's centre.
A satellite does one thing at a time; a station serves any number. Only observations and strips need slews:
antennas are steered by themselves. Scores in [0, 1]: satnet = hours tracked / hours asked; revisit = the gap score
and the mapping share, each by its number of targets; regional, stereo = covered share; latency = mean of the
connected share and the quotas' share. There is no PPO solver. `cp_sat` under a limit in seconds does not repeat
bit by bit; with a `deterministic_time` (counted work, one worker) it does.

Details that matter: observation spans outside the horizon are not clipped before gaps are taken, a gap of zero is
no gap, quotas count overlapping observations each, and a downlink of data never stored is a violation
(`strict_storage: false` in the case lets it pass). CP-SAT picks among a few starts per access window (every 10 s
for stereo, three otherwise), a few rolls per pass and whole minutes for tracks: its bound is a bound over those.
At the default battery (600 Wh, 480 W in sunlight) charge never binds; slews and storage do.
"""

from __future__ import annotations

from assay.methods.evaluation._astro_agent import agent_greedy
from assay.methods.evaluation._astro_case import (
    FAMILIES,
    Action,
    Case,
    Plan,
    Verified,
    load_case,
    load_plan,
    plan_from_json,
    plan_to_json,
)
from assay.methods.evaluation._astro_cpsat import Solved, cp_sat, repair
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.evaluation._astro_session import Session, commit
from assay.methods.evaluation._astro_solvers import anneal, greedy, random_feasible
from assay.methods.evaluation._astro_verify import verify

__all__ = [
    "FAMILIES",
    "Action",
    "Case",
    "Flight",
    "Plan",
    "Session",
    "Solved",
    "Verified",
    "agent_greedy",
    "anneal",
    "commit",
    "cp_sat",
    "greedy",
    "load_case",
    "load_plan",
    "plan_from_json",
    "plan_to_json",
    "random_feasible",
    "repair",
    "verify",
]
