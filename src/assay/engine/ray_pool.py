"""The pool on a Ray cluster: the same workers, each under an actor that keeps its clock, memory and output.

An actor holds a local `Pool` of one worker, so a unit meets the same process, limits, network block and statuses as
on this machine. One unit at a time goes to an actor; up to twice as many as there are actors are taken on, so that
the next is there when one is done. Jobs travel packed and name the trial's functions; files they need (fixtures,
trained models) are sent where the node's cache lacks them. Results are `Done`, kept by the coordinator's journal.

Pairs must come from like machines, and a result from the code it is booked under: nodes of another kind than this
machine, or with other source of the trial, are left out.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from assay.engine.files import put
from assay.engine.pool import SAMPLE_S, Done, Limits, Parcel, Pool, pack
from assay.engine.ray_cluster import join, on_node, ray, room
from assay.engine.trial import Status
from assay.engine.worker import Job, Outcome
from assay.errors import EnvironmentFailed, UserError, first_line
from assay.places import cache_root

QUEUE = 2  # units taken on for every actor: one it works on, one that is next
SUSPECT_S = 30.0  # Ray needs so long to notice that a node is gone: others are preferred after an actor was lost
ATTEMPTS = 2  # a unit whose actor or node was lost is scheduled again once
CLOSE_S = 3.0  # for an idle worker to close what it keeps open


class Host:
    """Runs on a node, as a Ray actor: a local pool of one worker."""

    def __init__(self, modules: tuple[str, ...], threads: int, network: bool, fresh: bool) -> None:
        # Units see the node's variables without those of Ray, so that they meet what they meet in a local pool.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_") and k != "PYTHONPATH"}
        self._pool = Pool(1, modules=modules, threads=threads, network=network, fresh=fresh, environment=kept)

    def run(
        self, parcel: Parcel, limits: Limits, files: Mapping[str, Sequence[Any]], fetch: str
    ) -> tuple[Done, bytes | None]:
        """Run one unit. `files` are references to what must be in the node's cache; `fetch` is one to bring back."""
        for place, (reference,) in files.items():
            if not (path := cache_root() / place).exists():
                put(path, ray().get(reference))
        self._pool.forward(parcel, limits)
        while not (done := self._pool.wait()):
            pass
        path = cache_root() / fetch
        return done[0], path.read_bytes() if fetch and path.is_file() else None

    def close(self) -> None:
        self._pool.close()


@dataclass(frozen=True)
class _Task:
    """A unit that was taken on, with what goes with it."""

    parcel: Parcel
    limits: Limits
    files: Mapping[str, Sequence[Any]]
    fetch: str


@dataclass(eq=False)
class _Seat:
    """An actor, the node it is bound to, and the task it works on with the reference to its result."""

    actor: Any
    node: str
    task: _Task | None = None
    reference: Any = None


