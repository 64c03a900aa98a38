"""Status files: what every run in progress is doing, readable by another process without the database."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from assay.engine.progress import Tally
from assay.engine.result import Result
from assay.engine.trial import UnitResult
from assay.engine.units import Plan, Unit

WRITE_EVERY_S = 1.0


class StatusFile:
    """A `Progress` that keeps `live/RUN_ID.json` current, by atomic rename; removed when the run is over.

    The lock beside it is held while this process lives, so that a reader can tell a run from the trace of one.
    """

    def __init__(self, folder: Path, run_id: str, command: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{run_id}.json"
        self._lock: IO[str] = (folder / f"{run_id}.lock").open("w")
        fcntl.flock(self._lock.fileno(), fcntl.LOCK_EX)
        self._head = {"run_id": run_id, "pid": os.getpid(), "host": platform.node(), "command": command}
        self._head["started"] = time.time()
        self._tally: Tally | None = None
        self._written = 0.0
        self._write()

    def begin(self, plan: Plan, reused: int) -> None:
        self._tally = Tally(plan, reused)
        self._write()

    def started(self, unit: Unit) -> None:
        assert self._tally is not None
        self._tally.started(unit)
        self._write_if_due()

    def finished(self, result: UnitResult) -> None:
        assert self._tally is not None
        self._tally.finished(result)
        self._write_if_due()

    def note(self, text: str) -> None:
        return

    def end(self, result: Result) -> None:
        self._write()

    def remove(self) -> None:
        """The run is over and complete; nothing of it needs to be shown as live."""
        self._path.unlink(missing_ok=True)
        Path(self._lock.name).unlink(missing_ok=True)
        self._lock.close()

    def leave(self) -> None:
        """The run stopped early: the file stays and is shown as interrupted."""
        self._write()
        self._lock.close()

    def _write_if_due(self) -> None:
        if time.monotonic() - self._written >= WRITE_EVERY_S:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        temporary = self._path.with_suffix(".tmp")
        text = json.dumps({**self._head, "updated": time.time(), **_shown(self._tally)})
        with contextlib.suppress(OSError):  # a full disk: the journal says so; this file only shows how far it is
            temporary.write_text(text, "utf-8")
            temporary.replace(self._path)


@dataclass(frozen=True)
class LiveRun:
    """A status file as it was read. `alive`: its process still runs."""

    run_id: str
    alive: bool
    command: str
    pid: int
    host: str
    started: float
    updated: float
    trial: str
    done: int
    total: int
    arms: Mapping[str, Mapping[str, Any]]
    eta_s: float | None
    last_error: str


def live_runs(folder: Path) -> list[LiveRun]:
    """Runs that are going on, and those that were cut off, the oldest first."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            data = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue  # it ended while we looked
        found.append(LiveRun(alive=_locked(path.with_suffix(".lock")), **data))
    return found


def forget(folder: Path, command: str) -> None:
    """Remove the traces of interrupted runs of the same command: a run that takes them up begins."""
    for run in live_runs(folder):
        if not run.alive and run.command == command:
            (folder / f"{run.run_id}.json").unlink(missing_ok=True)
            (folder / f"{run.run_id}.lock").unlink(missing_ok=True)


def _locked(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _shown(tally: Tally | None) -> dict[str, Any]:
    if tally is None:
        return {"trial": "", "done": 0, "total": 0, "arms": {}, "eta_s": None, "last_error": ""}
    arms = {
        arm: {
            "done": tally.done[arm],
            "failed": tally.failed[arm],
            "running": [u.seed for u in tally.running.values() if u.arm == arm],
        }
        for arm in tally.plan.arms
    }
    return {
        "trial": tally.plan.name,
        "done": tally.finished_units,
        "total": tally.total,
        "arms": arms,
        "eta_s": tally.eta_s(),
        "last_error": tally.last_error,
    }
