"""The machine and the installed packages a result comes from; both are stored with it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import psutil

from assay import __version__
from assay.places import cache_root


@dataclass(frozen=True)
class Machine:
    """What timings and rounding depend on. Two machines that agree in all of it count as one."""

    cpu: str
    cores: int
    ram_gb: int
    gpu: str
    os: str

    @property
    def id(self) -> str:
        return _short_hash(asdict(self))


@lru_cache(maxsize=1)
def this_machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=psutil.cpu_count() or 1,
        ram_gb=round(psutil.virtual_memory().total / 2**30),
        gpu=_gpu(),
        os=f"{platform.system()} {platform.machine()}",
    )


@dataclass(frozen=True)
class Environment:
    """Interpreter, Assay's version and every installed distribution."""

    python: str
    assay_version: str
    packages: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        return _short_hash(asdict(self))


@lru_cache(maxsize=1)
def this_environment() -> Environment:
    """Read from the names of the `*.dist-info` folders: opening every METADATA file takes a second."""
    folders = [f for entry in sys.path if entry for f in sorted(Path(entry).glob("*.dist-info"))]
    found = dict(f.stem.rpartition("-")[::2] for f in reversed(folders))  # the first on the path is the one imported
    return Environment(platform.python_version(), __version__, tuple(sorted(found.items())))


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str:
    """Model of the first NVIDIA card, as its driver tells it; '' without one."""
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text("utf-8", "replace").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return ""


def _short_hash(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def measuring(*, alone: bool, waiting: Callable[[], bool]) -> Iterator[bool]:
    """Held by every run on this machine while it measures: together with others, or alone for a trial that times.

    `waiting` is called while others hold it and says whether to go on waiting; False is yielded if it gave up.
    """
    path = cache_root() / "machine.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting():
                    time.sleep(0.2)
                    continue
                yield False
                return
            yield True
            return
