"""Battery and storage of one satellite over its actions, as exact piecewise-linear integrals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assay.methods.orbits.access import Window
from assay.methods.orbits.satellites import Power, Storage

Kind = Literal["observation", "downlink"]
_SLACK = 1e-6  # rounding, in Wh and MB


@dataclass(frozen=True)
class Use:
    """One action as its budgets see it: seconds after the horizon's start."""

    kind: Kind
    start: float
    end: float


@dataclass(frozen=True)
class Breach:
    """The first moment at which a budget is broken, and the level there."""

    second: float
    level: float
    limit: Literal["empty", "full"]


def battery_breach(power: Power, uses: Sequence[Use], sunlit: Sequence[Window], horizon_s: float) -> Breach | None:
    """When the battery first falls below 0 Wh, if ever. Charge above the capacity is lost."""
    level = power.capacity_wh * power.start_share
    for begin, end, watts in battery_flow(power, uses, sunlit, horizon_s):
        level = min(power.capacity_wh, level + watts * (end - begin) / 3600)
        if level < -_SLACK:
            return Breach(end, level, "empty")
    return None


def battery_flow(
    power: Power, uses: Sequence[Use], sunlit: Sequence[Window], horizon_s: float
) -> list[tuple[float, float, float]]:
    """(start, end, net watts) pieces over the horizon, cut wherever an action or sunlight begins or ends."""
    watts = {"observation": power.observation_w, "downlink": power.downlink_w}
    steps = [(0.0, -power.idle_w)]
    for use in uses:
        steps += [(use.start, -watts[use.kind]), (use.end, watts[use.kind])]
    for begin, end in sunlit:
        steps += [(begin, power.charge_w), (end, -power.charge_w)]
    pieces, net, last = [], 0.0, 0.0
    for moment, change in sorted(steps):
        if min(moment, horizon_s) > last:
            pieces.append((last, min(moment, horizon_s), net))
            last = min(moment, horizon_s)
        net += change
    if last < horizon_s:
        pieces.append((last, horizon_s, net))
    return pieces


def storage_breach(storage: Storage, uses: Sequence[Use], strict: bool = True) -> Breach | None:
    """When storage first overflows, or (strict) data are sent that were never stored.

    Not strict: a downlink of an empty store sends nothing and the level stays at 0. Actions must not overlap.
    """
    level = storage.start_mb
    for use in sorted(uses, key=lambda use: use.start):
        if use.kind == "observation":
            level += storage.observation_mb_s * (use.end - use.start)
        else:
            level -= storage.downlink_mb_s * (use.end - use.start)
        if level > storage.capacity_mb + _SLACK:
            return Breach(use.end, level, "full")
        if level < -_SLACK:
            if strict:
                return Breach(use.end, level, "empty")
            level = 0.0
    return None
