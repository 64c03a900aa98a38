"""Context look-up with a citation: `Qb4617. k8040.?b46`; `b4617` says that b46 has 17; cite it, then answer.

    b4617
    #17

The context comes in the four conditions of a noise benchmark: "ND" holds the facts alone; "RD" has sentences of other
shapes and topics among them, "RC" lines of small talk, "HN" hard negatives: facts of the same shape about names that
share the letter or the number with the asked one. Names of the facts themselves never share either.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Literal, get_args

from assay.worlds.text.problem import Problem, ProblemSet, Span, Split, check_span, draw, parse

Condition = Literal["ND", "RD", "RC", "HN"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
FACTS: Span = (2, 4)
NOISE: Span = (3, 4)  # distractors in a noisy context

_LETTERS = "bcdfghjklmnprstvwz"
_DOCUMENTS = (
    "the {noun} is {n} deep.",
    "{noun} opens at {n}.",
    "{n} of a {noun} is {adjective}.",
    "the {adjective} {noun} has {n} parts.",
)
_CHATS = (
    "A:is it {n}? B:yes.",
    "A:{adjective}? B:no, {n}.",
    "A:{noun} or {n}? B:both.",
    "A:i have {n}. B:{adjective}.",
)
_NOUNS = ("lake", "mill", "road", "shop", "tower", "ship", "garden", "mine")
_ADJECTIVES = ("old", "cold", "green", "small", "open", "loud")


def sample(
    seed: int,
    split: Split = "test",
    *,
    condition: Condition = "ND",
    facts: Span = FACTS,
    noise: Span = NOISE,
    cited: float = 1.0,
) -> Problem:
    """One question about one of `facts` facts, with `noise` distractors among them unless the condition is "ND".

    cited   share of the worked replies that write the citation; the others hold the answer alone

    `meta`: "english", "condition", "hint" (the note that answers, without its full stop), "distractors" (what the
    condition put in, in its order) and "values" (the numbers that the distractors hold, as text).
    """
    if condition not in CONDITIONS:
        raise ValueError(f"condition: got {condition!r}, wanted one of {', '.join(CONDITIONS)}")
    if not 0 <= cited <= 1:
        raise ValueError(f"cited: got {cited}, wanted a share in [0, 1]")
    fewest, most = check_span("facts", facts, 1, 8)
    least, noisiest = check_span("noise", noise, 1, 8)

    def build(rng: random.Random) -> Problem:
        own_count = rng.randint(fewest, most)
        count = 0 if condition == "ND" else rng.randint(least, noisiest)
        numbers = [str(number) for number in rng.sample(range(10, 100), 2 * own_count + 2 * count)]
        values, others, unused = numbers[:own_count], numbers[own_count:][:count], numbers[own_count + count :]
        letters = rng.sample(_LETTERS, own_count)
        names = [letter + unused.pop() for letter in letters]
        asked, answer = names[0], values[0]
        distractors = _distractors(rng, condition, asked, others, unused)
        context = [f"{name}{value}." for name, value in zip(names, values)] + distractors
        rng.shuffle(context)
        text, hint = " ".join(context), f"{asked}{answer}"
        english = (
            f"{text} A note such as b4617 says that b46 has 17; what is no note does not matter. Which number does "
            f"{asked} have? Write its note on a line of its own, then the number on a last line like #17."
        )
        meta = {
            "english": english,
            "condition": condition,
            "hint": hint,
            "distractors": distractors,
            "values": others,
        }
        trace = f"{hint}\n#{answer}" if rng.random() < cited else f"#{answer}"
        return Problem(f"Q{text}?{asked}", trace, answer, "cite", meta)

    return draw(f"cite {condition}", seed, split, build)


def check(problem: Problem, text: str) -> bool:
    """Whether the reply's answer is the problem's; the citation is not asked for."""
    return parse(text) == problem.answer


def distracted(problem: Problem, text: str) -> bool:
    """Whether the reply quotes a distractor, or answers with the number of one."""
    quoted = any(distractor.rstrip(".") in text for distractor in problem.meta["distractors"])
    return quoted or parse(text) in problem.meta["values"]


def world(
    each: int = 40, split: Split = "test", conditions: tuple[Condition, ...] = CONDITIONS, noise: Span = NOISE
) -> ProblemSet:
    """`each` questions per seed and condition."""
    parts = tuple(partial(sample, condition=condition, noise=noise) for condition in conditions)
    return ProblemSet(parts, check, each, split)


def _distractors(
    rng: random.Random, condition: Condition, asked: str, values: list[str], unused: list[str]
) -> list[str]:
    """One distractor a value; hard negatives share the letter or the number of the asked name by turns."""
    if condition == "HN":
        letters = rng.sample([letter for letter in _LETTERS if letter != asked[0]], len(values))
        first = rng.randrange(2)
        names = [asked[0] + unused[i] if (i + first) % 2 else letters[i] + asked[1:] for i in range(len(values))]
        return [f"{name}{value}." for name, value in zip(names, values)]
    patterns = _DOCUMENTS if condition == "RD" else _CHATS
    return [
        rng.choice(patterns).format(n=value, noun=rng.choice(_NOUNS), adjective=rng.choice(_ADJECTIVES))
        for value in values
    ]
