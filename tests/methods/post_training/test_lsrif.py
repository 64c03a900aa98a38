import json
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.post_training._lsrif_instructions import can_be_met, contradiction
from assay.methods.post_training.lsrif import (
    ATOMS,
    ClassifierVerifier,
    Conditional,
    Constraint,
    LLMVerifier,
    LSRIFReward,
    Parallel,
    Rule,
    RuleVerifier,
    Sequential,
    attention_on,
    build_instructions,
    constraints,
    flat_reward,
    parameter_shift,
    parse,
    structured_reward,
    to_dict,
    train_verifier,
)


def c(name, rule=None, of="response", **fields):
    return Constraint(name, f"says {name}", None if rule is None else Rule(rule, **fields), of)


A, B, C, D = (c(name) for name in "abcd")
MET = {"a": 1, "b": 1, "c": 1, "d": 1}


@pytest.mark.parametrize(
    ("node", "verdicts", "wanted"),
    [
        (A, {"a": 0.25}, 0.25),
        (Parallel([A, B, C]), {"a": 1, "b": 0, "c": 1}, 2 / 3),
        (Sequential([A, B]), {"a": 1, "b": 0}, 0.5),
        (Sequential([A, B]), {"a": 0, "b": 1}, 0.25),  # the second step is worth a half
        (Sequential([A, B, C]), {"a": 0, "b": 0, "c": 1}, 0.25 / 3),  # two failed steps before it
        (Sequential([A, B]), {"a": 0.5, "b": 1}, (0.5 + 0.75) / 2),  # a half met step: 0.5 + 0.5 * 0.5
        (Conditional(True, A, B), {"a": 1}, 1),
        (Conditional(False, A, B), {"b": 0}, 0),
        (Conditional(False, A), {}, None),
        (Parallel([A, Conditional(False, B)]), {"a": 1}, 1),  # what does not apply is left out of the mean
        (Sequential([Conditional(False, A), B]), {"b": 1}, 1),  # and takes nothing from the steps after it
        (Conditional(C, A, B), {"c": 1, "a": 0}, 0),
        (Conditional(C, A, B), {"c": 0, "b": 1}, 1),
        (Parallel([Sequential([A, B]), Conditional(True, C, D)]), {"a": 0, "b": 1, "c": 1}, (0.25 + 1) / 2),
    ],
)
def test_the_reward_follows_the_logic(node, verdicts, wanted):
    assert structured_reward(node, verdicts) == (None if wanted is None else pytest.approx(wanted))


def test_without_decay_a_failed_step_takes_all_or_nothing_from_the_next():
    steps = Sequential([A, B])
    assert structured_reward(steps, {"a": 0, "b": 1}, decay=1) == 0.5
    assert structured_reward(steps, {"a": 0, "b": 1}, decay=0) == 0


def test_the_flat_mean_pays_both_branches_and_no_condition():
    node = Conditional(C, Sequential([A, B]), D)
    assert flat_reward(node, {"a": 1, "b": 0, "d": 1, "c": 0}) == pytest.approx(2 / 3)


nodes = st.recursive(
    st.just("leaf"),
    lambda inner: (
        st.tuples(st.just("parallel"), st.lists(inner, min_size=1, max_size=3))
        | st.tuples(st.just("sequential"), st.lists(inner, min_size=2, max_size=3))
        | st.tuples(st.just("conditional"), st.sampled_from([True, False, "leaf"]), inner, st.none() | inner)
    ),
    max_leaves=8,
)


def build(shape, names):
    """A tree of a drawn shape, each constraint under a name of its own."""
    if shape in (True, False, None):
        return shape
    if shape == "leaf":
        return c(f"c{next(names)}", "has", value="x")
    kind, *parts = shape
    if kind == "conditional":
        return Conditional(*(build(part, names) for part in parts))
    return {"parallel": Parallel, "sequential": Sequential}[kind]([build(part, names) for part in parts[0]])


