"""Pairs of English sentences that differ in one place, one of them ungrammatical: 12 phenomena from a small grammar."""

from __future__ import annotations

import random
from collections.abc import Callable

Pair = tuple[str, str]  # grammatical, not
PAIRS = 50

_NOUNS = {
    "teacher": "teachers",
    "doctor": "doctors",
    "neighbour": "neighbours",
    "driver": "drivers",
    "child": "children",
    "farmer": "farmers",
    "singer": "singers",
    "woman": "women",
    "pilot": "pilots",
    "cousin": "cousins",
}
_THINGS = ["letter", "basket", "picture", "jacket", "ladder", "bottle", "carpet", "hammer"]
_VERBS = {  # base: third person, past, participle, with -ing
    "see": ("sees", "saw", "seen", "seeing"),
    "take": ("takes", "took", "taken", "taking"),
    "write": ("writes", "wrote", "written", "writing"),
    "give": ("gives", "gave", "given", "giving"),
    "break": ("breaks", "broke", "broken", "breaking"),
    "steal": ("steals", "stole", "stolen", "stealing"),
    "draw": ("draws", "drew", "drawn", "drawing"),
    "choose": ("chooses", "chose", "chosen", "choosing"),
}
_NAMES = {"Anna": "herself", "Paul": "himself", "Mary": "herself", "Tom": "himself", "Julia": "herself"}
_STAY = ["sleep", "arrive", "smile", "sneeze"]


def build(seed: int) -> dict[str, list[Pair]]:
    """50 pairs, all different, for each phenomenon."""
    found = {}
    for name, phenomenon in PHENOMENA.items():
        rng, pairs = random.Random(f"{name} {seed}"), dict[Pair, None]()
        while len(pairs) < PAIRS:
            pairs[phenomenon(rng)] = None
        found[name] = list(pairs)
    return found


def _subject_verb(rng: random.Random) -> Pair:
    one, many = rng.choice(list(_NOUNS.items()))
    verb, thing = rng.choice(list(_VERBS)), rng.choice(_THINGS)
    third = _VERBS[verb][0]
    if rng.random() < 0.5:
        return f"The {one} {third} the {thing}.", f"The {one} {verb} the {thing}."
    return f"The {many} {verb} the {thing}.", f"The {many} {third} the {thing}."


def _attractor(rng: random.Random) -> Pair:
    (one, _), (_, others) = rng.sample(list(_NOUNS.items()), 2)
    verb, thing = rng.choice(list(_VERBS)), rng.choice(_THINGS)
    start = f"The {one} near the {others}"
    return f"{start} {_VERBS[verb][0]} the {thing}.", f"{start} {verb} the {thing}."


def _determiner(rng: random.Random) -> Pair:
    one, many = rng.choice(list(_NOUNS.items()))
    name, past = rng.choice(list(_NAMES)), rng.choice(list(_VERBS.values()))[1]
    if rng.random() < 0.5:
        return f"{name} {past} this {one}.", f"{name} {past} this {many}."
    return f"{name} {past} these {many}.", f"{name} {past} these {one}."


def _reflexive(rng: random.Random) -> Pair:
    name, right = rng.choice(list(_NAMES.items()))
    wrong = "himself" if right == "herself" else "herself"
    past, one = rng.choice(list(_VERBS.values()))[1], rng.choice(list(_NOUNS))
    return f"{name} {past} {right} beside the {one}.", f"{name} {past} {wrong} beside the {one}."


def _participle(rng: random.Random) -> Pair:
    _, past, participle, _ = rng.choice(list(_VERBS.values()))
    one, thing = rng.choice(list(_NOUNS)), rng.choice(_THINGS)
    return f"The {one} has {participle} the {thing}.", f"The {one} has {past} the {thing}."


def _passive(rng: random.Random) -> Pair:
    _, past, participle, _ = rng.choice(list(_VERBS.values()))
    one, thing = rng.choice(list(_NOUNS)), rng.choice(_THINGS)
    return f"The {thing} was {participle} by the {one}.", f"The {thing} was {past} by the {one}."


def _progressive(rng: random.Random) -> Pair:
    verb, forms = rng.choice(list(_VERBS.items()))
    one, thing = rng.choice(list(_NOUNS)), rng.choice(_THINGS)
    return f"The {one} is {forms[3]} the {thing}.", f"The {one} is {verb} the {thing}."


def _modal(rng: random.Random) -> Pair:
    verb, forms = rng.choice(list(_VERBS.items()))
    name, thing, modal = rng.choice(list(_NAMES)), rng.choice(_THINGS), rng.choice(["can", "must", "will", "should"])
    return f"{name} {modal} {verb} the {thing}.", f"{name} {modal} {forms[0]} the {thing}."


def _intransitive(rng: random.Random) -> Pair:
    verb, one, thing = rng.choice(_STAY), rng.choice(list(_NOUNS)), rng.choice(_THINGS)
    modal = rng.choice(["can", "will", "must"])
    return f"The {one} {modal} {verb} near the {thing}.", f"The {one} {modal} {verb} the {thing}."


def _negation(rng: random.Random) -> Pair:
    verb, name, thing = rng.choice(list(_VERBS)), rng.choice(list(_NAMES)), rng.choice(_THINGS)
    return f"{name} did not {verb} any {thing}.", f"{name} did {verb} any {thing}."


def _question(rng: random.Random) -> Pair:
    one, verb, thing = rng.choice(list(_NOUNS)), rng.choice(list(_VERBS)), rng.choice(_THINGS)
    return f"What did the {one} {verb} near the {thing}?", f"What the {one} did {verb} near the {thing}?"


def _pronoun_case(rng: random.Random) -> Pair:
    right, wrong = rng.choice([("him", "he"), ("her", "she"), ("them", "they"), ("me", "I")])
    one, past, thing = rng.choice(list(_NOUNS)), rng.choice(list(_VERBS.values()))[1], rng.choice(_THINGS)
    return f"The {one} {past} the {thing} for {right}.", f"The {one} {past} the {thing} for {wrong}."


PHENOMENA: dict[str, Callable[[random.Random], Pair]] = {
    "subject-verb agreement": _subject_verb,
    "agreement past an attractor": _attractor,
    "determiner-noun agreement": _determiner,
    "reflexive gender": _reflexive,
    "participle after have": _participle,
    "participle in the passive": _passive,
    "progressive": _progressive,
    "base form after a modal": _modal,
    "intransitive verbs": _intransitive,
    "negative polarity": _negation,
    "subject-auxiliary order": _question,
    "pronoun case": _pronoun_case,
}
