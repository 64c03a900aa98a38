import asyncio
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.post_training.losses import k3
from assay.methods.post_training.octopus import (
    CLOSE,
    GSPO,
    OPEN,
    CorrectionLoss,
    CorrectionReward,
    cold_start,
    correction_reward,
    force_correction,
    kl_mask,
    recombine,
    response_mask,
    split_response,
    typed_pairs,
)
from assay.methods.protocols import Sample

RIGHT, WRONG = r"\boxed{4}", r"\boxed{5}"


def reply(first, second=None):
    """A reply whose attempts are right where they are told so by their letter."""
    parts = [{"c": RIGHT, "w": WRONG}[kind] for kind in (first, second) if kind]
    return parts[0] if second is None else f"{parts[0]}{OPEN}{parts[1]}{CLOSE}"


def is_right(attempt):
    return RIGHT in attempt


def made_of(kinds, target=None, seed=0, **options):
    originals = [reply(*kind) for kind in kinds]
    options = {"min_tokens": 0, **options}
    return recombine(originals, is_right, target, generator=np.random.default_rng(seed), **options)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain", ("plain", None)),
        (rf"so \boxed{{3}} I say{OPEN}no, \boxed{{a{{1}}}} it is{CLOSE}", (r"so \boxed{3}", r"no, \boxed{a{1}}")),
        (rf"\boxed{{1}} or \boxed{{2}}!{OPEN}b", (r"\boxed{1} or \boxed{2}", "b")),
        (f"a{OPEN}b{CLOSE}{OPEN}c{CLOSE}", ("a", "b")),
        (f"a{OPEN}b{OPEN}c", ("a", "b")),
        (rf"\boxed{{1}} \boxed{{2{OPEN}", (r"\boxed{1}", "")),
    ],
)  # fmt: skip
def test_a_reply_is_split_at_its_tag_and_cut_after_its_boxes(text, parts):
    assert split_response(text) == parts


def test_the_quotas_are_those_worked_by_hand():
    # n = 8, k = 2 end rightly (wc, cc): half = 3; firsts: 7 wrong, 1 right; seconds: 2 right, 6 wrong
    kinds = [("w", "c"), ("c", "c"), *[("w", "w")] * 6]
    spliced = [row.kind for row in made_of(kinds) if row.spliced]
    assert Counter(spliced) == {"wc": 3, "cc": 2, "cw": 1, "ww": 2}
    assert spliced == ["wc"] * 3 + ["cc"] * 2 + ["cw"] + ["ww"] * 2


def test_where_all_end_rightly_the_quota_is_nothing_and_the_rest_fills_up():
    kinds = [("w", "c"), ("c", "c")]
    rows = made_of(kinds)
    assert [row.kind for row in rows] == ["wc", "cc", "wc", "wc"]  # no half, no cw, no ww: left-over wc first


def test_without_a_pair_the_originals_are_repeated():
    rows = made_of([("c", None), ("w", None), ("w", None)], target=8)
    assert [row.text for row in rows] == [reply("c"), reply("w"), reply("w")] * 2 + [reply("c"), reply("w")]
    assert not any(row.spliced or row.kind for row in rows)


def test_attempts_without_a_box_or_a_judgement_are_not_spliced():
    texts = [f"no box{OPEN}{RIGHT}{CLOSE}", f"{WRONG}{OPEN}no box{CLOSE}", r"\boxed{?}" + OPEN + RIGHT + CLOSE]
    judge = lambda attempt: None if "?" in attempt else is_right(attempt)  # noqa: E731
    rows = recombine(texts, judge, generator=np.random.default_rng(0), min_tokens=0)
    spliced = [row for row in rows if row.spliced]
    assert {row.source for row in spliced} == {(1, 0), (1, 2)}
    assert {row.text for row in spliced} == {f"{WRONG}{OPEN}{RIGHT}{CLOSE}"}


def test_short_responses_give_way_to_the_others_in_turn():
    texts = ["one", "a b c d", "two", "e f g h", "three"]
    rows = recombine(texts, is_right, 5, generator=np.random.default_rng(0), min_tokens=4)
    assert [row.source[0] for row in rows] == [1, 1, 3, 3, 1]
    assert [row.source[0] for row in recombine(texts[::2], is_right, 3, generator=np.random.default_rng(0))] == [
        0,
        1,
        2,
    ]


@given(
    st.lists(st.tuples(st.sampled_from("cw"), st.sampled_from(["c", "w", None])), min_size=2, max_size=10),
    st.integers(0, 20),
    st.integers(0, 2**32 - 1),
)
def test_rows_are_as_many_as_wanted_the_originals_first_and_every_kind_is_true(kinds, more, seed):
    n = len(kinds)
    rows = made_of(kinds, n + more, seed)
    assert len(rows) == n + more
    assert [row.text for row in rows[:n]] == [reply(*kind) for kind in kinds]
    spliced = [row for row in rows if row.spliced]
    assert len(spliced) == min(more, n * sum(second is not None for _, second in kinds))
    assert len({row.source for row in spliced}) == len(spliced)
    for row in spliced:
        first, second = split_response(row.text)
        assert row.kind == "wc"[is_right(first)] + "wc"[is_right(second)]
        assert (first, second) == (
            split_response(rows[row.source[0]].text)[0],
            split_response(rows[row.source[1]].text)[1],
        )


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([True, False, None])), min_size=2, max_size=8), st.integers(0, 99)
)
def test_what_can_be_paired_does_not_depend_on_the_order_of_rows(marks, seed):
    shuffled = [marks[i] for i in np.random.default_rng(seed).permutation(len(marks))]
    assert Counter(kind for *_, kind in typed_pairs(marks)) == Counter(kind for *_, kind in typed_pairs(shuffled))