@given(nodes, st.randoms(use_true_random=False), st.floats(0, 1))
def test_a_reward_lies_in_0_to_1_and_never_falls_when_a_constraint_is_met_better(shape, rng, decay):
    node = build(shape, iter(range(10**6)))
    ids = [one.id for one in constraints(node)]
    verdicts = {name: rng.random() for name in ids}
    reward = structured_reward(node, verdicts, decay=decay)
    if reward is None:
        return
    assert 0 <= reward <= 1 + 1e-12
    conditions = set(ids) - {one.id for one in constraints(node, conditions=False)}
    better = {name: value if name in conditions else (1 + value) / 2 for name, value in verdicts.items()}
    assert structured_reward(node, better, decay=decay) >= reward - 1e-12
    perfect = {name: value if name in conditions else 1.0 for name, value in verdicts.items()}
    assert structured_reward(node, perfect, decay=decay) == pytest.approx(1)


@given(nodes)
def test_a_tree_is_read_back_from_its_json(shape):
    node = build(shape, iter(range(10**6)))
    assert parse(json.dumps(to_dict(node))) == node


LEAF = {"kind": "constraint", "id": "a", "text": "t"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "nested"}, "kind: got 'nested', wanted one of constraint"),
        ("[]", r"kind: got \[\]"),
        ("{", "structure: not JSON"),
        ({"kind": "sequential", "steps": [LEAF]}, "sequential: got 1 steps, wanted at least 2"),
        ({"kind": "parallel", "children": []}, "parallel: got no children"),
        ({"kind": "parallel", "children": [LEAF, LEAF]}, "id: 2 constraints are called 'a'"),
        ({"kind": "parallel", "children": LEAF}, "children: got dict, wanted a list"),
        ({"kind": "conditional", "then": LEAF}, "conditional: 'condition' is missing"),
        ({"kind": "conditional", "condition": {"kind": "parallel", "children": [LEAF]}, "then": LEAF}, "got a tree"),
        ({**LEAF, "text": " "}, "text is ' ', wanted a text"),
        ({**LEAF, "weight": 2}, "got the field 'weight'"),
        ({**LEAF, "of": "query"}, "of: got 'query'"),
        ({**LEAF, "check": "has"}, "check: got 'has', wanted an object"),
        ({**LEAF, "check": {"rule": "has", "values": "x"}}, "got the field 'values'"),
        ({**LEAF, "check": {"rule": "rhymes"}}, "rule: got 'rhymes', wanted one of words"),
        ({**LEAF, "check": {"rule": "words"}}, "wanted 0 <= least <= most"),
        ({**LEAF, "check": {"rule": "words", "least": 3, "most": 2}}, "wanted 0 <= least <= most"),
        ({**LEAF, "check": {"rule": "words", "value": 3}}, "wanted least or most"),
        ({**LEAF, "check": {"rule": "has", "least": 3}}, "has: got least or most"),
        ({**LEAF, "check": {"rule": "case", "value": "title"}}, "case: got 'title'"),
        ({**LEAF, "check": {"rule": "language", "value": "latin1"}}, "language: got 'latin1'"),
        ({**LEAF, "check": {"rule": "matches", "value": "("}}, "no regular expression"),
        ({**LEAF, "check": {"rule": "order", "value": ["a"]}}, "at least two texts"),
        ({**LEAF, "check": {"rule": "starts"}}, "starts: got value None"),
    ],
)
def test_what_is_no_tree_is_named(given, said):
    with pytest.raises(ValueError, match=said):
        parse(given)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: structured_reward(A, {}), "none for 'a', which counts here"),
        (lambda: structured_reward(A, {"a": 1.5}), r"got 1.5 for 'a', wanted a number in \[0, 1\]"),
        (lambda: structured_reward(A, {"a": float("nan")}), "got nan"),
        (lambda: structured_reward(A, MET, decay=1.1), "decay: got 1.1"),
        (lambda: structured_reward(Parallel([A, A]), MET), "2 constraints are called 'a'"),
        (lambda: structured_reward(Conditional(lambda p, r: True, A), MET), "`settle` the tree first"),
        (lambda: flat_reward(Conditional(True, A, B), {"a": 1}), "none for 'b', which counts here"),
        (lambda: to_dict(Conditional(lambda p, r: True, A)), "no JSON form"),
        (lambda: to_dict(Constraint("a", "t", str.isupper)), "check: that of 'a' is a function"),
        (lambda: LSRIFReward(RuleVerifier(), concurrency=0), "concurrency: got 0"),
        (lambda: LSRIFReward(RuleVerifier())([""], [""]), "structure: got no such column"),
        (lambda: LSRIFReward(RuleVerifier())([""], [""], structure=[A]), "'a': it has no check"),
    ],
)
def test_wrong_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize(
    ("rule", "met", "not_met"),
    [
        (Rule("words", least=2, most=3), "one two", "one"),
        (Rule("sentences", least=2, most=2), "It is 3.5 m. Is it?", "It is 3.5 m."),
        (Rule("sentences", least=2), "好。很好。", "好。"),
        (Rule("lines", most=1), "a\n\n", "a\nb"),
        (Rule("bullets", least=2), "- a\n* b", "- a\nb - c"),
        (Rule("bullets", least=2), "1. a\n2) b", "1.5 a"),
        (Rule("has", "cat"), "A CAT.", "cats"),
        (Rule("lacks", "cat"), "cats", "the cat"),
        (Rule("starts", "So"), "\nSo it", "so it"),
        (Rule("ends", "!"), "yes! ", "yes"),
        (Rule("case", "upper"), "A 1!", "Aa"),
        (Rule("case", "lower"), "a 1", "1"),
        (Rule("json"), '{"a": 1}', "{a: 1}"),
        (Rule("language", "chinese"), "很好的 ok", "ok very 好"),
        (Rule("language", "latin"), "déjà", "дом"),
        (Rule("order", ["a", "b"]), "a b", "b a"),
        (Rule("number"), "in 1999", "x2"),
        (Rule("number", "17"), "it is 17.", "it is 170"),
        (Rule("without", "e"), "bold", "BEST"),
        (Rule("matches", r"^\d{4}$"), "1999", "199"),
    ],
)
def test_a_rule_tells_the_two_apart(rule, met, not_met):
    assert rule(met)
    assert not rule(not_met)


