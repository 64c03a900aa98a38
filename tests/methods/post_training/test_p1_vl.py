import asyncio
import json
import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.losses import GSPO
from assay.methods.post_training.p1_vl import (
    STAGES_30B,
    STAGES_235B,
    Curriculum,
    GSPOLoss,
    Minions,
    ModelVerifier,
    PhysicsVerifier,
    SeqMIS,
    Stage,
    dual_filter,
    measure_pass_rates,
    multi_answer_reward,
    pass_rate,
    physics_reward,
    sequence_importance,
    stages,
)
from assay.methods.protocols import Sample

RNG = np.random.default_rng
SHORT = stages(20, 22, 24)


def curriculum(rates, **options):
    settings = {"batch": 16, "longest_prompt": 10, "generator": RNG(0), "steps": (2, 2)}
    return Curriculum(rates, SHORT, **{**settings, **options})


# pass rates and the filter


def test_a_pass_rate_counts_replies_with_every_sub_answer_right():
    replies = [r"\boxed{2}, \boxed{3}", r"\boxed{2}, \boxed{4}", r"\boxed{3}", r"\boxed{2.01}, \boxed{3}"]
    assert pass_rate(replies, ["2", "3"], n=4) == 0.5


def test_what_is_solved_too_often_is_pruned_and_what_never_is_looked_at_again():
    found = dual_filter("abcde", [0.0, 0.3, 0.7, 0.8, 0.0], recover=lambda item: "A" if item == "a" else None)
    assert found.kept == ("A", "b", "c")
    assert (found.pruned, found.recovered, found.lost) == ((3,), (0,), (4,))
    assert dual_filter("ab", [0.0, 0.5], zero="drop").kept == ("b",)


def test_pass_rates_are_measured_once_however_often_a_run_is_stopped(tmp_path):
    asked = []

    async def sample(prompt, n):
        asked.append(prompt)
        return [Sample(rf"\boxed{{{i % 2}}}", 1, 1, "stop") for i in range(n)]

    rows = [{"id": "a", "prompt": "p", "answer": "1"}, {"id": "b", "prompt": "q", "answer": ["0", "7"]}]
    out = tmp_path / "rates.jsonl"
    run_sync(measure_pass_rates, rows[:1], sample, out, 4)
    report = run_sync(measure_pass_rates, rows, sample, out, 4)
    assert (report.done, report.reused, asked) == (1, 1, ["p", "q"])
    assert [json.loads(line)["pass_rate"] for line in out.read_text().splitlines()] == [0.5, 0.0]


# the curriculum


def test_the_stages_are_the_papers():
    assert [(s.lower, s.upper, s.rollouts, s.window, s.include_zero) for s in STAGES_30B] == [
        (0, 0.7, 8, 40_000, False),
        (0, 0.5, 8, 60_000, False),
        (0, 0.5, 16, 80_000, True),
    ]
    assert [s.window for s in STAGES_235B] == [48_000, 54_000, 54_000]


def test_stages_tighten_the_rates_and_grow_groups_and_windows():
    rates = [0.0, 0.1, 0.5, 0.6, 0.7, 0.9]
    plan = curriculum(rates)
    seen = [plan.plan(step) for step in range(6)]
    assert [(one.rollouts, one.max_tokens, len(one.prompts)) for one in seen] == [
        (8, 10, 2), (8, 10, 2), (8, 12, 2), (8, 12, 2), (16, 14, 1), (16, 14, 1),
    ]  # fmt: skip
    assert {place for one in seen[:2] for place in one.prompts} == {1, 2, 3, 4}
    assert set(seen[2].prompts) == set(seen[3].prompts) == {1, 2}
    assert plan.kept() == [0, 1, 2]


@given(st.lists(st.floats(0.01, 0.5), min_size=4, max_size=40), st.integers(0, 100))
def test_every_prompt_comes_before_any_comes_again(rates, seed):
    plan = curriculum(rates, generator=RNG(seed))
    whole = len(rates) // 2
    drawn = [place for step in range(min(2, whole)) for place in plan.plan(step).prompts]
    assert len(set(drawn)) == len(drawn)
    assert all(plan.stage.keeps(plan.rates[place]) for place in drawn)


def test_pass_rates_are_measured_again_as_a_stage_begins():
    asked = []

    def estimate(places):
        asked.append(len(places))
        return [0.4, 0.4, 0.9, 0.9]

    plan = curriculum([0.6, 0.6, 0.4, 0.4], estimate=estimate)
    for step in range(3):
        last = plan.plan(step)
    assert asked == [4]
    assert set(last.prompts) == {0, 1}


