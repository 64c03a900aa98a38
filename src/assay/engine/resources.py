"""What a worker keeps open from one unit to the next: a browser, a pool of sandboxes, a server."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

_open: dict[str, tuple[Any, Callable[[Any], None]]] = {}
_own_processes: set[int] = set()


def resource(key: str, open: Callable[[], T], close: Callable[[T], None]) -> T:
    """The thing called `key`, opened at its first use in this process and closed when the process ends.

    Processes that `open` starts belong to the resource: the engine does not take them for leaks of an arm.
    """
    if key not in _open:
        before = children()
        thing = open()
        _own_processes.update(children() - before)
        if not _open:
            atexit.register(close_all)
        _open[key] = (thing, close)
    return _open[key][0]  # type: ignore[no-any-return]


def close_all() -> None:
    """Close every resource of this process, the newest first."""
    while _open:
        _, (thing, close) = _open.popitem()
        close(thing)
    _own_processes.clear()


def children() -> set[int]:
    """Ids of the live children of this process."""
    return {p.pid for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE}


def stray_children() -> set[int]:
    """Children that no resource owns: what an arm left running."""
    return children() - _own_processes
