"""One unit must not be able to change the next: everything an arm may turn is put back when it ends."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import ipaddress
import logging
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from assay.engine.resources import stray_children
from assay.engine.scratch import scratch

# Modules whose own names are put back if an arm patched them (those of NumPy and torch once they are loaded).
_GUARDED = ("builtins", "json", "math", "os", "random", "socket", "subprocess", "time", "tempfile")
_GUARDED_LATER = ("numpy", "numpy.random", "torch", "torch.random", "torch.nn.functional")

_streams: list[int] = []
_last_seed: list[int] = []


class NetworkDisabled(PermissionError):
    """An arm tried to reach another machine; `--allow-network` lets it."""


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Run a unit in an empty folder of its own; afterwards restore the interpreter and throw the folder away."""
    restorers = [_modules(), _interpreter(), _signals(), _logging(), _numpy(), _torch()]
    environment, path, cwd = dict(os.environ), list(sys.path), os.getcwd()
    with scratch("unit") as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            for restore in restorers:
                restore()
            os.environ.clear()
            os.environ.update(environment)
            sys.path[:] = path
            os.chdir(cwd)


def seed_everything(number: int) -> None:
    """Seed the global generators of random, NumPy and torch with one 32-bit number.

    Torch is not loaded for it; where an arm imports it later, `torch_set_up` seeds it then, so that an arm draws
    the same numbers in a fresh process and in one that has torch already.
    """
    import numpy

    _last_seed[:] = [number]
    random.seed(number)
    numpy.random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)


@contextlib.contextmanager
def torch_set_up(threads: int) -> Iterator[None]:
    """While it lasts, torch is set up as soon as anything imports it: threads, deterministic kernels, the seed."""
    finder = _TorchFinder(threads)
    if "torch" in sys.modules:
        finder.set_up(sys.modules["torch"])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _TorchFinder(importlib.abc.MetaPathFinder):
    """Lets the usual finders find torch, and sets it up right after its code has run."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._asking = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "torch" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec("torch")
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_set_up(module: ModuleType) -> None:
                execute(module)
                self.set_up(module)

            spec.loader.exec_module = execute_and_set_up  # type: ignore[method-assign]
        return spec

    def set_up(self, torch: Any) -> None:
        torch.set_num_threads(self._threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        if _last_seed:
            torch.manual_seed(_last_seed[0])


def leftovers() -> str:
    """What is still running that would outlive a unit: non-daemon threads and child processes; '' for none."""
    main = threading.main_thread()
    threads = [t.name for t in threading.enumerate() if not t.daemon and t is not main and t.is_alive()]
    found = [f"thread {name}" for name in threads] + [f"process {pid}" for pid in sorted(stray_children())]
    return ", ".join(found)


# A name that never resolves (RFC 2606), so that a program that asks for a proxy says why it gets nowhere.
_NO_PROXY_HERE = "http://units-have-no-network.invalid:9"


def disable_network() -> None:
    """Let this process reach no other machine through Python's sockets; loopback and Unix sockets stay open.

    This keeps a trial from a download that nobody meant, and is no sandbox. Programs that an arm starts get proxy
    variables that lead nowhere, which stops those that honour them (curl, wget, pip, git, Python's and Node's usual
    clients); one that opens connections by itself is not stopped, and neither is C code in this process. Code that
    is not trusted belongs into the sandbox, which has no network at all.
    """
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = _NO_PROXY_HERE
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "localhost,127.0.0.1,::1"
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_outside(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_outside(self.family, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        if host is not None:
            _refuse_outside(socket.AF_INET, (host,))
        return resolve(host, *rest, **named)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = guarded_getaddrinfo


def keep_output() -> None:
    """Remember where descriptors 0, 1 and 2 of this process lead, for `fresh_output`."""
    _streams[:] = [os.dup(fd) for fd in range(3)]


def fresh_output() -> None:
    """Descriptors 0, 1 and 2 as they were, and new sys.stdin, stdout and stderr on them, whatever an arm did."""
    for fd, kept in enumerate(_streams):
        os.dup2(kept, fd)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8", "replace")
    for name, fd in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(io.FileIO(fd, "w", closefd=False))
        setattr(sys, name, io.TextIOWrapper(raw, "utf-8", "replace", line_buffering=True))


def _refuse_outside(family: int, address: Any) -> None:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = address[0].decode() if isinstance(address[0], bytes) else str(address[0])
    try:
        inside = ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        inside = host in ("localhost", "", socket.gethostname())
    if not inside:
        raise NetworkDisabled(f"a unit may not connect to {host}: trials use no network (allow it: --allow-network)")


Restore = Callable[[], None]


def _modules() -> Restore:
    names = [*_GUARDED, *(m for m in _GUARDED_LATER if m in sys.modules)]
    saved = [(sys.modules[m], dict(vars(sys.modules[m]))) for m in names if m in sys.modules]

    def restore() -> None:
        for module, before in saved:
            now = vars(module)
            for name, value in before.items():
                if now.get(name, saved) is not value:
                    setattr(module, name, value)

    return restore


def _interpreter() -> Restore:
    hooks = sys.excepthook, threading.excepthook, sys.displayhook
    limit, filters, argv, umask = sys.getrecursionlimit(), warnings.filters[:], sys.argv[:], os.umask(0o022)
    os.umask(umask)
    trace, profile, show = sys.gettrace(), sys.getprofile(), warnings.showwarning

    def restore() -> None:
        sys.excepthook, threading.excepthook, sys.displayhook = hooks
        sys.setrecursionlimit(limit)
        warnings.filters[:] = filters  # type: ignore[index]
        warnings.showwarning = show
        sys.argv[:] = argv
        os.umask(umask)
        sys.settrace(trace)
        sys.setprofile(profile)

    return restore


def _signals() -> Restore:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return restore


def _logging() -> Restore:
    root = logging.getLogger()
    level, handlers, disabled = root.level, root.handlers[:], root.manager.disable

    def restore() -> None:
        root.setLevel(level)
        root.handlers[:] = handlers
        root.manager.disable = disabled

    return restore


def _numpy() -> Restore:
    import numpy

    errors, printing = numpy.geterr(), numpy.get_printoptions()

    def restore() -> None:
        numpy.seterr(**errors)
        numpy.set_printoptions(**printing)

    return restore


def _torch() -> Restore:
    """Grad mode, default dtype and device, threads and the deterministic switch; as in a fresh worker where torch
    was not loaded before the unit."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
    torch = sys.modules.get("torch")
    grad, dtype, deterministic = True, None, True
    if torch is not None:
        grad, dtype, threads = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
        deterministic = torch.are_deterministic_algorithms_enabled()

    def restore() -> None:
        torch = sys.modules.get("torch")
        if torch is None:
            return
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype or torch.float32)
        torch.set_default_device(None)
        if threads and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=True)

    return restore