def test_a_stage_ends_where_its_rewards_stop_rising():
    plan = curriculum([0.2] * 8, steps=None, patience=2)
    for step, reward in enumerate([0.1, 0.2, 0.3, 0.4, 0.4, 0.3]):
        plan.plan(step)
        assert plan.number == 0
        plan.observe(RolloutBatch.from_rewards(torch.full((2, 2), reward)))
    plan.plan(6)  # 0.4 and 0.3 after 0.3 and 0.4
    assert plan.number == 1


def test_a_saved_curriculum_goes_on_as_it_would_have():
    rates = [0.1 * i for i in range(8)]
    plan = curriculum(rates)
    plan.plan(0)
    other = curriculum(rates, generator=RNG(9))
    other.load_state_dict(json.loads(json.dumps(plan.state_dict())))
    assert [plan.plan(step) for step in range(1, 6)] == [other.plan(step) for step in range(1, 6)]


# trainer and engine


def test_the_ratio_of_a_sequence_and_its_mean_over_tokens_are_as_by_hand():
    trainer = torch.tensor([[-1.0, -2.0, -9.0], [-1.0, -1.0, -1.0]])
    engine = torch.tensor([[-1.1, -2.3, 5.0], [-0.5, -1.0, -1.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    log_rho, geo = sequence_importance(trainer, engine, mask)
    assert log_rho.tolist() == pytest.approx([0.4, -0.5])
    assert geo.tolist() == pytest.approx([math.exp(0.2), math.exp(-0.5 / 3)])


def test_rows_that_the_trainer_finds_likelier_than_the_threshold_are_left_out():
    mask = torch.ones(3, 2, dtype=torch.bool)
    engine = torch.full((3, 2), -1.0)
    trainer = engine + torch.tensor([[0.005], [0.02], [-0.5]])
    coefficient, kept = SeqMIS()(trainer, engine, mask)
    assert coefficient.tolist() == pytest.approx([math.exp(0.01), 0, math.exp(-1)], rel=1e-5)
    assert kept == pytest.approx(2 / 3)
    assert SeqMIS(weight=False)(trainer, engine, mask)[0].tolist() == [1, 0, 1]
    assert SeqMIS(two_sided=True)(trainer, engine, mask)[0].tolist() == pytest.approx([math.exp(0.01), 0, 0], rel=1e-5)
    assert SeqMIS(2, clip_weight=1)(trainer, engine, mask)[0].tolist() == pytest.approx([1, 1, math.exp(-1)])


def test_a_long_sequence_is_weighed_by_a_bound_and_never_by_infinity():
    mask, engine = torch.ones(1, 100_000, dtype=torch.bool), torch.full((1, 100_000), -1.0)
    trainer = engine + 0.009
    with pytest.raises(ValueError, match=r"clip_weight: row 0 weighs e\^900"):
        SeqMIS()(trainer, engine, mask)
    assert SeqMIS(clip_weight=2)(trainer, engine, mask)[0].item() == 2


def test_without_a_mismatch_the_loss_is_gspo_and_a_row_left_out_gives_no_gradient():
    torch.manual_seed(0)
    old = -torch.rand(4, 5)
    mask = torch.rand(4, 5) < 0.7
    mask[:, 0] = True
    advantages = torch.tensor([1.0, -1.0, 0.5, 2.0])
    logprobs = (old + 1e-4 * torch.randn(4, 5)).requires_grad_()
    plain, _ = GSPO(logprobs, old, advantages, mask)
    same, figures = GSPOLoss(SeqMIS())(logprobs, old, advantages, mask, rollout_logprobs=old)
    assert same.item() == pytest.approx(plain.item())
    assert figures["seq_mis_kept"] == 1

    engine = old.clone()
    engine[3] -= 1.0
    loss, figures = GSPOLoss(SeqMIS())(logprobs, old, advantages, mask, rollout_logprobs=engine)
    loss.backward()
    assert figures["seq_mis_kept"] == 0.75
    assert logprobs.grad[3].abs().sum() == 0
    assert logprobs.grad[0].abs().sum() > 0


@given(st.integers(0, 1000))
def test_rows_are_weighed_whatever_their_order(seed):
    torch.manual_seed(seed)
    trainer, engine = -torch.rand(6, 4), -torch.rand(6, 4)
    mask = torch.rand(6, 4) < 0.8
    order = torch.randperm(6)
    here, kept = SeqMIS(1.2)(trainer, engine, mask)
    there, kept_there = SeqMIS(1.2)(trainer[order], engine[order], mask[order])
    assert torch.equal(here[order], there)
    assert kept == kept_there
    assert here.isfinite().all()


def test_a_million_rows_take_less_than_a_second():
    rows = torch.zeros(1_000_000, 4)
    mask = torch.ones_like(rows, dtype=torch.bool)
    begun = time.process_time()
    SeqMIS()(rows, rows, mask)
    assert time.process_time() - begun < 1


# answers


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("3.02", "3", True),
        ("3.1", "3", False),
        ("-3", "3", False),
        ("0.001", "0", True),
        (r"3 \times 10^8", "3.0e8", True),
        (r"5\,\mathrm{m/s}", "5", True),
        ("5 m/s", "5", True),
        ("5", r"5 \text{ m}", True),
        ("5 kg", "5 m", False),
        (r"30^\circ", "30", True),
        ("1,000", "1000", True),
        (r"\sqrt 2", "1.414", True),
        (r"\frac12 mv^2", r"\frac{1}{2} m v^{2}", True),
        (r"\frac12 mv", r"\frac{1}{2} m v^{2}", False),
        (r"E_0(1-v/c)", r"E_{0}-\frac{E_0 v}{c}", True),
        (r"m_e c^2", r"c^2 m_{e}", True),
        (r"2\pi\sqrt{L/g}", r"2\pi\sqrt{\frac{L}{g}}", True),
        (r"\gamma m c^2", r"mc^2\gamma", True),
        ("I^2 R", "-R", False),
        (r"v=\sqrt{2gh}", r"\sqrt{2gh}", True),
        (r"e^{-t/\tau}", r"\exp(-t/\tau)", True),
        (r"v_{\text{max}}", "v_{max}", True),
        (r"x \ge 3", r"3 \le x", True),
        ("x>3", r"x \ge 3", False),
        ("x>3", "x<3", False),
        (r"1<x\le 2", r"x \le 2, x > 1", True),
        ("(B)", "B", True),
        ("C, A", "AC", True),
        ("A", "AC", False),
        (r"\text{yes}", r"\text{yes}", True),
    ],
)
def test_answers_are_marked_by_what_they_say(answer, gold, right):
    assert PhysicsVerifier()(answer, gold).right is right


@pytest.mark.parametrize(
    "answer", ["", r"\frac{1}{", "9^{9^{9^9}}", "100000000!", "1/0", "x" * 5000, "(" * 400, r"\a" * 50]
)
def test_what_cannot_be_read_is_wrong_with_a_reason_and_at_once(answer):
    begun = time.process_time()
    marked = PhysicsVerifier()(answer, "3")
    assert not marked.right
    assert marked.reason
    assert time.process_time() - begun < 5


@given(st.text(alphabet=r"\{}^_()+-*/=<>abeIx0123456789. frac", max_size=30))
def test_no_answer_ends_in_a_crash(text):
    assert PhysicsVerifier()(text, "3.7").reason


def test_the_tolerance_is_the_users():
    assert PhysicsVerifier(0.2)("3.5", "3").right
    assert not PhysicsVerifier(0)("3.0001", "3").right


def test_sub_answers_are_the_last_boxes_in_order():
    assert multi_answer_reward(r"try \boxed{9}; \boxed{2} and \boxed{7}", ["2", "3"]) == 0.5
    assert multi_answer_reward(r"\boxed{2}", ["2", "3"]) == 0.5
    assert multi_answer_reward("none", ["2"]) == 0
    assert physics_reward([""] * 2, [r"\boxed{2}", r"\boxed{1} \boxed{3}"], answer=["2", ["2", "3"]]) == [1, 0.5]


def test_a_model_is_asked_only_where_the_rule_cannot_read():
    asked = []

    async def complete(prompt, **_):
        asked.append(prompt)
        return '{"same": true}'

    judge = ModelVerifier(complete)
    assert not run_sync(judge, "4", "3").right
    assert asked == []
    assert run_sync(judge, "upwards, along the wire ->", r"\text{up along the wire}").right
    assert len(asked) == 1


# the loop


class Told:
    """A model that answers from a list and keeps what it was asked."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    async def __call__(self, prompt, **asked):
        self.asked.append((prompt, asked))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


PASS, FAIL = '{"pass": true, "report": ""}', '{"pass": false, "report": "sign of g"}'
NO_FAULTS = '{"faults": []}'


def minions(**roles):
    settings = {
        "visual": Told("seen"),
        "solver": Told("first", "second", "third"),
        "introspector": Told(NO_FAULTS),
        "domain_verifier": Told(PASS),
        "general_verifier": Told('{"domain": "physics"}', PASS),
    }
    return Minions(**{**settings, **roles})


def test_a_solution_must_pass_five_reviews_in_a_row():
    loop = minions(domain_verifier=Told(PASS, PASS, FAIL, PASS))
    done = run_sync(loop, "a ball falls")
    assert (done.solution, done.verified, done.rounds, done.reports) == ("second", True, 2, ("sign of g",))
    assert len(loop.domain_verifier.asked) == 3 + 5
    assert "sign of g" in loop.solver.asked[1][0]
    assert loop.visual.asked == []


def test_the_loop_gives_up_after_its_rounds_and_says_so():
    done = run_sync(minions(general_verifier=Told('{"domain": "biology"}', FAIL)), "p")
    assert (done.verified, done.rounds, done.domain, len(done.reports)) == (False, 8, "biology", 8)


def test_faults_that_the_introspector_finds_are_mended_before_the_review():
    loop = minions(introspector=Told('{"faults": ["units"]}'))
    assert run_sync(loop, "p").solution == "second"
    assert "units" in loop.solver.asked[1][0]


def test_the_figure_is_described_again_where_the_description_is_wrong_and_put_into_symbols():
    visual = Told("a spring", '{"faults": ["two springs"]}', "two springs", NO_FAULTS, "k_1 + k_2")
    loop = minions(visual=visual)
    done = run_sync(loop, "find k", ["figure.png"])
    assert done.figure == "k_1 + k_2"
    assert "k_1 + k_2" in loop.solver.asked[0][0]
    assert all(asked["images"] == ["figure.png"] for _, asked in visual.asked)


def test_a_void_review_is_neither_a_pass_nor_a_report():
    done = run_sync(minions(domain_verifier=Told("hm", "hm", "hm", PASS)), "p")
    assert (done.verified, done.void, done.reports, done.solution) == (True, 1, (), "first")


def test_repeated_reviews_are_drawn_and_not_read_off():
    loop = minions()
    asyncio.run(loop("p"))
    assert all(asked["temperature"] > 0 for _, asked in loop.domain_verifier.asked)


# wrong input


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Stage(0.7, 0.5, 8, 100), "lower, upper: got 0.7, 0.5"),
        (lambda: Stage(0, 0.5, 1, 100), "rollouts: got 1"),
        (lambda: curriculum([0.2] * 4, longest_prompt=20), "window: got 20, wanted more than the longest prompt, 20"),
        (lambda: curriculum([0.2] * 4, batch=12), "batch: got 12"),
        (lambda: curriculum([0.2] * 4, steps=(2,)), "steps: got"),
        (lambda: curriculum([0.9] * 4), "stage 1 keeps 0 prompts"),
        (lambda: curriculum([0.2, 1.2]), "rates: got 1.2 at 1"),
        (lambda: stages(1, 2), "windows: got 2"),
        (lambda: dual_filter("a", [0.0]), "recover: wanted a function"),
        (lambda: dual_filter("ab", [0.5], zero="drop"), "rates: got 1, wanted 2"),
        (lambda: SeqMIS(0), "threshold: got 0"),
        (lambda: SeqMIS(0.9, two_sided=True), "threshold: got 0.9"),
        (lambda: SeqMIS()(torch.zeros(1, 2), torch.zeros(1, 3), torch.ones(1, 2, dtype=torch.bool)), "wanted one"),
        (
            lambda: SeqMIS()(torch.full((1, 1), torch.nan), torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)),
            "finite",
        ),
        (lambda: GSPOLoss(SeqMIS())(*[torch.zeros(1, 1)] * 3, torch.ones(1, 1, dtype=torch.bool)), "rollout_logprobs"),
        (lambda: PhysicsVerifier(1), "tolerance: got 1"),
        (lambda: multi_answer_reward("", []), "golds: got none"),
        (lambda: physics_reward([""], [""]), "answer: got no such column"),
        (lambda: pass_rate(["a"], ["1"]), "replies: got 1, wanted n=72"),
        (lambda: Minions(*[Told("")] * 5, passes=0), "passes: got 0"),
        (lambda: run_sync(minions(), " "), "problem: got no text"),
    ],
)
def test_wrong_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_a_threshold_below_one_is_warned_of():
    with pytest.warns(UserWarning, match="half of all rows"):
        SeqMIS(0.99)
