import asyncio
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.parsing import (
    ReplyError,
    as_text,
    ask_json,
    boxed,
    boxed_span,
    exact_match,
    final_answer,
    find_json,
    normalise_answer,
    tagged,
    token_f1,
    well_formed,
)

SCHEMA = {"type": "object", "required": ["score"], "properties": {"score": {"type": "integer", "minimum": 0}}}
MARKS = ["<answer>", "</answer>", "<think>", "</think>", r"\boxed{", "{", "}", "\\", '{"a":', "[", "NaN", "1", " "]
replies = st.one_of(st.text(), st.lists(st.sampled_from(MARKS), max_size=30).map("".join))


@given(replies, replies)
def test_no_text_makes_the_readers_raise(text, other):
    assert boxed(text) is None or isinstance(boxed(text), str)
    assert final_answer(text) != ""
    assert isinstance(well_formed(text), bool)
    assert find_json(text) is None or isinstance(find_json(text), dict)
    assert all(piece in text for piece in tagged(text, "answer"))
    assert 0 <= token_f1(text, other) <= 1
    assert exact_match(text, other) == (normalise_answer(text) == normalise_answer(other))


@given(replies)
def test_a_span_is_a_box_from_backslash_to_brace(text):
    span = boxed_span(text)
    if span is not None:
        assert text[slice(*span)].startswith("\\boxed")
        assert text[slice(*span)].endswith("}")


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (r"\boxed{7}", "7"),
        (r"first \boxed{1}, then \boxed{ 2 }", "2"),
        (r"\boxed{\frac{1}{2}} and \boxed{3", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{a \} b}", r"a \} b"),
        (r"\boxed{x \\}", r"x \\"),
        (r"\boxed{see \boxed{4}", "4"),
        (r"\boxed{\boxed{4}}", r"\boxed{4}"),
        (r"} \boxed {5}", "5"),
        (r"\boxed{}", ""),
        ("no box, {only} braces", None),
    ],
)
def test_the_last_balanced_box_counts(text, inside):
    assert boxed(text) == inside


def test_many_unclosed_boxes_are_read_in_one_pass():
    assert boxed(r"\boxed{" * 200_000 + "1}") == "1"


def test_a_forgotten_closing_tag_swallows_nothing():
    assert tagged("<a>one <a>two</a> and <a> three </a></a>", "a") == ["two", "three"]
    assert tagged("<b>no</b>", "a") == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>Rome</answer>", "Rome"),
        (r"<answer>it is \boxed{Rome}</answer> \boxed{Pisa}", "Rome"),
        (r"so \boxed{Pisa}", "Pisa"),
        ("<answer>one</answer> <answer>two</answer>", "two"),
        ("<answer> </answer>", None),
        (r"\boxed{}", None),
        ("Rome", None),
    ],
)
def test_the_answer_is_the_last_tag_or_box(text, answer):
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("<think>a</think><answer>b</answer>", True),
        (" <think>a</think> <search>q</search> <think>c</think>\n<answer>b</answer>\n", True),
        ("<think></think><answer>b</answer>", True),
        ("<answer>b</answer>", False),
        ("<think>a</think>", False),
        ("<think>a<answer>b</answer>", False),
        ("<think>a</think><answer> </answer>", False),
        ("<think>a</think><answer>b</answer> and more", False),
        ("so <think>a</think><answer>b</answer>", False),
        ("<think>a</think><answer>b</answer><answer>c</answer>", False),
        ("<think>a<think>b</think></think><answer>c</answer>", False),
        ("<think>a</think></think><answer>c</answer>", False),
    ],
)
def test_thoughts_are_closed_and_one_answer_ends_the_reply(text, good):
    assert well_formed(text) is good


def test_a_conversation_is_read_by_its_contents():
    assert as_text("as it is") == "as it is"
    assert as_text([{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]) == "one\ntwo"


def test_answers_are_normalised_as_squad_does():
    assert normalise_answer("  The U.S.A.,  an island ") == "usa island"
    assert exact_match("A Theatre", "theatre!")
    assert not exact_match("theatre", "theatres")


@pytest.mark.parametrize(
    ("prediction", "gold", "f1"),
    [
        ("red house", "red barn", 0.5),  # precision 1/2, recall 1/2
        ("a b b", "b b c d", 2 * 2 / (2 + 4)),  # "a" is an article; two words are shared
        ("yes", "yes", 1.0),
        ("yes it is", "yes", 0.0),
        ("no", "no one", 0.0),
        ("", "", 1.0),
        ("", "word", 0.0),
    ],
)
def test_f1_equals_the_case_worked_by_hand(prediction, gold, f1):
    assert token_f1(prediction, gold) == pytest.approx(f1)
    assert token_f1(gold, prediction) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Here:\n```json\n{"a": {"b": 2}}\n```\nwith [1]', {"a": {"b": 2}}),
        ('{"draft": 1} no, {"final": 2}', {"final": 2}),
        ('{oops} {"a": "}"}', {"a": "}"}),
        ('{"a": NaN}', None),
        ('{"a": 1', None),
        ("[1, 2]", None),
        ('{"a": ' + "9" * 5000 + "}", None),  # more digits than Python turns into a number
        ('{"a":' * 50_000, None),
    ],
)
def test_the_last_json_object_is_found(text, content):
    assert find_json(text) == content


@given(st.dictionaries(st.text(), st.lists(st.integers() | st.text()), max_size=3), st.text(alphabet="ab \n[]}"))
def test_an_object_is_found_whatever_stands_around_it(content, around):
    assert find_json(around + json.dumps(content) + around) == content


class Scripted:
    """A model that gives its replies in turn and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.prompts = list(replies), []

    async def __call__(self, prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        self.prompts.append(prompt)
        return self.replies.pop(0)


def ask(model, **options):
    return asyncio.run(ask_json(model, "How good?", SCHEMA, **options))


def test_a_good_reply_is_asked_for_once():
    model = Scripted('Well: {"score": 3}')
    assert ask(model) == {"score": 3}
    assert model.prompts == ["How good?"]


def test_a_bad_reply_is_shown_back_with_what_is_wrong():
    model = Scripted('{"score": -1}', '{"score": 4}')
    assert ask(model) == {"score": 4}
    assert model.prompts[1].startswith("How good?")
    assert "score: -1 is less than the minimum of 0" in model.prompts[1]


@pytest.mark.parametrize("repairs", [0, 1, 2])
def test_a_reply_that_stays_bad_is_void_with_its_text_and_reason(repairs):
    model = Scripted(*["no idea"] * 2, "still none")
    with pytest.raises(ReplyError, match="it holds no JSON object") as raised:
        ask(model, repairs=repairs)
    assert len(model.prompts) == 1 + repairs
    assert raised.value.text == ("still none" if repairs == 2 else "no idea")
    assert pickle.loads(pickle.dumps(raised.value)).reason == raised.value.reason


def test_negative_repairs_and_a_schema_that_is_none_are_refused():
    from jsonschema import SchemaError

    with pytest.raises(ValueError, match="repairs: got -1"):
        ask(Scripted(), repairs=-1)
    with pytest.raises(SchemaError):
        asyncio.run(ask_json(Scripted(), "?", {"type": "nothing"}))
