"""Privileged planning: from the user's words and a trusted manifest to the text of a plan, without any screen.

`TemplatePlanner` knows families of tasks by examples of how one asks for them, and expands their steps into
observe-verify-act plans. `ModelPlanner` has any language model write the plan and repair it where it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from assay.methods.concurrency import run_sync
from assay.methods.protocols import Complete

from ._camel_automaton import PRIMITIVES, SCHEMAS
from ._camel_perceivers import alike
from ._camel_plan import PlanError, compile_plan

TURNS = 8  # pages of a list that are looked through
_QUOTED = re.compile(r'"[^"]*"')
_SENTENCE = re.compile(r'(?:"[^"]*"|[^".!?\n])+[.!?]?')


class NoPlan(ValueError):
    """The planner knows no plan for these words."""


class Planner(Protocol):
    """Writes a plan from the user's words and a static manifest; it is never shown a screen."""

    def plan(self, task: str, manifest: Mapping[str, object]) -> str: ...


@dataclass(frozen=True)
class Family:
    """Tasks of one kind. `examples` are ways to ask for it, with "…" for each quoted part; `slots` say by a regular
    expression with one group where each part stands; `steps` are lines of `expand`, with {slot} in them."""

    name: str
    examples: tuple[str, ...]
    slots: Mapping[str, str]
    steps: tuple[str, ...]


class TemplatePlanner:
    """Takes the sentence and family that are most alike, and fills the family's steps with what the sentence says.

    Of sentences that fit equally well the last one counts: who asks again means the new task.

    Raises NoPlan where no example is `threshold` alike.
    """

    def __init__(self, families: Sequence[Family], *, threshold: float = 0.5) -> None:
        if not families:
            raise ValueError("families: got none, wanted at least one")
        self._families, self._threshold = tuple(families), threshold

    def plan(self, task: str, manifest: Mapping[str, object]) -> str:
        family, sentence = self.choose(task)
        filled = {}
        for slot, pattern in family.slots.items():
            if (found := re.search(pattern, sentence, re.I)) is None:
                raise NoPlan(f"{family.name}: the task does not say {slot!r}")
            filled[slot] = found[1]
        return expand([step.format(**filled) for step in family.steps])

    def choose(self, task: str) -> tuple[Family, str]:
        """The family and the sentence of the task that belong together most."""
        best: tuple[float, int, Family, str] | None = None
        for place, sentence in enumerate(s.strip() for s in _SENTENCE.findall(task)):
            blank = _QUOTED.sub('"…"', sentence)
            for family in self._families:
                score = max(alike(blank, example) for example in family.examples)
                if best is None or score >= best[0]:
                    best = score, place, family, sentence
        if best is None or best[0] < self._threshold:
            raise NoPlan("no family of tasks that this planner knows is asked for")
        return best[2], best[3]


def expand(steps: Sequence[str]) -> str:
    """Steps as the text of a plan that looks before it acts: signed out, cookie banner, closed menu, pages to turn.

    page NAME | press NAME | seek NAME | fill FIELD = TEXT | choose FIELD = TEXT | set FIELD = on/off | tell TEXT

    `seek` turns pages until the button is there; `tell` reads the number beside a text and finishes with it, as does
    `turn TEXT`, which only looks for the text. Raises ValueError for any other line.
    """
    lines = [*_if_there("sign in button"), *_if_there("accept cookies button")]
    for step in steps:
        verb, _, rest = step.partition(" ")
        if verb not in _EXPANDED:
            raise ValueError(f"steps: got {step!r}, wanted one of {', '.join(_EXPANDED)}")
        lines += _EXPANDED[verb](rest)
    return "\n".join([*lines, *([] if lines[-1].startswith("finish") else ["finish()"])]) + "\n"


def _if_there(description: str) -> list[str]:
    return [f"if ask_bool({f'is there a {description}?'!r}):", f"    click(find({description!r}))"]


def _tried(call: str) -> list[str]:
    """One action inside a step that looks again where the element is not found."""
    return ["with try_step(2):", f"    {call}"]


def _press(description: str) -> list[str]:
    return _tried(f"click(find({description!r}))")


def _page(name: str) -> list[str]:
    return [*_if_there("menu button"), *_press(f"{name} link")]


def _until(question: str) -> list[str]:
    return [f"for _ in range({TURNS}):", f"    if ask_bool({question!r}):", "        break",
            "    click(find('next button'))"]  # fmt: skip


def _seek(name: str) -> list[str]:
    return [*_until(f"is there a {name} button?"), *_press(f"{name} button")]


def _fill(rest: str, role: str) -> list[str]:
    name, _, text = rest.partition(" = ")
    return _tried(f"type_text(find({f'{name} {role}'!r}), {text!r})")


def _set(rest: str) -> list[str]:
    name, _, wanted = rest.partition(" = ")
    refuse = "not " if wanted == "on" else ""
    question = f"is the {name} checkbox on?"
    return [f"if {refuse}ask_bool({question!r}):", f"    click(find({f'{name} checkbox'!r}))"]


def _tell(text: str) -> list[str]:
    question = f'what stands beside "{text}"?'
    return [f"found = ask_text({question!r}, 'number', 20)", "finish(found)"]


_EXPANDED = {
    "page": _page,
    "press": lambda name: _press(f"{name} button"),
    "seek": _seek,
    "turn": lambda text: _until(f'does the page say "{text}"?'),
    "fill": lambda rest: _fill(rest, "field"),
    "choose": lambda rest: _fill(rest, "choice"),
    "set": _set,
    "tell": _tell,
}


class ModelPlanner:
    """Has a language model write the plan; where it is refused the model is told why, at most `repairs` times.

    Raises PlanError when the last attempt is no plan either.
    """

    def __init__(self, complete: Complete, repairs: int = 2) -> None:
        if repairs < 0:
            raise ValueError(f"repairs: got {repairs}, wanted 0 or more")
        self._complete, self._repairs = complete, repairs

    def plan(self, task: str, manifest: Mapping[str, object]) -> str:
        prompt = question = _prompt(task, manifest)
        for attempt in range(1 + self._repairs):
            reply = run_sync(self._complete, question)
            fenced = re.search(r"```(?:python)?\n(.*?)```", reply, re.S)
            source = fenced[1] if fenced else reply
            try:
                compile_plan(source)
                return source
            except PlanError as error:
                if attempt == self._repairs:
                    raise
                question = f"{prompt}\n\nYour last plan was refused ({error}):\n{source[:4000]}"
        raise AssertionError("unreachable: the last attempt returns or raises")


def _prompt(task: str, manifest: Mapping[str, object]) -> str:
    calls = ", ".join(f"{name}({', '.join(takes)})" for name, (takes, _) in PRIMITIVES.items())
    return f"""Write a program that does this task on a computer screen you cannot see: {task}

What is known of the application: {dict(manifest)}

The program is Python with assignments to names, if/elif/else, `for _ in range(N)` with a literal N up to 50, break,
return, `with try_step(N):`, and calls to: {calls}.
find("Save button"), ask_bool("is there a Menu button?"), verify(question), ask_text(question, schema, max_length) with
schema one of {", ".join(SCHEMAS)} look at the screen; descriptions, questions, keys and addresses are literal strings.
Branch on ask_bool or on `text in ("a", "b")` only. Look, verify, then act. Reply with the program in a code block."""
