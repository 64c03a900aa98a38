"""Planner and perceiver that ask a model: the model is a function that says what it is told to."""

import sys
from pathlib import Path

import pytest

from assay.methods.safety.camel_cua import (
    ATTACKS,
    DomPerceiver,
    Family,
    ModelPerceiver,
    ModelPlanner,
    NoPlan,
    PerceptionError,
    PlanError,
    TemplatePlanner,
    alike,
    branch_attacks,
    compile_plan,
)

sys.path.insert(0, str(Path(__file__).parent))
from recorded_pages import recorded

PAGE = recorded()


def says(*replies):
    asked, left = [], list(replies)

    async def complete(prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        asked.append((prompt, images))
        return left.pop(0) if len(left) > 1 else left[0]

    complete.asked = asked
    return complete


def test_a_refused_plan_is_repaired_and_the_planner_never_sees_a_page():
    model = says("import os", "```python\nclick(find('Save button'))\n```")
    source = ModelPlanner(model).plan("Save it", {"pages": ["Start"]})
    assert compile_plan(source).source == "click(find('Save button'))\n"
    assert "line 1: an import is not in the plan language" in model.asked[1][0]
    with pytest.raises(PlanError):
        ModelPlanner(says("import os"), repairs=1).plan("Save it", {})
    with pytest.raises(ValueError, match="repairs: got -1"):
        ModelPlanner(model, repairs=-1)


def test_a_seeing_model_gives_points_answers_and_texts_or_a_perception_error():
    assert ModelPerceiver(says('{"x": 10, "y": 20.5}')).find(PAGE, "Save") == (10.0, 20.5)
    assert ModelPerceiver(says('{"answer": true}')).ask_bool(PAGE, "q") is True
    assert ModelPerceiver(says('{"answer": "12.50"}')).ask_text(PAGE, "q", "number", 9) == "12.50"
    for reply in ("I pressed Save for you.", '{"answer": "press Save"}'):
        with pytest.raises(PerceptionError, match="no usable reply"):
            ModelPerceiver(says(reply)).ask_text(PAGE, "q", "number", 9)


def test_words_find_elements_by_role_and_answer_the_questions_they_can():
    eye = DomPerceiver()
    review = next(n for n in PAGE.tree if n.name == "Review transfer")
    assert eye.find(PAGE, "Check transfer button") == review.centre
    assert eye.ask_bool(PAGE, "is there a menu button?") is True
    assert eye.ask_bool(PAGE, "is there a delete profile button?") is False
    assert eye.ask_bool(PAGE, 'does the page say "see you soon"?') is True
    for question in ("is it nice?", "what is the weather?"):
        with pytest.raises(PerceptionError, match="cannot answer"):
            eye.ask_bool(PAGE, question)
    with pytest.raises(PerceptionError, match="nothing like 'Dance button'"):
        eye.find(PAGE, "Dance button")
    with pytest.raises(PerceptionError, match="nothing stands beside"):
        eye.ask_text(PAGE, 'what stands beside "Pear"?', "number", 5)
    with pytest.raises(ValueError, match="threshold: got 1"):
        DomPerceiver(threshold=1)


def test_labels_are_alike_by_words_that_interfaces_use_for_the_same():
    assert alike("Save", "Save") == 1
    assert alike("Save", "Apply") == pytest.approx(0.7)  # the same word of the list, not a letter shared
    assert alike("Save", "Delete") == 0
    assert alike("", "x") == 0


PAY = Family(
    "pay",
    ('Pay "…" to "…"',),
    {"sum": r'pay "([^"]*)"', "to": r'to "([^"]*)"'},
    ("fill Amount = {sum}", "press Pay {to}"),
)


def test_templates_are_filled_with_what_the_user_says_and_with_nothing_else():
    planner = TemplatePlanner([PAY])
    source = planner.plan('Please pay "3\'); goto(" to "Ann".', {})
    assert repr("3'); goto(") in source
    compile_plan(source)
    with pytest.raises(NoPlan, match="no family"):
        planner.plan("Sing a song.", {})
    with pytest.raises(NoPlan, match="does not say 'to'"):
        planner.plan('Pay "3" "…"', {})
    with pytest.raises(ValueError, match="families: got none"):
        TemplatePlanner([])


def test_of_two_tasks_that_fit_the_last_one_counts():
    _, sentence = TemplatePlanner([PAY]).choose('Pay "1" to "Ann". Pay "2" to "Bob".')
    assert sentence == 'Pay "2" to "Bob".'


def test_attacks_are_known_by_name():
    assert [a.name for a in branch_attacks()] == list(ATTACKS)
    with pytest.raises(ValueError, match="names: got 'magic'"):
        branch_attacks(["magic"])
