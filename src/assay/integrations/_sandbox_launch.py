"""Starts the sandbox's first process from outside: the level of isolation, what can be read there, the environment."""

from __future__ import annotations

import atexit
import collections
import contextlib
import functools
import importlib.util
import marshal
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from assay.integrations import _sandbox_wire as wire

Isolation = Literal["bwrap", "namespaces", "rlimits"]
LEVELS: tuple[Isolation, ...] = ("bwrap", "namespaces", "rlimits")
FOLDER_BYTES = 256 * wire.MEGABYTE
PROCESSES = 64
START_SECONDS = 60  # an interpreter starts in tens of milliseconds; a machine under full load needs longer
CLOSE_SECONDS = 3
GRACE_SECONDS = 20  # after a run's own timeout, for ending processes and reading the folder back

# The code of the first process travels through its standard input: its files need not be readable inside.
_PARTS = ("_sandbox_wire", "_sandbox_kernel", "_sandbox_watch", "_sandbox_child", "_sandbox_inside")
_BOOT = """
import marshal, os, sys, types
size, data = int(sys.argv[1]), b""
while len(data) < size:
    data += os.read(0, size - len(data)) or sys.exit(1)
parts, setup = marshal.loads(data)
package = types.ModuleType("assay.integrations")
sys.modules["assay.integrations"] = package
for name, code in parts:
    module = types.ModuleType("assay.integrations." + name)
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(code, module.__dict__)
for name in [name for name in sys.modules if name.startswith("assay")]:
    del sys.modules[name]
module.main(setup)
"""