def test_masks_hide_first_attempts_always_in_stage_one_and_where_the_attempts_differ_in_stage_two():
    assert response_mask(5, 2, "cc", 1).tolist() == [False, False, True, True, True]
    assert response_mask(5, 2, None, 1).tolist() == [False, False, True, True, True]
    assert response_mask(5, 0, None, 1).all()
    for kind, hidden in (("wc", True), ("cw", True), ("cc", False), ("ww", False)):
        assert response_mask(5, 2, kind, 2)[:2].any() != hidden


def test_the_divergence_is_taken_on_hidden_first_attempts_without_the_tag():
    mask = torch.tensor([[0, 0, 0, 1, 1, 0], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1]]).bool()
    assert kl_mask(mask, 1).tolist() == [[True, True, *[False] * 4], [False] * 6, [False] * 6, [False] * 6]


def test_the_loss_of_stage_one_is_gspo_and_a_hundredth_of_the_divergence():
    torch.manual_seed(0)
    ours, old, ref = (-torch.rand(2, 4) for _ in range(3))
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]]).bool()
    advantages = torch.tensor([1.0, -1.0])
    loss, figures = CorrectionLoss(tag=1)(ours, old, advantages, mask, ref_logprobs=ref)
    plain, _ = GSPO(ours, old, advantages, mask)
    divergence = k3(ours, ref)[0, 0] / 2  # one hidden token in one of two rows
    assert loss.item() == pytest.approx((plain + 0.01 * divergence).item(), rel=1e-6)
    assert figures["hidden_kl"] == pytest.approx(divergence.item(), rel=1e-6)


def test_hidden_tokens_get_no_gradient_but_that_of_the_divergence():
    ours = (-torch.rand(1, 4)).requires_grad_()
    mask = torch.tensor([[0, 0, 1, 1]]).bool()
    loss, _ = CorrectionLoss(tag=1)(ours, ours.detach(), torch.ones(1), mask, ref_logprobs=ours.detach() - 0.5)
    loss.backward()
    assert ours.grad[0, 0] != 0
    assert ours.grad[0, 1] == 0  # the tag
    assert (ours.grad[0, 2:] < 0).all()


@pytest.mark.parametrize(
    ("arguments", "pay"),
    [
        ({"c1": False, "c2": True}, 1.0),
        ({"c1": True, "c2": True}, 0.75),
        ({"c1": False, "c2": False}, 0.0),
        ({"c1": True, "c2": False}, -0.25),
        ({"c1": True, "c2": None}, 0.5),
        ({"c1": False, "c2": None}, -0.5),
        ({"c1": True, "c2": True, "identical": True}, 0.5),
        ({"c1": False, "c2": True, "fmt2": False}, 0.5),
        ({"c1": False, "c2": True, "boxed1": False}, 0.0),
        ({"c1": True, "c2": False, "boxed1": False}, -0.25),
    ],
)
def test_rewards_are_those_of_the_paper(arguments, pay):
    assert correction_reward(**arguments) == pay


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        (reply("w", "c"), 0.9 + 0.1),
        (f"sure: {RIGHT}{OPEN}checked: {RIGHT}{CLOSE}", 0.9 * 0.75 + 0.1),
        (reply("c", "c"), 0.9 * 0.5 + 0.1),  # the same attempt twice
        (reply("w", "c").removesuffix(CLOSE), 0.9 * 0.5),
        (reply("w", "c") + " done", 0.9 * 0.5),
        (reply("c"), 0.9 * 0.5),
        (f"{OPEN}{RIGHT}{CLOSE}", 0.0),
        (r"\boxed{}" + OPEN + RIGHT + CLOSE, 0.0),
        ("", -0.45),
    ],
)
def test_a_reply_is_paid_for_its_attempts_and_its_form(text, reward):
    assert CorrectionReward()([""], [text], [[]], answer=["4"]) == [pytest.approx(reward)]


def test_the_cold_start_is_written_in_the_form_the_reward_wants():
    (row,) = cold_start([("2+2?", f"{WRONG} hm", RIGHT)])
    assert row == {"prompt": "2+2?", "completion": reply("w", "c")}
    assert CorrectionReward().well_formed(row["completion"])


def test_forced_corrections_follow_one_another():
    asked = []

    async def sampler(messages, **options):
        asked.append((messages[-1].text, options["stop"], options["continue_assistant"]))
        return [Sample(rf"\boxed{{{len(asked)}}} then", 1, 1, "stop")]

    attempts = asyncio.run(force_correction(sampler, "p", f"{WRONG} I say", rounds=2))
    assert attempts == [WRONG, r"\boxed{1}", r"\boxed{2}"]
    assert asked == [(WRONG + OPEN, (CLOSE,), True), (r"\boxed{1}" + OPEN, (CLOSE,), True)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: made_of([("c", None)]), "originals: got 1"),
        (lambda: made_of([("c", None)] * 3, target=2), "target: got 2"),
        (lambda: response_mask(3, 1, "wc", 3), "stage: got 3"),
        (lambda: response_mask(3, 4, "wc", 1), "first: got 4 of 3"),
        (lambda: kl_mask(torch.ones(1, 1).bool(), -1), "tag: got -1"),
        (lambda: CorrectionLoss(tag=1, beta=-1), "beta, tag: got -1"),
        (lambda: CorrectionReward()([""], [""]), "answer: got no such column"),
        (lambda: cold_start([("p", "no box", RIGHT)]), "pair 1 has an attempt without"),
        (lambda: asyncio.run(force_correction(None, "p", "f", rounds=0)), "rounds: got 0"),
    ],
)
def test_wrong_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
