"""What is out on a day, and the text of each paper: `Feed` asks for it, `Http` is polite about it.

The names are handed on when they are first used, so that importing the package loads neither httpx nor lxml.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.papers.feed.cache import Cache
    from assay.papers.feed.client import Feed
    from assay.papers.feed.http import Http
    from assay.papers.feed.model import Clock, DocSection, Document, FeedError, Listed, SystemClock, normal_id

_HOME = {
    "Cache": "cache",
    "Clock": "model",
    "DocSection": "model",
    "Document": "model",
    "Feed": "client",
    "FeedError": "model",
    "Http": "http",
    "Listed": "model",
    "SystemClock": "model",
    "normal_id": "model",
}

__all__ = [
    "Cache", "Clock", "DocSection", "Document", "Feed", "FeedError", "Http", "Listed", "SystemClock", "normal_id",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
