"""What happens inside a worker process: one unit after another, each in its own isolation.

A worker runs `main(fd)` and speaks over that socket in pickled messages (see `pool.py` for the other end).
`perform` is the heart and also runs alone, in-process, for `assay.engine.try` and notebooks.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import numbers
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from assay.engine import isolation
from assay.engine.files import put
from assay.engine.fingerprint import digest
from assay.engine.registry import get_world
from assay.engine.trial import Cost, Json, Measures, Metric, NoHeadroom, Status
from assay.engine.units import Kind
from assay.places import cache_root

MESSAGE_LIMIT = 64 << 20  # bytes
ERROR_LIMIT = 20_000  # characters of a traceback that are kept


@dataclass(frozen=True)
class Setup:
    """The first message to a worker: how it is to be before the first unit."""

    modules: tuple[str, ...]
    parent: int
    threads: int
    network: bool


@dataclass(frozen=True)
class Job:
    """One unit as it is handed to a worker. `function` is the arm, the fixture's build or the headroom probe."""

    key: str
    kind: Kind
    function: Callable[..., Any]
    metric: Metric
    world: str
    world_args: Mapping[str, Json]
    number: int
    sample_seed: int
    has_fixture: bool = False
    fixture_path: str = ""
    fixture_digest: str = ""
    earlier: Measures | None = None
    model: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job."""

    key: str
    status: Status
    measures: Measures | None = None
    digest: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    leftovers: str = ""
    rss_mb: float = 0.0


class LazyModels:
    """The `Models` that arms think with: `assay.models.Models`, imported when an arm first asks for one.

    `outside` names the model of `--model`; arms that can use one hand it to `sampler`. `seed` is what calls of
    samplers without a seed of their own draw from.
    """

    def __init__(self, outside: str | None, seed: int) -> None:
        self.outside = outside
        self._seed = seed
        self._built: Any = None

    def load(self, name: str, words: Sequence[str] = ()) -> tuple[Any, Any]:
        model, tokenizer = self._models().load(name, words)
        return model, tokenizer

    def sampler(self, name: str) -> Any:
        return self._models().sampler(name)

    def ensure(self, name: str) -> Path:
        path: Path = self._models().ensure(name)
        return path

    @property
    def digests(self) -> dict[str, str]:
        """Weights that were handed out, and the outside model by its name."""
        weights = dict(self._built.digests) if self._built is not None else {}
        return weights | ({"outside": self.outside} if self.outside else {})

    def charge(self, cost: Cost) -> Cost:
        """The cost with the samplers' calls and tokens where the arm reported none itself."""
        if self._built is None:
            return cost
        spent = self._built.spent
        return replace(
            cost,
            model_calls=cost.model_calls or spent.model_calls,
            tokens_in=cost.tokens_in or spent.tokens_in,
            tokens_out=cost.tokens_out or spent.tokens_out,
        )

    def _models(self) -> Any:
        if self._built is None:
            self._built = importlib.import_module("assay.models").Models(self.outside, seed=self._seed)
        return self._built


def perform(job: Job) -> Outcome:
    """Run one unit and judge what it returned; whatever the arm raises becomes a status, never an exception."""
    start = time.perf_counter()
    try:
        outcome = _perform(job)
    except NoHeadroom as error:
        outcome = Outcome(job.key, "no_headroom" if job.kind == "fixture" else "error", error=_reason(error))
    except MemoryError:
        outcome = Outcome(job.key, "oom", error=_traceback())
    except BaseException:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of an arm are its errors, not ours
        outcome = Outcome(job.key, "error", error=_traceback())
    return replace(outcome, seconds=outcome.seconds or time.perf_counter() - start)


def _perform(job: Job) -> Outcome:
    isolation.seed_everything(job.number)
    world = get_world(job.world)(**job.world_args)
    sample = world.sample(job.sample_seed)
    sample_digest = world.digest(sample) if hasattr(world, "digest") else digest(sample)
    if job.kind == "fixture" and _fixture_path(job).exists():
        return Outcome(job.key, "ok", digest=digest(_fixture(job)))
    models = LazyModels(job.model, job.number)
    arguments: list[Any] = [sample, models, job.number]
    if job.has_fixture:
        arguments.append(_fixture(job))
        sample_digest = digest([sample_digest, job.fixture_digest])
    named = {"earlier": job.earlier} if job.earlier is not None else {}
    isolation.seed_everything(job.number)
    begun = time.perf_counter()
    found = job.function(*arguments, **named)
    seconds = time.perf_counter() - begun
    outcome = _JUDGES[job.kind](job, found)
    if outcome.measures is not None:
        cost = models.charge(outcome.measures.cost)
        cost = replace(cost, seconds=seconds) if cost.seconds is None else cost
        outcome = replace(outcome, measures=replace(outcome.measures, cost=cost))
    paired = outcome.digest if job.kind == "fixture" else sample_digest
    return replace(outcome, digest=paired, models=models.digests, seconds=seconds)


