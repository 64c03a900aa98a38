"""The shop: six typed tools over SQLite, and questions whose answer takes a chain of three to five calls.

A chain is carried out call by call, each acting on what the call before left: rows, a number, a word or a date.

    list_products(category="lamps") -> filter_rows(field="price", op="<", value=80) -> sum_rows(field="stock")

A call that does not fit what it finds (another tool's input, an unknown field, a name that is not there) breaks the
chain: its answer is None.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from assay.worlds.text.problem import digest

CATEGORIES = ("lamps", "chairs", "desks", "rugs", "clocks")
SUPPLIERS = ("acorn", "birch", "cedar", "dogwood")
RATES = {"usd": 1.0, "eur": 0.9, "gbp": 0.8, "yen": 150.0}
NUMBERS = ("price", "stock", "weight")  # the numeric columns of a product
OPERATORS = ("<", ">", ">=", "<=")
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "list_products": ("category",),
    "filter_rows": ("field", "op", "value"),
    "sum_rows": ("field",),
    "convert": ("to",),
    "look_up": ("table", "field", "name"),  # without `name`, the word that the call before left
    "add_days": ("days",),
}

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One tool call."""

    tool: str
    arguments: Arguments


@dataclass(frozen=True)
class Question:
    """A question, the expert's calls and the answer they give."""

    text: str
    calls: tuple[Step, ...]
    answer: str


@dataclass(frozen=True)
class Shop:
    """Products (name, category, supplier, price, stock, weight) and suppliers (name, opened), and questions on them."""

    products: tuple[tuple[str, str, str, int, int, int], ...]
    suppliers: tuple[tuple[str, str], ...]
    questions: tuple[Question, ...] = ()


class Desk:
    """An open shop. Not picklable: open it where it is used, and close it."""

    def __init__(self, shop: Shop) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.execute("create table products (name, category, supplier, price, stock, weight)")
        self._db.execute("create table suppliers (name, opened)")
        self._db.executemany("insert into products values (?,?,?,?,?,?)", shop.products)
        self._db.executemany("insert into suppliers values (?,?)", shop.suppliers)
        self._db.execute("pragma query_only = on")

    def answer(self, calls: Sequence[Step]) -> str | None:
        """What the chain comes to, as text; None if a call breaks it or there is none."""
        state: Any = None
        for step in calls:
            try:
                state = getattr(self, f"_{step.tool}")(state, **step.arguments)
            except (AttributeError, TypeError, ValueError, KeyError, sqlite3.Error):
                return None  # no such tool, parameter, field or value: that is the chain's own fault
            if state is None:
                return None
        return None if isinstance(state, list) or state is None else str(state)

    def close(self) -> None:
        self._db.close()

    def _list_products(self, state: Any, category: str) -> list[int] | None:
        rows = self._db.execute("select rowid from products where category = ?", (category,)).fetchall()
        return [row for (row,) in rows] or None

    def _filter_rows(self, state: Any, field: str, op: str, value: float) -> list[int]:
        if field not in NUMBERS or op not in OPERATORS or not isinstance(state, list):
            raise ValueError(field)
        marks = ",".join("?" * len(state))
        sql = f"select rowid from products where {field} {op} ? and rowid in ({marks})"
        return [row for (row,) in self._db.execute(sql, (float(value), *state))]

    def _sum_rows(self, state: Any, field: str) -> int:
        if field not in NUMBERS or not isinstance(state, list):
            raise ValueError(field)
        marks = ",".join("?" * len(state))
        return int(
            self._db.execute(f"select total({field}) from products where rowid in ({marks})", state).fetchone()[0]
        )

    def _convert(self, state: Any, to: str) -> float:
        if isinstance(state, bool) or not isinstance(state, int | float):
            raise TypeError(state)
        return round(state * RATES[to], 2)

    def _look_up(self, state: Any, table: str, field: str, name: str | None = None) -> Any:
        columns = {"products": ("category", "supplier", *NUMBERS), "suppliers": ("opened",)}[table]
        wanted = state if name is None else name
        if field not in columns or not isinstance(wanted, str):
            raise ValueError(field)
        row = self._db.execute(f"select {field} from {table} where name = ?", (wanted,)).fetchone()
        return None if row is None else row[0]

    def _add_days(self, state: Any, days: int) -> str:
        return (date.fromisoformat(state) + timedelta(days=days)).isoformat()


