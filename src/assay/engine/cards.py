"""What a trial says of itself, kept so that whoever only reads results need not import it.

Importing a trial imports its method and what that builds on: seconds where it is torch. A card holds the trial as
plain data with the path and sha256 of every source file its fingerprint is made of, and of the module it stands in;
it counts only while all of them still read the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay import __version__
from assay.engine.files import put
from assay.engine.fingerprint import fingerprint, sources
from assay.engine.registry import Entry
from assay.engine.trial import Bar, Bars, Measures, Metric, Mirror, Trial
from assay.engine.units import trial_modules
from assay.places import cache_root

_FORM = 1  # raised when the file is written another way
_CALLED = ("arms", "fixture", "headroom")  # a card has no functions to call


@dataclass(frozen=True)
class Named:
    """An arm as a card knows it: where it is, and the first line it says of itself."""

    where: str
    says: str

    def __call__(self, *_: object) -> Measures:
        raise TypeError(f"{self.where} was read from a card and cannot be called: load the trial")


@dataclass(frozen=True)
class Card:
    """A trial without its functions, and the fingerprint of its code."""

    trial: Trial
    fingerprint: str


def read(entry: Entry) -> Card | None:
    """The entry's card, or None where there is none or a source has changed since."""
    try:
        kept = json.loads(_path(entry).read_text("utf-8"))
        if all(_sha(path) == sha for path, sha in kept["sources"].items()):
            return Card(_trial(kept["trial"]), kept["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or written by a version that knew other fields
    return None


def keep(entry: Entry, trial: Trial) -> Card:
    """Write the card of a trial that has been imported; hands it out."""
    modules = trial_modules(trial)
    of_trial = sources([entry.module])
    looked_at = dict((sources(modules) | of_trial).values())
    card = Card(trial, fingerprint(modules))
    kept = {"trial": _plain(trial), "fingerprint": card.fingerprint, "sources": looked_at}
    with contextlib.suppress(OSError):  # without a card the trial is imported again: slower, not wrong
        put(_path(entry), json.dumps(kept).encode())
    return card


def described(trial: Trial) -> Iterator[tuple[str, str]]:
    """Every arm with where it is and what it says, for a trial of a card and an imported one alike."""
    for name, arm in trial.arms.items():
        named = arm if isinstance(arm, Named) else _named(arm)
        yield name, f"{named.where}: {named.says}" if named.says else named.where


def _path(entry: Entry) -> Path:
    words = [_FORM, __version__, entry.name, entry.module, entry.attribute, entry.position]
    return cache_root() / "cards" / f"{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]}.json"


@lru_cache(maxsize=4096)
def _sha(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _named(arm: Any) -> Named:
    inner = getattr(arm, "func", arm)  # a partial speaks for its function
    doc = (getattr(inner, "__doc__", None) or "").strip().splitlines()
    return Named(getattr(inner, "__name__", type(inner).__name__), doc[0] if doc else "")


def _plain(trial: Trial) -> dict[str, Any]:
    kept = {f.name: getattr(trial, f.name) for f in fields(Trial) if f.name not in _CALLED}
    return {
        **kept,
        "metric": asdict(trial.metric),
        "bar": [asdict(bar) for bar in trial.bars],
        "mirrors": [asdict(mirror) for mirror in trial.mirrors],
        **{name: dict(value) for name, value in kept.items() if isinstance(value, Mapping)},
        "arms": {name: asdict(_named(arm)) for name, arm in trial.arms.items()},
    }


def _trial(kept: dict[str, Any]) -> Trial:
    bars = [Bar(**bar) for bar in kept["bar"]]
    fields_of_trial: dict[str, Any] = {
        **_tuples(kept),
        "metric": Metric(**_tuples(kept["metric"])),
        "bar": Bars(*bars) if bars else None,
        "mirrors": tuple(Mirror(**_tuples(mirror)) for mirror in kept["mirrors"]),
        "arms": {name: Named(**arm) for name, arm in kept["arms"].items()},
    }
    return Trial(**fields_of_trial)


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
