"""Politeness towards a host: one request at a time, a least gap between two, a rest when it refuses.

What is known of a host (when it may be asked again, how often it has refused in a row) lies in one small file a
host, and whoever asks holds that file's lock. So several commands on one machine share one rate.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from assay.errors import UserError
from assay.papers.feed.model import Clock, FeedError

ARXIV_GAP_S = 3.0  # the rate that arXiv asks of programs: one connection, one request in three seconds
REFUSALS_TO_CLOSE = 3
CLOSED_S = 15 * 60.0
LONGEST_REST_S = 600.0  # however long a host asks us to wait
LOOK_S = 0.05  # how often we look whether another process has let go of a host


def polite_gap(host: str) -> float:
    """Seconds between two requests to `host` (with or without a port)."""
    name = host.partition(":")[0]
    if any(name == domain or name.endswith(f".{domain}") for domain in ("arxiv.org", "ar5iv.org")):
        return ARXIV_GAP_S
    return 1.0 if name == "huggingface.co" else 0.5


@dataclass(slots=True)
class HostState:
    """What every process needs to know of a host; times in seconds since 1970."""

    free_at: float = 0.0
    refusals: int = 0
    closed_until: float = 0.0


class Turn:
    """The right to send one request; it says afterwards how the host took it."""

    def __init__(self, host: str, state: HostState) -> None:
        self._host = host
        self._state = state
        self.rest = 0.0

    def answered(self) -> None:
        """The host serves us: earlier refusals are forgotten."""
        self._state.refusals = 0

    def refused(self, now: float) -> None:
        """A 429 or 403. The third in a row closes the host: FeedError `host_closed`."""
        self._state.refusals += 1
        if self._state.refusals >= REFUSALS_TO_CLOSE:
            self._state.refusals = 0
            self._state.closed_until = now + CLOSED_S
            raise FeedError(
                "host_closed", f"{self._host} refused {REFUSALS_TO_CLOSE} times in a row; {_rest(CLOSED_S)}"
            )


class Gates:
    """One gate a host. `folder` holds the hosts' files; `gap` gives the seconds between two requests to a host."""

    def __init__(self, folder: Path, clock: Clock, gap: Callable[[str], float] = polite_gap) -> None:
        self._folder = folder
        self._clock = clock
        self._gap = gap
        self._queues: dict[str, anyio.Lock] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[Turn]:
        """Wait for the host, then hold it. The gap counts from the end of the request, or `turn.rest` if longer.

        Raises FeedError `host_closed` while the host rests, and UserError where the folder cannot be written.
        """
        async with self._queues.setdefault(host, anyio.Lock()):
            while True:
                async with self._file(host) as file:
                    state = _read(file)
                    now = self._clock.time()
                    if 0 < state.closed_until - now <= CLOSED_S:
                        raise FeedError("host_closed", f"{host} has refused us; {_rest(state.closed_until - now)}")
                    rest = state.free_at - now
                    if not 0 < rest <= LONGEST_REST_S:  # more can only be a clock that was set back
                        turn = Turn(host, state)
                        try:
                            yield turn
                        finally:
                            state.free_at = self._clock.time() + max(self._gap(host), turn.rest)
                            _write(file, state)
                        return
                await self._clock.sleep(rest)  # without the file, so that processes take turns

    @asynccontextmanager
    async def _file(self, host: str) -> AsyncIterator[int]:
        path = self._folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', host)}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UserError(
                f"{path} cannot be written: {error.strerror}; set ASSAY_CACHE to a folder of yours"
            ) from error
        try:
            while not _locked(file):
                await anyio.sleep(LOOK_S)
            yield file
        finally:
            os.close(file)  # lets go of the lock


def _rest(seconds: float) -> str:
    return f"it is left alone for {max(1, round(seconds / 60))} min"


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int) -> HostState:
    """The host's state; a file that a killed process left half-written says nothing."""
    try:
        said = json.loads(os.pread(file, 4096, 0))
        return HostState(float(said["free_at"]), int(said["refusals"]), float(said["closed_until"]))
    except (ValueError, TypeError, KeyError):
        return HostState()


def _write(file: int, state: HostState) -> None:
    text = json.dumps(asdict(state)).encode()
    os.ftruncate(file, 0)
    os.pwrite(file, text, 0)
