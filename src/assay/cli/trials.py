"""`assay trials`: what can be tried, and how to add to it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from assay.cli.words import rows
from assay.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    parser.set_defaults(run=show_list, field=None, json=False)
    listing = verbs.add_parser("list", help="every trial, built in and third party (the default)")
    listing.add_argument("--field", help="only one field of work")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=show_list)
    one = verbs.add_parser("show", help="one trial: claim, metric, bar, arms, world")
    one.add_argument("name")
    one.set_defaults(run=show_one)
    check = verbs.add_parser("check", help="look at a trial as a sceptic would (under a minute)")
    check.add_argument("name")
    check.set_defaults(run=run_check)
    new = verbs.add_parser("new", help="write a package with a trial of your own, to be changed from there")
    new.add_argument("name", help="of the package: small letters, digits and _")
    new.add_argument("--paper", required=True, metavar="ID", help="the paper's arXiv id, such as 2601.08521")
    new.set_defaults(run=write_new)


def show_list(arguments: argparse.Namespace) -> int:
    from assay.engine.registry import list_trials

    entries = [e for e in list_trials() if arguments.field in (None, e.field)]
    if not entries:
        raise UserError(f"no trial in field {arguments.field!r}: {', '.join(sorted({e.field for e in list_trials()}))}")
    if arguments.json:
        shown = [{"trial": e.name, "paper": e.paper, "claim": e.claim, "tags": e.tags} for e in entries]
        print(json.dumps(shown, indent=2))
    else:
        print(rows([(e.name, e.paper, e.claim or e.error) for e in entries]))
    return 0


def show_one(arguments: argparse.Namespace) -> int:
    from assay.engine.registry import get_trial

    name, trial = get_trial(arguments.name)
    bars = " and ".join(f"{bar.kind} {bar.size:g} against {bar.versus or 'a constant'}" for bar in trial.bars)
    roles = {trial.method: "method", trial.baseline: "baseline", trial.placebo: "placebo"}
    lines = [
        ("trial", name),
        ("paper", trial.paper),
        ("claim", trial.claim),
        ("headline", trial.headline),
        ("metric", f"{trial.metric.name} [{trial.metric.unit}], {trial.metric.better} is better"),
        ("bar", bars or "none: reported, not judged"),
        ("world", f"{trial.world} {dict(trial.world_args) or ''}".rstrip()),
        ("seeds", f"{trial.seeds} ({trial.quick_seeds} with --quick)"),
        *((f"arm {arm}", f"{roles.get(arm, 'shown, not judged')}: {_said_of(fn)}") for arm, fn in trial.arms.items()),
        *([("needs", ", ".join(trial.needs + trial.prepare))] if trial.needs or trial.prepare else []),
        *([("tags", ", ".join(trial.tags))] if trial.tags else []),
        *([("note", trial.note)] if trial.note else []),
    ]
    print(rows(lines))
    return 0


def _said_of(arm: object) -> str:
    doc = (getattr(arm, "__doc__", None) or "").strip().splitlines()
    return doc[0] if doc else getattr(arm, "__name__", "")


def write_new(arguments: argparse.Namespace) -> int:
    from assay.cli.new_trial import write_package

    folder = write_package(arguments.name, arguments.paper, Path.cwd())
    print(f"wrote {folder}; next: pip install --editable {folder.name}   then   assay trials check {folder.name}")
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    from assay.engine.check import check
    from assay.engine.registry import get_trial

    name, trial = get_trial(arguments.name)
    findings = check(name, trial)
    for finding in findings:
        print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}{': ' + finding.detail if finding.detail else ''}")
    wrong = sum(not f.ok for f in findings)
    print(f"{name}: {len(findings) - wrong} of {len(findings)} checks passed")
    return 1 if wrong else 0
