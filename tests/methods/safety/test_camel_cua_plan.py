import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.safety.camel_cua import PlanError, Symbol, compile_plan, expand


def symbol(primitive, *literals, sources=()):
    return Symbol(primitive, literals, tuple(frozenset(s) for s in sources))


REFUSED = {
    "x = find('a').x": "attribute access is not in the plan language",
    "a = ask_text('q', 'line', 9)\nb = a[0]": "subscription is not in the plan language",
    "import os": "an import is not in the plan language",
    "from os import path": "an import is not in the plan language",
    "f = lambda: 1": "a lambda is not in the plan language",
    "x = [c for c in 'ab']": "a comprehension is not in the plan language",
    "eval('1')": "'eval' is no primitive",
    "exec(ask_text('q', 'line', 9))": "'exec' is no primitive",
    "__builtins__ = 'x'": "'__builtins__' cannot be assigned to",
    "find = 'x'": "'find' cannot be assigned to",
    "click(*find('a'))": "a starred expression is not in the plan language",
    "global x": "global is not in the plan language",
    "while ask_bool('q'):\n    press('Enter')": "a loop needs a literal bound",
    "for _ in range(51):\n    press('Enter')": "a literal N from 1 to 50",
    "n = ask_text('q', 'number', 3)\nfor _ in range(n):\n    press('Enter')": "a literal N from 1 to 50",
    "a = ask_text('q', 'line', 9)\nfind(a)": "find wants a literal text here",
    "a = ask_text('q', 'line', 9)\ngoto(a)": "goto wants a literal text here",
    "a = ask_text('q', 'line', 9)\npress(a)": "press wants a literal text here",
    "a = ask_text('q', 'line', 9)\nask_bool(a)": "ask_bool wants a literal text here",
    "goto(f'http://{1}')": "goto wants a literal text here",
    "a = ask_text('q', 'line', 9)\nif a == 'x':\n    press('a')": "compared by `in` a tuple of literals only",
    "a = ask_text('q', 'line', 9)\nif a:\n    press('a')": "a branch needs ask_bool",
    "a = ask_text('q', 'line', 9)\nb = 'x'\nif a in (b,):\n    press('a')": "`in` needs a tuple of literals",
    "ask_text('q', '.*', 9)": "ask_text knows the schemas line, word, number",
    "click('a')": "click wants a point here, got text",
    "click(find('a'), find('b'))": "click takes 1 arguments, got 2",
    "find(description='a')": "find takes no named arguments",
    "click(p)": "'p' has no value yet",
    "p = find('a')\np = ask_bool('b')": "'p' is point elsewhere and bool here",
    "break": "break outside a loop",
    "return find('a')": "return takes no value here",
    "with open('f'):\n    press('a')": "wanted with try_step(N)",
    "def f():\n    press('a')": "a function is not in the plan language",
    "try:\n    press('a')\nexcept:\n    press('b')": "try is not in the plan language",
    "a = 'x' + 'y'": "arithmetic is not in the plan language",
    "a = 'x'\nb = f'{a!r}'": "an f-string holds names alone",
    "press('a'": "not Python",
    "": "the plan is empty",
    "press('a')\n" * 201: "201 statements, at most 200",
}


@pytest.mark.parametrize("source", REFUSED, ids=lambda s: s[:30])
def test_what_is_not_in_the_language_is_refused_with_its_line(source):
    with pytest.raises(PlanError, match=r"^line \d+: ") as caught:
        compile_plan(source)
    assert REFUSED[source] in str(caught.value)


def test_the_line_of_an_error_is_that_of_the_text():
    with pytest.raises(PlanError) as caught:
        compile_plan("press('a')\npress('b')\nx = find('a').x\n")
    assert str(caught.value) == "line 3: attribute access is not in the plan language"
    with pytest.raises(TypeError, match="source: got int"):
        compile_plan(3)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail_in_another_way(text):
    try:
        compile_plan(text)
    except PlanError as error:
        assert error.line >= 1


def test_the_automaton_holds_both_branches_any_number_of_rounds_and_an_early_end():
    plan = compile_plan(
        "if ask_bool('a?'):\n    press('A')\nelse:\n    press('B')\n"
        "for _ in range(3):\n    if ask_bool('b?'):\n        break\n    press('C')\nfinish()\n"
    )
    made = plan.automaton()
    a, b, c = (symbol("press", key) for key in "ABC")
    ask_a, ask_b, end = symbol("ask_bool", "a?"), symbol("ask_bool", "b?"), symbol("finish")
    for trace in ([ask_a, a, ask_b, end], [ask_a, b, ask_b, c, ask_b, c, end], [ask_a, a, end], [ask_a], []):
        assert made.accepts(trace), trace
    for trace in ([a], [ask_a, c], [ask_a, a, b], [ask_a, a, ask_b, ask_b], [ask_a, a, end, a]):
        assert not made.accepts(trace), trace


def test_arguments_are_known_by_where_they_may_come_from():
    plan = compile_plan(
        "p = find('here')\nif ask_bool('x?'):\n    p = find('there')\nt = ask_text('what?', 'line', 9)\n"
        "u = f'{t} {name}'\ntype_text(p, u)\n",
        inputs=("name",),
    )
    typed = next(s for s in plan.automaton().alphabet if s.primitive == "type_text")
    points, texts = typed.sources
    assert points == {"find:here", "find:there"}
    assert texts == {"ask_text:what?", "user:name", "plan: "}
    assert typed.covers(Symbol("type_text", (), (frozenset({"find:there"}), frozenset({"user:name"}))))
    assert not typed.covers(Symbol("type_text", (), (frozenset({"find:else"}), frozenset({"user:name"}))))


def test_a_failed_step_may_begin_again_but_not_elsewhere():
    made = compile_plan("press('1')\nwith try_step(2):\n    press('2')\n    verify('v?')\npress('3')\n").automaton()
    one, two, three, v = symbol("press", "1"), symbol("press", "2"), symbol("press", "3"), symbol("verify", "v?")
    assert made.accepts([one, two, v, two, v, three])
    assert not made.accepts([one, two, v, one])
    assert not made.accepts([one, two, v, three, two])


def test_or_and_and_may_leave_their_rest_out():
    made = compile_plan("if ask_bool('a?') or not ask_bool('b?'):\n    press('x')\n").automaton()
    a, b, x = symbol("ask_bool", "a?"), symbol("ask_bool", "b?"), symbol("press", "x")
    assert made.accepts([a, x]) and made.accepts([a, b, x]) and made.accepts([a, b])
    assert not made.accepts([b, x])


@given(st.text(min_size=1, max_size=30).filter(lambda s: "=" not in s))
def test_what_a_user_says_becomes_a_literal_whatever_it_holds(words):
    plan = compile_plan(expand([f"fill Name = {words}"]))
    typed = [s for s in plan.automaton().alphabet if s.primitive == "type_text"]
    assert [s.sources[1] for s in typed] == [frozenset({f"plan:{words}"})]


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="steps: got 'dance now'"):
        expand(["dance now"])
