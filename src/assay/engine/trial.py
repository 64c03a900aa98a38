"""What a trial is: plain frozen data, checked at the door. Standard library only.

A trial names a paper's claim, a metric, a bar that was set before any run, three arms (baseline, placebo,
method) and the world they act on. Nothing here runs anything: see `run.py` for that and `verdict.py` for
the rule that turns measured units into *holds*, *fails* or *inconclusive*.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

Better = Literal["higher", "lower"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_PAPER_ID = re.compile(r"\d{4}\.\d{5}")
BAR_KINDS = ("relative", "absolute", "within", "at_most_cost", "limit")
MIN_SEEDS = 6  # 2**-5 = 0.031 > 0.025: with fewer the sign-flip test cannot reach the level
TUNING_SEEDS = range(1000, 2000)  # reserved for choosing constants; `--seeds` refuses them


@dataclass(frozen=True)
class Metric:
    """The one number an arm is judged by. `timed` values are exempt from the bitwise repeat check."""

    name: str
    better: Better
    unit: str = ""
    range: tuple[float, float] | None = None
    timed: bool = False

    def __post_init__(self) -> None:
        _check_better("Metric.better", self.better)


@dataclass(frozen=True)
class Bar:
    """The effect the method must show; exactly one kind of the five is set.

    relative        method better than `versus` by this share of it, in (-1, 10); negative: not worse than that
    absolute        better by this much, in units of the metric; with `versus=None` against the constant itself
    within          not worse than `versus` by more than this
    at_most_cost    cost(method) <= this x cost(versus), of the cost field `cost_key`
    limit           on every seed the method's value is no worse than this
    """

    versus: str | None = "baseline"
    relative: float | None = None
    absolute: float | None = None
    within: float | None = None
    at_most_cost: float | None = None
    limit: float | None = None
    cost_key: str = "seconds"
    metric: str | None = None
    better: Better | None = None

    def __post_init__(self) -> None:
        kinds = [kind for kind in BAR_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"Bar: wanted exactly one of {', '.join(BAR_KINDS)}; got {kinds}")
        value = getattr(self, kinds[0])
        if not math.isfinite(value):
            raise ValueError(f"Bar.{kinds[0]}: got {value}, wanted a finite number")
        if self.relative is not None and not (-1 < self.relative < 10 and self.relative != 0):
            raise ValueError(f"Bar.relative: got {self.relative}, wanted a share in (-1, 10) other than 0")
        if self.within is not None and self.within < 0:
            raise ValueError(f"Bar.within: got {self.within}, wanted >= 0")
        if self.at_most_cost is not None and self.at_most_cost <= 0:
            raise ValueError(f"Bar.at_most_cost: got {self.at_most_cost}, wanted > 0")
        if self.versus is None and self.kind not in ("absolute", "limit"):
            raise ValueError(f"Bar.versus: None (a constant) goes with absolute or limit, not with {self.kind}")
        if self.cost_key not in Cost.__dataclass_fields__:
            raise ValueError(f"Bar.cost_key: got {self.cost_key!r}, wanted one of {sorted(Cost.__dataclass_fields__)}")
        if self.better is not None:
            _check_better("Bar.better", self.better)
            if self.metric is None:
                raise ValueError("Bar.better: goes with a named extra measure (Bar.metric)")

    @property
    def kind(self) -> str:
        """The name of the kind that is set."""
        return next(kind for kind in BAR_KINDS if getattr(self, kind) is not None)

    @property
    def size(self) -> float:
        """The figure of the kind that is set."""
        return float(getattr(self, self.kind))


@dataclass(frozen=True, init=False)
class Bars:
    """Several bars that must all be cleared: `Bars(Bar(relative=.15), Bar(within=.02, metric="accuracy"))`."""

    bars: tuple[Bar, ...]

    def __init__(self, *bars: Bar) -> None:
        if not bars:
            raise ValueError("Bars: wanted at least one Bar")
        object.__setattr__(self, "bars", tuple(bars))


@dataclass(frozen=True)
class Mirror:
    """The paper's headline as a ratio (or difference) and the two arms that mirror it; shown, never judged.

    `of=("method", "baseline")` reports method/baseline beside `paper_ratio`. `metric` names an extra measure.
    """

    figure: str
    paper_ratio: float
    of: tuple[str, str]
    kind: Literal["ratio", "difference"] = "ratio"
    metric: str | None = None


@dataclass(frozen=True)
class Cost:
    """What one arm spent on one seed. `seconds` is filled by the engine when the arm leaves it out."""

    seconds: float | None = None
    model_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    flops: float | None = None
    env_steps: int = 0


@dataclass(frozen=True)
class Measures:
    """What an arm returns: the metric's value, its cost, and whatever else is worth reporting."""

    value: float
    cost: Cost = Cost()
    extra: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    curve: Sequence[float] = ()


