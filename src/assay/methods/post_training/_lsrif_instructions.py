"""Instructions with a logic, made from a user's own questions and a pool of constraints (LSRIF, 2601.06431)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, cycle, islice, pairwise, product
from typing import Any, Literal

import numpy as np

from assay.methods.concurrency import gather
from assay.methods.post_training._lsrif_checks import COUNTS, Rule
from assay.methods.post_training._lsrif_tree import (
    Conditional,
    Constraint,
    Node,
    Parallel,
    Sequential,
    constraints,
    to_dict,
)
from assay.methods.protocols import Complete

Kind = Literal["parallel", "sequential", "conditional"]
KINDS: tuple[Kind, ...] = ("parallel", "sequential", "conditional")
PATIENCE = 200  # draws in a row that are turned down before the pool is said to be too small


def _atoms() -> Iterator[Constraint]:
    def one(text: str, rule: str, value: Any = None, **counts: int) -> Constraint:
        return Constraint(text.lower().replace(" ", "-").strip(".").replace('"', ""), text, Rule(rule, value, **counts))

    for most in (40, 80, 150):
        yield one(f"Use at most {most} words.", "words", most=most)
    for least in (30, 60, 120):
        yield one(f"Use at least {least} words.", "words", least=least)
    for count in (2, 3, 5):
        yield one(f"Write exactly {count} sentences.", "sentences", least=count, most=count)
        yield one(f"Give {count} bullet points.", "bullets", least=count, most=count)
    for word in ("example", "because", "important", "question"):
        yield one(f'Use the word "{word}".', "has", word)
        yield one(f'Do not use the word "{word}".', "lacks", word)
    for opening in ("Sure", "In short", "Dear reader"):
        yield one(f'Begin with "{opening}".', "starts", opening)
    for ending in ("Good luck!", "Any questions?", "THE END"):
        yield one(f'End with "{ending}".', "ends", ending)
    yield one("Write in lower case only.", "case", "lower")
    yield one("Write in capital letters only.", "case", "upper")
    yield one("Answer with valid JSON and nothing else.", "json")
    yield one("Write in Latin script.", "language", "latin")
    yield one("Write in Chinese characters.", "language", "chinese")
    yield one("Name at least one number in digits.", "number")
    for letter in ("z", "q", "e"):
        yield one(f'Do not use the letter "{letter}".', "without", letter)
    yield one('Say "first", then "second", then "finally".', "order", ("first", "second", "finally"))


ATOMS: tuple[Constraint, ...] = tuple(_atoms())
CONDITIONS: tuple[Constraint, ...] = tuple(
    Constraint(name, text, rule, of="prompt")
    for name, text, rule in (
        ("asks", "the request ends with a question mark", Rule("ends", "?")),
        ("number", "the request names a number in digits", Rule("number")),
        ("long", "the request has more than 12 words", Rule("words", least=13)),
        ("code", 'the request has the word "code"', Rule("has", "code")),
    )
)


@dataclass(frozen=True)
class Instruction:
    """A question with its constraints: the whole prompt, its tree, and which of the three structures it has."""

    prompt: str
    structure: Node
    kind: Kind
    seed: str

    def to_row(self) -> dict[str, str]:
        """A row of a data set for TRL; the tree as JSON text, because its shape differs from row to row."""
        structure = json.dumps(to_dict(self.structure), ensure_ascii=False)
        return {"prompt": self.prompt, "structure": structure, "kind": self.kind, "seed": self.seed}


@dataclass(frozen=True)
class Instructions:
    """What was built, how many draws were turned down and why, and how many rewrites lost something and were dropped
    for the template."""

    built: list[Instruction] = field(default_factory=list)
    contradictory: int = 0
    unsatisfiable: int = 0
    lost_in_rewriting: int = 0


async def build_instructions(
    seeds: Sequence[str],
    atoms: Sequence[Constraint] = ATOMS,
    *,
    n: int,
    generator: np.random.Generator,
    writer: Complete | None = None,
    mix: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
    n_atoms: tuple[int, int] = (2, 5),
    conditions: Sequence[Constraint] = CONDITIONS,
) -> Instructions:
    """`n` instructions, the seed questions taken in turn.

    mix          shares of parallel, sequential and conditional ones
    n_atoms      fewest and most constraints, of both branches together
    conditions   looked up in the seed question when the data are made: the tree holds the truth, the prompt the text
    writer       rewrites each into one natural request; what no longer holds every number and quotation of its
                 constraints is dropped for the template

    Constraints that apply together never exclude each other, and some simple text satisfies them all; draws that break
    this are counted. Raises ValueError for wrong arguments, or a pool in which hardly any draw is fit.
    """
    _check(seeds, atoms, n, mix, n_atoms, conditions)
    told = {"contradictory": 0, "unsatisfiable": 0}
    built = [_draw(seed, atoms, conditions, mix, n_atoms, generator, told) for seed in islice(cycle(seeds), n)]
    if writer is None:
        return Instructions(built, **told)
    rewritten = await gather([lambda one=one: _rewrite(one, writer) for one in built], limit=16)  # type: ignore[misc]
    lost = sum(text is None for text in rewritten)
    kept = [Instruction(text or one.prompt, one.structure, one.kind, one.seed) for one, text in zip(built, rewritten)]
    return Instructions(kept, lost_in_rewriting=lost, **told)


def _check(
    seeds: Sequence[str],
    atoms: Sequence[Constraint],
    n: int,
    mix: tuple[float, float, float],
    n_atoms: tuple[int, int],
    conditions: Sequence[Constraint],
) -> None:
    if not seeds:
        raise ValueError("seeds: got none, wanted at least one question")
    if n < 1:
        raise ValueError(f"n: got {n}, wanted at least 1")
    if len(mix) != len(KINDS) or min(mix) < 0 or abs(sum(mix) - 1) > 1e-6:
        raise ValueError(f"mix: got {mix}, wanted three shares that sum to 1")
    low, high = n_atoms
    if not 2 <= low <= high <= len(atoms):
        raise ValueError(f"n_atoms: got {n_atoms}, wanted (fewest, most) within 2 and the {len(atoms)} of the pool")
    if mix[2] > 0 and not all(one.check and one.of == "prompt" for one in conditions):
        raise ValueError("conditions: wanted constraints on the prompt, each with a check")
    if mix[2] > 0 and not conditions:
        raise ValueError("conditions: got none, wanted some, or no conditional instructions")


def _draw(
    seed: str,
    atoms: Sequence[Constraint],
    conditions: Sequence[Constraint],
    mix: tuple[float, float, float],
    n_atoms: tuple[int, int],
    generator: np.random.Generator,
    told: dict[str, int],
) -> Instruction:
    kind = KINDS[generator.choice(len(KINDS), p=mix)]
    for _ in range(PATIENCE):
        count = int(generator.integers(n_atoms[0], n_atoms[1] + 1))
        drawn = [atoms[i] for i in generator.choice(len(atoms), count, replace=False)]
        cut = (count + int(generator.integers(2))) // 2 if kind == "conditional" else count
        together = [group for group in (drawn[:cut], drawn[cut:]) if group]
        if any(contradiction(group) for group in together):
            told["contradictory"] += 1
        elif not all(map(can_be_met, together)):
            told["unsatisfiable"] += 1
        elif kind == "conditional":
            condition = conditions[int(generator.integers(len(conditions)))]
            return _conditional(seed, condition, *together)
        else:
            listed = _listed(drawn) if kind == "parallel" else _in_steps(drawn)
            return Instruction(
                f"{seed}\n\n{listed}", Parallel(drawn) if kind == "parallel" else Sequential(drawn), kind, seed
            )
    raise ValueError(f"atoms: {PATIENCE} draws in a row exclude themselves or cannot be met; wanted others in the pool")


def _conditional(
    seed: str, condition: Constraint, then: Sequence[Constraint], otherwise: Sequence[Constraint]
) -> Instruction:
    assert condition.check is not None  # _check has seen to it
    branches = [group[0] if len(group) == 1 else Parallel(group) for group in (then, otherwise)]
    tree = Conditional(bool(condition.check(seed)), branches[0], branches[1])
    told = f"If {condition.text}:\n{_bullets(then)}\nOtherwise:\n{_bullets(otherwise)}"
    return Instruction(f"{seed}\n\n{told}", tree, "conditional", seed)


def _listed(drawn: Sequence[Constraint]) -> str:
    return f"Do all of the following:\n{_bullets(drawn)}"


def _bullets(drawn: Sequence[Constraint]) -> str:
    return "\n".join(f"- {one.text}" for one in drawn)


def _in_steps(drawn: Sequence[Constraint]) -> str:
    words = ["First", *["Then"] * (len(drawn) - 2), "Finally"]
    return "\n".join(f"{word}: {one.text}" for word, one in zip(words, drawn))


_EXACT = re.compile(r'"[^"]+"|\d+')


async def _rewrite(one: Instruction, writer: Complete) -> str | None:
    """The prompt in one natural request, or None if it lost a number or a quotation."""
    question = (
        "Rewrite this request as one person would write it to another, in one text without a list. Keep every demand, "
        f"its order and its condition, and every number and quotation to the letter.\n\n{one.prompt}\n\n"
        "Reply with the rewritten request alone."
    )
    text = (await writer(question)).strip()
    exact = {piece for constraint in constraints(one.structure) for piece in _EXACT.findall(constraint.text)}
    return text if text and all(piece.strip('"') in text for piece in exact) else None


def contradiction(together: Sequence[Constraint]) -> tuple[str, str] | None:
    """The ids of two constraints that no text meets at once, as far as their rules tell; None without such a pair."""
    for a, b in combinations(together, 2):
        if isinstance(a.check, Rule) and isinstance(b.check, Rule) and excludes(a.check, b.check):
            return a.id, b.id
    return None


def excludes(a: Rule, b: Rule) -> bool:
    """Whether two rules of one family have nothing in common, or one forbids what the other demands."""
    if a.rule == b.rule:
        if a.rule in COUNTS:
            return max(a.span[0], b.span[0]) > min(a.span[1], b.span[1])
        if a.rule in ("starts", "ends"):
            begins = str.startswith if a.rule == "starts" else str.endswith
            return not begins(a.value, b.value) and not begins(b.value, a.value)
        return a.rule in ("case", "language") and a.value != b.value
    return any(_forbids(one, other) for one, other in ((a, b), (b, a)))


def _forbids(ban: Rule, demand: Rule) -> bool:
    wanted = " ".join(demand.value) if isinstance(demand.value, tuple) else demand.value
    if demand.rule not in ("has", "starts", "ends", "order", "number") or not wanted:
        return False
    if ban.rule == "case":  # "has" takes a word whatever its case
        return demand.rule != "has" and wanted != (wanted.upper() if ban.value == "upper" else wanted.lower())
    return ban.rule in ("lacks", "without") and not ban(wanted)


def can_be_met(together: Sequence[Constraint]) -> bool:
    """Whether some simple text meets all rules among the constraints; those without a rule are taken on trust."""
    rules = [one.check for one in together if isinstance(one.check, Rule)]
    return any(all(rule(text) for rule in rules) for text in _texts(rules))


_FILLERS = ("so", "by", "it", "дом", "και", "في", "של", "और", "和", "の", "그")
_CASES: tuple[Callable[[str], str], ...] = (str, str.upper, str.lower)
_WRAPS: tuple[Callable[[str], str], ...] = (str, lambda text: json.dumps([text], ensure_ascii=False))


def _texts(rules: Sequence[Rule]) -> Iterator[str]:
    """Texts of filler words that hold what the rules name, in several layouts."""
    named = {rule: [one.value for one in rules if one.rule == rule] for rule in ("has", "number", "starts", "ends")}
    pieces = [*named["has"], *[value or "7" for value in named["number"]]]
    pieces += [piece for one in rules if one.rule == "order" for piece in one.value]
    least = {name: max([int(one.span[0]) for one in rules if one.rule == name], default=0) for name in COUNTS}
    opening, ending = (max(named[side], key=len, default="") for side in ("starts", "ends"))
    units = max(1, least["lines"], least["bullets"], least["sentences"])
    for filler, mark, join, case, wrap in product(_FILLERS, ("", "."), (" ", "\n", "\n- "), _CASES, _WRAPS):
        filled = [*pieces, *[filler] * max(units, least["words"] - len(pieces))]
        bounds = [round(i * len(filled) / units) for i in range(units + 1)]
        lines = [" ".join(filled[i:j]) + mark for i, j in pairwise(bounds)]
        body = join.join(lines) if join != "\n- " else "\n".join(f"- {line}" for line in lines)
        around = " " if join == " " else "\n"
        yield wrap(case(around.join(part for part in (opening, body, ending) if part)))
