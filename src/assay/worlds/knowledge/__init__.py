"""An invented country to know things about: people, companies and towns, facts as dated sentences, two tools.

`world(...)` draws a `Desk`: a graph of entities, the sentences that tell of it (some missing, some contradicted, some
outdated, as its knobs say), `search` over those sentences (evidence), `verify` in the table itself (an exact look-up),
and questions of one to four hops whose answers the graph knows.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.worlds.knowledge.desk import Desk, world
    from assay.worlds.knowledge.episodes import Episodes
    from assay.worlds.knowledge.graph import Graph
    from assay.worlds.knowledge.questions import Question

__all__ = ["Desk", "Episodes", "Graph", "Question", "world"]
_HOME = {"Desk": "desk", "world": "desk", "Episodes": "episodes", "Graph": "graph", "Question": "questions"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
