"""Tables with questions that want a figure and an answer: which values a chart must show is known for each.

Twelve seeded tables of two or three dozen rows (a category with long names, a year, two measures), ten questions each:
comparisons ("largest first"), developments over the years, and shares of a whole. `Questions.check` marks a drawn
figure from 0 to 1: expected data in its artists, times texts that neither overlap nor are cut, times labels there.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["compare", "develop", "share"]
Aggregate = Literal["sum", "mean", "max"]
Ask = Literal["most", "least", "total"]

KINDS: tuple[Kind, ...] = ("compare", "develop", "share")
AGGREGATES: tuple[Aggregate, ...] = ("sum", "mean", "max")
ASKS: tuple[Ask, ...] = ("most", "least", "total")
CHARTS: dict[Kind, tuple[str, ...]] = {
    "compare": ("bar", "barh"),
    "develop": ("line",),
    "share": ("pie", "bar", "barh"),
}
PER_TABLE, HELD_OUT = 10, 3

_CATEGORIES = {
    "department": ("Human Resources", "Legal Affairs", "Customer Support", "Research", "Field Engineering", "Finance",
                   "Public Relations", "Procurement"),
    "product": ("Garden Furniture", "Desk Lamps", "Winter Jackets", "Coffee Machines", "Bicycle Parts", "Notebooks",
                "Running Shoes", "Board Games"),
    "region": ("Northern Highlands", "Lake District", "Western Isles", "Central Plains", "East Coast", "South Valley",
               "River Delta", "Upper Marshes"),
    "crop": ("Winter Wheat", "Spring Barley", "Sugar Beets", "Early Potatoes", "Sunflowers", "Rapeseed",
             "Green Lentils", "Silage Maize"),
}  # fmt: skip
_MEASURES = ("revenue", "cost", "visits", "orders", "complaints", "hours", "stock", "weight")


@dataclass(frozen=True)
class Question:
    """A question about a table.

    kind, x, y, aggregate   what is to be drawn: `aggregate` of column `y` by column `x`
    expected                the entries and their values, in the order wanted (largest first, by year, or any)
    ask, answer             what the answer says: the entry with the most or the least, or the sum of all values
    """

    table: int
    text: str
    kind: Kind
    x: str
    y: str
    aggregate: Aggregate
    ask: Ask
    answer: str
    expected: tuple[tuple[str | int, float], ...]

    @property
    def charts(self) -> tuple[str, ...]:
        """The kinds of chart that suit it."""
        return CHARTS[self.kind]

    @property
    def ordered(self) -> bool:
        """Whether the order of the entries was asked for."""
        return self.kind != "share"


@dataclass(frozen=True)
class Questions:
    """The tables of a seed (columns by name) and their questions, those for training and those held out."""

    tables: tuple[dict[str, list[Any]], ...]
    train: tuple[Question, ...]
    held_out: tuple[Question, ...]


class TableQuestions:
    """`tables` tables with ten questions each."""

    def __init__(self, tables: int) -> None:
        self.tables = tables

    def sample(self, seed: int) -> Questions:
        """The tables and questions of a seed; three questions of every table are held out."""
        rng = random.Random(f"table questions {seed}")
        tables = tuple(_table(rng) for _ in range(self.tables))
        train, held_out = list[Question](), list[Question]()
        for number, table in enumerate(tables):
            asked = _questions(number, table, rng)
            held_out += asked[:HELD_OUT]
            train += asked[HELD_OUT:]
        return Questions(tables, tuple(train), tuple(held_out))

    def check(self, question: Question, figures: Sequence[Any]) -> float:
        """How well drawn figures serve the question, 0 to 1; nothing drawn is 0, of several the worst counts.

        figures   with `width`, `height`, `has_title`, `all_texts` (with `box`) and `axes` (`xlabel`, `ylabel`,
                  `series` with `kind`, `x`, `y`), as `assay.methods.post_training.rl_text2vis` describes them
        """
        return min((_data(question, f) * _undisturbed(f) * _labelled(f) for f in figures), default=0.0)


def world(tables: int = 12) -> TableQuestions:
    """The world of `tables` tables."""
    if tables < 1:
        raise ValueError(f"tables: got {tables}, wanted at least 1")
    return TableQuestions(tables)


def aggregated(table: dict[str, list[Any]], x: str, y: str, aggregate: Aggregate) -> dict[Any, float]:
    """`aggregate` of column y for each value of column x, in the order of their first appearance."""
    found: dict[Any, list[float]] = {}
    for name, value in zip(table[x], table[y]):
        found.setdefault(name, []).append(value)
    if aggregate == "max":
        return {name: float(max(values)) for name, values in found.items()}
    return {name: sum(values) / (len(values) if aggregate == "mean" else 1) for name, values in found.items()}


def _table(rng: random.Random) -> dict[str, list[Any]]:
    """Every category in several years, at random; measures with one decimal."""
    column = rng.choice(sorted(_CATEGORIES))
    names = rng.sample(_CATEGORIES[column], rng.randint(5, 8))
    first = rng.randint(1995, 2015)
    years = range(first, first + rng.randint(4, 6))
    rows = [(name, year) for name in names for year in years]
    rng.shuffle(rows)
    measures = rng.sample(_MEASURES, 2)
    table: dict[str, list[Any]] = {column: [name for name, _ in rows], "year": [year for _, year in rows]}
    for measure in measures:
        level = {name: rng.uniform(5, 60) for name in names}
        slope = rng.uniform(-2, 3)
        table[measure] = [round(level[n] * rng.uniform(0.7, 1.3) + slope * (y - first), 1) + 10 for n, y in rows]
    return table


def _questions(number: int, table: dict[str, list[Any]], rng: random.Random) -> list[Question]:
    """Ten different questions, in a random order."""
    column, year, *measures = table
    possible = [
        (kind, year if kind == "develop" else column, y, aggregate, ask)
        for kind in KINDS
        for y in measures
        for aggregate in (("sum",) if kind == "share" else AGGREGATES)
        for ask in ASKS
    ]
    return [_question(number, table, *chosen) for chosen in rng.sample(possible, PER_TABLE)]


def _question(
    number: int, table: dict[str, list[Any]], kind: Kind, x: str, y: str, aggregate: Aggregate, ask: Ask
) -> Question:
    values = aggregated(table, x, y, aggregate)
    order = sorted(values) if kind == "develop" else sorted(values, key=lambda name: -values[name])
    most, least = max(values, key=lambda name: values[name]), min(values, key=lambda name: values[name])
    answer = {"most": str(most), "least": str(least), "total": f"{sum(values.values()):.1f}"}[ask]
    how = {"sum": "total", "mean": "mean", "max": "highest"}[aggregate]
    shown = {
        "compare": f"Compare the {how} {y} of each {x}, largest first.",
        "develop": f"Show how the {how} {y} developed over the years.",
        "share": f"Show what share of all {y} each {x} has.",
    }[kind]
    asked = {
        "most": f"Which {x} has the most?",
        "least": f"Which {x} has the least?",
        "total": "What do the values shown add up to?",
    }[ask]
    expected = tuple((name, values[name]) for name in order)
    return Question(number, f"{shown} {asked}", kind, x, y, aggregate, ask, answer, expected)


def _data(question: Question, figure: Any) -> float:
    """Share of the expected entries that some series shows with their values; superfluous ones enlarge the divisor."""
    total = sum(value for _, value in question.expected)
    best = 0.0
    for axes in figure.axes:
        for series in axes.series:
            scale = total if series.kind == "pie" else 1.0
            shown = {_name(x): y for x, y in zip(series.x, series.y) if x is not None and y is not None}
            right = sum(
                math.isclose(shown.get(_name(name), math.nan) * scale, value, rel_tol=0.01)
                for name, value in question.expected
            )
            best = max(best, right / max(len(question.expected), len(series.y)))
    return best


def _undisturbed(figure: Any) -> float:
    """Share of the texts that lie inside the figure and on no other text."""
    boxes: list[tuple[float, float, float, float]] = [text.box for text in figure.all_texts]
    if not boxes:
        return 1.0
    fine = 0
    for i, (left, bottom, right, top) in enumerate(boxes):
        inside = left > -1 and bottom > -1 and right < figure.width + 1 and top < figure.height + 1
        alone = not any(
            min(right, b[2]) - max(left, b[0]) > 1 and min(top, b[3]) - max(bottom, b[1]) > 1
            for b in boxes[:i] + boxes[i + 1 :]
        )
        fine += inside and alone
    return fine / len(boxes)


def _labelled(figure: Any) -> float:
    """Share of the labels that should be there: a title, and a name for each axis that has one."""
    there: list[bool] = [figure.has_title]
    for axes in figure.axes:
        if any(series.kind != "pie" for series in axes.series):
            there += [bool(axes.xlabel.strip()), bool(axes.ylabel.strip())]
    return sum(there) / len(there)


def _name(x: str | float) -> str:
    try:
        return f"{float(x):g}"
    except ValueError:
        return str(x)
