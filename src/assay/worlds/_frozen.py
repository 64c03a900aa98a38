"""What names the bytes of a corpus that is written once and then left alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def content_hash(root: Path, names: Iterable[str]) -> str:
    """sha256 over the names, relative to `root` and in the order given, and the bytes of the files."""
    total = hashlib.sha256()
    for name in names:
        octets = (root / name).read_bytes()
        total.update(f"{name}\0{len(octets)}\0".encode())
        total.update(octets)
    return total.hexdigest()
