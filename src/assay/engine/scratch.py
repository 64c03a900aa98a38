"""Temporary folders that go away even when the process that made them is killed: the next run removes them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

YOUNG_S = 60.0  # between making a folder and locking it lies a moment; nobody touches one that is this new
_SUFFIX = ".tmp"
_SHORT = Path("/tmp")  # where paths must be short (Ray's sockets), whatever the folder for temporary files is


@contextlib.contextmanager
def scratch(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """An empty folder `assay-KIND-….tmp`, locked while it is in use and removed afterwards.

    parent: where it lies; default: the folder for temporary files.
    """
    path = Path(tempfile.mkdtemp(prefix=f"assay-{kind}-", suffix=_SUFFIX, dir=parent))
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def short_parent() -> Path | None:
    """A parent whose folders have short paths."""
    return _SHORT if _SHORT.is_dir() else None


def sweep(*parents: Path) -> int:
    """Remove the folders of this user whose process was killed; how many there were.

    The lock ends with the process that holds it, so a folder of a live one is told apart even where process numbers
    say nothing (containers that share /tmp).
    """
    removed = 0
    for parent in parents or {Path(tempfile.gettempdir()), _SHORT}:
        for path in parent.glob(f"assay-*{_SUFFIX}"):
            with contextlib.suppress(OSError):  # another run sweeps too, or it is not ours to touch
                removed += _sweep_one(path)
    return removed


def _sweep_one(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        state = os.fstat(descriptor)
        if state.st_uid != os.getuid() or time.time() - state.st_mtime < YOUNG_S or _mounted_inside(path):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
        return not path.exists()
    finally:
        os.close(descriptor)


def _mounted_inside(path: Path) -> bool:
    """Whether something else hangs in the folder, which must not be emptied with it."""
    return any(os.path.ismount(folder) for folder, _, _ in os.walk(path))
