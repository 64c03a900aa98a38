"""The primitives of a plan, and the automaton of every order of steps that a checked plan allows."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["literal", "number", "point", "text", "bool", "none"]

PRIMITIVES: Mapping[str, tuple[tuple[Kind, ...], Kind]] = {  # what each takes, and what it gives
    "goto": (("literal",), "none"),
    "find": (("literal",), "point"),
    "click": (("point",), "none"),
    "type_text": (("point", "text"), "none"),
    "press": (("literal",), "none"),
    "scroll": (("number",), "none"),
    "drag": (("point", "point"), "none"),
    "ask_bool": (("literal",), "bool"),
    "ask_text": (("literal", "literal", "number"), "text"),
    "verify": (("literal",), "none"),
    "finish": (("text",), "none"),
}
SCHEMAS: Mapping[str, str] = {"line": r"[^\n\r]*", "word": r"\S+", "number": r"[-+]?\d+(?:[.,]\d+)*"}
OBSERVING = frozenset({"find", "ask_bool", "ask_text", "verify"})


@dataclass(frozen=True)
class Symbol:
    """One step as the automaton knows it: primitive, literal arguments, and where each other argument may come from."""

    primitive: str
    literals: tuple[str | int, ...] = ()
    sources: tuple[frozenset[str], ...] = ()

    def covers(self, made: Symbol) -> bool:
        """Whether a step that was made is this one: same literals, and nothing from elsewhere in its arguments."""
        return (
            (self.primitive, self.literals, len(self.sources)) == (made.primitive, made.literals, len(made.sources))
            and all(theirs <= ours for ours, theirs in zip(self.sources, made.sources))
        )  # fmt: skip


@dataclass
class Automaton:
    """A nondeterministic automaton over `Symbol`s. Loops count as any number of rounds: a run is bounded elsewhere."""

    edges: dict[int, list[tuple[Symbol, int]]] = field(default_factory=dict)
    silent: dict[int, set[int]] = field(default_factory=dict)
    states: int = 1

    def start(self) -> frozenset[int]:
        return self._closure({0})

    def step(self, at: frozenset[int], made: Symbol) -> frozenset[int]:
        """The states after a step; empty where the plan has no such step here."""
        return self._closure({to for s in at for symbol, to in self.edges.get(s, ()) if symbol.covers(made)})

    def accepts(self, trace: Iterable[Symbol]) -> bool:
        """Whether the steps are the beginning of some way through the plan."""
        at = self.start()
        for made in trace:
            at = self.step(at, made)
        return bool(at)

    @property
    def alphabet(self) -> set[Symbol]:
        """Every step that the plan could ever take."""
        return {symbol for out in self.edges.values() for symbol, _ in out}

    def _closure(self, states: set[int]) -> frozenset[int]:
        found, left = set(states), list(states)
        while left:
            for to in self.silent.get(left.pop(), ()):
                if to not in found:
                    found.add(to)
                    left.append(to)
        return frozenset(found)


def automaton(tree: ast.Module, inputs: Sequence[str]) -> Automaton:
    """Every order of steps that the text of a checked plan allows."""
    builder = _Builder(assigned_sources(tree, inputs))
    builder.block(tree.body, 0)
    return builder.made


class _Builder:
    """Makes the automaton of a checked plan. `block` returns the state after it, None where nothing follows."""

    def __init__(self, sources: Mapping[str, frozenset[str]]) -> None:
        self.made = Automaton()
        self._sources = sources
        self._retries: list[int] = []

    def block(self, statements: Sequence[ast.stmt], at: int, after_loop: int | None = None) -> int | None:
        state: int | None = at
        for statement in statements:
            if state is None:
                return None
            state = self._statement(statement, state, after_loop)
        return state

    def _statement(self, node: ast.stmt, at: int, after_loop: int | None) -> int | None:
        if isinstance(node, ast.Assign | ast.Expr):
            end = self._expression(node.value, at)
            return None if isinstance(node.value, ast.Call) and called(node.value) == "finish" else end
        if isinstance(node, ast.If):
            tested, end = self._expression(node.test, at), self._new()
            for branch in (node.body, node.orelse):
                self._join(self.block(branch, tested, after_loop), end)
            return end
        if isinstance(node, ast.For):
            head, end = self._new(), self._new()
            self._join(at, head)
            self._join(head, end)
            self._join(self.block(node.body, head, end), head)
            return end
        if isinstance(node, ast.With):
            head, end = self._new(), self._new()
            self._join(at, head)
            self._retries.append(head)
            self._join(self.block(node.body, head), end)
            self._retries.pop()
            return end
        if isinstance(node, ast.Break):
            self._join(at, after_loop)
        return None  # break or return

    def _expression(self, node: ast.expr, at: int) -> int:
        """The state after the calls of an expression, which are made from left to right."""
        if isinstance(node, ast.BoolOp):
            end = self._new()
            for value in node.values:
                at = self._expression(value, at)
                self._join(at, end)  # the rest may be left out
            return end
        if isinstance(node, ast.UnaryOp):
            return self._expression(node.operand, at)
        if not isinstance(node, ast.Call):
            return at
        for argument in node.args:
            at = self._expression(argument, at)
        end = self._new()
        self.made.edges.setdefault(at, []).append((self._symbol(node), end))
        for head in self._retries if called(node) in OBSERVING else ():
            self._join(at, head)  # what cannot be perceived or verified sends the run back there
            self._join(end, head)
        return end

    def _symbol(self, node: ast.Call) -> Symbol:
        takes, _ = PRIMITIVES[called(node)]
        others = [a for a, kind in zip(node.args, takes) if kind not in ("literal", "number")]
        return Symbol(called(node), literals_of(node), tuple(source_of(a, self._sources) for a in others))

    def _new(self) -> int:
        self.made.states += 1
        return self.made.states - 1

    def _join(self, a: int | None, b: int | None) -> None:
        if a is not None and b is not None:
            self.made.silent.setdefault(a, set()).add(b)


def source_of(node: ast.expr, of_name: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Where the value of an argument may come from: "plan:TEXT" for a literal, "find:DESCRIPTION" and so on."""
    if isinstance(node, ast.Constant):
        return frozenset({f"plan:{node.value}"})
    if isinstance(node, ast.Call):
        return frozenset({call_source(called(node), [a.value for a in node.args if isinstance(a, ast.Constant)])})
    if isinstance(node, ast.Name):
        return of_name.get(node.id, frozenset())
    if isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
        return frozenset().union(*(source_of(part, of_name) for part in parts))
    return frozenset()


