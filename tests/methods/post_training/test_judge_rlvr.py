import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.post_training.judge_rlvr import (
    JudgeRLVR,
    Watched,
    backtracking_rate,
    build_judge_set,
    judge_prompt,
    judge_reward,
    parse_verdict,
    perplexity,
    perplexity_shift,
    solution_part,
)

RNG = np.random.default_rng


def judged(bank, **options):
    """Judging data of problems whose solutions are given, right where they end in an r."""
    return build_judge_set(
        bank, lambda problem, n: bank[problem], lambda _, text: text.endswith("r"), generator=RNG(0), **options
    )


def test_a_problem_keeps_as_many_right_as_wrong_solutions():
    made = judged({"p": ["1r", "2r", "3r", "4w"], "q": ["5r", "6w", "7w", "8w"]})
    assert made.kept == 2
    for problem, rare in (("p", "4w"), ("q", "5r")):
        rows = [row for row in made.rows if row["problem"] == problem]
        assert sorted(row["label"] for row in rows) == [0, 1]
        assert rare in [row["solution"] for row in rows]


def test_what_cannot_be_balanced_is_left_out_and_counted():
    made = judged({"good": ["r"] * 4, "bad": ["w"] * 4, "hard": ["r", *"w" * 19], "p": ["r", "w", "<think>never ends"]})
    assert (made.kept, made.one_sided, made.outside_rate, made.unfinished) == (1, 2, 1, 1)
    assert {row["problem"] for row in made.rows} == {"p"}


def test_without_balance_every_solution_is_kept_in_its_order():
    made = judged({"p": ["1r", "2w", "3w"]}, balance=False)
    assert [(row["solution"], row["label"]) for row in made.rows] == [("1r", 1), ("2w", 0), ("3w", 0)]


@given(st.lists(st.lists(st.sampled_from(["r", "w"]), min_size=2, max_size=12), min_size=1, max_size=8), st.integers(2))
def test_right_and_wrong_are_even_whatever_was_sampled(kinds, seed):
    bank = {str(i): [f"{j}{kind}" for j, kind in enumerate(own)] for i, own in enumerate(kinds)}
    mixed = [own for own in kinds if 0.1 <= own.count("r") / len(own) <= 0.9]
    if not mixed:
        with pytest.raises(ValueError, match="none is left"):
            judged(bank)
        return
    made = judged(bank)
    assert made.kept == len(mixed)
    assert len(made.rows) == sum(2 * min(own.count("r"), own.count("w")) for own in mixed)
    assert 2 * sum(row["label"] for row in made.rows) == len(made.rows)
    assert made.kept + made.one_sided + made.outside_rate == len(kinds)
    assert all(row["label"] == row["solution"].endswith("r") for row in made.rows)


def test_the_judge_sees_the_solution_without_its_thinking():
    made = judged({"p": ["<think>secret</think> so r", "w"]})
    row = next(row for row in made.rows if row["label"])
    assert row["solution"] == "so r"
    assert row["prompt"] == judge_prompt("p", "so r")
    assert "secret" not in row["prompt"]


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("plain", "plain"),
        ("<think>a</think>b", "b"),
        ("opened by the template</think>b", "b"),
        ("<think>a", ""),
        ("<think>a</think>b<think>c", "b"),
        ("", ""),
    ],
)
def test_hidden_thinking_is_taken_out(reply, left):
    assert solution_part(reply) == left


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (r"first \boxed{0}, no: \boxed{1}", 1),
        (r"\boxed{1} and then \boxed{2}", None),
        ("#0", 0),
        ("#1\n#0", 0),
        ("Verdict: 1.", 1),
        ("verdict 0", 0),
        ("it is 1", None),
        ("#10", None),
        ("", None),
    ],
)
def test_the_last_verdict_counts(text, verdict):
    assert parse_verdict(text) == verdict


def test_a_verdict_is_paid_when_it_is_the_label_and_never_when_it_cannot_be_read():
    chat = [{"role": "assistant", "content": r"\boxed{1}"}]
    assert judge_reward([""] * 5, ["#1", "#1", "#0", "?", chat], label=[1, 0, 0, 0, 1]) == [1, 0, 1, 0, 1]


def test_turning_back_is_counted_per_thousand_words_in_both_languages():
    assert backtracking_rate("But wait, that is a butter knife") == pytest.approx(1000 * 2 / 7)
    assert backtracking_rate("不对，重新算 12") == pytest.approx(1000 * 2 / 6)  # five characters and a number
    assert backtracking_rate("let’s try again") == pytest.approx(1000 / 3)
    assert backtracking_rate("12+19=30 no\n12+19=31", ("no",)) == pytest.approx(1000 / 7)
    assert backtracking_rate("...") == 0


