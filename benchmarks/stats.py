"""Error rates and power of the verdict's rule, by simulation at full size: `python benchmarks/stats.py`.

Every figure comes from the functions that `verdict()` itself calls, on thousands of trials at once; a test
shows on a sample that `verdict()` says the same of the same numbers. Prints Markdown tables, which
docs/verdicts.md quotes. `--trials 1000` is a quarter of the work.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from assay.engine import sequential
from assay.engine.stats import LEVEL, cleared, clears, decide, misses, sign_flip, three_tests

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
SEED = 20260111


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Standard normal differences."""
    return rng.standard_normal(shape)


def student(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """t with 3 degrees of freedom, scaled to standard deviation 1: heavy tails on both sides."""
    return rng.standard_t(3, shape) / np.sqrt(3)


def accuracies(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Difference of two accuracies on 32 items at 60 %: a lattice with many ties."""
    return (rng.binomial(32, 0.6, shape) - rng.binomial(32, 0.6, shape)) / np.sqrt(2 * 32 * 0.6 * 0.4)


def scales(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Normal with a standard deviation that is ten times as large on one seed in five."""
    wide = np.where(rng.random(shape) < 0.2, 10.0, 1.0)
    return rng.standard_normal(shape) * wide / np.sqrt(0.2 * 100 + 0.8)


def long_bad_tail(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """1 - exponential: mostly a little better, now and then much worse. Not symmetric."""
    return 1.0 - rng.exponential(size=shape)


def few_values(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """-2, -1, 0, 1 or 2: many ties, among them whole trials of one value."""
    return rng.choice([-2.0, -1.0, 0.0, 1.0, 2.0], size=shape, p=[0.1, 0.2, 0.4, 0.2, 0.1]) / np.sqrt(1.2)


def outlier(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Normal, but one seed of each trial lies 20 standard deviations off on either side."""
    c = rng.standard_normal(shape)
    c[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = 20.0 * rng.choice([-1.0, 1.0], shape[0])
    return c


SYMMETRIC: dict[str, Draw] = {
    "normal": normal,
    "t3": student,
    "accuracies": accuracies,
    "scale mixture": scales,
    "five values": few_values,
    "one outlier": outlier,
}
FAMILIES: dict[str, Draw] = {**SYMMETRIC, "long bad tail": long_bad_tail}


def simulate(family: str, seeds: int, trials: int, effect: float = 0.0, *, stream: int = 0) -> Floats:
    """Differences of `trials` trials, shape (trials, seeds): mean `effect`, standard deviation 1 (but outlier)."""
    rng = np.random.default_rng([SEED, stream, seeds, sorted(FAMILIES).index(family)])
    return FAMILIES[family](rng, (trials, seeds)) + effect


def false_rates(family: str, seeds: int, trials: int) -> tuple[float, float]:
    """Shares of trials whose contrast wrongly clears, and wrongly misses, a bar that the effect equals."""
    tests = three_tests(simulate(family, seeds, trials), SEED)
    return float(clears(tests).mean()), float(misses(tests).mean())


def power(family: str, seeds: int, trials: int, effect: float) -> float:
    """Share of trials that clear a bar which the true effect exceeds by `effect` standard deviations."""
    return float(cleared(simulate(family, seeds, trials, effect, stream=1), SEED).mean())


def placebo_rates(family: str, seeds: int, trials: int) -> tuple[float, float]:
    """Shares that hold and that fail where the effect clears the bar by 3 sd and the placebo equals the method."""
    bar = three_tests(simulate(family, seeds, trials, 3.0, stream=4), SEED)
    placebo = cleared(simulate(family, seeds, trials, stream=3), SEED)
    outcomes = decide(np.stack([clears(bar), placebo]), np.stack([misses(bar), np.zeros(trials, dtype=bool)]))
    return float((outcomes == "holds").mean()), float((outcomes == "fails").mean())


def stops(c: Floats) -> NDArray[np.intp]:
    """Seeds at which the sequential rule says `holds`, per stream of (streams, seeds); 0 where it never does."""
    reached = sequential.crossed(c)
    stopped = np.zeros(len(c), dtype=np.intp)
    for n in range(6, c.shape[1] + 1):
        waiting = np.flatnonzero((stopped == 0) & reached[:, n - 1])
        if len(waiting):
            agreed = cleared(c[waiting, :n], SEED, flips=9_999)
            stopped[waiting[agreed]] = n
    return stopped


def covered(c: Floats) -> float:
    """Share of streams whose confidence sequence holds the centre at every look: E has crossed on neither side."""
    return float(1 - (sequential.crossed(c)[:, -1] | sequential.crossed(-c)[:, -1]).mean())


def naive_stops(c: Floats) -> float:
    """Share of streams that a look at the sign-flip p after every seed would stop at p <= 0.025."""
    found = np.zeros(len(c), dtype=bool)
    for n in range(6, c.shape[1] + 1):
        found |= sign_flip(c[:, :n], SEED, flips=999) <= LEVEL
    return float(found.mean())


def print_rates(trials: int) -> None:
    """Wrong outcomes when the effect equals the bar."""
    print(f"Wrong `holds` / wrong `fails` on the bar; {trials} trials a cell\n")
    print("| differences | 8 seeds | 12 seeds | 16 seeds |\n|---|---|---|---|")
    for family in FAMILIES:
        cells = [false_rates(family, n, trials) for n in (8, 12, 16)]
        print(f"| {family} | " + " | ".join(f"{100 * h:.1f} / {100 * f:.1f} %" for h, f in cells) + " |", flush=True)
    print("\nWrong `holds` / `fails` where the placebo equals the method\n")
    print("| differences | 8 seeds | 12 seeds | 16 seeds |\n|---|---|---|---|")
    for family in FAMILIES:
        cells = [placebo_rates(family, n, trials) for n in (8, 12, 16)]
        print(f"| {family} | " + " | ".join(f"{100 * h:.1f} / {100 * f:.1f} %" for h, f in cells) + " |", flush=True)


def print_power(trials: int) -> None:
    """How often a true effect is found."""
    print(f"`holds` when the effect exceeds the bar by 1.0 / 1.5 standard deviations; {trials} trials a cell\n")
    print("| differences | 8 seeds | 12 seeds | 16 seeds |\n|---|---|---|---|")
    for family in FAMILIES:
        cells = [[power(family, n, trials, e) for e in (1.0, 1.5)] for n in (8, 12, 16)]
        print(f"| {family} | " + " | ".join(f"{100 * a:.0f} / {100 * b:.0f} %" for a, b in cells) + " |", flush=True)


def print_sequential(trials: int) -> None:
    """How often looking after every seed stops wrongly, and how soon it stops rightly."""
    print(f"Wrong stops by 64 seeds, {trials} streams; median seeds to stop by effect, {trials // 20} streams\n")
    print("| differences | wrong stops | by the e-process alone | covered | 1.5 sd | 1.0 sd | 0.75 sd | 0.5 sd |")
    print("|---|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        null = simulate(family, 64, trials)
        shares = [float((stops(null) > 0).mean()), float(sequential.crossed(null)[:, -1].mean()), covered(null)]
        medians = []
        for effect in (1.5, 1.0, 0.75, 0.5):
            at = stops(simulate(family, 64, trials // 20, effect, stream=2))
            medians.append(f"{np.median(np.where(at == 0, 65, at)):.0f}")
        print(f"| {family} | " + " | ".join([f"{100 * s:.1f} %" for s in shares] + medians) + " |", flush=True)
    naive = naive_stops(simulate("normal", 64, trials // 2))
    print(f"\nLooks at p after every seed, without the e-process: {100 * naive:.1f} % wrong stops")


TABLES = {"rates": print_rates, "power": print_power, "sequential": print_sequential}


def main() -> None:
    """Print the tables asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"some of {', '.join(TABLES)}; default all")
    parser.add_argument("--trials", type=int, default=4000)
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(TABLES):
        parser.error(f"unknown table {unknown.pop()!r}: wanted some of {', '.join(TABLES)}")
    begun = time.perf_counter()
    for name in arguments.tables or TABLES:
        TABLES[name](arguments.trials)
        print(flush=True)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
