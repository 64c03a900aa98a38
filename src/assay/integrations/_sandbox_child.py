"""The process that runs the untrusted code: limits first, then the code, then calls into it. Runs in the sandbox."""

from __future__ import annotations

import linecache
import os
import resource
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from assay.integrations import _sandbox_kernel as kernel
from assay.integrations import _sandbox_wire as wire

FILE_NAME = "<code>"


def limit(memory_mb: int, folder_bytes: int, processes: int, *, alone: bool) -> None:
    """Set what the kernel enforces on this process and its descendants; none of it can be raised again."""
    limits = {
        "RLIMIT_AS": memory_mb * wire.MEGABYTE,
        "RLIMIT_FSIZE": folder_bytes,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_NPROC": processes,
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_MEMLOCK": 0,
    }
    for name, value in limits.items():
        number = getattr(resource, name, None)  # not every system has every limit
        if number is not None:
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file too large is an OSError in the code, not a death
    if sys.platform == "linux":
        kernel.die_with_parent()
        kernel.be_inspectable()
        kernel.filter_calls(alone=alone)


def run_code(code: str, inputs: bytes, calls: int, results: int) -> None:
    """Run the code with the globals of an encoded mapping and send its `result`; then, for a session, answer calls."""
    names: dict[str, Any] = {"__name__": "__main__", **wire.decode(*wire.parse(inputs))}
    linecache.cache[FILE_NAME] = (len(code), None, code.splitlines(True), FILE_NAME)
    _answer(results, lambda: _executed(code, names))
    while calls >= 0:
        head, blobs = wire.receive(calls)
        name, arguments = head["name"], wire.decode(head, blobs)
        _answer(results, lambda name=name, arguments=arguments: _function(names, name)(*arguments))  # type: ignore[misc]


def _executed(code: str, names: dict[str, Any]) -> Any:
    exec(compile(code, FILE_NAME, "exec"), names)
    return names.get("result")


def _function(names: Mapping[str, Any], name: str) -> Any:
    if not callable(names.get(name)):
        raise NameError(f"the session's code defines no function {name!r}")
    return names[name]


def _answer(results: int, work: Any) -> None:
    """Send what `work` returns, or the error it ended with; the traceback goes to stderr."""
    error = None
    value = None
    try:
        value = work()
    except SystemExit as stop:
        error = None if stop.code in (None, 0) else f"exit status {stop.code}"
    except BaseException as problem:  # noqa: BLE001  (whatever the code raises is its result)
        error = _one_line(problem)
        _print_traceback(problem)
    raw = b""
    if error is None:
        try:
            raw = wire.encode(value, {"error": None})
        except BaseException as problem:  # noqa: BLE001  (a value's own methods may raise anything)
            error = f"result: {_one_line(problem)}"
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue  # the code closed or replaced it: what it wrote before is in the pipe
    wire.send(results, raw if error is None else wire.encode(None, {"error": error}))


def _one_line(problem: BaseException) -> str:
    try:
        text = " ".join(str(problem).split())[:500]
    except BaseException:  # noqa: BLE001  (an exception's own __str__ is untrusted as well)
        text = "(its message cannot be read)"
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


def _print_traceback(problem: BaseException) -> None:
    frames = problem.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != FILE_NAME:
        frames = frames.tb_next
    try:
        traceback.print_exception(type(problem), problem, frames, limit=50)
    except BaseException:  # noqa: BLE001  (stderr may be gone, and a message may raise)
        os.write(2, b"(the traceback cannot be printed)\n")
