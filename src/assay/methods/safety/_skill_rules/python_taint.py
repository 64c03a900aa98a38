"""Data flow in a skill's Python: an abstract reading of the syntax tree, never an execution.

Each expression has a value `(labels, text, origin)`: where its data came from, its constant text as far as it
is known (unknown parts stand as `{}`), and the library object it is. Statements are read in order, branches are
joined, calls of the skill's own functions are followed three deep with the arguments at hand, also into its
other modules. Attributes are told apart by name alone, and loops are read once: a reader for rules that want
evidence, not proof.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from .code import Code
from .facts import (
    AGENT_MEMORY,
    CONTEXT_NAME,
    SYSTEM_PERSIST,
    Fact,
    env_label,
    path_labels,
)
from .python_lines import line_facts
from .python_values import NOTHING, TEXT, Call, Frame, Module, Value, join

DEPTH = 3  # how deep calls of local functions are followed
CALLS = 3000  # followed calls per skill: bounds the time spent on code written to waste it
MAX_SOURCE = 400_000  # characters; longer files are left to the line rules


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None for what Python 3 cannot read."""
    if len(text) > MAX_SOURCE:
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class Reader:
    """Reads all modules of a skill; `facts` and `commands` fill up in order and hold each entry once."""

    def __init__(self, library_call: Callable[[Reader, Call], Value]) -> None:
        self.library_call = library_call
        self.modules: dict[str, Module] = {}
        self.facts: dict[Fact, None] = {}
        self.commands: dict[Code, None] = {}
        self.calls = 0

    def add(self, code: Code, tree: ast.Module) -> None:
        module = Module(code, tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for a in node.names:
                    module.aliases[a.asname or a.name.split(".")[0]] = a.name if a.asname else a.name.split(".")[0]
            elif isinstance(node, ast.ImportFrom):
                source = (node.module or "").rsplit(".", 1)[-1] if node.level else node.module or ""
                for a in node.names:
                    module.aliases[a.asname or a.name] = f"{source}.{a.name}" if source else a.name
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                module.functions.setdefault(node.name, node)
        name = PurePosixPath(code.path).stem if code.exact else f"{code.path}:{code.line}"
        self.modules[name] = module

    def read(self) -> None:
        for _ in range(2):  # the second time, modules know what the others' names hold
            for module in self.modules.values():
                frame = Frame(module, module.names)
                try:
                    self.body(module.tree.body, frame)
                    for name, function in module.functions.items():
                        self.function(function, {}, Frame(module, {}, (name,)))
                except RecursionError:  # an expression nested beyond reason: its lines are still searched
                    self.facts.update(dict.fromkeys(line_facts(module.code)))

    # ---- statements -------------------------------------------------------------------------------------

    def body(self, statements: list[ast.stmt], frame: Frame) -> None:
        for statement in statements:
            self.statement(statement, frame)

    def statement(self, node: ast.stmt, frame: Frame) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                got = self.value(value, frame)
                for target in targets:
                    self.bind(target, got, frame, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.bind(target, self.value(value, frame), frame, value)
            case ast.AugAssign(target=target, value=value):
                old, new = self.value(target, frame), self.value(value, frame)
                text = old.text + new.text if old.text is not None and new.text is not None else None
                self.bind(target, replace(join([old, new], text), origin=old.origin), frame, value)
            case ast.For(target=target, iter=source) | ast.AsyncFor(target=target, iter=source):
                self.bind(target, replace(self.value(source, frame), origin=""), frame, source)
                self.body(node.body + node.orelse, frame)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
                    got = self.value(item.context_expr, frame)
                    if item.optional_vars is not None:
                        self.bind(item.optional_vars, got, frame, item.context_expr)
                self.body(node.body, frame)
            case ast.If(test=test) | ast.While(test=test):
                self.value(test, frame)
                self.branches([node.body, node.orelse], frame)
            case ast.Try() | ast.TryStar():
                self.body(node.body, frame)
                self.branches([h.body for h in node.handlers] + [node.orelse], frame)
                self.body(node.finalbody, frame)
            case ast.Match(subject=subject, cases=cases):
                self.value(subject, frame)
                self.branches([c.body for c in cases], frame)
            case ast.Return(value=value) if value is not None:
                frame.returned.append(self.value(value, frame))
            case ast.ClassDef():
                self.body([s for s in node.body if not isinstance(s, ast.FunctionDef)], frame)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pass  # read once on its own, and again at each call
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.value(child, frame)

    def branches(self, bodies: list[list[ast.stmt]], frame: Frame) -> None:
        before = dict(frame.names)
        merged: dict[str, Value] = dict(before)
        for body in bodies:
            frame.names.clear()
            frame.names.update(before)
            self.body(body, frame)
            for name, got in frame.names.items():
                old = merged.get(name)
                if old is None or old is before.get(name):
                    merged[name] = got
                elif old is not got:
                    merged[name] = Value(old.labels | got.labels, got.text or old.text, got.origin or old.origin)
        frame.names.clear()
        frame.names.update(merged)

    def bind(self, target: ast.expr, got: Value, frame: Frame, source: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                frame.names[name] = got
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = (
                    source.elts if isinstance(source, ast.Tuple | ast.List) and len(source.elts) == len(parts) else None
                )
                for i, part in enumerate(parts):
                    self.bind(part, self.value(values[i], frame) if values else replace(got, text=None), frame, source)
            case ast.Attribute(attr=name):
                frame.module.attributes[name] = got
            case ast.Subscript(value=container):
                old = self.value(container, frame)
                self.bind(container, replace(old, labels=old.labels | got.labels), frame, container)
            case ast.Starred(value=inner):
                self.bind(inner, got, frame, source)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, given: dict[str, Value], frame: Frame) -> Value:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if len(frame.stack) == 1 and not given:  # read on its own: a parameter called `transcript` holds one
            given = {a.arg: Value(frozenset({"context"})) for a in arguments if CONTEXT_NAME.match(a.arg)}
        defaults = [*node.args.posonlyargs, *node.args.args][::-1]
        for argument, default in zip(defaults, node.args.defaults[::-1]):
            frame.names.setdefault(argument.arg, self.value(default, frame))
        frame.names.update(given)
        self.body(node.body, frame)
        return join(frame.returned, frame.returned[0].text if len(frame.returned) == 1 else None)

    # ---- expressions ------------------------------------------------------------------------------------

    def value(self, node: ast.expr, frame: Frame) -> Value:
        match node:
            case ast.Constant(value=str() as text):
                return Value(text=text[:TEXT])
            case ast.Constant(value=bytes() as data):
                return Value(text=data[:TEXT].decode("latin-1"))
            case ast.Constant(value=number):
                return Value(text=str(number)[:40])
            case ast.Name(id=name):
                return self.name(name, frame)
            case ast.Attribute():
                return self.attribute(node, frame)
            case ast.Subscript(value=container, slice=key):
                return self.subscript(self.value(container, frame), self.value(key, frame))
            case ast.JoinedStr(values=parts):
                values = [self.value(p.value if isinstance(p, ast.FormattedValue) else p, frame) for p in parts]
                return join(values, "".join("{}" if v.text is None else v.text for v in values))
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(self.value(left, frame), op, self.value(right, frame))
            case ast.Dict(keys=keys, values=parts):
                named = [k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
                context = {"context"} if any(CONTEXT_NAME.match(k) for k in named) else set()
                return join([Value(frozenset(context)), *(self.value(p, frame) for p in [*filter(None, keys), *parts])])
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                values = [self.value(p, frame) for p in parts]
                return join(values, " ".join("{}" if v.text is None else v.text for v in values))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self.comprehension(node, frame)
            case ast.Call():
                return self.call(node, frame)
            case ast.Await(value=inner) | ast.Starred(value=inner):
                return self.value(inner, frame)
            case ast.NamedExpr(target=target, value=inner):
                got = self.value(inner, frame)
                self.bind(target, got, frame, inner)
                return got
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.value(test, frame)
                one, other = self.value(body, frame), self.value(orelse, frame)
                return join([one, other], one.text or other.text)
            case ast.BoolOp(values=parts):
                values = [self.value(p, frame) for p in parts]
                return join(values, next((v.text for v in values if v.text), None))
            case ast.Compare(left=left, comparators=others):
                for part in [left, *others]:
                    self.value(part, frame)
                return NOTHING  # a comparison tells one bit of its operands: not a flow
            case ast.Lambda(args=arguments, body=body):
                return self.value(
                    body, Frame(frame.module, {**frame.names, **{a.arg: NOTHING for a in arguments.args}}, frame.stack)
                )
            case _:
                return join([self.value(c, frame) for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)])

    def name(self, name: str, frame: Frame) -> Value:
        known = frame.names.get(name) or frame.module.names.get(name)
        if known is not None:
            return known
        dotted = frame.module.aliases.get(name)
        if dotted:
            module, _, member = dotted.rpartition(".")
            other = self.modules.get(module.rpartition(".")[2])
            if other is not None and member in other.names:
                return other.names[member]
            return self.library(dotted)
        return Value(frozenset({"context"})) if CONTEXT_NAME.match(name) else Value(origin=name)

    def attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        base = self.value(node.value, frame)
        other = self.modules.get(base.origin)
        if other is not None and node.attr in other.names:
            return other.names[node.attr]
        if base.origin in ("self", "cls") and node.attr in frame.module.attributes:
            return frame.module.attributes[node.attr]
        if base.origin:
            return self.library(f"{base.origin}.{node.attr}", base.labels, node.attr)
        named = {"context"} if CONTEXT_NAME.match(node.attr) else set()
        return Value(base.labels | named, base.text if node.attr in ("parent", "text") else None)

    @staticmethod
    def library(dotted: str, labels: frozenset[str] = frozenset(), attr: str = "") -> Value:
        if dotted in ("os.environ", "os.environb"):
            return Value(frozenset({"environ"}), None, dotted)
        if dotted == "sys.argv":
            return Value(frozenset({"input"}), None, dotted)
        if attr and CONTEXT_NAME.match(attr):
            labels = labels | {"context"}
        return Value(labels, None, dotted)

    @staticmethod
    def subscript(base: Value, key: Value) -> Value:
        if base.origin.startswith("os.environ") and key.text:
            return Value(frozenset({env_label(key.text)}))
        return Value(base.labels | (key.labels if not base.labels else frozenset()))

    @staticmethod
    def binary(left: Value, op: ast.operator, right: Value) -> Value:
        text = None
        if isinstance(op, ast.Add) and (left.text is not None or right.text is not None):
            text = ("{}" if left.text is None else left.text) + ("{}" if right.text is None else right.text)
        elif isinstance(op, ast.Div) and (left.text is not None or right.text is not None):
            text = f"{'{}' if left.text is None else left.text}/{'{}' if right.text is None else right.text}"
        elif isinstance(op, ast.Mod):
            text = left.text
        return join([left, right], text)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame) -> Value:
        inner = Frame(frame.module, dict(frame.names), frame.stack)
        for generator in node.generators:
            source = self.value(generator.iter, inner)
            self.bind(generator.target, replace(source, origin=""), inner, generator.iter)
            for test in generator.ifs:
                self.value(test, inner)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        return join([self.value(p, inner) for p in parts])

    # ---- calls ------------------------------------------------------------------------------------------

    def call(self, node: ast.Call, frame: Frame) -> Value:
        receiver = NOTHING
        if isinstance(node.func, ast.Attribute):
            receiver = self.value(node.func.value, frame)
        name, method = self.called(node, receiver, frame)
        positional = [self.value(a, frame) for a in node.args]
        keywords = {k.arg or "**": self.value(k.value, frame) for k in node.keywords}
        local = self.local_function(node, receiver, frame)
        if local is not None:
            return self.follow(*local, positional, keywords, frame)
        return self.library_call(self, Call(node, frame, name, method, receiver, positional, keywords))

    def called(self, node: ast.Call, receiver: Value, frame: Frame) -> tuple[str, str]:
        """(dotted name as far as known, last part of it) of what is called; sees through `getattr(os, "system")`."""
        if isinstance(node.func, ast.Attribute):
            return (f"{receiver.origin}.{node.func.attr}" if receiver.origin else ""), node.func.attr
        if isinstance(node.func, ast.Call):
            inner = self.value(node.func, frame)
            return inner.origin, inner.origin.rpartition(".")[2]
        origin = self.value(node.func, frame).origin
        return origin, origin.rpartition(".")[2]

    def local_function(
        self, node: ast.Call, receiver: Value, frame: Frame
    ) -> tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef] | None:
        module = frame.module
        if isinstance(node.func, ast.Name):
            name = node.func.id
            if name in module.functions and name not in module.aliases:
                return module, module.functions[name]
            source, _, name = module.aliases.get(name, "").rpartition(".")
            module_there = self.modules.get(source.rpartition(".")[2])
        elif isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if receiver.origin in ("self", "cls") and name in module.functions:
                return module, module.functions[name]
            module_there = self.modules.get(receiver.origin)
        else:
            return None
        if module_there is not None and name in module_there.functions:
            return module_there, module_there.functions[name]
        return None

    def follow(
        self,
        module: Module,
        function: ast.FunctionDef | ast.AsyncFunctionDef,
        positional: list[Value],
        keywords: dict[str, Value],
        frame: Frame,
    ) -> Value:
        self.calls += 1
        if len(frame.stack) >= DEPTH or function.name in frame.stack[1:] or self.calls > CALLS:
            return join([*positional, *keywords.values()])
        names = [a.arg for a in [*function.args.posonlyargs, *function.args.args]]
        if names and names[0] in ("self", "cls"):
            names = names[1:]
        given = {**dict(zip(names, positional)), **keywords}
        if function.args.vararg:
            given[function.args.vararg.arg] = join(positional[len(names) :])
        return self.function(function, given, Frame(module, {}, (*frame.stack, function.name)))

    # ---- what is found ----------------------------------------------------------------------------------

    def fact(self, what: str, detail: str, node: ast.AST, frame: Frame) -> None:
        code = frame.module.code
        line = getattr(node, "lineno", 1) + code.line - 1
        end = getattr(node, "end_lineno", None) or getattr(node, "lineno", 1)
        columns = (
            (getattr(node, "col_offset", 0) + 1, (getattr(node, "end_col_offset", 0) or 0) + 1)
            if code.exact
            else (1, 1)
        )
        self.facts[
            Fact(what, detail[:200], code.path, line, columns[0], end + code.line - 1, columns[1], code.weight)
        ] = None

    def path_facts(self, text: str | None, node: ast.AST, frame: Frame, writes: bool = False) -> frozenset[str]:
        """Reports what touching the path means, and returns the labels of what is read from it."""
        if not text:
            return frozenset({"files"})
        if writes:
            for pattern, what in ((AGENT_MEMORY, "agent-memory"), (SYSTEM_PERSIST, "system-persist")):
                if pattern.search(text):
                    self.fact(what, text, node, frame)
            return frozenset()
        labels = path_labels(text)
        if "credentials" in labels:
            self.fact("credential-read", text, node, frame)
        if "context" in labels:
            self.fact("context-read", text, node, frame)
        return frozenset(labels)

    def command(self, text: str, node: ast.AST, frame: Frame) -> None:
        """A shell command in a string: read with the other shell of the skill."""
        code = frame.module.code
        line = getattr(node, "lineno", 1) + code.line - 1
        self.commands[Code("shell", text, code.path, line, code.weight)] = None
