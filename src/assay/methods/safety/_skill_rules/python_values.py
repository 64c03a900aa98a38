"""What the Python reader knows: of an expression, a module, a function that it reads, and a library call."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from .code import Code
from .facts import HOME_ROOT, host_of

TEXT = 4000  # characters of constant text that are tracked
FLOWING = frozenset(
    (
        "environ",
        "secret-env",
        "env",
        "credentials",
        "home-files",
        "files",
        "input",
        "clipboard",
        "host-info",
        "context",
        "network",
        "downloaded",
        "decoded",
    )
)


@dataclass(frozen=True)
class Value:
    """What is known of an expression."""

    labels: frozenset[str] = frozenset()
    text: str | None = None
    origin: str = ""


NOTHING = Value()


def join(values: Iterable[Value], text: str | None = None) -> Value:
    """All labels of `values` together."""
    return Value(frozenset().union(*(v.labels for v in values)), text if text is None else text[:TEXT])


@dataclass
class Module:
    """One file (or fence): its names, its functions, and what its global names hold."""

    code: Code
    tree: ast.Module
    aliases: dict[str, str] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    names: dict[str, Value] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass
class Frame:
    """A function being read: its local names, what it returns, and the calls above it."""

    module: Module
    names: dict[str, Value]
    stack: tuple[str, ...] = ()
    returned: list[Value] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """A call of something that is not the skill's own."""

    node: ast.Call
    frame: Frame
    name: str
    method: str
    receiver: Value
    positional: list[Value]
    keywords: dict[str, Value]

    @property
    def values(self) -> list[Value]:
        return [*self.positional, *self.keywords.values()]

    def argument(self, position: int, *names: str) -> Value:
        """The argument at `position` or under one of `names`."""
        for name in names:
            if name in self.keywords:
                return self.keywords[name]
        return self.positional[position] if len(self.positional) > position else NOTHING


def is_home(text: str | None) -> bool:
    """Whether a path is the home folder, the root, or a personal folder."""
    return bool(text and HOME_ROOT.search(text.rstrip("*").rstrip("/") or "/"))


def host(text: str | None) -> str:
    """Host of a URL, of a bare host, or of the first word of an address pair."""
    return host_of(text) or host_of(text.split()[0]) if text and text.split() else ""
