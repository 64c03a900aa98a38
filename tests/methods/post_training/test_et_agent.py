import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.post_training.et_agent import (
    ETReward,
    Trace,
    behaviour_report,
    behaviour_reward,
    crowding,
    non_dominated,
    pareto_select,
    read_trace,
    sigma_schedule,
)


def rewarded(correct, calls, lengths, group=None, formed=None, **sigmas):
    return behaviour_reward(
        torch.tensor(correct, dtype=torch.float64),
        torch.tensor(calls),
        torch.tensor(lengths),
        torch.ones(len(correct), dtype=torch.bool) if formed is None else torch.tensor(formed),
        torch.zeros(len(correct), dtype=torch.long) if group is None else torch.tensor(group),
        **sigmas,
    )


def factor(sigma, x):
    return 2 / (1 + math.exp(sigma * x))


def test_the_reward_by_hand():
    got = rewarded([1.0, 0.5, 0.0, 1.0], [1, 3, 2, 2], [10, 10, 10, 10], formed=[True, True, False, False])
    assert got.tolist() == pytest.approx([factor(0.2, -1), 0.5 * factor(0.2, 1), -1.0, 0.0])
    got = rewarded([1.0, 1.0], [2, 2], [10, 30])  # population z-scores are -1 and 1
    assert got.tolist() == pytest.approx([factor(0.5, -1), factor(0.5, 1)])


def test_without_sigmas_the_reward_is_correctness():
    got = rewarded([1.0, 0.0, 0.3], [0, 5, 9], [1, 2, 3], sigma_tool=0.0, sigma_length=0.0)
    assert got.tolist() == pytest.approx([1.0, 0.0, 0.3])


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 50), st.integers(0, 999), st.integers(0, 3)),
             min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_order_does_not_matter_and_rewards_stay_within_four_times_correctness(rows, random):
    correct, calls, lengths, group = map(list, zip(*rows))
    got = rewarded(correct, calls, lengths, group).tolist()
    assert all(0 <= reward <= 4 * right for reward, right in zip(got, correct))
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = [[column[i] for i in order] for column in (correct, calls, lengths, group)]
    assert rewarded(*shuffled).tolist() == pytest.approx([got[i] for i in order])


def test_groups_alone_alike_or_unscorable_stay_finite():
    got = rewarded([1.0, 1.0, 1.0, math.nan], [4, 4, 7, 1], [9, 9, 5, 2], [0, 0, 1, 2])
    assert got[:3].tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert math.isnan(got[3])


def test_a_million_rows_are_rewarded_within_a_second():
    rows = torch.arange(1_000_000)
    started = time.process_time()
    got = behaviour_reward((rows % 2).double(), rows % 7, rows % 91, rows % 5 > 0, rows // 8)
    assert got.isfinite().all()
    assert time.process_time() - started < 1


def test_the_schedule_falls_from_one_to_zero():
    assert [sigma_schedule(step, 5) for step in (1, 2, 3, 4, 5, 6)] == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0])
    assert sigma_schedule(1, 1) == 0


def test_fronts_by_hand():
    values = np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0], [1.0, 1.0], [2.0, 2.0], [0.0, 3.0], [2.0, 1.0]])
    assert non_dominated(values).tolist() == [0, 0, 0, 2, 0, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25))
def test_fronts_are_those_of_the_definition(points):
    values = np.array(points, dtype=float)
    left, wanted, front = set(range(len(points))), {}, 0
    while left:
        best = {
            i for i in left
            if not any((values[j] >= values[i]).all() and (values[j] > values[i]).any() for j in left)
        }  # fmt: skip
        wanted.update(dict.fromkeys(best, front))
        left, front = left - best, front + 1
    assert non_dominated(values).tolist() == [wanted[i] for i in range(len(points))]


def test_crowding_by_hand_and_a_flat_objective_adds_nothing():
    values = np.array([[0.0, 4.0], [1.0, 3.0], [4.0, 0.0]])
    assert crowding(values).tolist() == [math.inf, pytest.approx(2.0), math.inf]
    assert crowding(np.array([[1.0, 5.0], [1.0, 5.0]])).tolist() == [0.0, 0.0]
    assert crowding(np.array([[0.0, 5.0], [1.0, 5.0], [4.0, 5.0]]))[1] == pytest.approx(1.0)


def test_a_hundred_thousand_points_are_sorted_in_seconds():
    values = np.random.default_rng(0).random((100_000, 2))
    started = time.process_time()
    assert non_dominated(values).max() > 100
    assert time.process_time() - started < 3


CALLS = [[1, 5], [2, 2], [1, 3], [2, 2], [0, 4]]
RIGHT = [[0, 1], [0, 1], [1, 1], [0, 0], [0.8, 1]]


def test_items_that_differ_most_are_chosen_and_those_that_tell_nothing_dropped():
    first = pareto_select(CALLS, RIGHT, 1)
    assert (first.chosen, first.dropped, first.taken) == ((0,), (), 1)
    assert first.fronts.tolist() == [0, 1, 2, 3, 1]
    everything = pareto_select(CALLS, RIGHT, 99)
    assert set(everything.chosen) == {0, 1}
    assert set(everything.dropped) == {2, 3, 4}  # from 0.75 on a rollout counts as right
    assert everything.taken == 5
    assert set(pareto_select(CALLS, RIGHT, 99, tells=lambda scores: True).chosen) == set(range(5))


