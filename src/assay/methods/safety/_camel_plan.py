"""The plan language of CaMeL for computer use: a small part of Python, read and checked before anything is seen.

A plan can branch and loop on what a perceiver will say, but every action it could ever take stands in its text. Of
that text an automaton is made (`Plan.automaton`), against which the executor holds each action as it happens.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ._camel_automaton import PRIMITIVES, SCHEMAS, Automaton, Kind, automaton, called, literal_number

MAX_STATEMENTS, MAX_REPEATS = 200, 50
_NAMES_OF: Mapping[type[ast.AST], str] = {
    ast.Attribute: "attribute access",
    ast.Subscript: "subscription",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Starred: "a starred expression",
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.FunctionDef: "a function",
    ast.ClassDef: "a class",
    ast.Try: "try",
    ast.BinOp: "arithmetic",
    ast.Constant: "this value",
    ast.List: "a list",
    ast.Tuple: "a tuple",
    ast.Dict: "a dictionary",
    ast.AnnAssign: "an annotation",
    ast.AugAssign: "an assignment with arithmetic",
    ast.NamedExpr: "an assignment inside an expression",
}


class PlanError(ValueError):
    """A plan that is not in the language; the message begins with the line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


@dataclass(frozen=True)
class Plan:
    """A checked plan. `inputs` are names that the user's data will have."""

    source: str
    tree: ast.Module
    inputs: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """The plan's seal: of its text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    def automaton(self) -> Automaton:
        """Every order of steps that the plan's text allows."""
        return automaton(self.tree, self.inputs)


def compile_plan(source: str, inputs: Sequence[str] = ()) -> Plan:
    """Read a plan and check every node of it against the language.

    Raises PlanError with the line and the reason for anything else: attribute access, imports, `==` on text, loops
    without a literal bound, arguments that are not literals where only a literal may stand, more than 200 statements.
    """
    if not isinstance(source, str):
        raise TypeError(f"source: got {type(source).__name__}, wanted the plan as text")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # what ast.parse says of odd texts
        raise PlanError(getattr(error, "lineno", None) or 1, f"not Python: {getattr(error, 'msg', error)}") from None
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    if not statements:
        raise PlanError(1, "the plan is empty")
    if len(statements) > MAX_STATEMENTS:
        raise PlanError(statements[MAX_STATEMENTS].lineno, f"{len(statements)} statements, at most {MAX_STATEMENTS}")
    kinds: dict[str, Kind] = dict.fromkeys(inputs, "text")
    try:
        _Checker(kinds).block(tree.body, in_loop=False)
    except RecursionError:
        raise PlanError(1, "nested too deeply") from None
    return Plan(source, tree, tuple(inputs))