def test_rules_read_the_prompt_where_the_constraint_is_of_the_prompt():
    asks = c("asks", "ends", of="prompt", value="?")
    tree = Conditional(asks, c("a", "has", value="yes"), c("b", "has", value="no"))
    rewards = LSRIFReward(RuleVerifier())(["Is it?", "It is."], ["yes", "yes"], structure=[tree, tree])
    assert rewards == [1, 0]


def test_a_condition_may_be_a_function_of_prompt_and_response():
    tree = Conditional(lambda prompt, response: len(response) > len(prompt), c("a", "has", value="long"))
    assert LSRIFReward(RuleVerifier())(["x", "xxxxxx"], ["long", "long"], structure=[tree, tree]) == [1, None]


def test_the_column_may_hold_json_text_or_a_conversation():
    text = json.dumps(to_dict(Sequential([c("a", "has", value="x"), c("b", "has", value="y")])))
    chat = [{"role": "assistant", "content": "y"}]
    assert LSRIFReward(RuleVerifier())(["p", "p"], ["x", chat], structure=[text, json.loads(text)]) == [0.5, 0.25]


class Judge:
    """Says yes where the last word of the statement stands in the response; or always the same text."""

    def __init__(self, text=None):
        self.text, self.asked = text, []

    async def __call__(self, prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        self.asked.append(prompt)
        if self.text is not None:
            return self.text
        response = prompt.split("A response to it:\n")[1].split("\n\n")[0]
        lines = [line.split(". ", 1) for line in prompt.splitlines() if line[:1].isdigit()]
        return json.dumps({number: statement.split()[-1] in response for number, statement in lines})


def test_a_language_model_judges_all_that_no_rule_can_in_one_call():
    judge = Judge()
    tree = Parallel([A, B, c("ruled", "has", value="zoo")])
    assert LSRIFReward(LLMVerifier(judge))(["p"], ["a zoo"], structure=[tree]) == [pytest.approx(2 / 3)]
    assert len(judge.asked) == 1
    assert "says a" in judge.asked[0]
    assert "says ruled" not in judge.asked[0]


def test_no_call_is_made_where_rules_say_all():
    judge = Judge()
    assert LSRIFReward(LLMVerifier(judge))(["p"], ["x"], structure=[c("a", "has", value="x")]) == [1]
    assert judge.asked == []


def test_a_reply_that_stays_unusable_is_void_and_no_zero():
    reward = LSRIFReward(LLMVerifier(Judge("Well.")))
    assert reward(["p"], ["r"], structure=[A]) == [None]
    assert reward.void == 1
    assert len(reward.verifier.ask.args[0].asked) == 3  # asked again twice


def test_a_classifier_learns_what_a_rule_says_and_then_stands_in_for_it():
    from transformers import LlamaConfig, LlamaForSequenceClassification

    from assay.models.tokenizer import PAD, build

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_labels=2, pad_token_id=PAD,
    )  # fmt: skip
    model, tokenizer = LlamaForSequenceClassification(config), build()
    rows = [{"prompt": "p", "response": r, "constraint": "is b", "met": r == "b"} for r in "abcbdb"]
    losses = train_verifier(
        rows, model, tokenizer, steps=60, generator=np.random.default_rng(0), batch=8, learning_rate=3e-3
    )
    assert losses[-1] < 0.1 < losses[0]
    verify = ClassifierVerifier(model, tokenizer).verify
    is_b = Constraint("x", "is b")
    assert run_sync(verify, "p", "b", [is_b])["x"] > 0.9
    assert run_sync(verify, "p", "a", [is_b])["x"] < 0.1
    assert run_sync(verify, "p", "a", []) == {}
    with pytest.raises(ValueError, match="some that are met and some that are not"):
        train_verifier(rows[1:2], model, tokenizer, steps=1, generator=np.random.default_rng(0))


