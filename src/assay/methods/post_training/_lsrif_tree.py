"""The logic of an instruction as a tree (LSRIF, 2601.06431), and its form as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from assay.methods.post_training._lsrif_checks import Rule, read_rule

Decide = Callable[[str, str], bool]  # (prompt, response) to whether a condition is true


@dataclass(frozen=True)
class Constraint:
    """One thing a text does or does not: `text` as a person or a judge reads it, `check` where a rule can tell.

    `of` is the text that is looked at; conditions often look at the prompt.
    """

    id: str
    text: str
    check: Callable[[str], bool] | None = None
    of: Literal["response", "prompt"] = "response"


@dataclass(frozen=True)
class Parallel:
    """All of these."""

    children: Sequence[Node]

    def __post_init__(self) -> None:
        object.__setattr__(self, "children", tuple(self.children))
        if not self.children:
            raise ValueError("parallel: got no children, wanted at least one")


@dataclass(frozen=True)
class Sequential:
    """First this, then that."""

    steps: Sequence[Node]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if len(self.steps) < 2:
            raise ValueError(f"sequential: got {len(self.steps)} steps, wanted at least 2")


@dataclass(frozen=True)
class Conditional:
    """`then` if the condition is true, else `otherwise`, where there is one."""

    condition: Constraint | bool | Decide
    then: Node
    otherwise: Node | None = None


Node: TypeAlias = Constraint | Parallel | Sequential | Conditional


def parse(given: Mapping[str, Any] | str) -> Node:
    """The tree from its JSON form, as an object or as text.

    {"kind": "constraint", "id", "text", "check"?, "of"?}
    {"kind": "parallel", "children": [...]}
    {"kind": "sequential", "steps": [...]}
    {"kind": "conditional", "condition": a constraint, true or false, "then", "otherwise"?}

    Raises ValueError for an unknown kind, a missing or unknown field, fewer than two steps, or two constraints of one
    id.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise ValueError(f"structure: not JSON ({error})") from None
    node = _read(given)
    check_ids(node)
    return node


def to_dict(node: Node) -> dict[str, Any]:
    """The JSON form of a tree. Raises ValueError for a check that is no `Rule`, or a condition that is a function."""
    if isinstance(node, Parallel):
        return {"kind": "parallel", "children": [to_dict(child) for child in node.children]}
    if isinstance(node, Sequential):
        return {"kind": "sequential", "steps": [to_dict(step) for step in node.steps]}
    if isinstance(node, Constraint):
        return _constraint_to_dict(node)
    if not isinstance(node.condition, (Constraint, bool)):
        raise ValueError("condition: a function has no JSON form; `settle` it first")
    condition = to_dict(node.condition) if isinstance(node.condition, Constraint) else node.condition
    branches = {"then": to_dict(node.then)} | ({"otherwise": to_dict(node.otherwise)} if node.otherwise else {})
    return {"kind": "conditional", "condition": condition, **branches}


def constraints(node: Node, *, conditions: bool = True) -> Iterator[Constraint]:
    """All constraints of a tree from left to right, of every branch; at wish without those that are conditions."""
    if isinstance(node, Constraint):
        yield node
    elif isinstance(node, Conditional):
        if conditions and isinstance(node.condition, Constraint):
            yield node.condition
        for branch in (node.then, node.otherwise):
            if branch is not None:
                yield from constraints(branch, conditions=conditions)
    else:
        for child in node.children if isinstance(node, Parallel) else node.steps:
            yield from constraints(child, conditions=conditions)


def check_ids(node: Node) -> None:
    """ValueError where two constraints have one id."""
    for name, times in Counter(constraint.id for constraint in constraints(node)).items():
        if times > 1:
            raise ValueError(f"id: {times} constraints are called {name!r}, wanted a name of its own for each")


def settle(node: Node, prompt: str, response: str) -> Node:
    """The tree with every condition that is a function replaced by what it says of this prompt and response."""
    if isinstance(node, Parallel):
        return Parallel([settle(child, prompt, response) for child in node.children])
    if isinstance(node, Sequential):
        return Sequential([settle(step, prompt, response) for step in node.steps])
    if isinstance(node, Constraint):
        return node
    condition = node.condition
    if not isinstance(condition, (Constraint, bool)):
        condition = bool(condition(prompt, response))
    otherwise = None if node.otherwise is None else settle(node.otherwise, prompt, response)
    return replace(node, condition=condition, then=settle(node.then, prompt, response), otherwise=otherwise)


_FIELDS = {  # of each kind: what it must have, and what it may have
    "constraint": (("id", "text"), ("check", "of")),
    "parallel": (("children",), ()),
    "sequential": (("steps",), ()),
    "conditional": (("condition", "then"), ("otherwise",)),
}


def _read(given: Any) -> Node:
    if not isinstance(given, Mapping) or given.get("kind") not in _FIELDS:
        kind = given.get("kind") if isinstance(given, Mapping) else given
        raise ValueError(f"kind: got {kind!r}, wanted one of {', '.join(_FIELDS)}")
    kind = given["kind"]
    must, may = _FIELDS[kind]
    for name in must:
        if given.get(name) is None:
            raise ValueError(f"{kind}: {name!r} is missing; it has {', '.join(given)}")
    if unknown := set(given) - {"kind", *must, *may}:
        raise ValueError(f"{kind}: got the field {sorted(unknown)[0]!r}, wanted {', '.join((*must, *may))}")
    if kind == "parallel":
        return Parallel(_list(given["children"], "children"))
    if kind == "sequential":
        return Sequential(_list(given["steps"], "steps"))
    if kind == "constraint":
        return _read_constraint(given)
    condition = given["condition"] if isinstance(given["condition"], bool) else _read(given["condition"])
    if not isinstance(condition, (Constraint, bool)):
        raise ValueError("condition: got a tree, wanted a constraint, true or false")
    otherwise = None if given.get("otherwise") is None else _read(given["otherwise"])
    return Conditional(condition, _read(given["then"]), otherwise)


def _list(given: Any, name: str) -> tuple[Node, ...]:
    if not isinstance(given, list):
        raise ValueError(f"{name}: got {type(given).__name__}, wanted a list")
    return tuple(_read(child) for child in given)


def _read_constraint(given: Mapping[str, Any]) -> Constraint:
    for name in ("id", "text"):
        if not isinstance(given[name], str) or not given[name].strip():
            raise ValueError(f"constraint: {name} is {given[name]!r}, wanted a text")
    of: Any = given.get("of") or "response"
    if of not in ("response", "prompt"):
        raise ValueError(f"of: got {of!r}, wanted 'response' or 'prompt'")
    check = None if given.get("check") is None else read_rule(given["check"])
    return Constraint(given["id"], given["text"], check, of)


def _constraint_to_dict(constraint: Constraint) -> dict[str, Any]:
    if constraint.check is not None and not isinstance(constraint.check, Rule):
        raise ValueError(f"check: that of {constraint.id!r} is a function, which has no JSON form; wanted a Rule")
    written: dict[str, Any] = {"kind": "constraint", "id": constraint.id, "text": constraint.text}
    if constraint.check is not None:
        written["check"] = constraint.check.to_dict()
    return {**written, "of": "prompt"} if constraint.of == "prompt" else written
