"""The one place where generated or untrusted code runs.

    ran = run_python("result = [x * x for x in xs]", {"xs": [1, 2, 3]}, timeout=5, memory_mb=256)
    ran.value                                                # [1, 4, 9]

    with Session("stock = {}\\ndef put(k, n): stock[k] = n; return stock", memory_mb=256) as shop:
        shop.call("put", "tea", 3, timeout=5).value          # {'tea': 3}

The code gets the interpreter and its packages to read, an empty folder of its own (256 MB), no network, none of
the caller's environment, limits on time, memory (per process and in all) and processes, and is gone afterwards with
everything it started. `Ran.isolation` says how that was done: by `bwrap` (bubblewrap on PATH), by `namespaces` of
the kernel, or by `rlimits` alone, where it can read and write what the caller can; docs/sandbox.md has the table.
Nothing comes back by pickle. A run takes the start of one Python; `prestarted` hides it, a `Session` pays it once.
"""

from __future__ import annotations

import keyword
import threading
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from assay.integrations import _sandbox_wire as wire
from assay.integrations._sandbox_launch import Isolation, Launcher, isolation, launch, prestarted
from assay.methods.protocols import Ran

__all__ = ["Isolation", "Ran", "Session", "isolation", "prestarted", "run_command", "run_python"]

SMALLEST_MEMORY_MB = 64


def run_python(code: str, inputs: Mapping[str, object], *, timeout: float, memory_mb: int) -> Ran:
    """Run Python code once and return its variable `result`.

    An `inputs` name that is an identifier becomes a global (JSON values, text, NumPy arrays); `stdin` is standard
    input (text or bytes); a name with a suffix, such as `table.csv`, is a file in the folder (text or bytes).
    `timeout` is in seconds of wall time. What the code does wrong is in `Ran.error`, never raised; ValueError and
    TypeError are for the arguments.
    """
    _check_text("code", code)
    _check_limits(timeout, memory_mb)
    values, files = {}, {}
    for name, given in inputs.items():
        if name == "stdin" or (isinstance(name, str) and "." in name):
            files[name] = _file(name, given, "inputs")
        elif isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name):
            values[name] = given
        else:
            raise ValueError(f"inputs: got the name {name!r}, wanted an identifier, `stdin` or a name with a suffix")
    try:
        globals_ = wire.encode(values)
    except TypeError as error:
        raise TypeError(f"inputs: got {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"inputs: got {error}") from None
    head = {"kind": "python", "code": code, "names": list(files), "memory_mb": memory_mb}
    return _once(head, [*files.values(), globals_], timeout)


def run_command(argv: Sequence[str], files: Mapping[str, str | bytes], *, timeout: float, memory_mb: int) -> Ran:
    """Run a program once in a folder that holds `files` (`stdin` is standard input); `value` is its exit status."""
    if isinstance(argv, str) or not argv or not all(isinstance(word, str) and "\0" not in word for word in argv):
        raise TypeError(f"argv: got {argv!r}, wanted a non-empty sequence of text without NUL")
    _check_limits(timeout, memory_mb)
    contents = {name: _file(name, given, "files") for name, given in files.items()}
    head = {"kind": "command", "argv": list(argv), "names": list(contents), "memory_mb": memory_mb}
    return _once(head, list(contents.values()), timeout)


class Session:
    """One isolated interpreter for many calls into functions that `code` defines.

    The code is run at the first call and again after `reset`; it stays alive between calls with its globals and its
    folder. After a timeout or a death the next call starts anew, and the error says so. `Ran.files` is empty: a
    function that wants to hand over a file returns its content. `memory_mb` holds for the session as a whole.
    """

    def __init__(self, code: str, *, memory_mb: int) -> None:
        _check_text("code", code)
        _check_limits(1, memory_mb)
        self._code, self._memory_mb = code, memory_mb
        self._launcher: Launcher | None = None
        self._closed = False
        self._turn = threading.Lock()

    def call(self, name: str, *args: object, timeout: float) -> Ran:
        """Call a function of the code with JSON values or arrays; `value` is what it returns."""
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"name: got {name!r}, wanted the name of a function")
        _check_limits(timeout, self._memory_mb)
        try:
            request = wire.encode(list(args), {"name": name})
        except TypeError as error:
            raise TypeError(f"args: got {error}") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"args: got {error}") from None
        with self._turn:
            if self._closed:
                raise ValueError("the session is closed")
            try:
                if self._launcher is None:
                    self._launcher = launch()
                    self._launcher.ask({"kind": "open", "code": self._code, "memory_mb": self._memory_mb})
                return _ran(*self._launcher.ask({"kind": "call"}, [request], timeout), self._launcher.level)
            except wire.Broken as broken:
                level = self._drop()
                return Ran(False, None, "", "", f"the sandbox ended: {broken}; the session starts anew", 0.0, {}, level)

    def reset(self) -> None:
        """Back to the state right after `code`, with an empty folder."""
        with self._turn:
            if self._launcher is not None:
                try:
                    self._launcher.ask({"kind": "reset"})
                except wire.Broken:
                    self._drop()  # what cannot be emptied is thrown away whole

    def close(self) -> None:
        """End the interpreter; the session cannot be used again."""
        with self._turn:
            self._closed = True
            self._drop()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drop(self) -> Isolation:
        level = isolation() if self._launcher is None else self._launcher.level
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None
        return level


