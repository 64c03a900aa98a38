"""The sample trials of this folder must be importable by name, here and in worker processes."""

import os
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fixtures and the machine's lock of a test lie in its own folder."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray starts once for all tests that use it, and leaves nothing when it is closed."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    from assay.engine.ray_cluster import session

    with session():
        yield
        ours = _ray_processes()
    deadline = time.monotonic() + 5
    while (left := ours & _ray_processes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert not list(Path("/tmp").glob(f"assay-ray-*/session_*_{os.getpid()}"))


def _ray_processes() -> set[tuple[int, str]]:
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "assay-ray-" in line or line.startswith("ray::"):
            found.add((process.pid, line[:200]))
    return found
