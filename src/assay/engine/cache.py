"""The cache: what can be made again (fixtures, trained weights, indexes), how large it is, and emptying it."""

from __future__ import annotations

import shutil
from pathlib import Path

from assay.engine.machine import measuring
from assay.errors import StoreLocked, UserError
from assay.places import cache_root, data_root

KEPT = ("data", "machine.lock")  # put there by the user; held by runs


def sizes() -> dict[str, int]:
    """Bytes by entry of the cache, largest first; what `clear` leaves alone is not in it."""
    root = cache_root()
    found = {path.name: _bytes(path) for path in root.iterdir() if path.name not in KEPT} if root.is_dir() else {}
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))


def clear() -> dict[str, int]:
    """Remove what `sizes` counts, and hand out what was freed.

    Raises StoreLocked while a run uses the cache, UserError where the folder is more than a cache.
    """
    root = cache_root().resolve()
    for precious in (Path.home(), Path.cwd(), data_root()):
        if precious.resolve().is_relative_to(root):
            raise UserError(f"{root} is more than a cache ({precious} lies in it): set ASSAY_CACHE to another folder")
    freed = sizes()
    if freed:
        with measuring(alone=True, waiting=lambda: False) as free:
            if not free:
                raise StoreLocked(f"a run is using the cache {root}: try again when it is over")
            for name in freed:
                path = root / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    return freed


def _bytes(path: Path) -> int:
    """Of the files below, links not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(p.lstat().st_size for p in path.rglob("*") if not p.is_dir())