def call_source(primitive: str, literals: Sequence[object]) -> str:
    """How a value says which call of the plan it came from."""
    return f"{primitive}:{literals[0] if literals else ''}"


def assigned_sources(tree: ast.Module, inputs: Sequence[str]) -> dict[str, frozenset[str]]:
    """For each name, all that is ever assigned to it, through other names too."""
    found: dict[str, frozenset[str]] = {name: frozenset({f"user:{name}"}) for name in inputs}
    assigned = [n for n in ast.walk(tree) if isinstance(n, ast.Assign)]
    changed = True
    while changed:
        changed = False
        for node in assigned:
            name = node.targets[0].id  # type: ignore[attr-defined]
            more = found.get(name, frozenset()) | source_of(node.value, found)
            changed, found[name] = changed or more != found.get(name), more
    return found


def literals_of(node: ast.Call) -> tuple[str | int, ...]:
    """The arguments of a checked call that are literal by the primitive's own signature."""
    takes, _ = PRIMITIVES[called(node)]
    found: list[str | int] = []
    for argument, kind in zip(node.args, takes):
        if kind == "number":
            found.append(literal_number(argument) or 0)
        elif kind == "literal" and isinstance(argument, ast.Constant):
            found.append(str(argument.value))
    return tuple(found)


def literal_number(node: ast.expr) -> int | None:
    """A whole number as it stands in the plan, or None."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    plain = isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool)
    return sign * node.value if plain else None  # type: ignore[attr-defined,no-any-return]


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""
