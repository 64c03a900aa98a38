import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.integrations.trl import run_grpo
from assay.methods.concurrency import run_sync
from assay.methods.post_training.lost_in_noise import (
    RARE,
    HintMatch,
    LLMHintJudge,
    Outcome,
    distractor_attention,
    noise_report,
    noisy_instruct,
    quotes,
    reasoning_part,
)
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build, encode

HINT = "The bridge of Amberg was finished in 1871."
OTHERS = "The mill of Corlin burnt down in 1790. The lake lies north of Elstow. Nobody knows who planned the road."
CONTEXT = f"{HINT} {OTHERS}"
NAMED = f"<think>It says that {HINT}</think><answer>1871</answer>"
UNNAMED = "<think>Hard to say.</think><answer>1871</answer>"


def pay(reward, texts, hint=HINT, answer="1871", context=CONTEXT):
    n = len(texts)
    return reward([""] * n, texts, hint=[hint] * n, answer=[answer] * n, context=[context] * n)


def test_the_bonus_is_added_to_the_answers_reward_where_the_hint_is_named():
    wrong = f"<think>{HINT}</think><answer>1790</answer>"
    texts = [NAMED, UNNAMED, wrong, "<think>?</think>"]
    assert pay(RARE(HintMatch()), texts) == [1.5, 1.0, 0.5, 0.0]
    assert pay(RARE(HintMatch(), weight=0.2, mode="gated"), texts) == [1.2, 1.0, 0.0, 0.0]
    assert pay(RARE(HintMatch(), weight=0), texts) == [1.0, 1.0, 0.0, 0.0]


def test_without_reasoning_there_is_no_bonus_though_the_answer_holds_the_hint():
    assert pay(RARE(HintMatch()), [f"<answer>{HINT}</answer>"], answer=HINT) == [1.0]


def test_quoting_the_whole_context_is_not_naming_the_hint():
    everything = f"<think>{CONTEXT}</think><answer>1871</answer>"
    assert pay(RARE(HintMatch()), [everything]) == [1.0]
    assert pay(RARE(HintMatch(most_quoted=1.0)), [everything]) == [1.5]
    assert HintMatch().quoted_share(CONTEXT, CONTEXT) == 1
    assert HintMatch().quoted_share(HINT, CONTEXT) == 1 / 4


@pytest.mark.parametrize(
    ("reasoning", "named"),
    [
        ("so the bridge of amberg was built", True),  # five words in a row
        ("the bridge of the town", False),  # three
        ("Amberg's? Amberg: 1871!", True),  # all names and numbers
        ("1871", False),
        ("Amberg, 18712", False),
    ],
)
def test_a_run_of_five_words_or_all_key_facts_name_a_hint(reasoning, named):
    assert HintMatch().matches(reasoning, HINT, CONTEXT) is named


def test_a_hint_shorter_than_the_run_must_be_quoted_whole():
    context = "b4617. k8040. c4652."
    assert HintMatch().matches("b4617", "b4617", context)
    assert not HintMatch().matches("c4652", "b4617", context)
    assert not HintMatch().matches("b4617 c4652", "b4617", context)


@given(st.text(max_size=60), st.text(min_size=1, max_size=30), st.text(max_size=80))
def test_any_text_can_be_judged_and_the_quoted_share_is_a_share(reasoning, hint, context):
    judge = HintMatch()
    assert judge.matches(reasoning, hint, context) in (True, False)
    assert 0 <= judge.quoted_share(reasoning, context) <= 1
    assert not judge.matches("", hint, context)


def test_the_prompt_is_the_context_if_no_column_says_otherwise():
    texts = [f"<think>{CONTEXT}</think><answer>1871</answer>", NAMED]
    paid = RARE(HintMatch())([CONTEXT] * 2, texts, hint=[HINT] * 2, answer=["1871"] * 2)
    assert paid == [1.0, 1.5]


def test_the_reasoning_part_is_the_thought_or_what_comes_before_the_answer():
    assert reasoning_part("<think>a</think>b") == "a"
    assert reasoning_part("b4617\n#17") == "b4617"
    assert reasoning_part("so \\boxed{3}") == "so"
    assert reasoning_part("I see.\nAnswer: 3") == "I see."
    assert reasoning_part("#17") is None
    assert reasoning_part("no answer at all") is None


def test_a_model_may_judge_and_an_unusable_reply_pays_nothing():
    replies = iter(['{"identifies": true}', '{"identifies": false}', "well", "who knows"])

    async def complete(prompt, *, images=(), schema=None, temperature=0.0, max_tokens=None):
        assert HINT in prompt
        return next(replies)

    judge = LLMHintJudge(complete)
    assert [run_sync(judge, "because", HINT, CONTEXT) for _ in range(3)] == [True, False, False]
    assert judge.void == 1


