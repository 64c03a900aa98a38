"""The sandbox's first process: starts the untrusted child, watches it, ends it, and hands back what it left.

It is trusted but confined like the code itself, so a bug here costs a run and not the machine. It runs one request
after another from file 0 and answers each with one message on file 1. In namespaces it is process 1: the kernel
shields it from the code's signals, and one call ends everything else before the folder is read.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from assay.integrations import _sandbox_child as child_side
from assay.integrations import _sandbox_kernel as kernel
from assay.integrations import _sandbox_watch as watch
from assay.integrations import _sandbox_wire as wire

TICK_SECONDS = 0.02
INODE_BYTES = 1024  # kernel memory that an empty file holds


def main(setup: dict[str, Any]) -> None:
    """Take the place that `setup` describes, say so, and serve requests until the pipe closes."""
    control, replies = os.dup(0), os.dup(1)
    try:
        alone = setup["level"] != "rlimits"
        if sys.platform == "linux":
            kernel.new_keyring()
        if setup["level"] == "namespaces":
            kernel.new_view(setup["readable"], setup["hidden"], setup["folder_bytes"])
        if alone:
            kernel.renounce()
        elif sys.platform == "linux":
            kernel.adopt_orphans()
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(nothing, fd)
        os.close(nothing)
        box = Box(kernel.FOLDER if alone else setup["folder"], setup, control)
    except OSError as error:
        wire.send(replies, wire.message({"ready": False, "error": str(error)}))
        return
    wire.send(replies, wire.message({"ready": True}))
    while True:
        try:
            head, blobs = wire.receive(control)
        except wire.Broken:
            box.leave()
        wire.send(replies, box.serve(head, blobs))


class Box:
    """One folder and at most one running child with its pipes."""

    def __init__(self, folder: str, setup: dict[str, Any], control: int) -> None:
        self.folder, self.setup, self.control = folder, setup, control
        self.alone = setup["level"] != "rlimits"
        self.child = 0
        self.session: tuple[str, int] | None = None
        os.chdir(folder)

    def serve(self, head: dict[str, Any], blobs: list[bytes]) -> bytes:
        """Answer one request: `python`, `command`, `open`, `call` or `reset`."""
        started = time.monotonic()
        kind = head["kind"]
        error, status, value, files = None, None, b"", {}
        if kind == "open":
            self.session = (head["code"], head["memory_mb"])
        elif kind == "reset":
            self.end()
            self.wipe()
        elif kind == "call":
            error, value = self.call(head, blobs, started + head["timeout"])
        else:
            names = head["names"]
            given = dict(zip(names, blobs))
            self.write(given)
            if kind == "python":
                inputs = blobs[len(names)]
                self.start(lambda: child_side.run_code(head["code"], inputs, -1, self.results_end), head)
            else:
                self.start(lambda: os.execvpe(head["argv"][0], head["argv"], dict(os.environ)), head)
            error, value, status = self.wait(started + head["timeout"], head["memory_mb"], kind == "python")
            self.end()
            files, problem = self.left(given)
            error = error or problem
        reply = {"error": error, "seconds": time.monotonic() - started, "names": list(files)}
        reply["status"] = status if kind == "command" else None
        texts = [bytes(self.output[i]) for i in (0, 1)] if kind not in ("open", "reset") else [b"", b""]
        return wire.message(reply, [*texts, value, *files.values()])

    def call(self, head: dict[str, Any], blobs: list[bytes], deadline: float) -> tuple[str | None, bytes]:
        """One call into the session, whose code is run first where it is not alive (at the start, after a death)."""
        assert self.session is not None
        code, memory_mb = self.session
        if not self.child:
            calls, self.calls = os.pipe()
            head = {**head, "memory_mb": memory_mb}
            nothing = wire.encode({})
            self.start(lambda: child_side.run_code(code, nothing, calls, self.results_end), head, calls)
            os.close(calls)
            error, value, _ = self.wait(deadline, memory_mb, True)
            with contextlib.suppress(wire.Broken):
                error = error or wire.parse(value)[0].get("error")
            if error is not None:
                self.end()
                self.wipe()
                return f"in the session's code: {error}", b""
        else:
            self.output = (bytearray(), bytearray())
        with contextlib.suppress(BrokenPipeError):  # a child that has died since is found dead by `wait`
            wire.send(self.calls, blobs[0])
        error, value, _ = self.wait(deadline, memory_mb, True)
        if error is not None:
            self.end()
            self.wipe()
            error += "; the session starts anew"
        return error, value

    def write(self, given: dict[str, bytes]) -> None:
        """The input files, and standard input as a file without a name."""
        for name, content in given.items():
            if name != "stdin":
                os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
                with open(name, "wb") as file:
                    file.write(content)
        self.stdin = os.open("stdin", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink("stdin")
        wire.send(self.stdin, given.get("stdin", b""))
        os.lseek(self.stdin, 0, os.SEEK_SET)

    def start(self, work: Callable[[], object], head: dict[str, Any], keep: int = -1) -> None:
        """Fork the child with its own pipes (and the file `keep`) only; in it, take the limits on and do `work`."""
        out, err, results = os.pipe(), os.pipe(), os.pipe()
        self.results_end = results[1]
        os.set_inheritable(results[1], True)  # its end tells that a command has ended
        self.child = os.fork()
        if self.child == 0:
            try:
                stdin = self.stdin if head["kind"] != "call" else os.open(os.devnull, os.O_RDONLY)
                for fd, source in enumerate((stdin, out[1], err[1])):
                    os.dup2(source, fd)
                for fd in range(3, max(*map(int, os.listdir("/dev/fd")), results[1]) + 1):
                    if fd not in (keep, results[1]):
                        with contextlib.suppress(OSError):
                            os.close(fd)
                os.setsid()
                setup = self.setup
                child_side.limit(head["memory_mb"], setup["folder_bytes"], setup["processes"], alone=self.alone)
                work()
            except BaseException as error:  # noqa: BLE001  (nothing may unwind into the parent's copy of the stack)
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(127)
            os._exit(0)
        for fd in (out[1], err[1], results[1]):
            os.close(fd)
        for fd in (out[0], err[0], results[0]):
            os.set_blocking(fd, False)
        self.pipes = {"out": out[0], "err": err[0], "results": results[0]}
        self.output = (bytearray(), bytearray())
        self.pending = bytearray()

    def wait(self, deadline: float, memory_mb: int, wants_value: bool) -> tuple[str | None, bytes, int | None]:
        """(error, the child's message, exit status) once it answered or ended, broke a limit, or time is up."""
        look_at_memory = 0.0
        with selectors.DefaultSelector() as selector:
            for fd in (*self.pipes.values(), self.control):
                selector.register(fd, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(TICK_SECONDS)}
                if self.control in ready:
                    self.leave()
                status = self.reaped()
                for fd in self.read(ready if status is None else set(self.pipes.values())):
                    if fd in selector.get_map():
                        selector.unregister(fd)
                if wants_value and (whole := self.answer()) is not None:
                    return None, whole, status
                now = time.monotonic()
                if status is not None:
                    return self.verdict(status, wants_value), b"", status
                if len(self.pending) > wire.VALUE_LIMIT + 2 * wire.HEAD_LIMIT:
                    return "result: larger than a value may be", b"", None
                if now > deadline:
                    return "timeout", b"", None
                if now > look_at_memory:
                    look_at_memory = now + (0.05 if self.alone else 0.25)
                    if self.memory(memory_mb) > memory_mb * wire.MEGABYTE:
                        return f"memory: more than {memory_mb} MB in all processes and files", b"", None

    def verdict(self, status: int, wants_value: bool) -> str | None:
        """What the end of a child without an answer means; None for a command that went well."""
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        if wants_value:
            return f"exit status {status} before the end of the code"
        return f"exit status {status}" if status else None

    def read(self, ready: set[int]) -> list[int]:
        """Take what the pipes hold, output up to its cap; returns the pipes that have ended."""
        ended = []
        for name, fd in self.pipes.items():
            kept = {"out": self.output[0], "err": self.output[1], "results": self.pending}[name]
            room = 64 * wire.MEGABYTE if name == "results" else wire.OUTPUT_LIMIT
            with contextlib.suppress(BlockingIOError):
                for _ in range(64 if fd in ready else 0):
                    piece = os.read(fd, 65536)
                    kept += piece[: max(0, room - len(kept))]
                    if not piece:
                        ended.append(fd)
                        break
        return ended

    def answer(self) -> bytes | None:
        """The child's message once it is whole; output that it flushed before is read first."""
        size = int.from_bytes(self.pending[:8], "big") + int.from_bytes(self.pending[8:16], "big") + 16
        if len(self.pending) < max(size, 16):
            return None
        self.read(set(self.pipes.values()))
        whole, self.pending = bytes(self.pending[:size]), bytearray()
        return whole

    def reaped(self) -> int | None:
        """Bury the dead; the exit status of the child if it is among them."""
        found = None
        with contextlib.suppress(ChildProcessError):
            while (done := os.waitpid(-1, os.WNOHANG))[0]:
                if done[0] == self.child:
                    found = os.waitstatus_to_exitcode(done[1])
        return found

    def memory(self, memory_mb: int) -> int:
        """Bytes that the code's processes hold and its files take; shared pages are told apart only when it matters."""
        processes = watch.others(alone=self.alone)
        total = sum(watch.resident(pid) for pid in processes) + self.disk()
        if total > memory_mb * wire.MEGABYTE and len(processes) > 1:
            total = sum(watch.proportional(pid) for pid in processes) + self.disk()
        return total

    def disk(self) -> int:
        if self.alone:
            total = 0
            for place in (kernel.FOLDER, kernel.SCRATCH, kernel.SHARED):
                use = os.statvfs(place)
                total += (use.f_blocks - use.f_bfree) * use.f_frsize + (use.f_files - use.f_ffree) * INODE_BYTES
            return total
        return sum(entry.st_blocks * 512 + INODE_BYTES for _, entry in watch.entries(self.folder, deep=64))

    def end(self) -> None:
        """Kill everything that the code started and wait until it is gone."""
        if self.child and not self.alone:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child, signal.SIGKILL)
        patience = time.monotonic() + 5
        while self.child and time.monotonic() < patience:
            if self.alone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
            for pid in [] if self.alone else watch.others(alone=False):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0 if self.alone else os.WNOHANG)
            except ChildProcessError:
                break
        if self.child:
            self.read(set(self.pipes.values()))
            for fd in self.pipes.values():
                os.close(fd)
            if self.session is not None:
                os.close(self.calls)
        self.child = 0

    def leave(self) -> None:
        """The parent has closed the pipe or is gone: end everything, and the folder with it."""
        self.end()
        if not self.alone:
            import shutil  # here, because a run in namespaces never needs it and should start fast

            shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)

    def wipe(self) -> None:
        """Empty what can be written. If the code left what cannot be removed, end: the parent starts a new sandbox."""
        mounted = watch.mount_points() if self.alone else []
        for place in (kernel.FOLDER, kernel.SCRATCH, kernel.SHARED) if self.alone else (self.folder,):
            try:
                _empty(place, mounted)
            except (OSError, RecursionError):
                os._exit(3)

    def left(self, given: dict[str, bytes]) -> tuple[dict[str, bytes], str | None]:
        """The regular files that the code wrote or changed, and what is wrong with them as a whole."""
        found: dict[str, bytes] = {}
        total = 0
        for name, _ in watch.entries(self.folder, deep=16):
            content = watch.content(name, wire.FILES_LIMIT - total + 1 + len(given.get(name, b"")))
            if content is None or given.get(name) == content:
                continue
            total += len(content)
            if total > wire.FILES_LIMIT or len(found) == wire.FILES_COUNT_LIMIT:
                return {}, f"files: more than {wire.FILES_LIMIT >> 20} MB or {wire.FILES_COUNT_LIMIT} files left"
            found[name] = content
        return found, None


def _empty(folder: str, mounted: list[str]) -> None:
    """Remove everything in a folder but what is mounted there, and the folders that lead to it."""
    import shutil  # here, because a single run never wipes and should start fast

    for entry in os.scandir(folder):
        if entry.path in mounted:
            continue
        if not entry.is_dir(follow_symlinks=False):
            os.remove(entry.path)
        elif any(point.startswith(f"{entry.path}/") for point in mounted):
            if os.access(entry.path, os.W_OK):  # where the code cannot write, it has left nothing
                _empty(entry.path, mounted)
        else:
            shutil.rmtree(entry.path)
