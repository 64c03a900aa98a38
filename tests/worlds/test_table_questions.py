from dataclasses import dataclass, replace

import pytest

from assay.worlds.table_questions import Question, aggregated, world

TABLE = {"region": ["A", "B", "A"], "year": [2001, 2001, 2002], "cost": [1.0, 2.0, 4.0], "hours": [1.0, 1.0, 1.0]}


@dataclass
class Text:
    box: tuple


@dataclass
class Series:
    kind: str
    x: tuple
    y: tuple


@dataclass
class Axes:
    xlabel: str
    ylabel: str
    series: list


@dataclass
class Figure:
    axes: list
    all_texts: list
    has_title: bool = True
    width: int = 100
    height: int = 100


QUESTION = Question(0, "?", "compare", "region", "cost", "sum", "most", "A", (("A", 5.0), ("B", 2.0)))
BARS = Axes("region", "cost", [Series("bar", ("A", "B"), (5.0, 2.0))])
CHECK = world().check


def test_values_are_put_together_as_worked_by_hand():
    assert aggregated(TABLE, "region", "cost", "sum") == {"A": 5, "B": 2}
    assert aggregated(TABLE, "region", "cost", "mean") == {"A": 2.5, "B": 2}
    assert aggregated(TABLE, "year", "cost", "max") == {2001: 2, 2002: 4}


def test_a_hundred_and_twenty_questions_three_of_ten_held_out():
    sample = world().sample(0)
    assert (len(sample.tables), len(sample.train), len(sample.held_out)) == (12, 84, 36)
    assert not {q.text for q in sample.train if q.table == 3} & {q.text for q in sample.held_out if q.table == 3}
    assert world().sample(0) == sample
    assert world().sample(1) != sample
    with pytest.raises(ValueError, match="tables: got 0"):
        world(0)


def test_expected_values_stand_in_the_order_asked_for_and_answers_follow_from_them():
    for question in (*world().sample(3).train, *world().sample(3).held_out):
        values = [value for _, value in question.expected]
        names = [name for name, _ in question.expected]
        if question.kind == "develop":
            assert names == sorted(names)
        else:
            assert values == sorted(values, reverse=True)
        wanted = {"most": max(values), "least": min(values)}.get(question.ask)
        if wanted is None:
            assert float(question.answer) == pytest.approx(sum(values), abs=0.051)
        else:
            assert {str(name): value for name, value in question.expected}[question.answer] == wanted


def test_a_figure_is_marked_by_data_by_texts_in_the_way_and_by_labels():
    good = Figure([BARS], [Text((0, 0, 10, 10)), Text((20, 0, 30, 10))])
    assert CHECK(QUESTION, [good]) == 1
    assert CHECK(QUESTION, []) == 0
    assert CHECK(QUESTION, [good, replace(good, has_title=False)]) == pytest.approx(2 / 3)
    assert CHECK(QUESTION, [replace(good, axes=[Axes("region", " ", BARS.series)])]) == pytest.approx(2 / 3)
    assert CHECK(QUESTION, [replace(good, all_texts=[*good.all_texts, Text((25, 5, 35, 15))])]) == pytest.approx(1 / 3)
    assert CHECK(QUESTION, [replace(good, all_texts=[*good.all_texts, Text((95, 0, 120, 9))])]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("series", "share"),
    [
        (Series("bar", ("B", "A"), (2.0, 5.0)), 1.0),  # the order is no matter of this check
        (Series("bar", ("A", "B"), (5.0, 3.0)), 0.5),
        (Series("bar", ("A", "B", "C", "D"), (5.0, 2.0, 1.0, 1.0)), 0.5),
        (Series("bar", ("a", None), (5.0, None)), 0.0),
        (Series("pie", ("A", "B"), (5 / 7, 2 / 7)), 1.0),
        (Series("pie", ("A", "B"), (5.0, 2.0)), 0.0),
    ],
)
def test_data_count_by_the_share_that_is_there(series, share):
    assert CHECK(QUESTION, [Figure([Axes("x", "y", [series])], [])]) == pytest.approx(share)
