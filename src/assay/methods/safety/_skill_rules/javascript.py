"""Reading JavaScript (and TypeScript as far as the same grammar reads it) with tree-sitter.

Coarser than the Python reader on purpose: one table of names for the whole file, read three times so that what
a later line learns reaches an earlier one. That is enough to follow `process.env` into a `fetch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import tree_sitter
import tree_sitter_javascript

from .code import Code
from .facts import (
    AGENT_MEMORY,
    CONTEXT_NAME,
    HOME_ROOT,
    SYSTEM_PERSIST,
    Fact,
    env_label,
    host_of,
    path_labels,
)
from .javascript_names import (
    CHMOD,
    DECODERS,
    EVALUATORS,
    FLOWING,
    HOST_INFO,
    LOGS,
    NETWORK,
    PROCESSES,
    READS,
    SEND_METHODS,
    WALKS,
    WRITES,
    field,
    in_headers,
    returns,
    snake,
    source_text,
)

MAX_SOURCE = 200_000  # characters; the rest of a longer file is not read
MAX_NESTING = 200
PASSES = 3
Known = tuple[frozenset[str], str | None, str]  # labels, text, origin
NOTHING: Known = (frozenset(), None, "")


@lru_cache(maxsize=1)
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_javascript.language()))


def javascript_facts(pieces: Iterable[Code]) -> tuple[list[Fact], list[Code]]:
    """(facts, shell commands in strings) of a skill's JavaScript pieces."""
    facts: dict[Fact, None] = {}
    commands: dict[Code, None] = {}
    for code in pieces:
        reader = _Reader(code, facts, commands)
        tree = _parser().parse(code.text[:MAX_SOURCE].encode())
        for _ in range(PASSES):
            reader.known.clear()
            reader.value(tree.root_node, 0)
    return list(facts), list(commands)


