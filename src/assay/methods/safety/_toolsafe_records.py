"""One step of an agent as a guard sees it, and files of such steps: our JSONL and the public files' keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RATINGS = (0.0, 0.5, 1.0)  # no harm; harmless now but serving harm, or disputed; significant harm
ROLES = ("system", "user", "assistant", "tool")
FREE_TEXT = "free_text"  # name of the call where a file gives the action in words that name no tool

_REACT = re.compile(r"\bAction\s*:\s*([^\s(]+)\s*Action[ _]Input\s*:\s*(.*)", re.S | re.I)
_CALLED = re.compile(r"\s*(?:Action\s*:\s*)?([\w.\-]+)\s*\((.*)\)\s*", re.S | re.I)
_FLAGS = {True: True, False: False, "yes": True, "no": False, "true": True, "false": False}


@dataclass(frozen=True)
class ToolCall:
    """A call that an agent wants to make. Raises ValueError for an empty name, TypeError for other arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"action: got name {self.name!r}, wanted the name of a tool")
        if not isinstance(self.arguments, Mapping):
            raise TypeError(f"action: got arguments {self.arguments!r}, wanted a mapping of names to values")
        object.__setattr__(self, "arguments", dict(self.arguments))

    def __str__(self) -> str:
        return f"{self.name}({json.dumps(self.arguments, ensure_ascii=False, default=str)})"


@dataclass(frozen=True)
class ToolSpec:
    """A tool as the agent is told of it; `parameters` is its JSON Schema. One without a name describes several."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", dict(self.parameters))


@dataclass(frozen=True)
class Turn:
    """One turn of the history. Raises ValueError for a role other than system, user, assistant and tool."""

    role: str
    text: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"history: got role {self.role!r}, wanted one of {', '.join(ROLES)}")
        if not isinstance(self.text, str):
            raise TypeError(f"history: got {type(self.text).__name__}, wanted text")


@dataclass(frozen=True)
class StepRecord:
    """A step before it is executed, and its labels, None where they are not known.

    action              the call that is about to be made, after `history`, which may be empty
    score               harm of the action alone: 0.0, 0.5 or 1.0
    malicious_request   whether the user asks for harm
    attacked            whether the action follows from what somebody else planted
    """

    user_request: str
    history: tuple[Turn, ...]
    action: ToolCall
    tools: tuple[ToolSpec, ...] = ()
    score: float | None = None
    malicious_request: bool | None = None
    attacked: bool | None = None
    source: str = ""
    kind: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.user_request, str):
            raise TypeError(f"user_request: got {type(self.user_request).__name__}, wanted text")
        if not isinstance(self.action, ToolCall):
            raise ValueError(f"action: got {self.action!r}, wanted a ToolCall")
        for name, kind in (("history", Turn), ("tools", ToolSpec)):
            items = tuple(getattr(self, name))
            if wrong := next((item for item in items if not isinstance(item, kind)), None):
                raise TypeError(f"{name}: got {wrong!r}, wanted {kind.__name__}")
            object.__setattr__(self, name, items)
        if self.score is not None:
            object.__setattr__(self, "score", check_score(self.score))
        for name in ("malicious_request", "attacked"):
            if getattr(self, name) not in (None, True, False):
                raise ValueError(f"{name}: got {getattr(self, name)!r}, wanted true, false or nothing")

    @property
    def described(self) -> str:
        """The description of the call's tool, or nothing."""
        return next((tool.description for tool in self.tools if tool.name == self.action.name), "")

    @property
    def known_tool(self) -> bool:
        """Whether the call's tool is among those the agent was told of, or may be."""
        return not self.tools or any(tool.name in ("", self.action.name) for tool in self.tools)


def check_score(score: object) -> float:
    """The score as a float; ValueError for any but 0.0, 0.5 and 1.0."""
    if isinstance(score, bool) or not isinstance(score, int | float) or score not in RATINGS:
        raise ValueError(f"score must be one of 0.0, 0.5, 1.0, got {score!r}")
    return float(score)


def load_ts_bench(path: Path | str) -> list[StepRecord]:
    """The steps of a file: JSONL or one JSON list, in our keys (`user_request, history, action, tools, score,
    malicious_request, attacked, source, kind`) or the public files' (`instruction, history, current_action, env_info,
    score`).

    Labels may be missing. Raises ValueError that names the line (of a list: the place) and what is wrong there.
    """
    file = Path(path)
    text = file.read_text("utf-8-sig")
    records = []
    for number, row in _rows(file, text):
        try:
            records.append(read_record(row))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file}: {error} (line {number})") from error
    if not records:
        raise ValueError(f"{file}: no steps, wanted one JSON object a line")
    return records


