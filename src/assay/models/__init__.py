"""What trials think with: small language models that come with the package, and any model of the user's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.models.access import Models, sampler
    from assay.models.nano import load
    from assay.models.weights import available, ensure

__all__ = ["Models", "available", "ensure", "load", "sampler"]
_HOME = {"Models": "access", "sampler": "access", "load": "nano", "available": "weights", "ensure": "weights"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