class Models(Protocol):
    """What an arm may think with. `outside` is the Inspect model that the user named with `--model`, if any."""

    outside: str | None

    def load(self, name: str, words: Sequence[str] = ()) -> tuple[Any, Any]:
        """A built-in model and its tokenizer, fresh weights for every call."""

    def sampler(self, name: str) -> Any:
        """The model as a `Sampler` of `assay.methods.protocols`."""

    def ensure(self, name: str) -> Any:
        """Path of a trained asset, found or trained."""


Arm = Callable[..., Measures]  # (world, models, seed) or, with a fixture, (world, models, seed, fixture)


@dataclass(frozen=True)
class Fixture:
    """What all arms of a seed share and is costly: built once per seed (once per `seed % distinct`), stored,
    and part of the pairing digest. `build(sample, models, seed)` returns arrays, tensors, text or plain data."""

    build: Callable[[Any, Any, int], object]
    distinct: int | None = None
    timeout_s: float = 600

    def __post_init__(self) -> None:
        if self.distinct is not None and self.distinct < 1:
            raise ValueError(f"Fixture.distinct: got {self.distinct}, wanted >= 1")


class NoHeadroom(Exception):
    """Raised by a fixture (or returned as text by `Trial.headroom`): this seed's world cannot show a difference."""


@dataclass(frozen=True)
class Trial:
    """One claim of one paper, and how it is tried. See DESIGN.md, *A trial*, for what each arm stands for.

    paper, claim, headline    the arXiv id, the claim tried and the paper's own figure, in our own words
    metric, bar               what is measured and the effect wanted; `bar=None`: reported, no verdict
    arms                      name -> importable function; more arms than three are shown, not judged
    world, world_args         name of a registered world and its arguments
    seeds, quick_seeds        paired repetitions in full and in `--quick`
    timeout_s, memory_mb      limits of one unit (one arm on one seed)
    expected                  effect at which power is stated; default twice the bar
    prepare, needs            assets trained before the first unit; programs or data that must be there
    after                     {"placebo": "method"}: runs later and gets `earlier: Measures`
    pairs                     "case": seed i is the i-th case of a fixed corpus (`world.cases` bounds it)
    headroom                  probe that says why a seed cannot show a difference, or None
    budget                    extra keys whose equality between arms is checked like tokens
    """

    paper: str
    claim: str
    headline: str
    metric: Metric
    bar: Bar | Bars | None
    arms: Mapping[str, Arm]
    world: str
    name: str = ""
    method: str = "method"
    baseline: str = "baseline"
    placebo: str | None = "placebo"
    seeds: int = 16
    quick_seeds: int = 6
    timeout_s: float = 300
    quick_timeout_s: float = 30
    memory_mb: int = 4096
    threads: int = 1
    expected: float | None = None
    mirrors: tuple[Mirror, ...] = ()
    floor: str | None = None
    oracle: str | None = None
    version: int = 1
    extras: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    note: str = ""
    world_args: Mapping[str, Json] = field(default_factory=dict)
    quick_args: Mapping[str, Json] = field(default_factory=dict)  # overrides world_args under --quick
    fixture: Fixture | None = None
    prepare: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    exclusive: bool = False
    after: Mapping[str, str] = field(default_factory=dict)
    pairs: Literal["seed", "case"] = "seed"
    headroom: Callable[..., str | None] | None = None
    model_arms: tuple[str, ...] = ()
    budget: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _PAPER_ID.fullmatch(self.paper):
            raise ValueError(f"Trial.paper: got {self.paper!r}, wanted an arXiv id such as '2601.08521'")
        for name in ("claim", "headline"):
            if not 0 < len(getattr(self, name)) <= 200:
                raise ValueError(f"Trial.{name}: got {len(getattr(self, name))} characters, wanted 1 to 200")
        if self.seeds < MIN_SEEDS and self.bar is not None:
            raise ValueError(f"Trial.seeds: got {self.seeds}, wanted at least {MIN_SEEDS}")
        if self.quick_seeds < 1:
            raise ValueError(f"Trial.quick_seeds: got {self.quick_seeds}, wanted at least 1")
        if self.placebo is None and not self.note:
            raise ValueError("Trial.placebo: None needs a `note` that says why there is no placebo")
        self._check_arm_names()

    def _check_arm_names(self) -> None:
        named: dict[str, str | None] = {
            "method": self.method,
            "baseline": self.baseline,
            "placebo": self.placebo,
            "floor": self.floor,
            "oracle": self.oracle,
        }
        for bar in self.bars:
            named[f"bar.versus={bar.versus!r}"] = bar.versus
        for later, earlier in self.after.items():
            named[f"after[{later!r}] (key)"], named[f"after[{later!r}]"] = later, earlier
        for i, arm in enumerate(self.model_arms):
            named[f"model_arms[{i}]"] = arm
        for mirror in self.mirrors:
            for arm in mirror.of:
                named[f"mirror of {arm!r}"] = arm
        for role, arm_name in named.items():
            if arm_name is not None and arm_name not in self.arms:
                raise ValueError(f"Trial.arms: {role} names arm {arm_name!r}, which is not among {sorted(self.arms)}")

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The bars as a tuple, whichever way they were written; empty for a reported trial."""
        if self.bar is None:
            return ()
        return self.bar.bars if isinstance(self.bar, Bars) else (self.bar,)

    def arguments(self, quick: bool) -> dict[str, Json]:
        """What the world's factory is called with."""
        return {**self.world_args, **(self.quick_args if quick else {})}