def built(**options):
    made = partial(build_instructions, ["What is 2 and 3?", "Tell me of tea"], generator=np.random.default_rng(0))
    return run_sync(partial(made, **{"n": 60, **options}))


def test_built_instructions_hold_what_their_tree_says_and_can_be_met():
    made = built()
    assert len(made.built) == 60
    assert {one.kind for one in made.built} == {"parallel", "sequential", "conditional"}
    for one in made.built:
        own = list(constraints(one.structure))
        assert 2 <= len(own) <= 5
        assert all(constraint.text in one.prompt for constraint in own)
        assert parse(one.to_row()["structure"]) == one.structure
        branches = [one.structure.then, one.structure.otherwise] if one.kind == "conditional" else [one.structure]
        for together in (list(constraints(branch)) for branch in branches):
            assert contradiction(together) is None
            assert can_be_met(together)
    assert made.contradictory > 0
    assert made.unsatisfiable > 0


def test_a_condition_is_settled_on_the_question_and_told_in_the_prompt():
    made = built(mix=(0, 0, 1), conditions=[Constraint("asks", "the request asks", Rule("ends", "?"), of="prompt")])
    for one in made.built:
        assert one.structure.condition == one.seed.endswith("?")
        assert "If the request asks:" in one.prompt
        assert one.prompt.index("Otherwise:") > one.prompt.index("If the request asks:")


def test_a_rewording_that_loses_a_number_is_dropped_for_the_template():
    pool = [Constraint("w", "Use at most 40 words.", Rule("words", most=40)), c("x", "has", value="x")]

    async def loses(prompt, **_):
        return "Be brief."

    async def keeps(prompt, **_):
        return "Please, in no more than 40 words."

    assert built(atoms=pool, n_atoms=(2, 2), n=3, writer=loses).lost_in_rewriting == 3
    kept = built(atoms=pool, n_atoms=(2, 2), n=3, writer=keeps)
    assert kept.lost_in_rewriting == 0
    assert {one.prompt for one in kept.built} == {"Please, in no more than 40 words."}


