import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from assay.methods.post_training.calibrated_agents import (
    CAR,
    MSCR,
    by_tool,
    fit_temperature,
    log_score,
    outcome,
    parse_confidence,
    tool_kind,
    weighted_brier,
    with_temperature,
)

SHARES = st.floats(0, 1)
BETAS = st.floats(0.1, 5)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("<confidence>0.8</confidence>", 0.8),
        ("<confidence> 80 </confidence>", 0.8),
        ("confidence: 80%", 0.8),
        ("**Confidence:** 72.5 %", 0.725),
        ("My confidence is about 7/10.", 0.7),
        ("confidence level = .25", 0.25),
        ("Confidence: 1", 1.0),
        ("confidence: 1%", 0.01),
        ("confidence: 0", 0.0),
        ("confidence: 20% ... on reflection, confidence: 0.9", 0.9),
        ("<confidence>0.4</confidence> 17 and so on", 0.4),
        ("</confidence> 5", None),
        ("I am sure", None),
        ("overconfidence: 3", None),
        ("confidence: high", None),
        ("confidence: 3/0", None),
        ("", None),
        ("confidence: 150%", 1.5),
        ("confidence: -20%", -0.2),
    ],
)
def test_a_confidence_is_read_however_it_is_written(text, share):
    assert parse_confidence(text) == (None if share is None else pytest.approx(share))


@given(st.text())
def test_no_text_breaks_the_reading(text):
    parse_confidence("confidence: " + text)


def test_mscr_by_hand():
    rewards = MSCR(beta_correct=1.0, beta_wrong=2.0, margin=0.5)([1, 1, 1, 0, 0, 0], [1.0, 0.5, 0.0, 0.0, 0.5, 1.0])
    assert rewards == pytest.approx([1.5, 1.375, 1.0, -0.5, -0.75, -1.5])
    missing = MSCR(beta_wrong=2.0)([1, 0], [math.nan, math.nan])
    assert missing == pytest.approx([0.0, -1.0])


@given(SHARES, SHARES, BETAS, BETAS, st.floats(0, 3))
def test_every_right_answer_stands_above_every_wrong_one(when_right, when_wrong, beta_correct, beta_wrong, margin):
    right, wrong = MSCR(beta_correct, beta_wrong, margin)([1, 0], [when_right, when_wrong])
    assert right >= 1 > 0 >= wrong


@given(st.floats(0.05, 0.95), BETAS, BETAS)
def test_mscr_pays_most_for_the_confidence_that_its_weights_say(p, beta_correct, beta_wrong):
    reward, grid = MSCR(beta_correct, beta_wrong), np.linspace(0, 1, 2001)
    expected = p * reward(np.ones(2001), grid) + (1 - p) * reward(np.zeros(2001), grid)
    best = beta_correct * p / (beta_correct * p + beta_wrong * (1 - p))
    assert grid[expected.argmax()] == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("reward", [MSCR(), weighted_brier, log_score])
@given(p=st.floats(0.05, 0.95))
def test_honesty_pays_best(reward, p):
    grid = np.linspace(0.001, 0.999, 999)
    expected = p * reward(np.ones(999), grid) + (1 - p) * reward(np.zeros(999), grid)
    assert grid[expected.argmax()] == pytest.approx(p, abs=2e-3)


def test_the_other_rewards_by_hand():
    assert outcome([1, 0], [0.2, math.nan]) == pytest.approx([1, 0])
    assert weighted_brier([1, 0, 1], [0.5, 0.5, math.nan], weight=2.0) == pytest.approx([0.5, -0.5, -1.0])
    assert log_score([1, 0, 0], [0.5, 0.75, 1.0]) == pytest.approx([1 + math.log(0.5), math.log(0.25), math.log(1e-3)])


def test_a_million_rows_are_paid_within_a_second():
    generator = np.random.default_rng(0)
    right, said = generator.integers(0, 2, 1_000_000), generator.random(1_000_000)
    started = time.process_time()
    assert np.isfinite(MSCR()(right, said)).all()
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("search", "evidence"),
        ("WebBrowser", "evidence"),
        ("python", "verification"),
        ("codeInterpreter", "verification"),
        ("verification", "verification"),
        ("oracle", "evidence"),
    ],
)
def test_tools_are_told_apart_by_their_names(name, kind):
    assert tool_kind(name, {"oracle": "evidence"}) == kind


def test_the_report_is_worked_by_tool():
    said, right = [0.9] * 10 + [0.6] * 10, [1] * 7 + [0] * 3 + [1] * 6 + [0] * 4
    report = by_tool(said, right, ["evidence"] * 10 + ["verification"] * 10)
    evidence, verification = report["evidence"].calibration, report["verification"].calibration
    assert (evidence.ece, evidence.confidence_when_wrong) == pytest.approx((0.2, 0.9))
    assert verification.ece == pytest.approx(0.0, abs=1e-12)
    assert report["evidence"].auroc_note == "only 10 rows, at least 20 wanted"
    both = by_tool(said, right, ["all"] * 20)["all"]
    assert both.calibration.ece == pytest.approx(0.1)
    assert both.auroc_note == ""


