"""A memory limit that the kernel itself keeps: one cgroup (version 2) a worker, where this user may make some.

Under systemd that is so in a user's own slice; in most containers it is not, and the pool's watchdog is alone then.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_numbers = itertools.count()


@dataclass(frozen=True)
class Cgroup:
    """The folder of one worker's group."""

    path: Path

    def limit(self, memory_mb: int) -> None:
        """From now on the worker and what it started may take so much together, none of it swapped out."""
        (self.path / "memory.max").write_text(str(memory_mb << 20))
        swap = self.path / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")

    @property
    def overrun(self) -> bool:
        """Whether the kernel has killed a process of the group for its memory."""
        events = (self.path / "memory.events").read_text().split()
        return int(dict(zip(events[::2], events[1::2])).get("oom_kill", 0)) > 0

    def remove(self) -> None:
        """Once its processes are gone; one that is still dying is left to `sweep`."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


def cgroup_for(pid: int) -> Cgroup | None:
    """A new group with that process in it; None where cgroups cannot be made."""
    parent = home()
    if parent is None:
        return None
    group = Cgroup(parent / f"assay-{os.getpid()}-{next(_numbers)}")
    try:
        group.path.mkdir()
        (group.path / "memory.oom.group").write_text("1")  # the unit dies as a whole, not some child of it
        (group.path / "cgroup.procs").write_text(str(pid))
    except OSError:
        group.remove()
        return None
    return group


def sweep() -> None:
    """Remove the groups of coordinators that were killed: an empty one that nobody is about to fill."""
    parent = home()
    for path in parent.glob("assay-*-*") if parent else ():
        owner = path.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            Cgroup(path).remove()


@lru_cache(maxsize=1)
def home() -> Path | None:
    """The nearest group above this process that hands the memory controller on and that this user may write to."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        own = next(line.removeprefix("0::") for line in lines if line.startswith("0::"))
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        root = next(Path(fields[1]) for fields in mounts if fields[2] == "cgroup2")
    except (OSError, StopIteration):
        return None
    return find_home(root, root / own.lstrip("/"))


def find_home(root: Path, own: Path) -> Path | None:
    """The search itself, from the group `own` up to `root`."""
    for folder in (own, *own.parents):
        if not folder.is_relative_to(root):
            break
        handed_on = folder / "cgroup.subtree_control"
        writable = os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)
        if writable and handed_on.exists() and "memory" in handed_on.read_text().split():
            return folder
    return None
