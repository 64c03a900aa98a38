import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.worlds.desks.shop import PARAMETERS, Desk, Step, world

SHOP = world(60).sample(1)


@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_the_experts_chain_gives_the_answer_and_a_seed_gives_one_shop(seed):
    shop = world(20).sample(seed)
    desk = Desk(shop)
    assert all(desk.answer(question.calls) == question.answer for question in shop.questions)
    assert all(3 <= len(question.calls) <= 5 for question in shop.questions)
    assert world(20).sample(seed) == shop == pickle.loads(pickle.dumps(shop))
    assert len({question.text for question in shop.questions}) == 20
    desk.close()


def test_the_tools_agree_with_the_table():
    desk = Desk(SHOP)
    dear = [p for p in SHOP.products if p[1] == "lamps" and p[3] >= 60]
    calls = [
        Step("list_products", {"category": "lamps"}),
        Step("filter_rows", {"field": "price", "op": ">=", "value": 60}),
        Step("sum_rows", {"field": "stock"}),
    ]
    assert desk.answer(calls) == str(sum(p[4] for p in dear))
    assert desk.answer([*calls, Step("convert", {"to": "eur"})]) == str(round(0.9 * sum(p[4] for p in dear), 2))
    product = SHOP.products[7]
    opened = dict(SHOP.suppliers)[product[2]]
    looked_up = [
        Step("look_up", {"table": "products", "field": "supplier", "name": product[0]}),
        Step("look_up", {"table": "suppliers", "field": "opened"}),
        Step("add_days", {"days": 0}),
    ]
    assert desk.answer(looked_up) == opened


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [Step("close", {})],
        [Step("answer", {"calls": []})],
        [Step("sum_rows", {"field": "price"})],
        [Step("list_products", {"category": "boats"})],
        [Step("list_products", {"shelf": 3})],
        [Step("list_products", {"category": "lamps"})],
        [
            Step("list_products", {"category": "lamps"}),
            Step("filter_rows", {"field": "name; drop", "op": "<", "value": 1}),
        ],
        [Step("look_up", {"table": "products", "field": "price", "name": "Z99"})],
        [Step("add_days", {"days": 3})],
    ],
)
def test_a_call_that_does_not_fit_breaks_the_chain(calls):
    desk = Desk(SHOP)
    assert desk.answer(calls) is None
    assert desk.answer(SHOP.questions[0].calls) == SHOP.questions[0].answer, "and harms nothing"


def test_every_tool_of_the_list_is_there_and_a_world_wants_questions():
    assert all(hasattr(Desk, f"_{tool}") for tool in PARAMETERS)
    assert world().check(SHOP.questions[0], SHOP.questions[0].answer)
    assert not world().check(SHOP.questions[0], None)
    with pytest.raises(ValueError, match="questions: got 0"):
        world(0)
