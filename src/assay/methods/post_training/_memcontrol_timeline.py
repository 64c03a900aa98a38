"""Long work with an assistant, grown event by event, to ask questions of (memory control, 2601.05107).

An event needs what earlier ones produced and produces things itself, each of which has one latest version. A source
proposes events, and a timeline takes those whose needs are there and which do not repeat themselves; a judge may look
at coherence as well. Queries are then asked at a point of the timeline, with what is remembered up to there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from assay.methods.parsing import ask_json
from assay.methods.post_training._memcontrol_memory import Memory
from assay.methods.protocols import Complete

EVENTS_A_SESSION = 3
PATIENCE = 20  # proposals in a row that are turned down before a timeline ends

TASKS: Mapping[str, str] = {
    "plan and design": "Plan what comes next for the {target}, and say in which steps.",
    "revise": "Revise the {target} and say what you changed.",
    "analyse and critique": "Go through the {target}: what is weak in it, and what is missing?",
    "explain a concept": "Explain the idea behind the {target}, as you would to someone who joins now.",
}


@dataclass(frozen=True)
class Kind:
    """A kind of event of a scenario: what it needs, what it produces, and how it is told."""

    needs: tuple[str, ...]
    produces: str
    text: str


SCENARIOS: Mapping[str, Mapping[str, Kind]] = {
    "research": {
        "survey": Kind((), "reading notes", "read about {topic} and noted that {detail} is left open"),
        "question": Kind(("reading notes",), "research question", "asked how {topic} depends on {detail}"),
        "plan": Kind(("research question",), "study plan", "planned three cases of {topic}, beginning with {detail}"),
        "experiment": Kind(("study plan",), "result table", "measured {topic} and found {detail} to matter most"),
        "draft": Kind(("result table",), "draft", "wrote a draft on {topic} that opens with {detail}"),
        "review": Kind(("draft",), "review comments", "heard from a reader that {detail} is not shown for {topic}"),
        "revision": Kind(("draft", "review comments"), "draft", "reworked the draft on {topic} around {detail}"),
    },
    "tutoring": {
        "goal": Kind((), "learning goal", "wants to understand {topic} well enough to explain {detail}"),
        "diagnosis": Kind(("learning goal",), "list of gaps", "could follow {topic} up to {detail}"),
        "lesson": Kind(("list of gaps",), "lesson notes", "went through {topic} with {detail} as the example"),
        "exercise": Kind(("lesson notes",), "exercise sheet", "got exercises on {topic}, the last about {detail}"),
        "attempt": Kind(("exercise sheet",), "solutions", "solved the sheet on {topic} and got stuck at {detail}"),
        "feedback": Kind(("solutions",), "list of gaps", "heard that {detail} is the part of {topic} to practise"),
        "summary": Kind(("lesson notes", "solutions"), "summary sheet", "summed up {topic}, with {detail} on top"),
    },
}
DETAILS = (
    "the smallest case", "the cost of a mistake", "noise in the data", "a change of units", "the order of the steps",
    "a missing control", "the role of the sample size", "an older method", "the edge cases", "a simple picture of it",
)  # fmt: skip
PROFILES = {
    "research": ("Works as a researcher on {topic}.", "Prefers short paragraphs and named figures."),
    "tutoring": ("Studies {topic} in the evenings.", "Likes worked examples before definitions."),
}


@dataclass(frozen=True)
class Event:
    """Something that happened: its kind, a text, the artifacts that it needs and the one that it produces."""

    kind: str
    text: str
    needs: tuple[str, ...]
    produces: str


@dataclass
class Timeline:
    """Events in order. `turned_down` counts proposals by the reason."""

    scenario: str
    topic: str
    events: list[Event] = field(default_factory=list)
    turned_down: dict[str, int] = field(default_factory=lambda: {"needs": 0, "repeats": 0, "incoherent": 0})

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise ValueError(f"scenario: got {self.scenario!r}, wanted one of {', '.join(SCENARIOS)}")
        if not self.topic.strip():
            raise ValueError("topic: got an empty text")

    def artifacts(self, upto: int | None = None) -> dict[str, tuple[int, str]]:
        """The latest version of each artifact after the first `upto` events: its number, from 1, and its text."""
        latest: dict[str, tuple[int, str]] = {}
        for event in self.events[:upto]:
            latest[event.produces] = (latest.get(event.produces, (0, ""))[0] + 1, event.text)
        return latest

    def fault(self, event: Event) -> str | None:
        """Why an event cannot come next: "needs" or "repeats"; None where it can."""
        if not set(event.needs) <= set(self.artifacts()):
            return "needs"
        return "repeats" if any(event.text == earlier.text for earlier in self.events) else None

    def memory(self, upto: int) -> Memory:
        """What is remembered after the first `upto` events: who it is, the latest artifacts of earlier sessions, and
        the events of the session that is going on."""
        begun = (upto - 1) // EVENTS_A_SESSION * EVENTS_A_SESSION if upto else 0
        earlier = tuple(f"{name}, version {n}: {text}" for name, (n, text) in self.artifacts(begun).items())
        session = tuple(f"{event.kind}: {event.text}" for event in self.events[begun:upto])
        return Memory(tuple(line.format(topic=self.topic) for line in PROFILES[self.scenario]), earlier, session)


class EventSource(Protocol):
    """Proposes what could happen next; whether it can, the timeline says."""

    async def __call__(self, timeline: Timeline) -> Event: ...


Coherent = Callable[[Timeline, Event], Awaitable[bool]]


class RuleSource:
    """Events from the scenario's own kinds and a stock of details, drawn by `generator`."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    async def __call__(self, timeline: Timeline) -> Event:
        kinds = SCENARIOS[timeline.scenario]
        name = list(kinds)[int(self.generator.integers(len(kinds)))]
        kind = kinds[name]
        detail = DETAILS[int(self.generator.integers(len(DETAILS)))]
        return Event(name, kind.text.format(topic=timeline.topic, detail=detail), kind.needs, kind.produces)


