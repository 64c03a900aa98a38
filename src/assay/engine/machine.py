"""The machine and the installed packages a result comes from; both are stored with it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import psutil

from assay import __version__


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
    found = {d.name.lower(): d.version for d in importlib.metadata.distributions() if d.name}
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
