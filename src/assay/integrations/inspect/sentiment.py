"""Ways of asking about sentiment, aspects and irony as Inspect tasks (2601.08302).

    inspect eval assay/sentiment_prompting_irony -T strategy=cot --model openai/...
    inspect eval assay/sentiment_prompting_sentiment -T strategy=few_shot -T file=sb10k.tsv -T language=de --model ...

Without a file the texts are our own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from inspect_ai import Task as InspectTask
from inspect_ai import task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from assay.integrations.inspect.models import sampler
from assay.methods.evaluation.sentiment_prompting import (
    STRATEGIES,
    TASKS,
    Item,
    Task,
    ask,
    load,
    select_examples,
    worked_examples,
)

Language = Literal["en", "de"]


@task
def sentiment_prompting_sentiment(
    strategy: str = "zero_shot", file: str | None = None, language: Language = "en", classes: int = 3, seed: int = 0
) -> InspectTask:
    """Feelings of whole texts, in two or three classes."""
    if classes not in (2, 3):
        raise ValueError(f"classes: got {classes}, wanted 2 or 3")
    return _task("binary" if classes == 2 else "three_class", strategy, file, language, seed)


@task
def sentiment_prompting_absa(
    strategy: str = "zero_shot", file: str | None = None, language: Language = "en", seed: int = 0
) -> InspectTask:
    """Feelings about one aspect of a text."""
    return _task("aspect", strategy, file, language, seed)


@task
def sentiment_prompting_irony(
    strategy: str = "zero_shot", file: str | None = None, language: Language = "en", seed: int = 0
) -> InspectTask:
    """Whether a text is meant ironically."""
    return _task("irony", strategy, file, language, seed)


def _task(name: str, strategy: str, file: str | None, language: Language, seed: int) -> InspectTask:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy: got {strategy!r}, wanted one of {', '.join(STRATEGIES)}")
    asked = Task(name, TASKS[name].labels, language, TASKS[name].by_aspect)
    items = own_items(name) if file is None else load(Path(file), asked).items
    samples = [
        Sample(id=item.id, input=item.text, target=item.label, metadata={"aspect": item.aspect}) for item in items
    ]
    return InspectTask(
        dataset=MemoryDataset(samples, name=f"sentiment_prompting_{name}"),
        solver=sentiment_prompting_ask(name, strategy, language, seed),
        scorer=label_match(),
    )


def own_items(name: str) -> tuple[Item, ...]:
    """The judged sentences of our own corpus for a task; no built-in example is among them."""
    from assay.worlds.sentiment import halves

    part = {"irony": "irony", "aspect": "aspects"}.get(name, "sentences")
    labels = TASKS[name].labels
    return tuple(Item(s.id, s.text, s.label, s.aspect) for s in halves(part).test if s.label in labels)


@solver
def sentiment_prompting_ask(
    name: str = "three_class", strategy: str = "zero_shot", language: Language = "en", seed: int = 0
) -> Solver:
    """Asks by one strategy, with built-in examples; of several replies the commonest label counts."""
    way = STRATEGIES[strategy]
    asked = Task(name, TASKS[name].labels, language, TASKS[name].by_aspect)
    examples = select_examples(worked_examples(asked), way.shots, asked, generator=np.random.default_rng(seed))

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        item = Item(str(state.sample_id), state.input_text, asked.labels[0], state.metadata.get("aspect", ""))
        answer = await ask(sampler(get_model()), asked, way, item, examples, seed=seed)
        state.output = ModelOutput.from_content(str(state.model), answer.label or "")
        state.metadata |= {"replies": list(answer.replies), "votes": dict(answer.votes), "tie": answer.tie}
        return state

    return solve


@scorer(metrics=[accuracy(), stderr()])
def label_match() -> Scorer:
    """Whether the label is the wanted one; no label is wrong, and told apart as `invalid`."""

    async def score(state: TaskState, target: Target) -> Score:
        label = state.output.completion
        return Score(
            value=CORRECT if label == target.text else INCORRECT,
            answer=label or "no label",
            explanation="\n---\n".join(state.metadata.get("replies", [])),
            metadata={"invalid": not label},
        )

    return score