@pytest.mark.parametrize(
    ("a", "b", "excluded"),
    [
        (Rule("words", most=40), Rule("words", least=60), True),
        (Rule("words", most=40), Rule("words", least=40), False),
        (Rule("words", most=40), Rule("lines", least=60), False),
        (Rule("has", "cat"), Rule("lacks", "CAT"), True),
        (Rule("has", "cats"), Rule("lacks", "cat"), False),
        (Rule("starts", "So"), Rule("starts", "So it"), False),
        (Rule("starts", "So"), Rule("starts", "It"), True),
        (Rule("case", "upper"), Rule("case", "lower"), True),
        (Rule("case", "upper"), Rule("ends", "end"), True),
        (Rule("case", "upper"), Rule("has", "end"), False),
        (Rule("without", "e"), Rule("order", ["first", "then"]), True),
        (Rule("language", "latin"), Rule("language", "chinese"), True),
    ],
)
def test_constraints_that_exclude_each_other_are_found_whichever_comes_first(a, b, excluded):
    for first, second in ((a, b), (b, a)):
        pair = [Constraint("1", "one", first), Constraint("2", "two", second)]
        assert (contradiction(pair) is not None) == excluded
        if excluded:
            assert not can_be_met(pair)


def test_every_constraint_of_the_pool_can_be_met_by_itself():
    assert all(can_be_met([atom]) for atom in ATOMS)
    assert len({atom.id for atom in ATOMS}) == len(ATOMS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "n: got 0"),
        ({"mix": (1, 1, 1)}, "three shares that sum to 1"),
        ({"n_atoms": (1, 2)}, "n_atoms: got"),
        ({"conditions": []}, "conditions: got none"),
        ({"conditions": [A]}, "constraints on the prompt, each with a check"),
        (
            {
                "atoms": [c("a", "case", value="upper"), c("b", "case", value="lower")],
                "n_atoms": (2, 2),
                "mix": (1, 0, 0),
            },
            "exclude themselves or cannot be met",
        ),
    ],
)
def test_data_that_cannot_be_built_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        built(**options)


def tiny():
    from assay.models.nano import tiny_llama

    return tiny_llama(hidden=32, layers=2, heads=2, mlp=64)


def test_the_shift_is_the_mean_change_over_the_mean_weight_of_each_kind():
    before = tiny().state_dict()
    after = {name: value * (1.5 if "q_proj" in name else 1.0) for name, value in before.items()}
    shift = parameter_shift(before, after)
    assert shift["q"] == pytest.approx(0.5)
    assert [shift[kind] for kind in ("k", "v", "o", "gate", "up", "down")] == [0] * 6
    with pytest.raises(ValueError, match="none of its 1 weights"):
        parameter_shift({"x": torch.ones(2)}, {"x": torch.ones(2)})
    with pytest.raises(ValueError, match="no weight"):
        parameter_shift(before, {})


def test_attention_is_found_on_every_occurrence_of_a_phrase_and_sums_to_one_over_all():
    from assay.models.tokenizer import build

    model = tiny()
    model.set_attn_implementation("eager")
    text = "If a then b, then c"
    looks = attention_on(model, build(), text, {"all": [text], "then": ["then"], "rest": ["If a ", " b, ", " c"]})
    assert torch.allclose(looks["all"], torch.ones(2))
    assert torch.allclose(looks["then"] + looks["rest"], torch.ones(2), atol=1e-5)
    assert (looks["then"] > 0).all()
    with pytest.raises(ValueError, match="'else' does not occur"):
        attention_on(model, build(), text, {"x": ["else"]})


def test_trl_trains_with_the_reward():
    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.methods.post_training.pipeline import GroupNormalised
    from assay.models.tokenizer import build

    letter, digit = c("a", "matches", value="[a-m]"), c("b", "matches", value="[0-9]")
    trees = [Parallel([letter, digit]), Conditional(False, letter)]
    rows = [{"prompt": f"{i}: ", "structure": json.dumps(to_dict(trees[i % 2]))} for i in range(4)]
    run = run_grpo(
        tiny(), build(), rows, LSRIFReward(RuleVerifier()), advantage=GroupNormalised(), steps=2, seed=0, rollouts=4,
        batch=8, max_tokens=4,
    )  # fmt: skip
    assert all(np.isfinite(step["reward"]) for step in run.log if "reward" in step)
    assert any("rewards/lsrif/mean" in step for step in run.log)