class Launcher:
    """One first process, ready for requests. Closing it ends everything inside and removes its folder."""

    def __init__(self, level: Isolation) -> None:
        self.level = level
        self.folder = tempfile.mkdtemp(prefix="assay-sandbox-") if level == "rlimits" else None
        setup = {
            "level": level,
            "folder": self.folder,
            "folder_bytes": FOLDER_BYTES,
            "processes": PROCESSES + (_own_threads() if level == "rlimits" else 0),
            "readable": _readable(),
            "hidden": _hidden(),
        }
        boot = marshal.dumps((_parts(), setup))
        python = [sys.executable, "-s", "-P", "-B", "-X", "utf8", "-c", _BOOT, str(len(boot))]
        self.process = subprocess.Popen(
            [*(_bwrap() if level == "bwrap" else []), *python],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(self.folder),
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._is_ready = False
        try:
            wire.send(self._in, boot)
        except OSError:
            self.close()
            raise wire.Broken("the sandbox did not start") from None

    def ready(self) -> None:
        """Wait until it has taken its place. Raises `wire.Broken` with the reason if it cannot."""
        if self._is_ready:
            return
        head, _ = wire.receive(self._out, time.monotonic() + START_SECONDS)
        if head.get("ready") is not True:
            raise wire.Broken(str(head.get("error")))
        self._is_ready = True

    def ask(
        self, head: dict[str, Any], blobs: Sequence[bytes] = (), timeout: float = 0
    ) -> tuple[dict[str, Any], list[bytes]]:
        """One request, one answer. Raises `wire.Broken` if none comes; the launcher is then of no more use."""
        self.ready()
        try:
            wire.send(self._in, wire.message({**head, "timeout": timeout}, blobs))
        except OSError:
            raise wire.Broken("the sandbox has ended") from None
        return wire.receive(self._out, time.monotonic() + timeout + GRACE_SECONDS)

    def close(self) -> None:
        """End it and everything inside."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        # Its input has ended, so it ends and buries its descendants by itself; only then is it killed if need be.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


_spare: collections.deque[Launcher] = collections.deque()
_wanted_spare = 0


@contextlib.contextmanager
def prestarted(count: int) -> Iterator[None]:
    """Within it, up to `count` interpreters are kept started ahead; each serves one run and is then replaced."""
    if type(count) is not int or count < 1:
        raise ValueError(f"count: got {count!r}, wanted at least 1 interpreter")
    global _wanted_spare
    before, _wanted_spare = _wanted_spare, count
    try:
        _refill()
        yield
    finally:
        _wanted_spare = before
        while len(_spare) > before:
            _spare.pop().close()


def launch() -> Launcher:
    """A fresh launcher, one of the spare ones if there are any."""
    try:
        launcher = _spare.popleft()
    except IndexError:
        launcher = Launcher(isolation())
    _refill()
    return launcher


@functools.cache
def isolation() -> Isolation:
    """The strongest level that this machine offers, tried once; warns where it is only `rlimits`."""
    for level in LEVELS[:-1]:
        if works(level):
            return level
    warnings.warn(
        "the sandbox has neither bubblewrap nor user namespaces here: code is limited, but it can read and write "
        "what you can. Install bubblewrap, or run only code that you trust.",
        RuntimeWarning,
        stacklevel=2,
    )
    return "rlimits"


def works(level: Isolation) -> bool:
    """Whether a sandbox of this level starts on this machine."""
    if (level == "bwrap" and shutil.which("bwrap") is None) or (level != "rlimits" and sys.platform != "linux"):
        return False
    try:
        launcher = Launcher(level)
    except wire.Broken:
        return False
    try:
        launcher.ready()
    except wire.Broken:
        return False
    finally:
        launcher.close()
    return True


def _refill() -> None:
    while len(_spare) < _wanted_spare:
        _spare.append(Launcher(isolation()))


@atexit.register
def _close_spare() -> None:
    while _spare:
        _spare.pop().close()


def _bwrap() -> list[str]:
    """The bubblewrap command line in front of the interpreter's. Sized folders want version 0.6 or later."""
    words = [str(shutil.which("bwrap")), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    words += ["--die-with-parent", "--as-pid-1"]
    if os.geteuid() != 0:  # the superuser sets the view up itself and becomes nobody before any code runs
        words += ["--unshare-user"]
    for place in ("/box", "/tmp"):
        words += ["--perms", "1777", "--size", str(FOLDER_BYTES), "--tmpfs", place]
    above = {str(folder) for path, _ in _readable() for folder in Path(path).parents}
    for folder in sorted(above - {"/", "/tmp"}):  # made here, because those that --ro-bind makes are for root alone
        words += ["--perms", "0755", "--dir", folder]
    for path, target in _readable():
        words += ["--symlink", target, path] if target else ["--ro-bind", path, path]
    words += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    words += ["--perms", "1777", "--size", str(FOLDER_BYTES), "--tmpfs", "/dev/shm"]
    for path in _hidden():
        words += ["--tmpfs", path, "--remount-ro", path]
    return [*words, "--remount-ro", "/", "--chdir", "/box", "--"]


@functools.cache
def _parts() -> list[tuple[str, Any]]:
    sources = [(name, importlib.util.find_spec(f"assay.integrations.{name}")) for name in _PARTS]
    return [(name, compile(Path(str(spec.origin)).read_text("utf-8"), name, "exec")) for name, spec in sources if spec]


@functools.cache
def _readable() -> list[tuple[str, str]]:
    """(path, link target or "") of all that the code may read: the system's programs and this interpreter."""
    shown: list[tuple[str, str]] = []
    system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]
    system += ["/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime"]
    own = [
        os.path.join(prefix, inner)
        for prefix in dict.fromkeys((sys.base_prefix, sys.prefix))
        for inner in ("bin", "lib", "lib64", "pyvenv.cfg")
    ]
    for path in [*system, *own]:
        above = any(path.startswith(f"{other}/") for other, target in shown if not target)
        if os.path.islink(path) and not above:
            link = os.readlink(path)
            if path == "/etc/localtime":
                link = os.path.realpath(path)
            shown.append((path, link))
        elif os.path.exists(path) and not above:
            shown.append((path, ""))
    return shown


@functools.cache
def _hidden() -> list[str]:
    """Readable folders that appear empty: Assay's own, whose worlds know the answers."""
    own = str(Path(__file__).resolve().parent.parent)
    return [own] if any(own.startswith(f"{path}/") for path, target in _readable() if not target) else []


def _environment(folder: str | None) -> dict[str, str]:
    programs = [os.path.join(prefix, "bin") for prefix in dict.fromkeys((sys.prefix, sys.base_prefix))]
    home = folder or "/tmp"
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    return {
        "PATH": ":".join([*programs, "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": home,
        "TMPDIR": home,
        "USER": "nobody",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",  # the same code gives the same result
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        **threads,
    }


def _own_threads() -> int:
    """How many tasks this user runs already: without namespaces they count towards the limit of processes."""
    import psutil

    uid, count = os.getuid(), 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        if process.info["uids"] and process.info["uids"].real == uid:
            count += process.info["num_threads"] or 0
    return count
