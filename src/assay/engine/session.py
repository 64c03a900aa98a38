"""One run's dealings with the store. Without a store, everything stays in memory and nothing is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.engine.schedule import Stamp
from assay.engine.trial import UnitResult

if TYPE_CHECKING:
    from assay.engine.progress import Progress
    from assay.engine.result import Result
    from assay.engine.units import Plan


class Session:
    """A run without a store."""

    def __init__(self) -> None:
        self.stamp = Stamp()

    def record(self, result: UnitResult) -> None:
        return

    def keep_log(self, key: str, log: bytes) -> None:
        return

    def last_attempts(self, keys: Sequence[str]) -> dict[str, UnitResult]:
        return {}

    def median_seconds(self, trial: str, quick: bool) -> dict[str, float]:
        return {}

    def conclude(self, result: Result, plan: Plan) -> None:
        return

    @contextlib.contextmanager
    def alone_if(self, exclusive: bool, progress: Progress) -> Iterator[None]:
        yield


@contextlib.contextmanager
def open_session(
    store: Path | None, command: str, options: Mapping[str, object], read_only: bool = False
) -> Iterator[Session]:
    yield Session()