Status = Literal[
    "ok", "error", "timeout", "oom", "killed", "invalid", "unpaired", "cancelled", "no_headroom",
]  # fmt: skip


@dataclass(frozen=True)
class UnitResult:
    """One arm on one seed, as it is journalled, stored and judged. Only `status == "ok"` counts."""

    unit_key: str
    trial: str
    arm: str
    seed: int
    quick: bool
    status: Status
    value: float | None = None
    cost: Cost = Cost()
    extra: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    attempt: int = 0
    run_id: str = ""
    paper: str = ""
    trial_version: int = 1
    fingerprint: str = ""
    world: str = ""
    world_digest: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    seconds: float = 0.0
    peak_rss_mb: float = 0.0
    error: str = ""
    machine_id: str = ""
    env_id: str = ""
    started: float = 0.0  # seconds since the epoch


@dataclass(frozen=True)
class Contrast:
    """One comparison that the verdict rests on: `estimate` is the mean of `per_seed`, > 0 clears the bar."""

    name: str
    versus: str | None
    estimate: float
    low: float
    high: float
    p_holds: float
    p_fails: float
    boot_t_low: float
    boot_t_high: float
    skew: float
    n: int
    per_seed: tuple[float, ...]


@dataclass(frozen=True)
class Mirrored:
    """A mirror as measured here, with its 95 % interval; None where the arms do not allow the figure."""

    mirror: Mirror
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Range:
    """A figure with the range it may lie in."""

    value: int
    low: int
    high: int


Outcome = Literal["holds", "fails", "inconclusive", "reported", "not run"]


@dataclass(frozen=True)
class Verdict:
    """What the measured units say of the claim, and why."""

    outcome: Outcome
    reason: str
    contrasts: tuple[Contrast, ...] = ()
    p: float = 1.0
    p_holm: float | None = None  # over all trials on the page, with `q`, the Benjamini-Hochberg value
    q: float | None = None
    n: int = 0
    incomplete: int = 0
    seeds_needed: Range | None = None
    flags: tuple[str, ...] = ()
    rule: str = ""
    mirrors: tuple[Mirrored, ...] = ()


def _check_better(where: str, better: str) -> None:
    if better not in ("higher", "lower"):
        raise ValueError(f"{where}: got {better!r}, wanted 'higher' or 'lower'")
