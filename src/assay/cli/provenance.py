"""On what a result was measured, in words: rows of the store's machines and environments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SHOWN = ("python", "numpy", "torch", "transformers")


def machine_words(row: Mapping[str, Any]) -> str:
    """Processor, cores, memory, accelerator and system."""
    gpu = f", {row['gpu']}" if row["gpu"] else ""
    return f"{row['cpu']}, {row['cores']} cores, {row['ram_mb'] / 1024:.0f} GB{gpu}, {row['os']}"


def version_words(row: Mapping[str, Any]) -> str:
    """Assay's version and those of the packages that results depend on most."""
    packages = row["packages"]
    found = json.loads(packages) if isinstance(packages, str) else packages
    return ", ".join([f"assay {row['assay_version']}", *(f"{name} {found[name]}" for name in SHOWN if name in found)])