@pytest.mark.parametrize("kind", ["width", "mass"])
def test_intervals_hold_their_figures_and_agree_with_other_implementations(kind):
    generator = np.random.default_rng(0)
    p = generator.random(300)
    right = (generator.random(300) < p**2).astype(float)
    one = by_tool(p, right, ["all"] * 300, kind=kind)["all"]
    assert one.calibration.auroc == pytest.approx(roc_auc_score(right, p))
    assert set(one.intervals) == {"ece", "brier", "auroc", "confidence_when_wrong"}
    for name in ("brier", "auroc", "confidence_when_wrong"):
        low, high = one.intervals[name]
        assert low < getattr(one.calibration, name) < high
        assert high - low < 0.2
    assert 0 < one.intervals["ece"][0] < one.intervals["ece"][1] < 0.4


def test_the_order_of_rows_does_not_matter():
    order = np.random.default_rng(2).permutation(40)
    said = np.linspace(0, 1, 40)
    right = (np.arange(40) % 3 == 0).astype(float)
    tool = np.array(["a", "b"] * 20)
    first, second = by_tool(said, right, tool), by_tool(said[order], right[order], tool[order])
    for name in ("a", "b"):
        assert first[name].calibration.ece == pytest.approx(second[name].calibration.ece)
        assert first[name].calibration.brier == pytest.approx(second[name].calibration.brier)


def test_all_right_has_no_auroc_and_says_so():
    one = by_tool([0.9] * 30, [1] * 30, ["all"] * 30)["all"]
    assert one.auroc_note == "all answers are right"
    assert "auroc" not in one.intervals


def test_a_temperature_undoes_the_one_that_was_applied():
    generator = np.random.default_rng(1)
    true = generator.uniform(0.05, 0.95, 20_000)
    right = (generator.random(20_000) < true).astype(float)
    sharp = with_temperature(true, 0.5)
    temperature = fit_temperature(sharp, right)
    assert temperature == pytest.approx(2.0, rel=0.05)
    assert with_temperature(sharp, 2.0) == pytest.approx(true, abs=1e-2)
    assert with_temperature([0.5], 7.0) == pytest.approx([0.5])


def rows(*texts, answer="Rome", tool=None):
    columns = {"tool": [tool] * len(texts)} if tool else {}
    return {
        "prompts": ["q"] * len(texts),
        "completions": list(texts),
        "completion_ids": [[]] * len(texts),
        "answer": [answer] * len(texts),
        **columns,
    }


def test_the_trl_reward_reads_answer_and_confidence():
    texts = (
        r"\boxed{Rome} <confidence>0.5</confidence>",
        r"\boxed{Pisa} <confidence>0.5</confidence>",
        r"\boxed{Rome}",
        r"\boxed{Rome} confidence: 150%",
    )
    assert CAR()(**rows(*texts)) == pytest.approx([1.375, -0.125, -0.1, -0.1])
    assert CAR(outcome, format_weight=0.0)(**rows(*texts)) == pytest.approx([1, 0, 1, 1])
    chat = [[{"role": "assistant", "content": text}] for text in texts]
    assert CAR()(**{**rows(*texts), "completions": chat}) == pytest.approx([1.375, -0.125, -0.1, -0.1])


def test_the_trl_reward_logs_how_sure_wrong_answers_are():
    logged = {}
    texts = (r"\boxed{Pisa} confidence: 60%", r"\boxed{Ulm} confidence: 80%", r"\boxed{Rome} confidence: 10%")
    CAR()(**rows(*texts, tool="search"), log_metric=logged.__setitem__)
    assert logged == {"confidence_when_wrong/evidence": pytest.approx(0.7)}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MSCR(beta_correct=0), "beta_correct: got 0"),
        (lambda: MSCR(beta_wrong=math.inf), "beta_wrong: got inf"),
        (lambda: MSCR(margin=-1), "margin: got -1"),
        (lambda: MSCR()([1, 0], [0.5, 1.2]), "confidence: row 2 has 1.2"),
        (lambda: MSCR()([1, 0.5], [0.5, 0.5]), "correct: row 2 is neither"),
        (lambda: MSCR()([1], [0.5, 0.5]), "got shapes"),
        (lambda: tool_kind("oracle"), "tool: got 'oracle'"),
        (lambda: tool_kind("web_search_checker_test"), "tool: got 'web_search_checker_test'"),
        (lambda: by_tool([0.5, math.nan], [1, 0], ["a", "a"]), "row 2 has none"),
        (lambda: by_tool([0.5], [1], []), "tool: got 0 rows"),
        (lambda: fit_temperature([], []), "got no rows"),
        (lambda: with_temperature([0.5], 0), "temperature: got 0"),
        (lambda: CAR(format_weight=-1), "format_weight: got -1"),
        (lambda: CAR()(["q"], ["a"], [[]]), "answer: got no such column"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_reward_trains_in_trl():
    pytest.importorskip("trl")
    from assay.integrations.trl import run_grpo
    from assay.methods.post_training.pipeline import GroupNormalised
    from assay.models.nano import tiny_llama
    from assay.models.tokenizer import build

    seen = []

    class Watched(CAR):
        def __call__(self, *args, **columns):
            seen.append((columns["tool"], super().__call__(*args, **columns)))
            return seen[-1][1]

    run_grpo(
        tiny_llama(hidden=16, layers=1, heads=2, mlp=32),
        build(),
        [{"prompt": f"{i}: ", "answer": "7", "tool": "search"} for i in range(4)],
        Watched(MSCR(), is_correct=lambda text, gold: text[:1] < "m"),
        advantage=GroupNormalised(),
        steps=1,
        seed=0,
        rollouts=4,
        batch=8,
        max_tokens=3,
    )
    assert [len(rewards) for _, rewards in seen] == [8]
    assert set(seen[0][0]) == {"search"}
    assert {round(reward, 6) for reward in seen[0][1]} <= {-0.1, -0.6}
