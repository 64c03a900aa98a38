"""What other distributions offer through entry points, read from their metadata without importing any of them.

Reading the metadata of every installed distribution takes a tenth of a second, so what was read is kept in the cache
and read anew where the distribution's version or the time of its RECORD has changed. What was learned of a trial when
it was last imported (its claim, or why it is broken) is kept with it for the list.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from assay.engine.files import put
from assay.places import cache_root

GROUPS = ("assay.trials", "assay.worlds", "assay.models")
_FORM = 1  # raised when the file is written another way


@dataclass(frozen=True)
class Plugin:
    """One entry point: `name = module:attribute` of a distribution. `learned` is what its last import showed."""

    group: str
    name: str
    module: str
    attribute: str
    distribution: str
    home: str  # the folder of the metadata, by which `learn` finds it again
    learned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.distribution}/{self.name}"


def plugins(group: str) -> list[Plugin]:
    """The entry points of one of `GROUPS`, sorted by full name; a distribution counts where it is found first."""
    kept = _read()
    found: dict[str, dict[str, Any]] = {}
    for home in _homes():
        stamp = _stamp(home)
        known = kept.get(str(home))
        found[str(home)] = known if known and known["stamp"] == stamp else _metadata(home, stamp)
    if found != kept:
        _write(found)
    first: dict[str, Plugin] = {}
    for home_name, record in found.items():
        for name, value in record["points"].get(group, {}).items():
            module, _, attribute = value.partition(":")
            learned = record["learned"].get(f"{group} {name}", {})
            one = Plugin(group, name, module.strip(), attribute.strip(), record["name"], home_name, learned)
            first.setdefault(one.full_name, one)
    return sorted(first.values(), key=lambda p: p.full_name)


def learn(plugin: Plugin, said: Mapping[str, Any]) -> None:
    """Keep what an import of the plug-in showed, until the distribution changes."""
    if plugin.learned == said:
        return
    kept = _read()
    if record := kept.get(plugin.home):
        record["learned"][f"{plugin.group} {plugin.name}"] = dict(said)
        _write(kept)


def _homes() -> Iterator[Path]:
    """Metadata folders with entry points, in the order in which Python would find their packages."""
    for entry in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError), os.scandir(entry or ".") as listing:
            for one in sorted(listing, key=lambda e: e.name):
                if one.name.endswith((".dist-info", ".egg-info")):
                    yield Path(one.path)


def _stamp(home: Path) -> list[Any]:
    """Version (it stands in the folder's name) and time of RECORD, or of the folder where there is none."""
    for path in (home / "RECORD", home):
        with contextlib.suppress(OSError):
            return [home.name, path.stat().st_mtime_ns]
    return [home.name, 0]


def _metadata(home: Path, stamp: list[Any]) -> dict[str, Any]:
    points: dict[str, dict[str, str]] = {}
    record: dict[str, Any] = {"stamp": stamp, "name": "", "points": points, "learned": {}}
    with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment]
        parser.read_string((home / "entry_points.txt").read_text("utf-8"))
        points |= {group: dict(parser[group]) for group in GROUPS if parser.has_section(group)}
    if points:
        record["name"] = _name(home)
    return record


def _name(home: Path) -> str:
    for file in ("METADATA", "PKG-INFO"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if name := HeaderParser().parsestr((home / file).read_text("utf-8"), headersonly=True)["Name"]:
                return str(name)
    return home.name.split("-")[0]


def _path() -> Path:
    return cache_root() / "plugins.json"


def _read() -> dict[str, dict[str, Any]]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(_path().read_text("utf-8"))
        if kept["form"] == _FORM:
            return dict(kept["distributions"])
    return {}


def _write(found: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs the time of reading again
        put(_path(), json.dumps({"form": _FORM, "distributions": found}).encode())
