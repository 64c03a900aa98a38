"""Ctrl-C and SIGTERM as a request to stop, not as an exception in the middle of something."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType


class Stop:
    """Whether, when and how often the user asked to stop."""

    def __init__(self, *, raising: bool = False) -> None:
        self._times: list[float] = []
        self._raising = raising

    @property
    def asked(self) -> bool:
        return bool(self._times)

    @property
    def twice(self) -> bool:
        return len(self._times) > 1

    @property
    def seconds(self) -> float:
        """Seconds since the first request."""
        return time.monotonic() - self._times[0] if self._times else 0.0

    def ask(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Note a request; a signal handler."""
        self._times.append(time.monotonic())
        if self._raising and number:
            raise KeyboardInterrupt


@contextlib.contextmanager
def watch(*, raising: bool = False) -> Iterator[Stop]:
    """Catch SIGINT and SIGTERM while it lasts (in the main thread; elsewhere signals do not arrive).

    raising: where units run in this very process, a request also breaks off the one that runs.
    """
    stop = Stop(raising=raising)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
