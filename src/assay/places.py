"""Where things lie on disk, following the XDG base directories. The one place that reads these variables."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Everything that can be made again: `$ASSAY_CACHE`, else `$XDG_CACHE_HOME/assay`, else `~/.cache/assay`."""
    if given := os.environ.get("ASSAY_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "assay"


def data_root() -> Path:
    """The user's own: `$XDG_DATA_HOME/assay`, else `~/.local/share/assay`."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "assay"


def default_store() -> Path:
    """`$ASSAY_STORE`, else `results.duckdb` in the data folder."""
    given = os.environ.get("ASSAY_STORE")
    return Path(given).expanduser() if given else data_root() / "results.duckdb"


def default_catalogue() -> Path:
    """`$ASSAY_CATALOGUE`, else `catalogue.sqlite` in the data folder."""
    given = os.environ.get("ASSAY_CATALOGUE")
    return Path(given).expanduser() if given else data_root() / "catalogue.sqlite"
