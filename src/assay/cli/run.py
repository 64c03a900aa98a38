"""`assay run`: try claims on this machine."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from assay.cli.stores import add_store, store_path
from assay.cli.words import contrast_line, parse_seeds, verdict_lines
from assay.engine import aa
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.engine.result import Result
    from assay.engine.runner import RunOptions
    from assay.engine.trial import Verdict

EXPECTATION = 6  # exit code where --expect is not met
OUTCOMES = ("holds", "fails", "inconclusive")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="trial, paper id, or part of a title")
    parser.add_argument("--all", action="store_true", help="every trial")
    parser.add_argument("--field", help="every trial of one field of work")
    parser.add_argument("--paper", metavar="ID", help="every trial of one paper, by its arXiv id")
    parser.add_argument("--quick", action="store_true", help="a preview in seconds; gives no verdict that counts")
    parser.add_argument("--seeds", type=str, metavar="N|A-B", help="how many paired seeds, or which")
    parser.add_argument(
        "--sequential", action="store_true", help="look after every seed, stop when the answer is known"
    )
    parser.add_argument("--max-seeds", type=int, metavar="N", help="where a sequential run ends at the latest (64)")
    parser.add_argument("--aa", action="store_true", help="the baseline against itself: a check that must not hold")
    parser.add_argument("--arms", type=lambda text: text.split(","), metavar="A,B", help="only these arms")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    where = "local (default); ray: a Ray session of its own on this machine; ray:ADDRESS or ray:auto: a running cluster"
    parser.add_argument("--on", default="local", metavar="local|ray[:ADDRESS]", help=where)
    parser.add_argument("--model", help="an Inspect model in the place of the built-in ones, e.g. openai/gpt-5")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds one arm may take on one seed")
    parser.add_argument("--memory", type=int, metavar="MB", help="memory one arm may take")
    parser.add_argument("--fresh", action="store_true", help="a new process for every unit")
    parser.add_argument("--verify", type=int, default=0, metavar="K", help="repeat K units and compare bit by bit")
    parser.add_argument("--force", action="store_true", help="run again what is stored")
    parser.add_argument("--retry-failed", action="store_true", help="give failed units another attempt")
    parser.add_argument("--allow-network", action="store_true", help="let arms open outside connections")
    parser.add_argument("--no-train", action="store_true", help="refuse where a model would have to be trained first")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and for how long")
    parser.add_argument("--expect", choices=OUTCOMES, help="exit 6 on another verdict (for CI)")
    parser.add_argument("--json", action="store_true", help="results as JSON on standard output, no progress")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.engine.progress import for_terminal
    from assay.engine.runner import RunOptions, dry_run, run_trials

    names = chosen(arguments)
    options = RunOptions(
        seeds=parse_seeds(arguments.seeds) if arguments.seeds else None,
        arms=arguments.arms,
        quick=arguments.quick,
        sequential=arguments.sequential,
        max_seeds=arguments.max_seeds,
        aa=arguments.aa,
        workers=arguments.workers,
        on=arguments.on,
        store=store_path(arguments),
        model=arguments.model,
        timeout_s=arguments.timeout,
        memory_mb=arguments.memory,
        fresh=arguments.fresh,
        force=arguments.force,
        retry_failed=arguments.retry_failed,
        verify=arguments.verify,
        network=arguments.allow_network,
        train=not arguments.no_train,
        command=shlex.join(["assay", *_typed()]),
    )
    if arguments.dry_run:
        for name in names:
            planned, reused, seconds = dry_run(name, options)
            _print_plan(planned.name, len(planned.seeds), planned.arms, reused, seconds, options.sequential)
        return 0
    results = run_trials(names, options, for_terminal(quiet=arguments.json))
    if arguments.json:
        print(json.dumps([as_json(r) for r in results], indent=2))
    else:
        _print_results(results, options)
    return _exit_code(results, arguments.expect)


def chosen(arguments: argparse.Namespace) -> list[str]:
    """Full names of the trials that the words mean, each once, in order."""
    from assay.engine import registry

    if sum([bool(arguments.names), arguments.all, arguments.field is not None, arguments.paper is not None]) != 1:
        raise UserError("run wants names, --all, --field or --paper; `assay trials list` shows what there is")
    if arguments.paper is not None:
        entries = [e for e in registry.list_trials() if e.paper == arguments.paper]
        if not entries:
            raise UserError(f"no trial of paper {arguments.paper!r}: wanted an arXiv id such as 2601.08521")
        return [e.name for e in entries]
    if arguments.names:
        entries = [entry for name in arguments.names for entry in registry.find_all(name)]
        return list(dict.fromkeys(f"{e.module}:{e.attribute}" if ":" in e.name else e.name for e in entries))
    entries = [e for e in registry.list_trials() if arguments.all or e.field == arguments.field]
    if not entries:
        fields = sorted({e.field for e in registry.list_trials()})
        raise UserError(f"no trial in field {arguments.field!r}; there are trials in {', '.join(fields)}")
    return [e.name for e in entries]


def _typed() -> list[str]:
    """The words of this command, for the record and for the line that continues it."""
    return sys.argv[1:]


def _print_plan(
    name: str, seeds: int, arms: tuple[str, ...], reused: int, seconds: float | None, sequential: bool
) -> None:
    from assay.engine.progress import clock

    total = seeds * len(arms)
    left = f", about {clock(seconds)}" if seconds is not None else ", time unknown (nothing measured yet)"
    most = "at most " if sequential and total > reused else ""
    print(
        f"{name}: {most}{total} units ({seeds} seeds x {', '.join(arms)}), {reused} stored, "
        f"{most}{total - reused} to run{left}"
    )


def _print_results(results: list[Result], options: RunOptions) -> None:
    for result in results:
        print()
        if result.verdict and aa.is_aa(result.name):
            print("\n".join(_aa_lines(result.name, result.verdict)))
        elif result.verdict:
            colour = sys.stdout.isatty()
            lines = verdict_lines(result.name, result.trial, result.verdict, quick=result.quick, colour=colour)
            print("\n".join(lines))
        if result.units:
            print("\n" + result.table())
        if result.failed:
            first = result.failed[0]
            reason = (first.error.strip().splitlines() or [first.status])[-1]
            which = f"{first.arm}, seed {first.seed}: {first.status}: {reason}"
            print(f"\n{len(result.failed)} units failed; the first: {which}")
            print(f"the whole of it: assay status --log {first.unit_key[:12]}")
        if result.failure:
            print(f"\n{result.failure}")
        if result.interrupted:
            done = sum(u.status == "ok" for u in result.arms)
            print(f"\ninterrupted, {done} units are stored; continue with: {options.command}")
        elif result.verdict and not result.quick and result.units and not aa.is_aa(result.name):
            print(f"\nnext: assay plot {result.name} --out {result.name.split('/')[-1]}.png   or   assay report")


def _aa_lines(name: str, verdict: Verdict) -> list[str]:
    """A/A in plain words: what was found, and what it means; its units are stored, its verdict is not."""
    found = [f"  {contrast_line(c)}" for c in verdict.contrasts] or [f"  {verdict.reason}"]
    if verdict.outcome != "holds":
        return [f"{name}: does not hold, as it should be: the baseline does not beat itself", *found]
    return [
        f"{name}: HOLDS, and must not: the baseline beats itself",
        *found,
        "  one in forty does so by chance; try other seeds (--seeds 100-115), and if it holds again, look for what "
        "tells the arms apart",
    ]


def as_json(result: Result) -> dict[str, object]:
    """One result as plain data: verdict, arms, costs."""
    return {
        "trial": result.name,
        "paper": result.trial.paper,
        "quick": result.quick,
        "verdict": asdict(result.verdict) if result.verdict else None,
        "arms": [asdict(row) for row in result.rows()],
        "units": {"ran": result.ran, "reused": result.reused, "failed": len(result.failed)},
        "seconds": result.seconds,
    }


def _exit_code(results: list[Result], expected: str | None) -> int:
    worst = max((r.exit_code for r in results), default=0)
    if worst:
        return worst
    unmet = [r for r in results if expected and (r.verdict is None or r.verdict.outcome != expected)]
    unmet += [r for r in results if aa.is_aa(r.name) and r.verdict and r.verdict.outcome == "holds"]
    return EXPECTATION if unmet else 0
