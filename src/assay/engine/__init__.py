"""How a trial is run and judged. `from assay.engine import Trial, run, verdict`; names are loaded on use."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    **dict.fromkeys(
        ("Trial", "Metric", "Bar", "Bars", "Mirror", "Cost", "Measures", "Fixture", "NoHeadroom", "Verdict"), "trial"
    ),
    "run": "runner",
    "verdict": "verdicts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'assay.engine' has no attribute {name!r}")
    return getattr(importlib.import_module(f"assay.engine.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
