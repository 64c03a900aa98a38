"""`assay status`: what is running, and how every trial stands. Works while another process runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from assay.cli.stores import add_store, open_store
from assay.cli.words import rows
from assay.errors import StoreLocked, UserError

if TYPE_CHECKING:
    from assay.engine.live import LiveRun
    from assay.engine.scoreboard import Judged
    from assay.engine.store import Store

EVERY_S = 1.0  # of `--watch`; runs write what they do as often


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", metavar="UNIT", help="what one unit printed, and why it failed")
    parser.add_argument("--watch", action="store_true", help="keep showing it until nothing runs any more, or Ctrl-C")
    parser.add_argument("--json", action="store_true")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    store = open_store(arguments, must_exist=bool(arguments.log))
    if arguments.log:
        print(unit_log(store, arguments.log))
    elif arguments.json:
        print(json.dumps(as_json(store), indent=2))
    elif arguments.watch:
        watch(store)
    else:
        live, (board, notes) = live_now(store), standings_now(store)
        print("\n".join([*map(run_lines, live), *([table(board)] if board else []), summary(store, board)]))
        for note in notes:
            print(f"note: {note}")
    return 0


def live_now(store: Store) -> list[LiveRun]:
    """Runs that go on and runs that were cut off; reads no database."""
    from assay.engine.live import live_runs

    return live_runs(store.live) if store.live.is_dir() else []


def standings_now(store: Store) -> tuple[list[Judged], list[str]]:
    """How the trials stand; while somebody holds the database and there is no snapshot, a note that says so."""
    from assay.engine.scoreboard import scoreboard

    try:
        return scoreboard(store)
    except StoreLocked as error:
        return [], [str(error)]


def as_json(store: Store) -> dict[str, Any]:
    """Runs, trials, notes and sizes as plain data."""
    board, notes = standings_now(store)
    shown = ("outcome", "reason", "p", "p_holm", "q", "n", "incomplete", "flags", "rule")
    return {
        "runs": [asdict(run) for run in live_now(store)],
        "trials": [{"trial": j.name, **{key: getattr(j.verdict, key) for key in shown}} for j in board],
        "notes": notes,
        "store": {"path": str(store.path), "bytes": _bytes(store)},
    }


def watch(store: Store) -> None:
    """Show runs and the count of outcomes again and again: in place on a terminal, elsewhere whenever they change."""
    stamp: object = None
    board: list[Judged] = []
    try:
        with _screen() as show:
            while True:
                live = live_now(store)
                if (now := stamp_of(store)) != stamp:
                    stamp, (board, _) = now, standings_now(store)
                show("\n".join([*map(run_lines, live), summary(store, board)]))
                if not any(run.alive for run in live):
                    return
                time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return


@contextmanager
def _screen() -> Iterator[Callable[[str], None]]:
    if not sys.stdout.isatty():
        last = ""

        def on_change(text: str) -> None:
            nonlocal last
            if text != last:
                print(text, end="\n\n", flush=True)
            last = text

        yield on_change
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as screen:
        yield lambda text: screen.update(Text(text), refresh=True)


def stamp_of(store: Store) -> object:
    """Changes with every result that reaches the database or a journal."""
    found = []
    for path in (store.path, *sorted(store.journals.glob("*.jnl"))):
        with suppress(FileNotFoundError):  # a journal may be taken in while we look
            found.append((path.name, path.stat().st_mtime_ns, path.stat().st_size))
    return found


def table(board: Sequence[Judged]) -> str:
    """Every trial with its verdict, a line each."""
    lines = [("trial", "verdict", "p", "p (Holm)", "seeds", "why")]
    for j in board:
        v = j.verdict
        holm = f"{v.p_holm:.2g}" if v.p_holm is not None else ""
        why = f"stale; {v.reason}" if "stale" in v.flags else v.reason
        lines.append((j.name, v.outcome, f"{v.p:.2g}", holm, str(v.n), why if len(why) <= 70 else f"{why[:69]}…"))
    return rows(lines)


def run_lines(run: LiveRun) -> str:
    """`running …` with a line an arm, or `interrupted, 17 of 48 done; continue with: …`."""
    from assay.engine.progress import clock

    if not run.alive:
        done = f"{run.done} of {run.total} of {run.trial} done" if run.trial else "before the first unit"
        return f"interrupted, {done}; continue with: {run.command}"
    left = f", about {clock(run.eta_s)} to go" if run.eta_s else ""
    done = f"{run.trial}, {run.done} of {run.total}{left}" if run.trial else "getting ready"
    lines = [f"running (pid {run.pid} on {run.host}): {done}"]
    for arm, counts in run.arms.items():
        failed = f", {counts['failed']} failed" if counts["failed"] else ""
        seeds = f", at seed {', '.join(map(str, counts['running']))}" if counts["running"] else ""
        lines.append(f"  {arm}: {counts['done']} done{failed}{seeds}")
    if run.last_error:
        lines.append(f"  last failure: {run.last_error}")
    return "\n".join(lines)


def unit_log(store: Store, prefix: str) -> str:
    """What a unit printed and its error; the unit is named by the first letters of its key."""
    units = store.units(prefix=prefix)
    if len({u.unit_key for u in units}) != 1:
        found = "no unit" if not units else f"{len({u.unit_key for u in units})} units"
        raise UserError(f"{found} with a key that begins with {prefix!r}: `assay run` prints the keys of failed units")
    last = max(units, key=lambda u: u.attempt)
    path = store.logs / last.run_id / f"{last.unit_key}.log"
    printed = path.read_text("utf-8", errors="replace") if path.exists() else ""
    head = f"{last.trial}, arm {last.arm}, seed {last.seed}: {last.status} after {last.seconds:.1f} s"
    return "\n".join(part for part in (head, printed.rstrip(), last.error.rstrip()) if part)


def summary(store: Store, board: Sequence[Judged]) -> str:
    """Trials by outcome, how many are stale, and what is used of the disk."""
    from assay.engine.registry import list_trials

    size = f"store {store.path} ({_bytes(store) / 1e6:.1f} MB)"
    if not board:
        return f"no full run is stored yet; begin with: assay run hadw\n0 of {len(list_trials())} trials tried; {size}"
    outcomes = [j.verdict.outcome for j in board]
    counts = ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(sorted(outcomes)))
    stale = sum("stale" in j.verdict.flags for j in board)
    old = f"; {stale} stale (the code has changed since: run again)" if stale else ""
    return f"{len(board)} of {len(list_trials())} trials tried: {counts}{old}; {size}"


def _bytes(store: Store) -> int:
    """Of the database and all that lies beside it."""
    total = 0
    for path in (store.path, *store.folder.rglob("*")):
        with suppress(FileNotFoundError):
            total += 0 if path.is_dir() else path.stat().st_size
    return total
