"""What a model is asked: four tasks, six ways of asking, in English and German, in words of our own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from ..protocols import Message

Language = Literal["en", "de"]
Reasoning = Literal["none", "free", "worked"]


@dataclass(frozen=True)
class Task:
    """A question about texts. The answer is a digit, the place of the label in `labels`."""

    name: str
    labels: tuple[str, ...]
    language: Language = "en"
    by_aspect: bool = False

    def __post_init__(self) -> None:
        if self.language not in QUESTIONS:
            raise ValueError(f"language: got {self.language!r}, wanted one of {', '.join(QUESTIONS)}")
        if self.name not in QUESTIONS[self.language]:
            raise ValueError(f"name: got {self.name!r}, wanted one of {', '.join(QUESTIONS[self.language])}")

    @property
    def instruction(self) -> str:
        """The question and what each digit means."""
        names = LABEL_WORDS[self.language]
        digits = ", ".join(f"{i} = {names[label]}" for i, label in enumerate(self.labels))
        return f"{QUESTIONS[self.language][self.name]} {DIGITS[self.language]} {digits}."


@dataclass(frozen=True)
class Item:
    """One text to judge, with its label; `aspect` is what the label is about."""

    id: str
    text: str
    label: str
    aspect: str = ""


@dataclass(frozen=True)
class Example:
    """An item shown with its answer; `steps` are (explanation, what it points to), for worked reasoning."""

    text: str
    label: str
    aspect: str = ""
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PromptStrategy:
    """A way of asking. `n` answers are drawn at `temperature` and the commonest counts."""

    name: str
    shots: int = 0
    reasoning: Reasoning = "none"
    n: int = 1
    temperature: float = 0.2


STRATEGIES: dict[str, PromptStrategy] = {
    s.name: s
    for s in (
        PromptStrategy("zero_shot"),
        PromptStrategy("one_shot", shots=1),
        PromptStrategy("few_shot", shots=4),
        PromptStrategy("zero_shot_cot", reasoning="free"),
        PromptStrategy("cot", shots=4, reasoning="worked"),
        PromptStrategy("self_consistency", shots=4, reasoning="worked", n=3, temperature=1.0),
    )
}
TEMPERATURES = (1.0, 0.8, 0.5)  # the authors' code draws self-consistency at one of these, by task

QUESTIONS: dict[str, dict[str, str]] = {
    "en": {
        "binary": "Does the author of the text feel good or bad about its subject?",
        "three_class": "How does the author of the text feel about its subject?",
        "aspect": "How does the author of the text feel about the aspect named below it?",
        "irony": "Does the author of the text mean what it says, or is it meant ironically?",
    },
    "de": {
        "binary": "Bewertet der Text seinen Gegenstand gut oder schlecht?",
        "three_class": "Wie bewertet der Text seinen Gegenstand?",
        "aspect": "Wie bewertet der Text den darunter genannten Aspekt?",
        "irony": "Meint der Text, was er sagt, oder ist er ironisch gemeint?",
    },
}
DIGITS = {"en": "Answer with one digit:", "de": "Antworte mit einer Ziffer:"}
LABEL_WORDS = {
    "en": {name: name for name in ("negative", "positive", "neutral", "literal", "ironic")},
    "de": {
        "negative": "negativ", "positive": "positiv", "neutral": "neutral", "literal": "wörtlich", "ironic": "ironisch",
    },
}  # fmt: skip
EXAMPLES = {"en": "Examples:", "de": "Beispiele:"}
MARKS = {"en": ("Input: ", "Aspect: ", "Output: "), "de": ("Eingabe: ", "Aspekt: ", "Ausgabe: ")}
STEPWISE = {
    "en": 'First explain step by step. Reply with JSON: {"steps": [{"explanation": text, "output": text}], '
    '"final_answer": digit}.',
    "de": 'Erkläre zuerst Schritt für Schritt. Antworte mit JSON: {"steps": [{"explanation": Text, "output": Text}], '
    '"final_answer": Ziffer}.',
}
ONLY = {"en": "Give the digit and nothing else.", "de": "Gib die Ziffer an und sonst nichts."}


def messages(task: Task, strategy: PromptStrategy, item: Item, examples: Sequence[Example] = ()) -> list[Message]:
    """The conversation that asks about one item; the examples stand in a system message before it.

    Raises ValueError unless there are as many examples as the strategy shows, each of a label of the task and, for
    worked reasoning, with steps.
    """
    if len(examples) != strategy.shots:
        raise ValueError(f"examples: got {len(examples)}, wanted {strategy.shots} for {strategy.name}")
    language = task.language
    turns = []
    if examples:
        shown = "\n".join(_shown(task, strategy, example) for example in examples)
        turns.append(Message("system", f"{EXAMPLES[language]}\n{shown}"))
    how = ONLY[language] if strategy.reasoning == "none" else STEPWISE[language]
    asked = f"{task.instruction} {how}\n{_input(task, item.text, item.aspect)}\n{MARKS[language][2].rstrip()}"
    return [*turns, Message("user", asked)]


def reasoned(task: Task, label: str, steps: Sequence[tuple[str, str]]) -> str:
    """A worked answer in the form that step-by-step replies have."""
    told = [{"explanation": explanation, "output": output} for explanation, output in steps]
    return json.dumps({"steps": told, "final_answer": task.labels.index(label)}, ensure_ascii=False)


def _shown(task: Task, strategy: PromptStrategy, example: Example) -> str:
    if example.label not in task.labels:
        raise ValueError(f"examples: label {example.label!r}, wanted one of {', '.join(task.labels)}")
    if strategy.reasoning == "worked" and not example.steps:
        raise ValueError(f"examples: {example.text[:40]!r} has no steps, which {strategy.name} shows")
    answer = str(task.labels.index(example.label))
    if strategy.reasoning == "worked":
        answer = reasoned(task, example.label, example.steps)
    return f"{_input(task, example.text, example.aspect)}\n{MARKS[task.language][2]}{answer}"


def _input(task: Task, text: str, aspect: str) -> str:
    mark, about, _ = MARKS[task.language]
    if not task.by_aspect:
        return f"{mark}{text}"
    if not aspect:
        raise ValueError(f"item: {text[:40]!r} has no aspect, which the task asks about")
    return f"{mark}{text}\n{about}{aspect}"


def worked_examples(task: Task) -> tuple[Example, ...]:
    """Two examples with steps for each label of a task, to be shown where the user brings none."""
    rows = json.loads(files(__package__).joinpath("sentiment_examples.json").read_text(encoding="utf-8"))
    return tuple(
        Example(row["text"], row["label"], row["aspect"], tuple((said, output) for said, output in row["steps"]))
        for row in rows[task.language][task.name]
    )


TASKS: dict[str, Task] = {
    "binary": Task("binary", ("negative", "positive")),
    "three_class": Task("three_class", ("negative", "positive", "neutral")),
    "aspect": Task("aspect", ("negative", "positive", "neutral"), by_aspect=True),
    "irony": Task("irony", ("literal", "ironic")),
}