def _judge_arm(job: Job, found: Any) -> Outcome:
    if complaint := invalid(found, job.metric):
        return Outcome(job.key, "invalid", error=complaint)
    plain = Measures(
        value=float(found.value),
        cost=Cost(**{f.name: _plain(getattr(found.cost, f.name), f.name) for f in fields(Cost)}),
        extra={str(k): float(v) for k, v in found.extra.items()},
        notes={str(k): str(v) for k, v in found.notes.items()},
        curve=tuple(float(v) for v in found.curve),
    )
    return Outcome(job.key, "ok", measures=plain)


def _judge_fixture(job: Job, found: Any) -> Outcome:
    """Put the value away under its final name, by way of a temporary one; its digest joins the pairing digest."""
    value_digest = digest(found)
    put(_fixture_path(job), pickle.dumps(found, protocol=5))
    return Outcome(job.key, "ok", digest=value_digest)


def _judge_headroom(job: Job, found: Any) -> Outcome:
    if found is not None and not isinstance(found, str):
        return Outcome(job.key, "invalid", error=f"headroom returned {type(found).__name__}, wanted text or None")
    return Outcome(job.key, "no_headroom" if found else "ok", error=found or "")


_JUDGES = {"arm": _judge_arm, "fixture": _judge_fixture, "headroom": _judge_headroom}


def invalid(found: Any, metric: Metric) -> str:
    """Why a returned value cannot count; '' where it can."""
    if not isinstance(found, Measures):
        return f"the arm returned {type(found).__name__}, wanted Measures"
    numbers_given = {"value": found.value, **{f"extra[{k!r}]": v for k, v in found.extra.items()}}
    numbers_given |= {f"curve[{i}]": v for i, v in enumerate(found.curve)}
    for name, number in numbers_given.items():
        if isinstance(number, bool) or not isinstance(number, numbers.Real):
            return f"Measures.{name}: got {type(number).__name__}, wanted a float"
        if not math.isfinite(number):
            return f"Measures.{name}: got {number}, wanted a finite number"
    if metric.range is not None and not metric.range[0] <= found.value <= metric.range[1]:
        return f"Measures.value: got {found.value}, outside the metric's range {metric.range}"
    return ""


def _fixture(job: Job) -> Any:
    """The value a fixture left; of our own cache, so unpickling it is no more than running the code that wrote it."""
    return pickle.loads(_fixture_path(job).read_bytes())


def _fixture_path(job: Job) -> Path:
    """A relative path, as on a cluster, lies in the cache of the machine the unit runs on."""
    return cache_root() / job.fixture_path


def _plain(number: Any, name: str) -> Any:
    if number is None:
        return None
    return float(number) if name in ("seconds", "flops") else int(number)


def _traceback() -> str:
    return traceback.format_exc()[-ERROR_LIMIT:]


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


# --- the process -----------------------------------------------------------------------------------------------


def main(fd: int) -> None:
    """Serve jobs from the socket until it closes."""
    connection = Connection(fd)
    setup: Setup = pickle.loads(connection.recv_bytes(MESSAGE_LIMIT))
    _die_with(setup.parent)
    isolation.keep_output()
    isolation.fresh_output()
    with isolation.torch_set_up(setup.threads):
        for module in setup.modules:
            _import_quietly(module)
        if not setup.network:
            isolation.disable_network()
        connection.send_bytes(b"ready")
        while True:
            try:
                message = connection.recv_bytes(MESSAGE_LIMIT)
            except EOFError:
                return
            connection.send_bytes(_serve(message))


def _serve(message: bytes) -> bytes:
    key, body = pickle.loads(message)
    with isolation.isolated():
        try:
            job: Job = pickle.loads(body)
        except Exception:  # noqa: BLE001 - the arm's module cannot be imported here: an error of this unit
            outcome = Outcome(key, "error", error=_traceback())
        else:
            outcome = perform(job)
        _flush_output()
    isolation.fresh_output()
    outcome = replace(outcome, leftovers=isolation.leftovers(), rss_mb=psutil.Process().memory_info().rss / 2**20)
    reply = pickle.dumps(outcome, protocol=5)
    if len(reply) > MESSAGE_LIMIT:
        text = f"the result has {len(reply) >> 20} MB, wanted at most {MESSAGE_LIMIT >> 20}"
        reply = pickle.dumps(replace(outcome, status="invalid", measures=None, error=text), protocol=5)
    return reply


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (ValueError, OSError, AttributeError):
            continue  # the arm closed it; new ones are made after every unit


def _import_quietly(module: str) -> None:
    """Import ahead of the first unit, outside its time limit; a module that fails will fail again in its unit."""
    try:
        importlib.import_module(module)
    except BaseException:  # noqa: BLE001 - reported, with its traceback, by the unit that needs it
        traceback.print_exc()


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when the coordinator dies; elsewhere the pool's guard does it alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