def _once(head: dict[str, Any], blobs: list[bytes], timeout: float) -> Ran:
    launcher = launch()
    try:
        return _ran(*launcher.ask(head, blobs, timeout), launcher.level)
    except wire.Broken as broken:
        return Ran(False, None, "", "", f"the sandbox ended: {broken}", 0.0, {}, launcher.level)
    finally:
        launcher.close()


def _ran(head: dict[str, Any], blobs: list[bytes], level: Isolation) -> Ran:
    """The answer of a sandbox as a `Ran`; nothing in it is trusted."""
    names = head.get("names")
    error, seconds, status = head.get("error"), head.get("seconds"), head.get("status")
    if not isinstance(names, list) or len(blobs) != 3 + len(names) or not isinstance(seconds, (int, float)):
        raise wire.Broken("an answer of the wrong form")
    value: Any = status if type(status) is int else None
    if blobs[2]:
        value = None
        try:
            inner, arrays = wire.parse(blobs[2])
            value = wire.decode(inner, arrays)
            error = inner.get("error") or error  # the code's own error comes before what it left behind
        except wire.Broken as broken:
            error = error or f"result: {broken}"
    files = {name: content for name, content in zip(names, blobs[3:]) if _is_inside(name)}
    stdout, stderr = (text.decode("utf-8", "replace") for text in blobs[:2])
    error = None if error is None else str(error)
    return Ran(error is None, value, stdout, stderr, error, float(seconds), files, level)


def _is_inside(name: object) -> bool:
    """Whether a file name is relative, plain and stays in its folder."""
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and str(path) == name


def _file(name: object, content: object, argument: str) -> bytes:
    if not isinstance(name, str) or not _is_inside(name):
        raise ValueError(f"{argument}: got the file name {name!r}, wanted a relative path that stays in the folder")
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, (bytes, bytearray)):
        return bytes(content)
    raise TypeError(f"{argument}: got a {type(content).__name__} for {name!r}, wanted text or bytes")


def _check_text(argument: str, text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{argument}: got a {type(text).__name__}, wanted Python source text")


def _check_limits(timeout: float, memory_mb: int) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < float("inf"):
        raise ValueError(f"timeout: got {timeout!r}, wanted a positive number of seconds")
    if type(memory_mb) is not int or memory_mb < SMALLEST_MEMORY_MB:
        raise ValueError(f"memory_mb: got {memory_mb!r}, wanted a whole number of at least {SMALLEST_MEMORY_MB}")