class _Reader:
    def __init__(self, code: Code, facts: dict[Fact, None], commands: dict[Code, None]) -> None:
        self.code, self.facts, self.commands = code, facts, commands
        self.names: dict[str, Known] = {}
        self.parameters: dict[str, list[str]] = {}  # of the file's own functions
        self.returns: dict[str, frozenset[str]] = {}
        self.known: dict[int, Known] = {}  # by node: each is read once a pass, or long call chains cost 2**n

    def fact(self, what: str, detail: str, node: tree_sitter.Node) -> None:
        (row, col), (end_row, end_col) = node.start_point, node.end_point
        columns = (col + 1, end_col + 1) if self.code.exact else (1, 1)
        self.facts[
            Fact(
                what,
                detail[:200],
                self.code.path,
                self.code.line + row,
                columns[0],
                self.code.line + end_row,
                columns[1],
                self.code.weight,
            )
        ] = None

    # ---- values -----------------------------------------------------------------------------------------

    def value(self, node: tree_sitter.Node, depth: int) -> Known:
        """What an expression holds; reading a statement reads all that is in it."""
        if depth > MAX_NESTING:
            return NOTHING
        if node.id not in self.known:
            self.known[node.id] = self.read(node, depth)
        return self.known[node.id]

    def read(self, node: tree_sitter.Node, depth: int) -> Known:
        kind = node.type
        if kind in ("string", "template_string"):
            return self.text(node, depth)
        if kind in ("identifier", "shorthand_property_identifier"):
            return self.identifier(source_text(node))
        if kind in ("member_expression", "subscript_expression"):
            return self.member(node, depth)
        if kind in ("call_expression", "new_expression"):
            return self.call(node, depth)
        if kind == "variable_declarator":
            return self.declared(node, depth)
        if kind in ("assignment_expression", "augmented_assignment_expression"):
            return self.assigned(node, depth)
        if kind == "import_statement":
            return self.imported(node)
        if kind in ("function_declaration", "generator_function_declaration", "method_definition"):
            return self.function(node, depth)
        if kind == "for_in_statement":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is not None and right is not None:
                self.bind(left, self.value(right, depth + 1))
        if kind == "pair":
            return self.pair(node, depth)
        values = [self.value(c, depth + 1) for c in node.named_children]
        labels = frozenset().union(*(v[0] for v in values))
        if kind == "binary_expression" and any(v[1] is not None for v in values):
            return labels, "".join("{}" if v[1] is None else v[1] for v in values)[:4000], ""
        if kind == "array":
            return labels, " ".join("{}" if v[1] is None else v[1] for v in values)[:4000], ""
        if kind in ("await_expression", "parenthesized_expression") and len(values) == 1:
            return values[0]
        return labels, None, ""

    def text(self, node: tree_sitter.Node, depth: int) -> Known:
        labels: frozenset[str] = frozenset()
        parts = []
        for child in node.named_children:
            if child.type == "template_substitution":
                inner = self.value(child.named_children[0], depth + 1) if child.named_children else NOTHING
                labels |= inner[0]
                parts.append("{}" if inner[1] is None else inner[1])
            else:
                parts.append(source_text(child))
        return labels, "".join(parts)[:4000], ""

    def identifier(self, name: str) -> Known:
        known = self.names.get(name)
        if known is not None:
            return known
        return (frozenset({"context"}), None, "") if CONTEXT_NAME.match(snake(name)) else (frozenset(), None, name)

    def member(self, node: tree_sitter.Node, depth: int) -> Known:
        holder = node.child_by_field_name("object")
        base = self.value(holder, depth + 1) if holder is not None else NOTHING
        key = node.child_by_field_name("property") or node.child_by_field_name("index")
        if key is None:
            return base
        name = source_text(key) if node.type == "member_expression" else self.value(key, depth + 1)[1] or ""
        dotted = f"{base[2]}.{name}" if base[2] and name else ""
        if dotted in self.names:
            return self.names[dotted]
        if dotted == "process.env":
            return frozenset({"environ"}), None, dotted
        if base[2] == "process.env" and name:
            return frozenset({env_label(name)}), None, ""
        if dotted == "process.argv":
            return frozenset({"input"}), None, ""
        labels = base[0] | ({"context"} if CONTEXT_NAME.match(snake(name)) else set())
        return labels, None, dotted

    def pair(self, node: tree_sitter.Node, depth: int) -> Known:
        """`transcript: x` in an object: what stands under such a name is one, whatever `x` is called."""
        key, inner = node.child_by_field_name("key"), node.child_by_field_name("value")
        got = self.value(inner, depth + 1) if inner is not None else NOTHING
        named = key is not None and CONTEXT_NAME.match(snake(source_text(key).strip("'\"")))
        return (got[0] | {"context"}, got[1], got[2]) if named else got

    def declared(self, node: tree_sitter.Node, depth: int) -> Known:
        target, source = node.child_by_field_name("name"), node.child_by_field_name("value")
        if target is None or source is None:
            return NOTHING
        if source.type in ("arrow_function", "function_expression") and target.type == "identifier":
            return self.function(source, depth, source_text(target))
        got = self.value(source, depth + 1)
        self.bind(target, got)
        return got

    def assigned(self, node: tree_sitter.Node, depth: int) -> Known:
        target, source = node.child_by_field_name("left"), node.child_by_field_name("right")
        if target is None or source is None:
            return NOTHING
        got = self.value(source, depth + 1)
        if target.type in ("member_expression", "subscript_expression"):
            holder = target.child_by_field_name("object")
            if holder is not None and holder.type == "identifier":
                old = self.names.get(source_text(holder), NOTHING)
                self.names[source_text(holder)] = (old[0] | got[0], old[1], old[2])
        elif node.type == "augmented_assignment_expression":
            old = self.names.get(source_text(target), NOTHING)
            text = old[1] + got[1] if old[1] is not None and got[1] is not None and len(old[1]) < 4000 else None
            self.names[source_text(target)] = (old[0] | got[0], text, "")
        else:
            self.bind(target, got)
        return got

    def bind(self, target: tree_sitter.Node, got: Known) -> None:
        labels, _, origin = got
        if target.type == "identifier":
            self.names[source_text(target)] = got
            return
        for child in target.named_children:
            if child.type == "shorthand_property_identifier_pattern":
                name = source_text(child)
                value = (labels, None, f"{origin}.{name}" if origin else "")
                if origin == "process.env":
                    value = (frozenset({env_label(name)}), None, "")
                self.names[name] = value
            elif child.type == "pair_pattern" and child.child_by_field_name("value") is not None:
                key, inner = child.child_by_field_name("key"), child.child_by_field_name("value")
                self.bind(inner, (labels, None, f"{origin}.{source_text(key)}" if origin and key else ""))
            else:
                self.bind(child, (labels, None, ""))

    def imported(self, node: tree_sitter.Node) -> Known:
        source = node.child_by_field_name("source")
        module = source_text(source).strip("'\"").removeprefix("node:") if source else ""
        for clause in node.named_children:
            for item in clause.named_children:
                if item.type == "identifier":
                    self.names[source_text(item)] = (frozenset(), None, module)
                elif item.type == "namespace_import" and item.named_children:
                    self.names[source_text(item.named_children[0])] = (frozenset(), None, module)
                for spec in item.named_children if item.type == "named_imports" else ():
                    name, alias = spec.child_by_field_name("name"), spec.child_by_field_name("alias")
                    if name is not None:
                        self.names[source_text(alias or name)] = (frozenset(), None, f"{module}.{source_text(name)}")
        return NOTHING

    def function(self, node: tree_sitter.Node, depth: int, name: str = "") -> Known:
        named = node.child_by_field_name("name")
        name = name or (source_text(named) if named else "")
        holder = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        parameters = (
            [holder]
            if holder is not None and holder.type == "identifier"
            else list(holder.named_children if holder else ())
        )
        self.parameters[name] = [source_text(p) for p in parameters if p.type == "identifier"]
        body = node.child_by_field_name("body")
        if body is None:
            return NOTHING
        got = self.value(body, depth + 1)
        returned = [self.value(r, depth + 1)[0] for r in returns(body)]
        self.returns[name] = frozenset().union(*returned) if body.type == "statement_block" else got[0]
        return frozenset(), None, name

    # ---- calls ------------------------------------------------------------------------------------------

    def call(self, node: tree_sitter.Node, depth: int) -> Known:
        callee = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        holder = node.child_by_field_name("arguments")
        arguments = [c for c in holder.named_children if c.type != "comment"] if holder is not None else []
        if callee is None:
            return NOTHING
        target = self.value(callee, depth + 1)
        values = [
            self.value(a, depth + 1) for a in arguments if a.type not in ("arrow_function", "function_expression")
        ]
        labels = frozenset().union(*(v[0] for v in values))
        receiver = NOTHING
        if callee.type == "member_expression" and callee.child_by_field_name("object") is not None:
            receiver = self.value(callee.child_by_field_name("object"), depth + 1)
        self.callbacks(arguments, receiver, depth)
        name = self.named(target[2], values, arguments)
        if name == "require":
            return frozenset(), None, (values[0][1] or "").removeprefix("node:") if values else ""
        if name in self.parameters:
            for parameter, value in zip(self.parameters[name], values):
                old = self.names.get(parameter, NOTHING)
                self.names[parameter] = (old[0] | value[0], value[1] or old[1], value[2] or old[2])
            return self.returns.get(name, frozenset()), None, ""
        return self.library(name, node, values, labels, receiver, callee)

    def callbacks(self, arguments: list[tree_sitter.Node], receiver: Known, depth: int) -> None:
        """`promise.then(text => ...)`: the callback's first parameter holds what the receiver holds."""
        for argument in arguments:
            if argument.type not in ("arrow_function", "function_expression"):
                continue
            holder = argument.child_by_field_name("parameters") or argument.child_by_field_name("parameter")
            first = (
                holder
                if holder is not None and holder.type == "identifier"
                else next(iter(holder.named_children), None)
                if holder
                else None
            )
            if first is not None and receiver[0]:
                self.bind(first, (receiver[0], None, ""))
            body = argument.child_by_field_name("body")
            if body is not None:
                self.value(body, depth + 1)

    @staticmethod
    def named(origin: str, values: list[Known], arguments: list[tree_sitter.Node]) -> str:
        """The callee's dotted name, marked where the arguments change what it does."""
        if origin == "Buffer.from" and len(values) > 1 and values[1][1] in ("base64", "hex"):
            return f"{origin}${values[1][1]}"
        if origin in ("setTimeout", "setInterval") and arguments and arguments[0].type in ("string", "template_string"):
            return "setTimeout$text"
        if origin == "require" and values and values[0][0] & {"decoded", "network"}:
            return "require$dynamic"
        return origin

    def library(
        self,
        name: str,
        node: tree_sitter.Node,
        values: list[Known],
        labels: frozenset[str],
        receiver: Known,
        callee: tree_sitter.Node,
    ) -> Known:
        first = values[0][1] if values and values[0][1] else ""
        method = name.rpartition(".")[2] or (
            source_text(callee.child_by_field_name("property")) if callee.child_by_field_name("property") else ""
        )
        if NETWORK.match(name) or (method in SEND_METHODS and "network" in receiver[0]):
            return self.network(name, method, node, labels, receiver, first)
        if EVALUATORS.match(name):
            for label in sorted(labels & FLOWING):
                self.fact(f"{label}->exec", name, node)
            self.fact("evaluator", name.partition("$")[0], node)
        elif PROCESSES.match(name):
            return self.process(name, node, values, labels)
        elif READS.match(name) or WALKS.match(name):
            return self.path_read(node, first, labels, bool(WALKS.match(name)))
        elif WRITES.match(name):
            self.written(node, first, values)
        elif (
            CHMOD.match(name)
            and len(values) > 1
            and re.search(r"7$|6$", values[1][1] or source_text(node)[-5:].strip(" )"))
        ):
            self.fact("chmod-open", first, node)
        elif LOGS.match(name):
            for label in sorted(labels & {"environ", "secret-env", "credentials", "context"}):
                self.fact(f"{label}->log", name, node)
        elif DECODERS.match(name):
            if "decoded" in labels:
                self.fact("decode-layer", name.partition("$")[0], node)
            return labels | {"decoded"}, None, ""
        elif HOST_INFO.match(name):
            return frozenset({"host-info"}), None, ""
        elif name == "os.homedir":
            return frozenset(), "~", ""
        elif name in ("path.join", "path.resolve"):
            return labels, "/".join("{}" if v[1] is None else v[1] for v in values), ""
        elif name in ("process.setuid", "process.seteuid"):
            self.fact("setuid", name, node)
        elif name in ("Object.entries", "Object.keys", "Object.assign", "JSON.stringify") and "environ" in labels:
            self.fact("environ-read", "process.env", node)
        elif name in ("clipboardy.read", "navigator.clipboard.readText"):
            return frozenset({"clipboard"}), None, ""
        elif name in ("keytar.getPassword", "keytar.findCredentials", "chrome.cookies.getAll"):
            self.fact("credential-read", name, node)
            return frozenset({"credentials"}), None, ""
        if method in ("push", "set", "append", "assign") and callee.type == "member_expression":
            holder = callee.child_by_field_name("object")
            if holder is not None and holder.type == "identifier":
                self.names[source_text(holder)] = (receiver[0] | labels, receiver[1], receiver[2])
        text = receiver[1] if method in ("trim", "toString", "replace") else None
        return labels | receiver[0], text, ""

    def network(
        self, name: str, method: str, node: tree_sitter.Node, labels: frozenset[str], receiver: Known, first: str
    ) -> Known:
        host = (
            host_of(first)
            or host_of(field(node, "hostname") or field(node, "host") or field(node, "url") or "")
            or (receiver[1] or "")
        )
        self.fact("network", host, node)
        if method in (*SEND_METHODS, "post", "put", "patch", "sendBeacon") or re.search(
            r"\b(?:body|data|json|form)\s*[:,}]|['\"](?:POST|PUT|PATCH)['\"]", source_text(node)[:4000]
        ):
            self.fact("upload", host, node)
        secret = labels & {"secret-env", "env"}
        if secret and in_headers(node):
            self.fact("secret-env->auth", host, node)
            labels -= secret
        for label in sorted((labels - {"network"}) & FLOWING):
            self.fact(f"{label}->network", host, node)
        return frozenset({"network"}), host, ""

    def process(self, name: str, node: tree_sitter.Node, values: list[Known], labels: frozenset[str]) -> Known:
        text = " ".join(v[1] for v in values[:2] if v[1])
        if text:
            self.commands[
                Code("shell", text, self.code.path, self.code.line + node.start_point[0], self.code.weight)
            ] = None
        sink = "network" if re.search(r"\b(?:curl|wget|nc|scp|rsync)\b", text) else "shell"
        for label in sorted(labels & FLOWING):
            self.fact(f"{label}->{sink}", host_of(text) if sink == "network" else text, node)
        return (frozenset({"network"}) if sink == "network" else frozenset()), None, ""

    def path_read(self, node: tree_sitter.Node, path: str, labels: frozenset[str], walks: bool) -> Known:
        if walks and HOME_ROOT.search(path.rstrip("*").rstrip("/") or "-"):
            self.fact("home-walk", path, node)
            return frozenset({"home-files"}), f"{path}/{{}}", ""
        found = path_labels(path) if path else {"files"}
        if walks and "credentials" in found:
            self.fact("home-walk", path, node)
        for label, what in (("credentials", "credential-read"), ("context", "context-read")):
            if label in found:
                self.fact(what, path, node)
        return labels | found, path, ""

    def written(self, node: tree_sitter.Node, path: str, values: list[Known]) -> None:
        for label in sorted(frozenset().union(*(v[0] for v in values[1:])) & FLOWING):
            self.fact(f"{label}->file", path, node)
        for pattern, what in ((AGENT_MEMORY, "agent-memory"), (SYSTEM_PERSIST, "system-persist")):
            if pattern.search(path):
                self.fact(what, path, node)
