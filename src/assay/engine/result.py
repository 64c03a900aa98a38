"""What a run hands back: the units, the verdict, and a table of the arms."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from assay.engine.trial import Trial, UnitResult, Verdict

FAILED = frozenset({"error", "timeout", "oom", "killed", "invalid", "unpaired"})


@dataclass(frozen=True)
class ArmRow:
    """One line of the table: an arm over its seeds. `sd` is 0 for a single seed; costs are means a seed."""

    arm: str
    role: str
    ok: int
    failed: int
    mean: float | None
    sd: float | None
    seconds: float
    model_calls: float
    tokens: float


@dataclass(frozen=True)
class Result:
    """One trial after a run. `units` holds the last attempt of every planned unit, arms and shared ones alike."""

    name: str
    trial: Trial
    units: tuple[UnitResult, ...] = ()
    verdict: Verdict | None = None
    quick: bool = False
    planned: tuple[int, ...] = ()
    reused: int = 0
    ran: int = 0
    interrupted: bool = False
    seconds: float = 0.0
    differs: float | None = None  # largest difference found by `verify`; None: not asked
    failure: str = ""  # why results could not be kept

    @property
    def arms(self) -> tuple[UnitResult, ...]:
        """The units of arms, without fixtures and headroom probes."""
        return tuple(u for u in self.units if u.arm in self.trial.arms)

    @property
    def failed(self) -> tuple[UnitResult, ...]:
        """The units that went wrong (not those that were cancelled or had no headroom)."""
        return tuple(u for u in self.units if u.status in FAILED)

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some units failed, 5 results could not be kept, 130 interrupted."""
        if self.failure:
            return 5
        return 130 if self.interrupted else 1 if self.failed else 0

    def rows(self) -> list[ArmRow]:
        """Method, baseline and placebo first, then the other arms."""
        return [_row(self.trial, arm, [u for u in self.arms if u.arm == arm]) for arm in _ordered(self.trial)]

    def table(self) -> str:
        """The arms as plain text, one a line."""
        lines = [("arm", "seeds", f"{self.trial.metric.name} (mean ± sd)", "s/seed", "calls", "tokens")]
        for row in self.rows():
            if row.ok + row.failed == 0:
                continue
            value = "–" if row.mean is None else f"{row.mean:.4g} ± {row.sd or 0:.2g} {self.trial.metric.unit}".rstrip()
            seeds = f"{row.ok}" + (f" ({row.failed} failed)" if row.failed else "")
            label = row.arm if row.role in (row.arm, "") else f"{row.arm} ({row.role})"
            lines.append((label, seeds, value, f"{row.seconds:.3g}", f"{row.model_calls:.0f}", f"{row.tokens:.0f}"))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)


def _ordered(trial: Trial) -> list[str]:
    judged = [a for a in (trial.method, trial.baseline, trial.placebo) if a in trial.arms]
    return list(dict.fromkeys([*(a for a in judged if a is not None), *trial.arms]))


def _row(trial: Trial, arm: str, units: Sequence[UnitResult]) -> ArmRow:
    roles = {trial.method: "method", trial.baseline: "baseline", trial.placebo: "placebo"}
    roles |= {trial.floor: "floor", trial.oracle: "oracle"}
    good = [u for u in units if u.status == "ok" and u.value is not None]
    values = [u.value for u in good if u.value is not None]
    return ArmRow(
        arm=arm,
        role=roles.get(arm, ""),
        ok=len(good),
        failed=sum(u.status in FAILED for u in units),
        mean=statistics.fmean(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else 0.0 if values else None,
        seconds=_mean([u.cost.seconds or u.seconds for u in good]),
        model_calls=_mean([u.cost.model_calls for u in good]),
        tokens=_mean([u.cost.tokens_in + u.cost.tokens_out for u in good]),
    )


def _mean(numbers: Sequence[float]) -> float:
    return statistics.fmean(numbers) if numbers else 0.0
