"""What a graphical interface shows and what can be done to it: the words that GUI worlds and methods share.

An environment hands out `GuiObs` and takes a `GuiAction`; `GuiEnv` is all that a method may ask of it. Coordinates
are CSS pixels of the viewport. `assay.worlds.gui` is such an environment in a real Chromium.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

FILLED = frozenset({"textbox", "searchbox", "combobox"})  # roles that take a value
PRESSED = frozenset({"button", "link", "checkbox", "option", "menuitem", "tab", "radio"})


@dataclass(frozen=True)
class Node:
    """One element as a screen reader meets it. `bbox` is (x, y, width, height); `near` the text of its row or group,
    `shown` what an eye reads on it where its name says something else.

    `states` are words such as "checked", "readonly", "password"; `parent` the id of the nearest listed ancestor, -1 at
    the top. `visible` means that something of it can be seen inside the viewport. `options` are a select's choices.
    """

    id: int
    role: str
    name: str
    value: str
    states: tuple[str, ...]
    bbox: tuple[float, float, float, float]
    enabled: bool
    visible: bool
    parent: int
    near: str = ""
    options: tuple[str, ...] = ()
    shown: str = ""

    @property
    def centre(self) -> tuple[float, float]:
        x, y, width, height = self.bbox
        return x + width / 2, y + height / 2

    @property
    def usable(self) -> bool:
        """Whether one could act on it now."""
        return self.enabled and self.visible and self.role in FILLED | PRESSED


@dataclass(frozen=True)
class GuiObs:
    """What is on the screen: the listed elements in document order, the address, the text, and a PNG if asked for."""

    tree: tuple[Node, ...]
    url: str
    text: str
    screenshot: bytes | None = None


@dataclass(frozen=True)
class Click:
    x: float
    y: float
    button: str = "left"
    clicks: int = 1


@dataclass(frozen=True)
class Type:
    """Types into what has the focus, or at (x, y) after a click there; `clear` empties it first. A select takes the
    choice of that text."""

    text: str
    x: float | None = None
    y: float | None = None
    clear: bool = False


@dataclass(frozen=True)
class Key:
    keys: str


@dataclass(frozen=True)
class Scroll:
    x: float
    y: float
    dy: float


@dataclass(frozen=True)
class Drag:
    points: tuple[tuple[float, float], ...]
    button: str = "left"


@dataclass(frozen=True)
class Down:
    x: float
    y: float


@dataclass(frozen=True)
class Move:
    x: float
    y: float


@dataclass(frozen=True)
class Up:
    x: float
    y: float


@dataclass(frozen=True)
class Wait:
    ms: int


@dataclass(frozen=True)
class Goto:
    url: str


@dataclass(frozen=True)
class Done:
    answer: str | None = None


@dataclass(frozen=True)
class Fail:
    reason: str


GuiAction = Click | Type | Key | Scroll | Drag | Down | Move | Up | Wait | Goto | Done | Fail


class GuiEnv(Protocol):
    """What a method may ask of an environment."""

    @property
    def viewport(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""

    def observe(self, screenshot: bool = False) -> GuiObs:
        """What is shown now."""

    def step(self, action: GuiAction) -> GuiObs:
        """Do it, and see what is shown then."""

    def node_at(self, x: float, y: float) -> Node | None:
        """The element that a click at this point would reach; None where there is none."""


def origin(url: str) -> str:
    """Scheme, host and port of an address; all of it where there is no host."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}://{rest.split('/')[0]}" if mark else url


def tree_hash(tree: Sequence[Node]) -> str:
    """A name for what a tree shows: roles, names, values and states, without places."""
    said = "\n".join(f"{n.role}|{n.name}|{n.value}|{','.join(n.states)}" for n in tree if n.visible)
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()