def message(role, content=None, calls=(), **more):
    named = [{"id": name, "function": {"name": what, "arguments": given}} for name, what, given in calls]
    return {"role": role, "content": content, **({"tool_calls": named} if named else {}), **more}


TRAJECTORY = [
    message("user", "how far?"),
    message("assistant", "let me look", [("a", "search", '{"q": "x"}'), ("b", "search", '{ "q":"x" }')]),
    message("tool", "found", tool_call_id="b"),
    message("tool", "Error: no such thing", tool_call_id="a"),
    message("assistant", [{"type": "text", "text": "again"}], [("c", "python", "1/0")]),
    message("tool", '{"error": "ZeroDivisionError"}', tool_call_id="c"),
    message("assistant", "seven miles"),
]


def test_a_trajectory_is_read_call_by_call():
    trace = read_trace({"messages": TRAJECTORY, "correct": True})
    assert trace.calls == (("search", '{"q": "x"}'), ("search", '{"q": "x"}'), ("python", "1/0"))
    assert trace.succeeded == (False, True, False)
    assert (trace.correct, trace.words, trace.redundant) == (1.0, 6, 1)


def test_the_report_by_hand():
    without = Trace(correct=0.5, calls=(), succeeded=(), words=2)
    report = behaviour_report([read_trace({"messages": TRAJECTORY, "correct": 1}), without])
    assert (report.trajectories, report.correctness, report.calls) == (2, 0.75, 1.5)
    assert report.efficiency == pytest.approx(100 / 3 / 2)
    assert (report.conciseness, report.tool_success, report.redundant) == pytest.approx((4, 1 / 3, 1 / 3))
    nothing = behaviour_report([without])
    assert (nothing.efficiency, nothing.tool_success, nothing.redundant) == (0, None, None)


def rows(texts, **columns):
    ids = [[0] * 10 for _ in texts]
    return {"prompts": ["q"] * len(texts), "completions": texts, "completion_ids": ids, **columns}


def test_the_trl_reward_counts_calls_and_fades_with_the_trainers_steps():
    texts = [r"<tool_call>x</tool_call> \boxed{7}", r"<tool_call>x<tool_call>y <tool_call>z \boxed{7}", "<answer>7"]
    got = ETReward()(**rows(texts, answer=["7"] * 3))
    mean = 4 / 3
    assert got == pytest.approx([factor(0.2, 1 - mean), factor(0.2, 3 - mean), -1])
    last = SimpleNamespace(global_step=9, max_steps=10)
    assert ETReward()(**rows(texts, answer=["7"] * 3, trainer_state=last)) == pytest.approx([1, 1, -1])
    counted = ETReward()(**rows(texts[:2], answer=["7"] * 2, tool_calls=[2, 0]))
    assert counted == pytest.approx([factor(0.2, 1), factor(0.2, -1)])
    chat = [[message("assistant", r"\boxed{7}", [("a", "f", "{}")] * n)] for n in (1, 3)]
    assert ETReward()(**rows(chat, answer=["7"] * 2)) == pytest.approx([factor(0.2, -1), factor(0.2, 1)])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rewarded([1.0], [-1], [1]), "tool_calls: got a negative"),
        (lambda: rewarded([1.5], [1], [1]), r"correct: got a value outside \[0, 1\]"),
        (lambda: rewarded([1.0], [1, 2], [1]), "tool_calls: got shape"),
        (lambda: rewarded([1.0], [1], [1], sigma_tool=-0.1), "sigma_tool: got -0.1"),
        (lambda: sigma_schedule(-1, 3), "step: got -1"),
        (lambda: pareto_select(CALLS, RIGHT, 0), "n: got 0"),
        (lambda: pareto_select([], [], 1), "correctness: got 0 items"),
        (lambda: pareto_select([[1]], [[1]], 1), "item 0: got 1 tool counts"),
        (lambda: pareto_select([[1, -1]], [[1, 0]], 1), "item 0: got a negative"),
        (lambda: pareto_select([[1, 1]], [[1, 2]], 1), "item 0: got correctness outside"),
        (lambda: behaviour_report([]), "traces: got none"),
        (lambda: read_trace({"messages": [], "correct": 2}), "correct: got 2"),
        (lambda: read_trace({"messages": "x", "correct": 1}), "messages: wanted a list"),
        (lambda: read_trace({"messages": [message("tool", "x")], "correct": 1}), "no call asked for"),
        (lambda: read_trace({"messages": [message("assistant", calls=[("a", 3, "")])], "correct": 1}), "tool call"),
        (lambda: ETReward()(["q"], ["a"], [[1]]), "answer: got no such column"),
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

    shares = []

    class Watched(ETReward):
        def __call__(self, *args, **columns):
            state = columns["trainer_state"]
            shares.append(sigma_schedule(state.global_step + 1, state.max_steps))
            return super().__call__(*args, **columns)

    run = run_grpo(
        tiny_llama(hidden=16, layers=1, heads=2, mlp=32),
        build(),
        [{"prompt": f"{i}: ", "answer": "7", "tool_calls": i} for i in range(4)],
        Watched(correct=lambda text, gold: float(text[:1] < "m")),
        advantage=GroupNormalised(),
        steps=2,
        seed=0,
        rollouts=4,
        batch=8,
        max_tokens=3,
    )
    assert shares == [1.0, 0.0]
    assert run.model is not None