@dataclass(frozen=True)
class ShopWorld:
    """`questions` questions a seed, about one shop of 60 products."""

    questions: int = 200

    def __post_init__(self) -> None:
        if self.questions < 1:
            raise ValueError(f"questions: got {self.questions}, wanted at least 1")

    def sample(self, seed: int) -> Shop:
        """The shop of a seed, with its questions."""
        rng = random.Random(digest("shop", seed))
        stock = tuple(
            (
                f"{rng.choice('ABCDEFGH')}{i:02d}",
                rng.choice(CATEGORIES),
                rng.choice(SUPPLIERS),
                rng.randint(10, 200),
                rng.randint(1, 40),
                rng.randint(1, 30),
            )
            for i in range(60)
        )
        opened = tuple((name, date(rng.randint(1960, 2015), rng.randint(1, 12), 15).isoformat()) for name in SUPPLIERS)
        desk = Desk(Shop(stock, opened))
        found: dict[str, Question] = {}
        while len(found) < self.questions:
            question = _question(desk, stock, rng)
            if question is not None:
                found.setdefault(question.text, question)
        desk.close()
        return Shop(stock, opened, tuple(found.values()))

    def check(self, question: Question, answer: str | None) -> bool:
        """Whether an answer is the question's."""
        return answer == question.answer


def world(questions: int = 200) -> ShopWorld:
    return ShopWorld(questions)


def random_value(step: Step, parameter: str, rng: random.Random) -> Any:
    """Another value that the parameter could have had."""
    choices: Mapping[str, Sequence[Any]] = {
        "category": CATEGORIES,
        "field": NUMBERS,
        "op": OPERATORS,
        "to": tuple(RATES),
        "table": ("products", "suppliers"),
    }
    now = step.arguments[parameter]
    if parameter in choices:
        return rng.choice([value for value in choices[parameter] if value != now])
    if parameter == "name":
        return f"{rng.choice('ABCDEFGH')}{rng.randrange(60):02d}"
    return now + rng.choice([-30, -10, -3, 3, 10, 30])


def _question(desk: Desk, stock: Sequence[tuple[str, str, str, int, int, int]], rng: random.Random) -> Question | None:
    """A question of one of two kinds; None where its chain leads to nothing worth asking."""
    text, calls = (_total if rng.random() < 0.6 else _opening)(stock, rng)
    answer = desk.answer(calls)
    return None if answer in (None, "0", "0.0") else Question(text, tuple(calls), str(answer))


def _total(stock: Sequence[tuple[Any, ...]], rng: random.Random) -> tuple[str, list[Step]]:
    category, counted = rng.choice(CATEGORIES), rng.choice(NUMBERS)
    calls = [Step("list_products", {"category": category})]
    text = f"Of the {category}"
    for field in rng.sample(NUMBERS, rng.choice((1, 2))):
        op, value = rng.choice(OPERATORS), rng.choice(stock)[3 + NUMBERS.index(field)]
        calls.append(Step("filter_rows", {"field": field, "op": op, "value": value}))
        text += f" with {field} {op} {value}"
    calls.append(Step("sum_rows", {"field": counted}))
    if counted == "price" and rng.random() < 0.7:
        money = rng.choice(("eur", "gbp", "yen"))
        calls.append(Step("convert", {"to": money}))
        return f"{text}, what do all prices come to in {money}?", calls
    return f"{text}, what is the total {counted}?", calls


def _opening(stock: Sequence[tuple[Any, ...]], rng: random.Random) -> tuple[str, list[Step]]:
    name, days = rng.choice(stock)[0], rng.randint(5, 90)
    calls = [
        Step("look_up", {"table": "products", "field": "supplier", "name": name}),
        Step("look_up", {"table": "suppliers", "field": "opened"}),
        Step("add_days", {"days": days}),
    ]
    return f"Which date is {days} days after the supplier of {name} opened?", calls