class RayPool:
    """Up to `size` actors, as many as the cluster has room for; used as `Pool` is."""

    def __init__(
        self,
        address: str,
        size: int,
        *,
        modules: tuple[str, ...],
        code: str,
        threads: int,
        memory_mb: int,
        network: bool,
        fresh: bool,
        assets: Sequence[Path] = (),
        note: Callable[[str], None],
    ) -> None:
        """address: '' for a session of our own on this machine, else that of a running cluster, or 'auto'.

        Raises EnvironmentFailed where the cluster cannot be reached or has no node that can take part.
        """
        if size < 1:
            raise UserError(f"workers: got {size}, wanted at least 1")
        join(address, modules)
        self._modules, self._threads, self._network, self._fresh = modules, threads, network, fresh
        self._memory = memory_mb << 20 if address else 0  # in a session of our own, limits are enough
        self._nodes = room(modules, code, threads, self._memory, note)
        self.size = min(size, sum(node.actors for node in self._nodes.values()))
        self._files = {place: [ray().put(path.read_bytes())] for path in assets if (place := _place(path))}
        self._seats: list[_Seat] = []
        self._waiting: deque[_Task] = deque()
        self._tries: Counter[str] = Counter()
        self._lost_at: dict[str, float] = {}  # node -> when it last lost an actor

    def __enter__(self) -> RayPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def busy(self) -> int:
        """How many units were taken on and are not done."""
        return len(self._waiting) + sum(s.task is not None for s in self._seats)

    @property
    def free(self) -> bool:
        """Whether another job can be submitted."""
        return self.busy < QUEUE * self.size

    def submit(self, job: Job, limits: Limits) -> None:
        """Take on the job; it starts as soon as an actor is idle."""
        path = Path(job.fixture_path) if job.fixture_path else None
        place = f"fixtures/{path.name}" if path else ""
        files = dict(self._files)
        if job.has_fixture and path is not None:
            if place not in self._files:
                self._files[place] = [ray().put(path.read_bytes())]
            files[place] = self._files[place]
        parcel = pack(replace(job, fixture_path=place))
        self._waiting.append(_Task(parcel, limits, files, place if job.kind == "fixture" else ""))
        self._hand_out()

    def wait(self, timeout: float = SAMPLE_S) -> list[Done]:
        """What got done, after at most `timeout` seconds."""
        self._hand_out()
        busy = {seat.reference: seat for seat in self._seats if seat.task is not None}
        if not busy:
            return []
        references = list(busy)
        ready, _ = ray().wait(references, num_returns=1, timeout=timeout)
        if ready:
            ready, _ = ray().wait(references, num_returns=len(references), timeout=0)
        done = [d for reference in ready if (d := self._collect(busy[reference])) is not None]
        self._hand_out()
        return done

    def kill_running(self) -> list[Done]:
        """Kill every actor that has a unit; the units, and those that wait, come back as `cancelled`."""
        cut = [seat for seat in self._seats if seat.task is not None]
        tasks = [seat.task for seat in cut if seat.task is not None] + list(self._waiting)
        for seat in cut:
            self._dismiss(seat)
        self._waiting.clear()
        return [_never_done(task, "cancelled", "interrupted") for task in tasks]

    def close(self) -> None:
        """End all actors; idle ones close what their workers keep open first."""
        idle = [seat.actor.close.remote() for seat in self._seats if seat.task is None]
        if idle:
            ray().wait(idle, num_returns=len(idle), timeout=CLOSE_S)
        for seat in list(self._seats):
            self._dismiss(seat)

    # --- actors ---

    def _hand_out(self) -> None:
        while self._waiting:
            seat = next((s for s in self._seats if s.task is None), None)
            if seat is None and len(self._seats) < self.size:
                seat = self._start()
            if seat is None:
                return
            task = self._waiting.popleft()
            seat.task = task
            seat.reference = seat.actor.run.remote(task.parcel, task.limits, task.files, task.fetch)

    def _start(self) -> _Seat | None:
        """An actor on the node with the most room left; None where there is none, as after nodes were lost."""
        alive = {n["NodeID"] for n in ray().nodes() if n["Alive"]} & set(self._nodes)
        sound = {n for n in alive if time.monotonic() - self._lost_at.get(n, -SUSPECT_S) >= SUSPECT_S}
        taken = Counter(seat.node for seat in self._seats)
        left = {name: self._nodes[name].actors - taken[name] for name in sorted(sound or alive)}
        name = max(left, key=left.__getitem__, default="")
        if not name or left[name] < 1:
            if not self._seats:
                raise EnvironmentFailed("every node of the Ray cluster is gone; run again to go on")
            return None
        needs = {"num_cpus": self._nodes[name].cpus, "memory": self._memory or None}
        host = ray().remote(Host).options(**needs, max_restarts=0, scheduling_strategy=on_node(name))
        self._seats.append(_Seat(host.remote(self._modules, self._threads, self._network, self._fresh), name))
        return self._seats[-1]

    def _collect(self, seat: _Seat) -> Done | None:
        """The result of a seat whose task is over; None where it was lost and is scheduled again."""
        task = seat.task
        assert task is not None
        try:
            done, fetched = ray().get(seat.reference)
        except ray().exceptions.RayTaskError:
            raise  # a fault of our own code
        except ray().exceptions.RayError as error:
            return self._lost(seat, task, error)
        seat.task = seat.reference = None
        if fetched is not None and not (path := cache_root() / task.fetch).exists():
            put(path, fetched)
        assert isinstance(done, Done)
        return done

    def _lost(self, seat: _Seat, task: _Task, error: Exception) -> Done | None:
        self._dismiss(seat)
        self._lost_at[seat.node] = time.monotonic()
        self._tries[task.parcel.key] += 1
        if self._tries[task.parcel.key] < ATTEMPTS:
            self._waiting.appendleft(task)
            return None
        return _never_done(task, "killed", f"its Ray actor was lost, and so was the next one: {first_line(error)}")

    def _dismiss(self, seat: _Seat) -> None:
        ray().kill(seat.actor, no_restart=True)
        self._seats.remove(seat)


def _never_done(task: _Task, status: Status, why: str) -> Done:
    return Done(Outcome(task.parcel.key, status, error=why), time.time(), 0.0, b"")


# --- files -------------------------------------------------------------------------------------------------------


def _place(path: Path) -> str:
    """Where a file of the cache lies in it; '' for one that came with a package and is on the node with it."""
    return path.relative_to(cache_root()).as_posix() if path.is_relative_to(cache_root()) else ""
