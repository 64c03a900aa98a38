"""How an agent uses its tools, from conversations in OpenAI's form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FAILED = re.compile(r"\s*(?:error\b|exception\b|traceback\b|\w*(?:Error|Exception)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Trace:
    """One trajectory: its correctness in [0, 1], calls as (name, arguments), whether each succeeded (None where no
    result is on record), and the words that the assistant wrote."""

    correct: float
    calls: tuple[tuple[str, str], ...]
    succeeded: tuple[bool | None, ...]
    words: int

    @property
    def redundant(self) -> int:
        """Calls that stood before in the same trajectory, name and arguments alike."""
        return len(self.calls) - len(set(self.calls))


@dataclass(frozen=True)
class Behaviour:
    """Means over trajectories, shares over calls; None where there is nothing to take them of.

    efficiency     100 * correct / calls where a tool was used, else 0: right answers per hundred calls
    conciseness    words that the assistant wrote
    tool_success   share of the calls with a result on record whose result is no error
    redundant      share of the calls that stood before in the same trajectory
    """

    trajectories: int
    correctness: float
    calls: float
    efficiency: float
    conciseness: float
    tool_success: float | None
    redundant: float | None


def behaviour_report(traces: Sequence[Trace]) -> Behaviour:
    """The behaviour of an agent in its trajectories. Raises ValueError without any."""
    n = len(traces)
    if n == 0:
        raise ValueError("traces: got none, wanted at least one trajectory")
    calls = sum(len(trace.calls) for trace in traces)
    known = [good for trace in traces for good in trace.succeeded if good is not None]
    return Behaviour(
        trajectories=n,
        correctness=sum(trace.correct for trace in traces) / n,
        calls=calls / n,
        efficiency=sum(100 * trace.correct / len(trace.calls) for trace in traces if trace.calls) / n,
        conciseness=sum(trace.words for trace in traces) / n,
        tool_success=sum(known) / len(known) if known else None,
        redundant=sum(trace.redundant for trace in traces) / calls if calls else None,
    )


def read_trace(row: Mapping[str, Any]) -> Trace:
    """`{"messages": [...], "correct": ...}` with OpenAI's messages, to a trace.

    A result is an error where its message says `"is_error": true`, or its text begins with the word error, exception
    or traceback, or is a JSON object with a non-empty "error". Raises ValueError saying what is amiss.
    """
    correct, messages = row.get("correct"), row.get("messages")
    if not isinstance(correct, (bool, int, float)) or not 0 <= correct <= 1:
        raise ValueError(f"correct: got {correct!r}, wanted true, false or a number in [0, 1]")
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise ValueError("messages: wanted a list of messages with role and content")
    calls: list[tuple[str, str]] = []
    places: dict[str, int] = {}
    succeeded: list[bool | None] = []
    words = 0
    for message in messages:
        if message.get("role") == "assistant":
            words += len(_text(message.get("content")).split())
            for call in message.get("tool_calls") or ():
                places[str(call.get("id", len(calls)))] = len(calls)
                calls.append(_named(call))
                succeeded.append(None)
        elif message.get("role") == "tool":
            waiting = succeeded.index(None) if None in succeeded else None
            place = places.get(str(message.get("tool_call_id")), waiting)
            if place is None:
                raise ValueError("messages: a tool's result stands there that no call asked for")
            succeeded[place] = not _is_error(message)
    return Trace(float(correct), tuple(calls), tuple(succeeded), words)


def _named(call: Any) -> tuple[str, str]:
    """A call's name and its arguments in one spelling."""
    inside = call.get("function", call) if isinstance(call, Mapping) else {}
    if not isinstance(inside, Mapping) or not isinstance(inside.get("name"), str):
        raise ValueError(f"messages: got the tool call {call!r}, wanted one with a function's name")
    given = inside.get("arguments", {})
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except json.JSONDecodeError:  # what the model wrote, be it no JSON
            return inside["name"], given.strip()
    return inside["name"], json.dumps(given, sort_keys=True)


def _is_error(message: Mapping[str, Any]) -> bool:
    if "is_error" in message:
        return bool(message["is_error"])
    text = _text(message.get("content"))
    if _FAILED.match(text):
        return True
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(content, Mapping) and bool(content.get("error"))


def _text(content: Any) -> str:
    """A message's text, also where it comes in parts."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return "" if content is None else str(content)
