"""Ending processes with everything they started, and never leaving one behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil

MARK = "ASSAY_POOL"  # environment variable that every process started under a pool inherits

# Reads "+PID" and "-PID" lines. When its input ends, because the coordinator ended, it kills what is left: the groups
# of the workers, and (where there is a /proc) whatever still carries the pool's mark, wherever it moved to.
_GUARD = """
import os, signal, sys
mark, alive = sys.argv[1].encode(), set()
for line in sys.stdin:
    (alive.add if line[0] == "+" else alive.discard)(int(line[1:]))

def kill(end, pid):
    try:
        end(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass

def marked(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\\0")
    except OSError:
        return False

for pid in alive:
    kill(os.killpg, pid)
for _ in range(3 if os.path.isdir("/proc/self") else 0):
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        if marked(pid):
            kill(os.kill, pid)
"""


class Guard:
    """A small process that outlives this one for a moment, to kill what workers started when this one is killed."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        command = [sys.executable, "-I", "-S", "-c", _GUARD, f"{MARK}={self.mark}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)

    def watch(self, pid: int) -> None:
        """From now on the process and its group are to die with this one."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """The process is gone; its number may soon be another's."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Let the guard end; it kills what is still marked."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody killed it: workers still die with this process
            self._process.stdin.write(line)
            self._process.stdin.flush()


def tree(pid: int) -> Iterator[psutil.Process]:
    """The process and its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        yield top
        yield from top.children(recursive=True)


def tree_rss_mb(pid: int) -> float:
    """Memory of the process and its descendants, in MB."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the worker, its session's process group and every descendant, wherever it moved to."""
    descendants = list(tree(process.pid))
    signal_group(process.pid, signal.SIGKILL)
    for descendant in descendants[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            descendant.kill()


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group, unless it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
