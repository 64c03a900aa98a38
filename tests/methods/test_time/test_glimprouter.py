"""GlimpRouter: entropies by hand, the loop with scripted models, calibration, and exact speculative sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.concurrency import run_sync
from assay.methods.protocols import Message, Sample, TokenLogprob
from assay.methods.test_time._flops import call_flops, routed_flops
from assay.methods.test_time._routing_rivals import (
    RandomRouter,
    SpecReason,
    digit_judge,
    expected_digit,
    mean_entropy,
    mean_entropy_judge,
)
from assay.methods.test_time._speculative import speculative_step
from assay.methods.test_time.glimprouter import (
    GlimpRouter,
    bimodality,
    calibrate_threshold,
    initial_entropy,
    route,
    step_difficulty,
)

CERTAIN = (("a", 0.0),)
UNSURE = tuple((c, math.log(0.25)) for c in "abcd")  # ln 4 = 1.386 nats


class Scripted:
    """A sampler that answers by a function of the prefix, counts its calls, and reports one distribution."""

    def __init__(self, write: Callable[[str], str], top: Callable[[str], tuple] = lambda prefix: CERTAIN) -> None:
        self.write, self.top, self.prefixes = write, top, []

    async def __call__(
        self, messages: Sequence[Message] | str, *, n=1, max_tokens=None, temperature=1.0, top_p=1.0, stop=(),
        top_logprobs=None, continue_assistant=False, seed=None,
    ) -> list[Sample]:  # fmt: skip
        prefix = messages[-1].text if continue_assistant else ""
        self.prefixes.append((prefix, max_tokens, temperature))
        text = "?" if max_tokens == 1 else self.write(prefix)
        logprobs = (TokenLogprob("a", 0.0, self.top(prefix)),) if top_logprobs else None
        read = sum(len(m.text) for m in messages)
        return [Sample(text, read, len(text), "stop", logprobs)]


def lines(*steps: str) -> Callable[[str], str]:
    """Writes the given steps in turn, going by how many separators the prefix holds; the answer after `#`."""
    return lambda prefix: "42" if prefix.endswith("#") else steps[min(prefix.count("\n"), len(steps) - 1)]


def solve(router, question: str = "Q"):
    return run_sync(lambda: router.solve(question, seed=1))


def test_entropy_of_four_equal_tokens_is_ln_4_and_2_bits():
    assert initial_entropy([math.log(0.25)] * 4) == pytest.approx(math.log(4))
    assert initial_entropy([math.log(0.25)] * 4, base="2") == pytest.approx(2.0)


def test_entropy_is_taken_over_the_returned_head_renormalised():
    # 0.5 and 0.25 of the mass are returned: renormalised 2/3 and 1/3.
    by_hand = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert initial_entropy([math.log(0.5), math.log(0.25), -math.inf]) == pytest.approx(by_hand)


def test_entropy_of_a_single_entry_is_zero():
    assert initial_entropy([-3.0]) == 0.0


@given(st.lists(st.floats(-30, 0), min_size=1, max_size=20))
def test_entropy_lies_between_zero_and_ln_n_whatever_the_order(logprobs):
    entropy = initial_entropy(logprobs)
    assert -1e-12 <= entropy <= math.log(len(logprobs)) + 1e-9
    assert entropy == pytest.approx(initial_entropy(logprobs[::-1]), abs=1e-9)


@pytest.mark.parametrize(
    ("logprobs", "told"), [([], "no finite"), ([0.1], "0.1"), ([math.nan], "nan"), ([-math.inf], "no finite")]
)
def test_entropy_refuses_what_is_no_distribution(logprobs, told):
    with pytest.raises(ValueError, match=told):
        initial_entropy(logprobs)


def test_a_step_at_the_threshold_goes_to_the_large_model():
    assert (route(1.0, 1.0), route(0.999, 1.0)) == ("large", "small")


def test_unsure_steps_are_written_by_the_large_model_and_the_answer_too():
    small = Scripted(lines("s1", "s2", "s3#"), top=lambda prefix: UNSURE if prefix.count("\n") == 1 else CERTAIN)
    large = Scripted(lines("L1", "L2", "L3#"))
    routed = solve(GlimpRouter(small=small, large=large, step_stop="\n", end_of_thinking="#"))
    assert [(s.text, s.by) for s in routed.steps] == [("s1", "small"), ("L2", "large"), ("s3", "small")]
    assert routed.steps[1].entropy == pytest.approx(math.log(4))
    assert (routed.answer, routed.stop_reason, routed.text) == ("42", "finished", "s1\nL2\ns3#42")
    assert routed.large_share == pytest.approx(1 / 3)
    assert large.prefixes[-1][0] == "s1\nL2\ns3#"


def test_probes_are_greedy_cost_one_token_a_step_and_leave_no_text():
    small = Scripted(lines("s1", "s2#"))
    routed = solve(GlimpRouter(small=small, large=Scripted(lines("x")), step_stop="\n", end_of_thinking="#"))
    probes = [call for call in small.prefixes if call[1] == 1]
    assert routed.probe_tokens == len(probes) == 2
    assert all(temperature == 0.0 for *_, temperature in probes)
    assert "?" not in routed.text


def test_first_steps_large_are_not_probed():
    small, large = Scripted(lines("s1", "s2", "s3#")), Scripted(lines("L1", "L2", "L3#"))
    routed = solve(GlimpRouter(small=small, large=large, step_stop="\n", end_of_thinking="#", first_steps_large=2))
    assert [s.by for s in routed.steps] == ["large", "large", "small"]
    assert routed.probe_tokens == 1


def test_a_repeated_step_stops_the_reasoning_only_after_the_second():
    small = Scripted(lines("same"))
    routed = solve(GlimpRouter(small=small, large=Scripted(lines("x")), step_stop="\n", end_of_thinking="#"))
    assert (routed.stop_reason, len(routed.steps)) == ("repeat", 3)


def test_the_budget_counts_step_tokens_and_wins_over_the_end_marker():
    small = Scripted(lines("12345", "1234#"))
    router = GlimpRouter(small=small, large=Scripted(lines("x")), step_stop="\n", end_of_thinking="#", token_budget=10)
    assert solve(router).stop_reason == "budget"


def test_prefill_counts_only_what_a_prefix_cache_has_not_seen():
    small, large = Scripted(lines("s1#")), Scripted(lines("x"))
    routed = solve(GlimpRouter(small=small, large=large, step_stop="\n", end_of_thinking="#"))
    assert routed.small_prefill == 1  # the question, read by the probe; the step finds it cached
    assert routed.large_prefill == len("Q") + len("s1#")  # read at once, for the answer
    assert routed_flops(routed, 10, 100) == call_flops(10, 1, 1 + 3) + call_flops(100, 4, 2)


def test_a_model_without_logprobs_is_named_with_those_that_have_them():
    class Mute(Scripted):
        name = "mute/model"

    small = Mute(lines("s"), top=lambda prefix: ())
    with pytest.raises(ValueError, match=r"mute/model returned no top_logprobs.*assay/nano"):
        solve(GlimpRouter(small=small, large=small))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"threshold": math.nan}, "threshold"), ({"threshold": -1.0}, "threshold"), ({"step_stop": ""}, "step_stop")],
)
def test_the_router_refuses_what_cannot_route(arguments, told):
    with pytest.raises(ValueError, match=told):
        GlimpRouter(small=Scripted(lines("s")), large=Scripted(lines("s")), **arguments)


def test_spec_reason_throws_unsure_drafts_away_and_pays_for_them():
    small = Scripted(lines("draft", "s2#"), top=lambda prefix: CERTAIN if prefix else UNSURE)
    router = SpecReason(
        small=small, large=Scripted(lines("L1", "L2#")), judge=mean_entropy_judge(1.0), top_logprobs=20,
        step_stop="\n", end_of_thinking="#",
    )  # fmt: skip
    routed = solve(router)
    assert [(s.text, s.by) for s in routed.steps] == [("L1", "large"), ("s2", "small")]
    assert routed.small_tokens == len("draft") + len("s2#")


def test_the_digit_judge_takes_the_expected_digit():
    top = (("9", math.log(0.6)), (" 5", math.log(0.2)), ("x", math.log(0.2)))
    assert expected_digit(Sample("9", 1, 1, "stop", (TokenLogprob("9", 0.0, top),))) == pytest.approx(8.0)
    large = Scripted(lines("L#"), top=lambda prefix: top)
    router = SpecReason(
        small=Scripted(lines("s#")), large=large, judge=digit_judge(large), step_stop="\n", end_of_thinking="#"
    )
    assert [s.by for s in solve(router).steps] == ["small"]


def test_mean_entropy_needs_logprobs():
    with pytest.raises(ValueError, match="top_logprobs"):
        mean_entropy(Sample("a", 1, 1, "stop"))


def test_the_random_router_keeps_its_share_and_repeats():
    small, large = Scripted(lines("s1", "s2", "s3#")), Scripted(lines("L1", "L2", "L3#"))
    router = RandomRouter(small=small, large=large, share=0.4, step_stop="\n", end_of_thinking="#")
    runs = [solve(router, f"question {i}") for i in range(300)]
    share = np.mean([s.by == "large" for r in runs for s in r.steps])
    assert abs(share - 0.4) < 0.05  # 900 coins: standard error 0.016
    assert solve(router, "question 7") == runs[7]


@given(st.lists(st.floats(0, 3), min_size=20, max_size=200, unique=True), st.floats(0.05, 0.95))
def test_a_calibrated_threshold_sends_the_wanted_share(entropies, share):
    threshold = calibrate_threshold(entropies, share)
    sent = np.mean([route(e, threshold) == "large" for e in entropies])
    assert abs(sent - share) <= 1 / len(entropies) + 1e-9


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_calibration_refuses_a_share_that_routes_nothing(share):
    with pytest.raises(ValueError, match="large_share"):
        calibrate_threshold([0.1, 0.2], share)


def test_two_heaps_are_bimodal_and_one_is_not():
    rng = np.random.default_rng(0)
    two = np.abs(np.concatenate([rng.normal(0.2, 0.05, 300), rng.normal(1.6, 0.1, 200)]))
    coefficient, low, high = bimodality(two)
    assert coefficient > 5 / 9
    assert (low, high) == (pytest.approx(0.2, abs=0.05), pytest.approx(1.6, abs=0.05))
    assert bimodality(rng.normal(5, 1, 2000))[0] < 5 / 9


def test_step_difficulty_is_the_area_under_the_curve_of_wrong_steps():
    correct = [True, True, False, False]
    scores = step_difficulty({"h": [0.1, 0.4, 0.3, 0.9], "back": [0.9, 0.8, 0.2, 0.1]}, correct)
    assert scores == {"h": pytest.approx(0.75), "back": 0.0}  # 3 of the 4 pairs are ordered right
    with pytest.raises(ValueError, match="all alike"):
        step_difficulty({"h": [0.1, 0.2]}, [True, True])


def test_speculative_sampling_gives_the_targets_distribution():
    target_row = torch.tensor([0.1, 0.2, 0.3, 0.4])
    draft_row = torch.tensor([0.7, 0.1, 0.1, 0.1])
    generator = torch.Generator().manual_seed(3)
    first = torch.zeros(4)
    second = torch.zeros(4)
    draws = 6000
    for _ in range(draws):
        tokens = speculative_step(
            lambda ids: draft_row.expand(len(ids), 4), lambda ids: target_row.expand(len(ids), 4), [0], 2,
            generator=generator,
        )  # fmt: skip
        first[tokens[0]] += 1
        if len(tokens) > 1:
            second[tokens[1]] += 1
    for counts in (first, second):
        expected = target_row * counts.sum()
        chi_square = float(((counts - expected) ** 2 / expected).sum())
        assert chi_square < 16.3  # 3 degrees of freedom, p = 0.001


def test_speculative_sampling_accepts_everything_from_an_equal_draft():
    row = torch.tensor([0.25, 0.75])
    model = lambda ids: row.expand(len(ids), 2)  # noqa: E731
    tokens = speculative_step(model, model, [0], 4, generator=torch.Generator().manual_seed(0))
    assert len(tokens) == 5


def test_speculative_sampling_refuses_bad_arguments():
    row = torch.tensor([0.5, 0.5])
    model = lambda ids: row.expand(len(ids), 2)  # noqa: E731
    with pytest.raises(ValueError, match="gamma"):
        speculative_step(model, model, [0], 0, generator=torch.Generator())
    with pytest.raises(ValueError, match="prefix"):
        speculative_step(model, model, [], 4, generator=torch.Generator())