class _Checker:
    """Walks a plan in the order of its text; a name has one kind, and has it before it is used."""

    def __init__(self, kinds: dict[str, Kind]) -> None:
        self._kinds = kinds

    def block(self, statements: Sequence[ast.stmt], in_loop: bool) -> None:
        for statement in statements:
            self._statement(statement, in_loop)

    def _statement(self, node: ast.stmt, in_loop: bool) -> None:
        if isinstance(node, ast.Assign):
            self._assign(node)
        elif isinstance(node, ast.If):
            self._condition(node.test)
            self.block(node.body, in_loop)
            self.block(node.orelse, in_loop)
        elif isinstance(node, ast.For):
            self._loop(node)
        elif isinstance(node, ast.With):
            repeats(node)
            self.block(node.body, in_loop=False)
        elif isinstance(node, ast.While):
            raise PlanError(node.lineno, "a loop needs a literal bound: for _ in range(N)")
        elif isinstance(node, ast.Break):
            if not in_loop:
                raise PlanError(node.lineno, "break outside a loop")
        elif isinstance(node, ast.Return):
            raise_if(node.value is not None, node, "return takes no value here: finish(answer) gives one")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._call(node.value)
        else:
            shown = node.value if isinstance(node, ast.Expr) else node
            raise PlanError(node.lineno, f"{_name(shown)} is not in the plan language")

    def _assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if len(node.targets) != 1 or not isinstance(target, ast.Name):
            raise PlanError(node.lineno, f"assignment to {_name(target)} is not in the plan language")
        if target.id.startswith("__") or target.id in PRIMITIVES or target.id in ("range", "try_step"):
            raise PlanError(node.lineno, f"{target.id!r} cannot be assigned to")
        kind = self._expression(node.value)
        raise_if(kind == "none", node, "this call gives no value")
        if self._kinds.setdefault(target.id, kind) != kind:
            raise PlanError(node.lineno, f"{target.id!r} is {self._kinds[target.id]} elsewhere and {kind} here")

    def _loop(self, node: ast.For) -> None:
        raise_if(not isinstance(node.target, ast.Name) or bool(node.orelse), node, "a loop is for _ in range(N)")
        repeats(node)
        self.block(node.body, in_loop=True)

    def _condition(self, node: ast.expr) -> None:
        if self._expression(node) != "bool":
            raise PlanError(node.lineno, "a branch needs ask_bool, or `in` a tuple of literals")

    def _expression(self, node: ast.expr) -> Kind:
        """What an expression gives."""
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return "bool"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return "text"
        if isinstance(node, ast.JoinedStr):
            return self._joined(node)
        if isinstance(node, ast.Name):
            if node.id not in self._kinds:
                raise PlanError(node.lineno, f"{node.id!r} has no value yet")
            return self._kinds[node.id]
        if isinstance(node, ast.BoolOp) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
            for value in node.values if isinstance(node, ast.BoolOp) else [node.operand]:
                self._condition(value)
            return "bool"
        if isinstance(node, ast.Compare):
            return self._membership(node)
        raise PlanError(node.lineno, f"{_name(node)} is not in the plan language")

    def _joined(self, node: ast.JoinedStr) -> Kind:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                plain = isinstance(part.value, ast.Name) and part.conversion == -1 and part.format_spec is None
                raise_if(not plain, node, "an f-string holds names alone, without a format")
                raise_if(self._expression(part.value) != "text", node, "an f-string holds texts")
        return "text"

    def _membership(self, node: ast.Compare) -> Kind:
        values = node.comparators[0]
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.In | ast.NotIn):
            raise PlanError(node.lineno, "text is compared by `in` a tuple of literals only")
        if not isinstance(values, ast.Tuple | ast.List | ast.Set) or not all(map(_is_text, values.elts)):
            raise PlanError(node.lineno, "`in` needs a tuple of literals")
        raise_if(self._expression(node.left) != "text", node, "`in` needs a text on its left")
        return "bool"

    def _call(self, node: ast.Call) -> Kind:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in PRIMITIVES:
            what = f"{name!r} is no primitive" if name else f"{_name(node.func)} is not in the plan language"
            raise PlanError(node.lineno, what)
        takes, gives = PRIMITIVES[name]
        raise_if(bool(node.keywords), node, f"{name} takes no named arguments")
        if name == "finish" and not node.args:
            return gives
        raise_if(len(node.args) != len(takes), node, f"{name} takes {len(takes)} arguments, got {len(node.args)}")
        for argument, kind in zip(node.args, takes):
            self._argument(name, argument, kind)
        if name == "ask_text" and isinstance(node.args[1], ast.Constant) and node.args[1].value not in SCHEMAS:
            raise PlanError(node.lineno, f"ask_text knows the schemas {', '.join(SCHEMAS)}")
        return gives

    def _argument(self, name: str, node: ast.expr, kind: Kind) -> None:
        if isinstance(node, ast.Starred):
            raise PlanError(node.lineno, "a starred expression is not in the plan language")
        if kind == "literal":
            raise_if(not _is_text(node), node, f"{name} wants a literal text here")
        elif kind == "number":
            raise_if(literal_number(node) is None, node, f"{name} wants a literal number here")
        elif (got := self._expression(node)) != kind:
            raise PlanError(node.lineno, f"{name} wants a {kind} here, got {got}")


def repeats(node: ast.For | ast.With) -> int:
    """N of `for _ in range(N)` or `with try_step(N)`. Raises PlanError unless it is a literal from 1 to 50."""
    call: ast.expr = node.iter if isinstance(node, ast.For) else node.items[0].context_expr
    wanted = "range" if isinstance(node, ast.For) else "try_step"
    shaped = isinstance(call, ast.Call) and called(call) == wanted and len(call.args) == 1 and not call.keywords
    if isinstance(node, ast.With):
        shaped = shaped and len(node.items) == 1 and node.items[0].optional_vars is None
    count = literal_number(call.args[0]) if shaped and isinstance(call, ast.Call) else None
    if count is None or not 1 <= count <= MAX_REPEATS:
        form = "for _ in range(N)" if wanted == "range" else "with try_step(N)"
        raise PlanError(node.lineno, f"wanted {form} with a literal N from 1 to {MAX_REPEATS}")
    return count


def raise_if(wrong: bool, node: ast.stmt | ast.expr, reason: str) -> None:
    if wrong:
        raise PlanError(node.lineno, reason)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _name(node: ast.AST) -> str:
    return _NAMES_OF.get(type(node), type(node).__name__)
