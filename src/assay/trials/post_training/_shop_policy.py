"""A small policy that reads a shop's question and makes its calls one by one, for the trial that trains it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from assay.models.policies import FeaturePolicy
from assay.worlds.desks.shop import CATEGORIES, NUMBERS, OPERATORS, PARAMETERS, RATES, Question, Step

TOOLS = (*PARAMETERS, "done")
CHOICES: dict[str, tuple[Any, ...]] = {
    "tool": TOOLS,
    "category": CATEGORIES,
    "field": (*NUMBERS, "supplier", "opened"),
    "op": OPERATORS,
    "to": tuple(RATES),
    "table": ("products", "suppliers"),
    "number": (0, 1),  # the first or the second number of the question: what a value or days are
    "named": (False, True),  # whether a look-up is of the product that the question names
}
MOST_CALLS = 6
_WORDS = (
    "which date is days after the supplier of opened with what do all prices come to in total {category} {field} {op} "
    "{to} <number> <name>"
)
_TOKEN = re.compile(r"[<>]=?|\w+")
_LONGEST = 20
VOCABULARY = [
    word
    for form in _WORDS.split()
    for word in (CHOICES[form[1:-1]] if form.startswith("{") else (form,))
    if word not in ("supplier", "opened") or not form.startswith("{")
]
_PLACE = {word: i for i, word in enumerate(VOCABULARY)}
FEATURES = _LONGEST * len(VOCABULARY) + len(TOOLS) + MOST_CALLS


@dataclass(frozen=True)
class Played:
    """E episodes: the calls of each, and their decisions in order, (N, ...), with the episode and turn of each. The
    turn in which an episode is done is a decision of its own, the last one."""

    calls: list[list[Step]]
    observations: Tensor
    actions: Tensor
    logprobs: Tensor
    episode: Tensor
    turn: Tensor


def fresh(generator: torch.Generator) -> FeaturePolicy:
    return FeaturePolicy(FEATURES, [len(own) for own in CHOICES.values()], generator=generator)


def read(question: Question) -> tuple[Tensor, list[int], str | None]:
    """The question's words by place, one-hot and flat; its numbers; the product that it names."""
    numbers, name, places = [], None, []
    for word in _TOKEN.findall(question.text):
        if word.isdigit():
            numbers.append(int(word))
            word = "<number>"
        elif re.fullmatch(r"[A-H]\d\d", word):
            name, word = word, "<name>"
        places.append(_PLACE[word.lower()])
    seen = torch.zeros(_LONGEST, len(VOCABULARY))
    seen[range(len(places)), places] = 1
    return seen.flatten(), numbers, name


def play(
    policy: FeaturePolicy, questions: Sequence[Question], generator: torch.Generator, *, greedy: bool = False
) -> Played:
    """One episode of each question, by drawn or by the likeliest calls."""
    known = [read(question) for question in questions]
    calls: list[list[Step]] = [[] for _ in questions]
    kept: list[tuple[Tensor, ...]] = []
    going = list(range(len(questions)))
    for turn in range(MOST_CALLS):
        seen = torch.stack([observed(known[i][0], calls[i], turn) for i in going])
        if greedy:
            actions, logprobs = policy.greedy(seen), torch.zeros(len(going))
        else:
            actions, logprobs = policy.sample(seen, generator)
        kept.append((seen, actions, logprobs, torch.tensor(going), torch.full((len(going),), turn)))
        steps = [step_of(action, known[i][1], known[i][2]) for action, i in zip(actions.tolist(), going)]
        for i, step in zip(going, steps):
            calls[i] += [step] if step is not None else []
        going = [i for i, step in zip(going, steps) if step is not None]
        if not going:
            break
    return Played(calls, *map(torch.cat, zip(*kept)))


def observed(words: Tensor, made: Sequence[Step], turn: int) -> Tensor:
    """What the policy sees before a turn: the question, the tool called last, and which turn it is."""
    last = torch.zeros(len(TOOLS))
    last[TOOLS.index(made[-1].tool) if made else TOOLS.index("done")] = 1
    return torch.cat([words, last, F.one_hot(torch.tensor(turn), MOST_CALLS)])


def step_of(action: Sequence[int], numbers: Sequence[int], name: str | None) -> Step | None:
    """The call that an action stands for; None is "done"."""
    chosen = {head: own[place] for (head, own), place in zip(CHOICES.items(), action)}
    if chosen["tool"] == "done":
        return None
    number = numbers[min(chosen["number"], len(numbers) - 1)] if numbers else 0
    given = {**chosen, "value": number, "days": number, "name": name or ""}
    arguments = {parameter: given[parameter] for parameter in PARAMETERS[chosen["tool"]]}
    if chosen["tool"] == "look_up" and not chosen["named"]:
        del arguments["name"]
    return Step(chosen["tool"], arguments)


def action_of(step: Step | None, numbers: Sequence[int]) -> tuple[list[int], list[bool]]:
    """The action that stands for a call, and which of its heads the call says anything about."""
    if step is None:
        said: dict[str, Any] = {"tool": "done"}
    else:
        said = {"tool": step.tool, **{key: value for key, value in step.arguments.items() if key in CHOICES}}
        number = step.arguments.get("value", step.arguments.get("days"))
        if number in numbers:
            said["number"] = min(1, list(numbers).index(number))
        if step.tool == "look_up":
            said["named"] = "name" in step.arguments
    places = {head: own.index(said[head]) for head, own in CHOICES.items() if said.get(head) in own}
    return [places.get(head, 0) for head in CHOICES], [head in places for head in CHOICES]


def imitate(
    policy: FeaturePolicy,
    chains: Sequence[tuple[Question, Sequence[Step]]],
    steps: int,
    rate: float,
    rng: random.Random,
) -> None:
    """Train in place on chains of calls, 64 calls a step; a chain's end is a call to be learned as well."""
    rows = []
    for question, calls in chains:
        words, numbers, _ = read(question)
        for turn, step in enumerate([*calls, None][:MOST_CALLS]):
            rows.append((observed(words, calls[:turn], turn), *action_of(step, numbers)))
    optimiser = torch.optim.Adam(policy.parameters(), lr=rate)
    for _ in range(steps):
        drawn = rng.choices(rows, k=64)
        heads = policy(torch.stack([seen for seen, _, _ in drawn]))
        actions, said = torch.tensor([action for _, action, _ in drawn]), torch.tensor([own for _, _, own in drawn])
        losses = [F.nll_loss(head, actions[:, i], reduction="none") for i, head in enumerate(heads)]
        loss = (torch.stack(losses, dim=1) * said).sum() / len(drawn)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
