"""One run's dealings with the disk: its journal, the thread that moves it into the store, its status file.

Without a store (`Session`), everything stays in memory and nothing is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import secrets
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.engine import live, rows
from assay.engine.journal import Journal, Segment
from assay.engine.machine import this_environment, this_machine
from assay.engine.progress import Progress, Silent
from assay.engine.schedule import Stamp
from assay.engine.store import Store, StoredVerdict
from assay.engine.trial import UnitResult, Verdict
from assay.errors import AssayError

if TYPE_CHECKING:
    from assay.engine.result import Result
    from assay.engine.units import Plan

FLUSH_EVERY_S, FLUSH_RECORDS = 5.0, 50


class Session:
    """A run without a store."""

    def __init__(self) -> None:
        self.stamp = Stamp(machine_id=this_machine().id)
        self.store: Store | None = None
        self.status: Progress = Silent()
        self.failure = ""  # why results can no longer be kept; '' while they can
        self.complete = False  # set once every trial of the run has been finished
        self.notes: tuple[str, ...] = ()  # what was found amiss when the store was opened

    def record(self, result: UnitResult) -> bool:
        """Put the result away; False where that is no longer possible and the run should stop."""
        return True

    def keep_log(self, key: str, log: bytes) -> None:
        """Keep what a unit printed."""

    def conclude(self, result: Result, plan: Plan) -> Result:
        """Put the verdict away, unless it is a preview; hands it out as it then stands."""
        return result


class StoredSession(Session):
    """A run that keeps what it finds. A result is recorded when `record` returns True, whatever happens next."""

    def __init__(self, store: Store, command: str, options: Mapping[str, object]) -> None:
        super().__init__()
        self.store: Store = store
        self._begun: dict[str, Any] = {
            "run_id": f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}",
            "started": time.time(),
            "ended": None,
            "command": command,
            "options": dict(options),
            "user_note": "",
        }
        run_id = self._begun["run_id"]
        self.stamp = Stamp(run_id, this_machine().id, this_environment().id)
        live.forget(store.live, command)
        self.status: live.StatusFile = live.StatusFile(store.live, run_id, command)
        self._journal: Journal | None = None
        self._rotated = time.monotonic()
        self._segments: queue.Queue[Segment | None] = queue.Queue()
        self._flusher = threading.Thread(target=self._flush_segments, name="assay-flush", daemon=True)
        self._flusher.start()

    def record(self, result: UnitResult) -> bool:
        self._append("units", rows.unit_row(result))
        return not self.failure

    def keep_log(self, key: str, log: bytes) -> None:
        if log and not self.failure:
            folder = self.store.logs / self.stamp.run_id
            try:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{key}.log").write_bytes(log)
            except OSError as error:
                self._fail(error)

    def conclude(self, result: Result, plan: Plan) -> Result:
        if (
            result.verdict is None
            or result.quick
            or set(plan.arms) != set(result.trial.arms) - set(result.trial.model_arms if plan.model is None else ())
        ):
            return result
        known = self.store.verdicts().get(result.name)
        verdict = remembering(result.verdict, known, plan.fingerprint)
        sha = data_sha(result.arms, verdict.flags)
        concluded = replace(result, verdict=verdict)
        if known and (known.fingerprint, known.data_sha, known.rule) == (plan.fingerprint, sha, verdict.rule):
            return concluded
        row = rows.verdict_row(
            result.name,
            verdict,
            fingerprint=plan.fingerprint,
            data_sha=sha,
            computed=time.time(),
            machine_id=self.stamp.machine_id,
        )
        self._append("verdicts", row)
        return concluded

    def close(self) -> None:
        """Move everything into the store; what cannot be moved now stays in the journal for the next command."""
        if self._journal is not None:
            with contextlib.suppress(OSError):
                self._journal.append({"table": "runs", "row": {**self._begun, "ended": time.time()}})
            if segment := self._journal.close():
                self._segments.put(segment)
        self._segments.put(None)
        self._flusher.join()
        if self._journal is not None and not self.failure:
            with contextlib.suppress(AssayError, OSError):  # readers do without a new snapshot
                self.store.snapshot()
        if self.complete and not self.failure:
            self.status.remove()
        else:
            self.status.leave()

    # --- the journal ---

    def _append(self, table: str, row: Mapping[str, Any]) -> None:
        if self.failure:
            return
        try:
            journal = self._journal or self._open_journal()
            journal.append({"table": table, "row": row})
            due = journal.records >= FLUSH_RECORDS or time.monotonic() - self._rotated > FLUSH_EVERY_S
            if due and (segment := journal.rotate()):
                self._rotated = time.monotonic()
                self._segments.put(segment)
        except OSError as error:
            self._fail(error)

    def _open_journal(self) -> Journal:
        """Opened with the first record: a run that finds everything done writes nothing."""
        self._journal = Journal(self.store.journals, self.stamp.run_id)
        environment = this_environment()
        self._journal.append({"table": "machines", "row": rows.machine_row(this_machine(), environment.python)})
        self._journal.append({"table": "envs", "row": rows.env_row(environment)})
        return self._journal

    def _fail(self, error: OSError) -> None:
        self.failure = (
            f"store {self.store.path}: {error.strerror or error}; what was shown as done is kept, "
            "the rest is not: make room and run again, or go on with --store OTHER"
        )

    def _flush_segments(self) -> None:
        """Runs in a thread: a reader that holds the database must not stop the run."""
        kept: list[Segment] = []
        while segment := self._segments.get():
            kept.append(segment)
            kept = [s for s in kept if not self._flushed(s)]
        for segment in kept:
            if not self._flushed(segment):
                segment.keep()

    def _flushed(self, segment: Segment) -> bool:
        try:
            self.store.flush(segment)
        except (AssayError, OSError):
            return False  # still in the journal, tried again with the next segment and by the next command
        return True


@contextlib.contextmanager
def open_session(path: Path | None, command: str, options: Mapping[str, object]) -> Iterator[Session]:
    """The session of a run: with a store at `path`, or without any."""
    if path is None:
        yield Session()
        return
    store = Store(path)
    store.prepare()
    store.replay()
    session = StoredSession(store, command, options)
    session.notes = tuple(store.notes)
    try:
        yield session
    finally:
        session.close()


def last_attempts(store: Store | None, keys: Sequence[str]) -> dict[str, UnitResult]:
    """The last stored attempt of each of the units on this machine."""
    found = store.units(keys=keys, latest=True) if store else []
    return {u.unit_key: u for u in found if u.machine_id == this_machine().id}


def median_seconds(store: Store | None, trial: str, quick: bool) -> dict[str, float]:
    """Seconds a unit of each arm took on this machine before."""
    times: dict[str, list[float]] = {}
    for unit in store.units(trials=[trial]) if store else []:
        if unit.status == "ok" and unit.quick == quick and unit.machine_id == this_machine().id:
            times.setdefault(unit.arm, []).append(unit.seconds)
    return {arm: statistics.median(found) for arm, found in times.items()}


def data_sha(units: Sequence[UnitResult], flags: Sequence[str] = ()) -> str:
    """Hash of what a verdict was computed from: its units, and what repeating some of them showed (a flag)."""
    words = sorted((u.unit_key, u.attempt, u.status, u.value) for u in units)
    return hashlib.sha256(json.dumps([*words, *_repeats(flags)]).encode()).hexdigest()


def remembering(judged: Verdict, known: StoredVerdict | None, fingerprint: str) -> Verdict:
    """`judged` with the flag of an earlier verdict on the same code whose units did not repeat."""
    if known is None or known.fingerprint != fingerprint or _repeats(judged.flags):
        return judged
    return replace(judged, flags=(*judged.flags, *_repeats(known.flags)))


def _repeats(flags: Sequence[str]) -> list[str]:
    return [flag for flag in flags if flag.startswith("nondeterministic")]
