"""`assay status`: what is running, and how every trial stands. Works while another process runs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from assay.cli.stores import add_store, open_store
from assay.cli.words import rows
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.engine.live import LiveRun
    from assay.engine.store import Store


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", metavar="UNIT", help="what one unit printed, and why it failed")
    parser.add_argument("--json", action="store_true")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.engine.live import live_runs
    from assay.engine.standings import standings

    store = open_store(arguments, must_exist=bool(arguments.log))
    if arguments.log:
        print(unit_log(store, arguments.log))
        return 0
    live = live_runs(store.live) if store.live.is_dir() else []
    board, notes = standings(store)
    if arguments.json:
        shown = ("outcome", "reason", "p", "p_holm", "n", "flags")
        trials = [{"trial": j.name, **{key: getattr(j.verdict, key) for key in shown}} for j in board]
        print(json.dumps({"runs": [asdict(run) for run in live], "trials": trials, "notes": notes}, indent=2))
        return 0
    for one in live:
        print(run_line(one))
    if board:
        table = [("trial", "verdict", "p", "p (Holm)", "seeds", "why")]
        for j in board:
            v = j.verdict
            holm = f"{v.p_holm:.2g}" if v.p_holm is not None else ""
            table.append((j.name, v.outcome, f"{v.p:.2g}", holm, str(v.n), v.reason[:70]))
        print(rows(table))
    else:
        print("no full run is stored yet; begin with: assay run hadw")
    print(_counts(store, len(board)))
    for note in notes:
        print(f"note: {note}")
    return 0


def run_line(run: LiveRun) -> str:
    """`running …` or `interrupted, 17 of 48 done; continue with: …`."""
    from assay.engine.progress import clock

    if not run.alive:
        return f"interrupted, {run.done} of {run.total} of {run.trial} done; continue with: {run.command}"
    left = f", about {clock(run.eta_s)} to go" if run.eta_s else ""
    error = f"; last failure: {run.last_error}" if run.last_error else ""
    return f"running (pid {run.pid}): {run.trial}, {run.done} of {run.total}{left}{error}"


def unit_log(store: Store, prefix: str) -> str:
    """What a unit printed and its error; the unit is named by the first letters of its key."""
    units = [u for u in store.units() if u.unit_key.startswith(prefix)]
    if len({u.unit_key for u in units}) != 1:
        found = "no unit" if not units else f"{len({u.unit_key for u in units})} units"
        raise UserError(f"{found} with a key that begins with {prefix!r}: `assay run` prints the keys of failed units")
    last = max(units, key=lambda u: u.attempt)
    path = store.logs / last.run_id / f"{last.unit_key}.log"
    printed = path.read_text("utf-8", errors="replace") if path.exists() else ""
    head = f"{last.trial}, arm {last.arm}, seed {last.seed}: {last.status} after {last.seconds:.1f} s"
    return "\n".join(part for part in (head, printed.rstrip(), last.error.rstrip()) if part)


def _counts(store: Store, tried: int) -> str:
    from assay.engine.registry import list_trials

    size = store.path.stat().st_size / 1e6 if store.path.exists() else 0.0
    return f"{tried} of {len(list_trials())} trials tried; store {store.path} ({size:.1f} MB)"
