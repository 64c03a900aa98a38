"""A pool of worker processes on this machine: time and memory limits, kill, replace, and never an orphan.

A worker is a fresh interpreter in a session of its own (`python -c "... main(fd)"`), not a fork: threads, locks and
torch's pools are not inherited, and `OMP_NUM_THREADS` and `PYTHONHASHSEED` are set before anything is imported.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType

from assay.engine.cgroup import Cgroup, cgroup_for
from assay.engine.cgroup import sweep as sweep_cgroups
from assay.engine.processes import MARK, Guard, kill_tree, signal_group, tree_rss_mb
from assay.engine.scratch import sweep as sweep_folders
from assay.engine.trial import Status
from assay.engine.worker import MESSAGE_LIMIT, Job, Outcome, Setup

TERM_GRACE_S = 5.0  # between SIGTERM and SIGKILL of a unit that ran out of time
START_LIMIT_S = 300.0  # importing torch on a busy machine takes tens of seconds
LOG_LIMIT = 1 << 20  # bytes of a unit's output that are kept: the last ones
UNITS_PER_WORKER = 200
RSS_GROWTH_MB = 500.0
SAMPLE_S = 0.1  # how often memory is looked at
_MALLOC = {"MALLOC_ARENA_MAX": "2"}  # glibc keeps an arena a thread otherwise, which looks like a leak


@dataclass(frozen=True)
class Limits:
    """What one unit may take."""

    timeout_s: float
    memory_mb: int


@dataclass(frozen=True)
class Parcel:
    """A job on its way to a worker: all but its key is pickled, so that nothing of a trial is imported before."""

    key: str
    body: bytes


def pack(job: Job) -> Parcel:
    """Raises ValueError for a job that is too large for a message."""
    body = pickle.dumps((job.key, pickle.dumps(job, protocol=5)), protocol=5)
    if len(body) > MESSAGE_LIMIT:
        raise ValueError(f"a unit of {len(body) >> 20} MB cannot be sent to a worker: limit {MESSAGE_LIMIT >> 20}")
    return Parcel(job.key, body)


@dataclass(frozen=True)
class Done:
    """A finished unit as the pool hands it out."""

    outcome: Outcome
    started: float
    peak_mb: float
    log: bytes


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    output: int  # read end of its stdout and stderr
    born: float
    cgroup: Cgroup | None = None
    ready: bool = False
    units: int = 0
    idle_rss_mb: float = 0.0
    job: Parcel | None = None
    limits: Limits = Limits(0, 0)
    started: float = 0.0
    begun: float = 0.0
    peak_mb: float = 0.0
    condemned: Status | None = None
    kill_at: float = 0.0
    log: deque[bytes] = field(default_factory=deque)
    log_size: int = 0


class Pool:
    """Up to `size` workers; `submit` a job while `free`, then `wait` for what is done. Use as a context manager."""

    def __init__(
        self,
        size: int,
        *,
        modules: tuple[str, ...],
        threads: int,
        network: bool,
        fresh: bool,
        environment: Mapping[str, str] | None = None,  # of the workers; None: this process's
    ) -> None:
        self.size = size
        self._setup = Setup(modules=modules, parent=os.getpid(), threads=threads, network=network)
        self._fresh = fresh
        self._workers: list[_Worker] = []
        self._leaving: list[tuple[_Worker, float]] = []
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._guard = Guard()
        self._environment = {
            **(os.environ if environment is None else environment),
            **_thread_variables(threads),
            **_MALLOC,
            "PYTHONHASHSEED": "0",
            MARK: self._guard.mark,
        }
        self._watchdog = threading.Thread(target=self._look_after, name="assay-memory", daemon=True)
        self._watchdog.start()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def busy(self) -> int:
        """How many units are being worked on."""
        return sum(w.job is not None for w in self._workers)

    @property
    def free(self) -> bool:
        """Whether another job can be submitted."""
        return self.busy < self.size

    def submit(self, job: Job, limits: Limits) -> None:
        """Hand the job to an idle worker, or to a new one."""
        self.forward(pack(job), limits)

    def forward(self, parcel: Parcel, limits: Limits) -> None:
        """The same with a job that was packed elsewhere."""
        idle = next((w for w in self._workers if w.job is None), None) or self._start()
        idle.job, idle.limits = parcel, limits
        idle.log.clear()
        idle.log_size, idle.peak_mb, idle.condemned, idle.kill_at = 0, 0.0, None, 0.0
        if idle.cgroup:
            idle.cgroup.limit(limits.memory_mb)
        if idle.ready:
            self._send(idle)

    def wait(self, timeout: float = SAMPLE_S) -> list[Done]:
        """What got done, after at most `timeout` seconds; also keeps the clocks."""
        sources: dict[object, _Worker] = {}
        for worker in self._workers:
            sources[worker.connection] = worker
            sources[worker.output] = worker
        done: list[Done] = []
        for source in wait(list(sources), timeout):  # type: ignore[arg-type]
            worker = sources[source]
            if worker not in self._workers:
                continue  # buried a moment ago, on account of its other source
            if source is worker.connection:
                done += self._receive(worker)
            else:
                self._read_output(worker)
        for worker in list(self._workers):
            done += self._check(worker)
        self._reap()
        return done

    def kill_running(self) -> list[Done]:
        """Kill every worker that has a unit; the units come back as `cancelled`."""
        done = []
        for worker in [w for w in self._workers if w.job is not None]:
            worker.condemned = "cancelled"
            done.append(self._bury(worker))
        return done

    def close(self) -> None:
        """End all workers: idle ones by themselves (so that they close their resources), others by force."""
        self._closed.set()
        for worker in list(self._workers):
            if worker.job is None and worker.ready:
                self._retire(worker)
            else:
                self._bury(worker)
        while self._leaving:
            self._reap()
            time.sleep(0.01)
        self._watchdog.join()
        self._guard.close()

    # --- life and death of a worker ---

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        code = f"import sys; sys.path[:] = {sys.path!r}; from assay.engine.worker import main; main({theirs.fileno()})"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            pass_fds=(theirs.fileno(),),
            env=self._environment,
            start_new_session=True,
        )
        self._guard.watch(process.pid)
        theirs.close()
        os.close(write_end)
        worker = _Worker(process, Connection(ours.detach()), read_end, time.monotonic(), cgroup_for(process.pid))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died already: `_check` will see
            worker.connection.send_bytes(pickle.dumps(self._setup))
        with self._lock:
            self._workers.append(worker)
        return worker

    def _send(self, worker: _Worker) -> None:
        assert worker.job is not None
        worker.started, worker.begun = time.time(), time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.connection.send_bytes(worker.job.body)

    def _receive(self, worker: _Worker) -> list[Done]:
        try:
            message = worker.connection.recv_bytes(MESSAGE_LIMIT)
        except (EOFError, OSError):
            return [self._bury(worker)] if worker.job is not None else self._drop(worker)
        if not worker.ready:
            worker.ready = True
            if worker.job is not None:
                self._send(worker)
            return []
        return [self._finish(worker, pickle.loads(message))]

    def _finish(self, worker: _Worker, outcome: Outcome) -> Done:
        self._read_output(worker)
        with self._lock:
            worker.job = None
            done = Done(outcome, worker.started, worker.peak_mb, b"".join(worker.log)[-LOG_LIMIT:])
            worker.units += 1
            worker.idle_rss_mb = worker.idle_rss_mb or outcome.rss_mb
        swollen = outcome.rss_mb - worker.idle_rss_mb > RSS_GROWTH_MB
        if outcome.leftovers:
            self._bury(worker)
        elif self._fresh or swollen or worker.units >= UNITS_PER_WORKER:
            self._retire(worker)
        return done

    def _check(self, worker: _Worker) -> list[Done]:
        if worker not in self._workers:
            return []
        now = time.monotonic()
        if worker.process.poll() is not None:
            if worker.ready and worker.connection.poll():
                return self._receive(worker)  # its last word
            return [self._bury(worker)] if worker.job is not None else self._drop(worker)
        if worker.job is None:
            return []
        if not worker.ready:
            if now - worker.born > START_LIMIT_S:
                worker.condemned = "timeout"
                return [self._bury(worker)]
        elif worker.kill_at:
            if now > worker.kill_at:
                return [self._bury(worker)]
        elif now - worker.begun > worker.limits.timeout_s:
            worker.condemned, worker.kill_at = "timeout", now + TERM_GRACE_S
            signal_group(worker.process.pid, signal.SIGTERM)
        return []

    def _bury(self, worker: _Worker) -> Done:
        """Kill the worker with all that it started, and say what became of its unit."""
        kill_tree(worker.process)
        code = worker.process.wait()
        self._read_output(worker)
        if worker.cgroup and worker.cgroup.overrun and worker.condemned is None:
            worker.condemned, worker.peak_mb = "oom", max(worker.peak_mb, worker.limits.memory_mb)
        job, seconds = worker.job, time.monotonic() - worker.begun if worker.begun else 0.0
        status: Status = worker.condemned or "killed"
        outcome = Outcome(job.key if job else "", status, seconds=seconds, error=_obituary(worker, status, code))
        done = Done(outcome, worker.started or time.time(), worker.peak_mb, b"".join(worker.log)[-LOG_LIMIT:])
        self._drop(worker)
        return done

    def _retire(self, worker: _Worker) -> None:
        """Let an idle worker end by itself; it gets two seconds."""
        self._leaving.append((worker, time.monotonic() + 2.0))
        self._forget(worker)

    def _drop(self, worker: _Worker) -> list[Done]:
        self._forget(worker)
        self._gone(worker)
        return []

    def _forget(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.remove(worker)
        worker.connection.close()
        os.close(worker.output)

    def _reap(self) -> None:
        for worker, deadline in list(self._leaving):
            if worker.process.poll() is None and time.monotonic() < deadline:
                continue
            kill_tree(worker.process)
            worker.process.wait()
            self._leaving.remove((worker, deadline))
            self._gone(worker)

    def _gone(self, worker: _Worker) -> None:
        self._guard.forget(worker.process.pid)
        if worker.cgroup:
            worker.cgroup.remove()

    # --- output and memory ---

    def _read_output(self, worker: _Worker) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):  # a pipe holds 64 kB; one that prints without end must not hold us up
                if not (chunk := os.read(worker.output, 1 << 16)):
                    return
                worker.log.append(chunk)
                worker.log_size += len(chunk)
                while worker.log_size - len(worker.log[0]) >= LOG_LIMIT:
                    worker.log_size -= len(worker.log.popleft())

    def _look_after(self) -> None:
        """Runs in a thread of its own: clears away what killed runs left, then watches memory."""
        sweep_folders()
        sweep_cgroups()
        self._watch_memory()

    def _watch_memory(self) -> None:
        while not self._closed.wait(SAMPLE_S):
            with self._lock:
                watched = [(w, w.job) for w in self._workers if w.job is not None and w.begun]
            for worker, job in watched:
                used = tree_rss_mb(worker.process.pid)
                with self._lock:
                    if worker.job is not job:
                        continue
                    worker.peak_mb = max(worker.peak_mb, used)
                    if used > worker.limits.memory_mb and worker.condemned is None:
                        worker.condemned = "oom"
                        signal_group(worker.process.pid, signal.SIGKILL)


def _thread_variables(threads: int) -> dict[str, str]:
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))


def _obituary(worker: _Worker, status: Status, code: int) -> str:
    if status == "timeout":
        return f"ran longer than {worker.limits.timeout_s:g} s" if worker.ready else "the worker did not start"
    if status == "oom":
        return f"used {worker.peak_mb:.0f} MB, limit {worker.limits.memory_mb} MB"
    if status == "cancelled":
        return "interrupted"
    how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    return f"the worker ended inside the unit: {how}"