def test_perplexity_is_that_of_the_tokens_but_the_first():
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    torch.manual_seed(0)
    model, tokenizer = tiny_llama(hidden=32, layers=1, heads=2, mlp=64).eval(), build()
    texts, nll, count = ["12+19=31", "but no"], 0.0, 0
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        own = model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)  # transformers' own shifted loss
        nll, count = nll + own, count + ids.shape[1] - 1
    assert perplexity(model, tokenizer, texts) == pytest.approx(math.exp(nll / count), rel=1e-5)
    assert perplexity_shift(model, tokenizer, texts, texts) == pytest.approx(1)
    with pytest.raises(ValueError, match="none with two tokens"):
        perplexity(model, tokenizer, ["", "a"])


def answer_reward(prompts, completions, completion_ids, answer, **_):
    return [float(text == wanted) for text, wanted in zip(completions, answer)]


def test_the_second_stage_goes_on_from_the_weights_of_the_first():
    calls = []

    def train(model, rows, reward, steps):
        calls.append((model, list(rows), steps))
        column = "label" if "label" in rows[0] else "answer"
        reward(prompts=[""], completions=["#1"], completion_ids=[[5, 6]], **{column: [rows[0][column]]})
        return model + 1

    run = JudgeRLVR(40, 60, train)(0, [{"prompt": "j", "label": 1}], [{"prompt": "p", "answer": "#2"}], answer_reward)
    assert run.model == 2
    assert calls == [(0, [{"prompt": "j", "label": 1}], 40), (1, [{"prompt": "p", "answer": "#2"}], 60)]
    assert run.judging == [{"accuracy": 1.0, "tokens": 2.0, "backtracking": 0.0}]
    assert run.solving == [{"accuracy": 0.0, "tokens": 2.0, "backtracking": 0.0}]


def test_no_judging_steps_are_plain_training():
    steps = []
    JudgeRLVR(0, 100, lambda model, rows, reward, n: steps.append(n))(None, [], [{}], answer_reward)
    assert steps == [100]


def test_both_stages_run_in_trl():
    from functools import partial

    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.methods.post_training.pipeline import GroupNormalised
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    torch.manual_seed(0)
    settings = {"advantage": GroupNormalised(), "seed": 0, "rollouts": 4, "batch": 8, "max_tokens": 3}
    trl = partial(run_grpo, tokenizer=build(), **settings)

    def train(model, rows, reward, steps):
        return trl(model, rows=rows, reward=reward, steps=steps).model

    rows = [{"prompt": "ab", "label": 1}, {"prompt": "cd", "label": 0}]
    tasks = [{"prompt": "ef", "answer": "x"}, {"prompt": "gh", "answer": "y"}]
    run = JudgeRLVR(2, 1, train)(tiny_llama(hidden=32, layers=1, heads=2, mlp=64), rows, tasks, answer_reward)
    assert (len(run.judging), len(run.solving)) == (2, 1)
    assert 0 < run.judging[0]["tokens"] <= 3


def test_watching_does_not_change_the_rewards():
    plain = answer_reward([""], ["but no"], [[1, 2, 3]], ["but no"])
    watched = Watched(answer_reward)
    assert watched([""], ["but no"], [[1, 2, 3]], answer=["but no"]) == plain
    assert watched.log == [{"accuracy": 1.0, "tokens": 3.0, "backtracking": 500.0}]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: judged({"p": ["r", "r"], "q": ["w", "w"]}), "2 have only right or only wrong"),
        (lambda: judged({"p": ["r", "w"]}, keep_rate=(0.9, 0.1)), "keep_rate: got"),
        (lambda: judged({"p": ["r", "w"]}, per_problem=1), "per_problem: got 1"),
        (lambda: build_judge_set(["p"], lambda *_: ["a", "b"], lambda *_: 2, generator=RNG(0)), "verify: got 2"),
        (lambda: judge_reward([""], ["#1"]), "label: got no such column"),
        (lambda: judge_reward([""], ["#1"], label=[2]), "label: got 2"),
        (lambda: backtracking_rate("but", []), "lexicon: got"),
        (lambda: JudgeRLVR(0, 0, lambda *_: None), "stage1_steps, stage2_steps: got 0, 0"),
        (lambda: JudgeRLVR(1, 1, lambda *_: None)(None, [{}], [{}], answer_reward), "judged: got None"),
    ],
)
def test_wrong_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