def test_trl_trains_on_the_reward_with_its_columns():
    seen = []

    class Watched(RARE):
        def __call__(self, prompts, completions, completion_ids=None, **columns):
            paid = super().__call__(prompts, completions, completion_ids, **columns)
            seen.append((set(columns), paid))
            return paid

    data = [{"prompt": f"Qb4617. k80{i}.?b46", "hint": "b4617", "answer": "17", "context": ""} for i in range(10, 14)]
    reward = Watched(HintMatch(), outcome=lambda text, answer: float(answer in text))
    run = run_grpo(
        tiny_llama(hidden=32, layers=1, heads=2, mlp=64), build(), data, reward, advantage=GroupNormalised(),
        steps=2, seed=0, rollouts=4, batch=16, max_tokens=4,
    )  # fmt: skip
    assert len(seen) == 2
    assert {"hint", "answer", "context"} <= seen[0][0]
    logged = [step["reward"] for step in run.log if "reward" in step]
    assert logged == pytest.approx([sum(paid) / len(paid) for _, paid in seen])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RARE(HintMatch(), weight=-1), "weight: got -1"),
        (lambda: RARE(HintMatch(), mode="both"), "mode: got 'both'"),
        (lambda: HintMatch(min_ngram=0), "min_ngram: got 0"),
        (lambda: HintMatch(most_quoted=0), "most_quoted: got 0"),
        (lambda: pay(RARE(HintMatch()), ["a"], hint=" "), "hint: row 0 is empty"),
        (lambda: noise_report([]), "outcomes: got none"),
        (lambda: noise_report([Outcome("a", "k", "XX", True, 1)]), "condition: got 'XX'"),
        (lambda: noise_report([Outcome("a", "k", "ND", True, 1)] * 2), "an item stands twice in k, ND"),
        (lambda: noisy_instruct([{"id": "7", "evidence": []}]), "item 7: no evidence"),
    ],
)
def test_wrong_input_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_the_report_gives_drops_lengths_and_their_slope():
    clean = [Outcome(str(i), "k", "ND", i < 4, 100) for i in range(5)]
    hard = [Outcome(str(i), "k", "HN", i < 1, 100 * (i + 1), i > 2, 0.5 if i else None) for i in range(5)]
    nd, hn = noise_report([*hard, *clean])
    assert (nd["condition"], nd["accuracy"], nd["drop"], nd["slope"], nd["entropy"]) == ("ND", 0.8, 0.0, None, None)
    assert (hn["n"], hn["accuracy"], hn["tokens"], hn["distracted"], hn["entropy"]) == (5, 0.2, 300, 0.4, 0.5)
    assert hn["drop"] == pytest.approx(0.75)
    assert hn["slope"] == pytest.approx(1000 * -200 / 100_000)


def test_a_drop_needs_a_clean_cell_with_something_right():
    assert noise_report([Outcome("a", "k", "HN", True, 1)])[0]["drop"] is None
    both = [Outcome("a", "k", "ND", False, 1), Outcome("a", "k", "HN", True, 1)]
    assert [line["drop"] for line in noise_report(both)] == [None, None]


def test_a_quotation_is_five_words_whatever_the_case():
    assert quotes("THE BRIDGE, of Amberg was", HINT)
    assert not quotes("the bridge of Amberg is", HINT)
    assert not quotes("anything", "")


def test_attention_on_all_tokens_is_one_and_the_parts_add_up():
    model = tiny_llama(hidden=32, layers=2, heads=2, mlp=64)
    model.set_attn_implementation("eager")
    tokens = torch.tensor(encode("b4617. k8040.?b46"))
    n = len(tokens)
    found = distractor_attention(model, tokens, {"hint": [(0, 4)], "rest": [(4, 9), (9, n)], "all": [(0, n)]})
    assert found["all"].tolist() == pytest.approx([1, 1], abs=1e-5)
    assert (found["hint"] + found["rest"]).tolist() == pytest.approx([1, 1], abs=1e-5)
    first = distractor_attention(model, tokens, {"later": [(1, n)]}, queries=(0, 1))
    assert first["later"].tolist() == [0, 0]
    for spans, said in (
        ({"hint": [(3, n + 1)]}, "hint: got span"),
        ({"hint": [(0, 3), (2, 4)]}, "hint: its spans overlap"),
    ):
        with pytest.raises(ValueError, match=said):
            distractor_attention(model, tokens, spans)
