"""Make space-planning cases, check plans against orbital mechanics, and solve them (2601.11354)."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from assay.cli.files import replacing
from assay.errors import UserError

FAMILIES = ("satnet", "revisit", "regional", "stereo", "latency")
SOLVERS = ("cp-sat", "anneal", "greedy", "random", "agent")


def configure(verbs: Any) -> None:
    check = verbs.add_parser("check", help="say whether a plan is possible and what it is worth")
    check.add_argument("plan", type=Path, metavar="PLAN.json")
    check.add_argument("--case", type=Path, required=True, metavar="DIR", help="folder (or file) of the case")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=run_check)

    new = verbs.add_parser("new", help="make a case: the same one for the same options")
    new.add_argument("out", type=Path, metavar="OUT", help="folder to write; it must not hold a case yet")
    new.add_argument("--family", choices=FAMILIES, required=True)
    new.add_argument("--seed", type=int, default=0)
    new.add_argument("--load-factor", type=float, default=1.6, help="demand / capacity (default 1.6)")
    new.add_argument("--satellites", type=int, default=8)
    new.add_argument("--hours", type=float, help="horizon (default 24, satnet 168)")
    new.add_argument("--start", default="2026-01-13T00:00:00Z", help="begin of the horizon, with Z or an offset")
    new.add_argument("--tle", type=Path, metavar="FILE", help="your satellites as two- or three-line sets")
    new.add_argument("--targets", type=Path, metavar="CSV", help="your targets: id,lat,lon,weight")
    new.set_defaults(run=run_new)

    solve = verbs.add_parser("solve", help="plan a case and write plan.json beside it")
    solve.add_argument("case", type=Path, metavar="CASE")
    solve.add_argument("--solver", choices=SOLVERS, default="cp-sat")
    solve.add_argument("--seconds", type=float, default=10.0, help="of CP-SAT (default 10)")
    solve.add_argument("--workers", type=int, default=2, help="of CP-SAT (default 2)")
    solve.add_argument("--seed", type=int, default=0, help="of annealing and random")
    solve.add_argument("--output", type=Path, metavar="PLAN.json")
    solve.set_defaults(run=run_solve)


def run_check(arguments: argparse.Namespace) -> int:
    """Exit code 1 where the plan breaks a limit."""
    from assay.methods.evaluation.astroreason import load_case, load_plan, verify

    case = load_case(arguments.case)
    verified = verify(case, load_plan(arguments.plan, case))
    if arguments.json:
        print(json.dumps({**vars(verified), "metrics": dict(verified.metrics)}))
    else:
        print(f"{case.family}: {'valid' if verified.valid else 'not possible'}, score {verified.score:.4f}")
        _print_metrics(verified.metrics)
        for violation in verified.violations:
            print(f"  violation: {violation}")
    return 0 if verified.valid else 1


def run_new(arguments: argparse.Namespace) -> int:
    from assay.methods.evaluation.astroreason import Case
    from assay.methods.orbits.satellites import read_tles
    from assay.worlds.orbits.cases import generate

    file = arguments.out / "case.json"
    if file.exists():
        raise UserError(f"{file} is there already; name another folder")
    case = generate(
        arguments.family,
        arguments.seed,
        load_factor=arguments.load_factor,
        satellites=arguments.satellites,
        hours=arguments.hours,
        fleet=read_tles(arguments.tle) if arguments.tle else None,
        targets=read_targets(arguments.targets) if arguments.targets else None,
        start=arguments.start,
    )
    Case.from_json(case)
    arguments.out.mkdir(parents=True, exist_ok=True)
    _write(file, case)
    asked = {
        name: len(case[name]) for name in ("satellites", "targets", "regions", "links", "requests") if name in case
    }
    print(f"wrote {file}: {', '.join(f'{count} {name}' for name, count in asked.items())}")
    return 0


def run_solve(arguments: argparse.Namespace) -> int:
    from assay.methods.evaluation import astroreason as astro

    case = astro.load_case(arguments.case)
    flight = astro.Flight(case)
    plan, bound = _solved(arguments, case, flight)
    verified = astro.verify(case, plan, flight)
    if not verified.valid:
        raise AssertionError(f"{arguments.solver} made an impossible plan: {verified.violations[0]}")
    folder = arguments.case if arguments.case.is_dir() else arguments.case.parent
    output = arguments.output or folder / "plan.json"
    _write(output, astro.plan_to_json(plan, case))
    best = f", no plan of its candidates scores more than {bound:.4f}" if bound is not None else ""
    print(f"{arguments.solver}: {len(plan)} actions, score {verified.score:.4f}{best}")
    _print_metrics(verified.metrics)
    print(f"wrote {output}")
    return 0


def _solved(arguments: argparse.Namespace, case: Any, flight: Any) -> tuple[Any, float | None]:
    """The plan, and CP-SAT's bound."""
    import numpy as np

    from assay.methods.evaluation import astroreason as astro

    rng = np.random.default_rng(arguments.seed)
    if arguments.solver == "cp-sat":
        solved = astro.cp_sat(case, seconds=arguments.seconds, workers=arguments.workers, flight=flight)
        return solved.plan, solved.bound
    plans = {
        "anneal": lambda: astro.anneal(case, rng, flight),
        "greedy": lambda: astro.greedy(case, flight),
        "random": lambda: astro.random_feasible(case, rng, flight),
        "agent": lambda: astro.agent_greedy(astro.Session(case, flight=flight)),
    }
    return plans[arguments.solver](), None


def read_targets(path: Path) -> list[dict[str, Any]]:
    """Targets of a CSV file with the columns id, lat, lon and, if wanted, weight."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    targets = []
    for number, row in enumerate(rows, start=2):
        try:
            place = {"id": row["id"], "lat": float(row["lat"]), "lon": float(row["lon"])}
            targets.append({**place, "weight": float(row.get("weight") or 1)})
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path}, line {number}: wanted id,lat,lon,weight with numbers; got {row}") from None
    if not targets:
        raise UserError(f"{path}: no targets; wanted a header id,lat,lon,weight and a line for each")
    return targets


def _print_metrics(metrics: Any) -> None:
    for name, value in metrics.items():
        print(f"  {name:<20} {value:.4g}")


def _write(path: Path, data: Any) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(data, indent=1), "utf-8")
