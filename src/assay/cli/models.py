"""`assay models`: the built-in language models on the command line."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from assay.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    parser.set_defaults(run=show_list, json=False)

    listing = verbs.add_parser("list", help="the models and where their weights lie (the default)")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=show_list)

    one = verbs.add_parser("show", help="one model: accuracies, how it was made; its whole recipe with --json")
    one.add_argument("name")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=show_one)

    card = verbs.add_parser("card", help="the measured part of the model card, as Markdown")
    card.set_defaults(run=show_card)

    train = verbs.add_parser("train", help="train a model anew (under 90 minutes on two cores)")
    train.add_argument("name", help="a name that `assay models` lists")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--minutes", type=float, help="stop after this long; --resume goes on")
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    train.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: the cache)")
    train.set_defaults(run=run_training)


def show_list(arguments: argparse.Namespace) -> int:
    from assay.models import weights

    found = {name: weights.find(name) for name in weights.NAMES}
    if arguments.json:
        print(json.dumps({name: str(path) if path else None for name, path in found.items()}, indent=2))
        return 0
    for name, path in found.items():
        if path is None:
            print(f"{name:<12} not there: `assay models train {name}`")
            continue
        report = weights.recipe(name)
        print(f"{name:<12} {report['parameters'] / 1e6:.1f} M parameters   {_can(report)}   {path}")
    return 0


def show_one(arguments: argparse.Namespace) -> int:
    from assay.models import weights

    report = weights.recipe(arguments.name)
    if arguments.json:
        print(json.dumps(report, indent=2))
        return 0
    print(f"{arguments.name}: {report['parameters']:,} parameters, {weights.find(arguments.name)}")
    print(f"weights SHA-256 {weights.digest(arguments.name)}\n")
    print("\n".join(_table({arguments.name: report})) if "measured" in report else _can(report))
    print(f"\ntrained in {report['seconds'] / 60:.0f} min with {_versions(report)}, seed {report['seed']}")
    for miss in report.get("missed", ()):
        print(f"misses its gate: {miss}")
    return 0


def show_card(arguments: argparse.Namespace) -> int:
    from assay.models import weights
    from assay.models.nano import SIZES

    print("\n".join(_table({name: weights.recipe(name) for name in SIZES if weights.available(name)})))
    return 0


def run_training(arguments: argparse.Namespace) -> int:
    from assay.models import weights

    weights.check_name(arguments.name)
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise UserError(f"--minutes: got {arguments.minutes:g}, wanted more than 0")
    from assay.models import derived, nano_long

    if arguments.name in derived.DERIVED or arguments.name == nano_long.NAME:
        return _train_at_once(arguments)
    from assay.models.train import train_model

    out = train_model(
        arguments.name,
        arguments.out or weights.cached(arguments.name),
        seed=arguments.seed,
        minutes=arguments.minutes,
        resume=arguments.resume,
        show=_show_progress,
    )
    report = json.loads((out / "recipe.json").read_text("utf-8"))
    print("\n".join(_table({arguments.name: report})))
    print(f"\nwritten to {out}")
    for miss in report["missed"]:
        print(f"assay: {arguments.name} misses its gate: {miss}", file=sys.stderr)
    return 1 if report["missed"] else 0


def _train_at_once(arguments: argparse.Namespace) -> int:
    from assay.models import derived, nano_long, weights

    name = arguments.name
    if arguments.minutes is not None or arguments.resume:
        raise UserError(f"{name} is trained in one go, in minutes: leave --minutes and --resume out")
    place = arguments.out or weights.cached(name)
    if name == nano_long.NAME:
        out = nano_long.train(place, seed=arguments.seed, show=_show_step)
    else:
        weights.ensure(derived.DERIVED[name].parent)
        out = derived.train_derived(name, place, seed=arguments.seed)
    print(f"{_can(json.loads((out / 'recipe.json').read_text('utf-8')))}\nwritten to {out}")
    return 0


def _can(report: dict[str, Any]) -> str:
    """What a model's training came to, in a line."""
    if "measured" in report:
        return "  ".join(f"{task} {share:.2f}" for task, share in report["measured"]["greedy"].items())
    if "right" in report:
        lengths, shares = list(report["right"]), report["right"].values()
        return f"recalls {min(shares):.2f} to {max(shares):.2f} at {lengths[0]} to {lengths[-1]} tokens"
    told = f"tells {report['told_back']:.0%} of its lessons back, loss {report['loss']:.3f}"
    return f"{report['recipe']['parent']}, {told}"


def _show_step(step: int, steps: int, loss: float) -> None:
    print(f"step {step:>5} of {steps}   loss {loss:.3f}", flush=True)


def _show_progress(entry: dict[str, float], total: int) -> None:
    step, seconds = int(entry["step"]), entry["seconds"]
    left = seconds / step * (total - step) / 60
    solved = "  ".join(
        f"{task} {share:.2f}" for task, share in entry.items() if task not in ("step", "loss", "seconds")
    )
    print(f"step {step:>5} of {total}   loss {entry['loss']:.3f}   {left:.0f} min left   {solved}", flush=True)


def _table(reports: dict[str, dict[str, Any]]) -> list[str]:
    """Shares of 500 test problems solved, a row a model and way of drawing."""
    tasks = list(next(iter(reports.values()))["measured"]["greedy"]) if reports else []
    lines = [f"| model | reply | {' | '.join(tasks)} | mean |", "|---|---|" + "---|" * (len(tasks) + 1)]
    for name, report in reports.items():
        for kind, label in (
            ("greedy", "greedy"),
            ("sampled", "temperature 1, mean of 8"),
            ("pass8", "any of 8 at temperature 1"),
        ):
            row = report["measured"][kind]
            cells = [f"{row[task]:.3f}" if task in row else "" for task in tasks]
            mean = f"{sum(row.values()) / len(row):.3f}" if len(row) == len(tasks) else ""
            lines.append(f"| {name} | {label} | {' | '.join(cells)} | {mean} |")
    return lines


def _versions(report: dict[str, Any]) -> str:
    return ", ".join(f"{what} {version}" for what, version in report["versions"].items())
