"""Where things lie on disk, following the XDG base directories."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`$ASSAY_CACHE`, else `$XDG_CACHE_HOME/assay`, else `~/.cache/assay`."""
    if given := os.environ.get("ASSAY_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "assay"


def default_store() -> Path:
    """`$ASSAY_STORE`, else `$XDG_DATA_HOME/assay/results.duckdb`, else under `~/.local/share`."""
    if given := os.environ.get("ASSAY_STORE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "assay" / "results.duckdb"