class LLMSource:
    """Events that a language model makes up. Raises ReplyError where its reply stays unusable."""

    def __init__(self, complete: Complete) -> None:
        self.complete = complete

    async def __call__(self, timeline: Timeline) -> Event:
        kinds = SCENARIOS[timeline.scenario]
        offered = [f"{name}: needs {', '.join(k.needs) or 'nothing'}, gives {k.produces}" for name, k in kinds.items()]
        schema = {
            "type": "object",
            "properties": {"kind": {"enum": list(kinds)}, "text": {"type": "string", "minLength": 1}},
            "required": ["kind", "text"],
        }
        prompt = (
            f"{_told(timeline)}\n\nKinds of events:\n{_lines(offered)}\n\nWhat happens next? One event whose needs are "
            "there, told in one sentence with a detail of its own, without naming the person. "
            'Reply with {"kind": "...", "text": "..."}.'
        )
        said = await ask_json(self.complete, prompt, schema, 2)
        kind = kinds[said["kind"]]
        return Event(said["kind"], said["text"].strip(), kind.needs, kind.produces)


def llm_coherence(complete: Complete) -> Coherent:
    """A judge of whether an event fits what happened before."""

    async def coherent(timeline: Timeline, event: Event) -> bool:
        schema = {"type": "object", "properties": {"fits": {"type": "boolean"}}, "required": ["fits"]}
        prompt = (
            f"{_told(timeline)}\n\nProposed next event: {event.kind}: {event.text}\n\n"
            'Does it follow from what happened and contradict none of it? Reply with {"fits": true} or {"fits": false}.'
        )
        return bool((await ask_json(complete, prompt, schema, 2))["fits"])

    return coherent


def _told(timeline: Timeline) -> str:
    happened = [f"{n}. {event.kind}: {event.text}" for n, event in enumerate(timeline.events, 1)]
    return f"Scenario: {timeline.scenario} on {timeline.topic}. So far:\n{_lines(happened or ['nothing'])}"


def _lines(told: Sequence[str]) -> str:
    return "\n".join(told)


async def grow(
    scenario: str, topic: str, events: int, source: EventSource, coherent: Coherent | None = None
) -> Timeline:
    """A timeline of `events` events, each proposed, checked, and proposed anew where it does not fit.

    Raises ValueError where too many proposals in a row do not fit, or for an unknown scenario.
    """
    timeline, in_vain = Timeline(scenario, topic), 0
    while len(timeline.events) < events:
        event = await source(timeline)
        fault = timeline.fault(event)
        if fault is None and coherent is not None and not await coherent(timeline, event):
            fault = "incoherent"
        if fault is None:
            timeline.events.append(event)
            in_vain = 0
            continue
        timeline.turned_down[fault] += 1
        in_vain += 1
        if in_vain == PATIENCE:
            raise ValueError(f"source: {PATIENCE} proposals in a row do not fit after {len(timeline.events)} events")
    return timeline


def ask(timeline: Timeline, generator: np.random.Generator) -> dict[str, Any]:
    """A query at some point of a timeline: the event, the task, its target, the text, and what is remembered there."""
    upto = 1 + int(generator.integers(len(timeline.events)))
    task = list(TASKS)[int(generator.integers(len(TASKS)))]
    targets = sorted(timeline.artifacts(upto))
    target = targets[int(generator.integers(len(targets)))]
    text = f"{TASKS[task].format(target=target)} It is about {timeline.topic}."
    event = timeline.events[upto - 1].kind
    return {"event": event, "task": task, "target": target, "query": text, "memory": timeline.memory(upto)}


async def synthesise(
    scenario: str,
    topics: Sequence[str],
    n: int,
    *,
    generator: np.random.Generator,
    source: EventSource | None = None,
    coherent: Coherent | None = None,
    events: int = 12,
) -> list[dict[str, Any]]:
    """`n` queries with memories, the topics in turn: {"id", "scenario", "topic", "event", "task", "target", "query",
    "memory"}, as `align_dataset` takes them.

    One timeline of `events` events a topic, from `source` (rules, by default). For a run that can be resumed, give one
    topic a call inside a stage of `assay.methods.data.stages`. Raises ValueError without topics, or for what `grow`
    refuses.
    """
    if not topics or n < 1 or events < 1:
        raise ValueError(f"topics, n, events: got {len(topics)}, {n}, {events}, wanted at least 1 each")
    propose = source or RuleSource(generator)
    timelines = [await grow(scenario, topic, events, propose, coherent) for topic in topics[:n]]
    rows = []
    for number in range(n):
        timeline = timelines[number % len(timelines)]
        asked = ask(timeline, generator)
        rows.append({"id": f"{scenario}-{number}", "scenario": scenario, "topic": timeline.topic, **asked})
    return rows