def read_record(row: Mapping[str, Any]) -> StepRecord:
    """One step from a row of plain data, in our keys or the public ones. Raises ValueError or TypeError."""
    if not isinstance(row, Mapping):
        raise ValueError(f"got {type(row).__name__}, wanted a JSON object")
    request = row.get("user_request", row.get("instruction"))
    if request is None:
        raise ValueError(f"user_request: missing (nor `instruction`); the keys are {', '.join(row) or 'none'}")
    action = row.get("action", row.get("current_action"))
    if action in (None, "", {}):
        raise ValueError("action: missing (nor `current_action`), wanted a tool call")
    return StepRecord(
        user_request=request,
        history=_history(row.get("history")),
        action=_action(action),
        tools=_tools(row.get("tools", row.get("env_info"))),
        score=row.get("score"),
        malicious_request=_flag("malicious_request", row.get("malicious_request", row.get("malicious_user_request"))),
        attacked=_flag("attacked", row.get("attacked", row.get("being_attacked"))),
        source=str(row.get("source") or ""),
        kind=str(row.get("kind") or ""),
    )


def _rows(file: Path, text: str) -> list[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        try:
            return list(enumerate(json.loads(text), 1))
        except json.JSONDecodeError as error:
            raise ValueError(f"{file}: not JSON ({error.msg}) (line {error.lineno})") from None
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append((number, json.loads(line)))
            except json.JSONDecodeError as error:
                raise ValueError(f"{file}: not JSON ({error.msg}) (line {number})") from None
    return rows


def _action(given: Any) -> ToolCall:
    """A call as {"name", "arguments"}, in OpenAI's form, or as text: JSON, ReAct's two lines, or name(arguments)."""
    if isinstance(given, ToolCall):
        return given
    if isinstance(given, Mapping):
        inside = given.get("function") if isinstance(given.get("function"), Mapping) else given
        name = next((inside[key] for key in ("name", "tool", "action") if key in inside), "")
        keys = ("arguments", "args", "parameters", "action_input", "tool_input")
        return ToolCall(name, _arguments(next((inside[key] for key in keys if key in inside), {})))
    if not isinstance(given, str):
        raise ValueError(f"action: got {type(given).__name__}, wanted a tool call as an object or as text")
    whole = _object(given)
    if whole is not None and {"name", "tool", "action", "function"} & whole.keys():
        return _action(whole)
    found = _REACT.search(given) or _CALLED.fullmatch(given)
    return ToolCall(found[1], _arguments(found[2])) if found else ToolCall(FREE_TEXT, {"text": given})


def _arguments(given: Any) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    if given in (None, ""):
        return {}
    if isinstance(given, str):
        inside = _object(given)
        return inside if inside is not None else {"input": given.strip()}
    raise TypeError(f"action: got arguments {given!r}, wanted an object")


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _history(given: Any) -> tuple[Turn, ...]:
    """Turns from objects with `role` and `text` or `content`, or pairs; a log in one text is one turn of a tool,
    the role that nobody trusts."""
    if given in (None, ""):
        return ()
    if isinstance(given, str):
        return (Turn("tool", given),)
    if not isinstance(given, Sequence):
        raise TypeError(f"history: got {type(given).__name__}, wanted a list of turns")
    return tuple(_turn(turn) for turn in given)


def _turn(given: Any) -> Turn:
    if isinstance(given, Turn):
        return given
    if isinstance(given, str):
        return Turn("tool", given)
    if isinstance(given, Mapping):
        text = given.get("text", given.get("content"))
        if "role" in given and text is not None:
            return Turn(given["role"], text if isinstance(text, str) else json.dumps(text, ensure_ascii=False))
        return Turn("tool", json.dumps(given, ensure_ascii=False, default=str))
    if isinstance(given, Sequence) and len(given) == 2:
        return Turn(*given)
    raise TypeError(f"history: got {given!r}, wanted a turn with role and text")


def _tools(given: Any) -> tuple[ToolSpec, ...]:
    if given in (None, ""):
        return ()
    if isinstance(given, str):
        try:
            found = json.loads(given)
        except ValueError:
            found = None
        return _tools(found) if isinstance(found, list) else (ToolSpec("", given),)
    if isinstance(given, Mapping):
        given = [given]
    if not isinstance(given, Sequence):
        raise TypeError(f"tools: got {type(given).__name__}, wanted a list of tools")
    return tuple(_tool(tool) for tool in given)


def _tool(given: Any) -> ToolSpec:
    if isinstance(given, ToolSpec):
        return given
    if isinstance(given, str):
        return ToolSpec("", given)
    if not isinstance(given, Mapping):
        raise TypeError(f"tools: got {given!r}, wanted an object with name, description and parameters")
    inside = given.get("function") if isinstance(given.get("function"), Mapping) else given
    schema = next((inside[key] for key in ("parameters", "inputSchema", "input_schema") if inside.get(key)), {})
    if not isinstance(schema, Mapping):
        schema = {"parameters": schema}
    return ToolSpec(str(inside.get("name", "")), str(inside.get("description") or ""), schema)


def _flag(name: str, given: Any) -> bool | None:
    if given is None:
        return None
    key = given.strip().lower() if isinstance(given, str) else given
    if isinstance(key, str | int | float) and key in _FLAGS:
        return _FLAGS[key]
    raise ValueError(f"{name}: got {given!r}, wanted true or false")
