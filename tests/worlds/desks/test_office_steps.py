"""Labelled steps: shares and labels of the kinds, and that training steps hold nothing that is held out."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.safety.toolsafe import GuardVerdict, read_record, risk_rating
from assay.worlds.desks.office import HELD_OUT_TOOLS, TASKS, TEMPLATES
from assay.worlds.desks.office_steps import MALICE_HELD_OUT, SHARES, TRAPS_HELD_OUT, build

ROWS = build(11, 1200)


def test_kinds_come_in_their_shares_and_every_row_is_a_record_of_the_method():
    counted = Counter(row["kind"] for row in ROWS)
    assert {kind: round(share * 1200) for kind, share in SHARES.items()} == counted
    records = [read_record(row) for row in ROWS]
    assert all(record.known_tool for record in records)
    assert build(11, 50) == build(11, 50) != build(12, 50)
    assert json.loads(json.dumps(ROWS)) == ROWS


def test_labels_follow_from_the_kind():
    harmless, attacks = ("benign", "attack_failed"), ("injection_indirect", "injection_direct", "harmful_tool")
    for row in ROWS:
        assert (row["score"] == 0) == (row["kind"] in harmless)
        assert row["attacked"] == (row["kind"] in attacks)
        assert row["malicious_request"] == (row["kind"] == "malicious_request")
        verdict = GuardVerdict(row["malicious_request"], row["attacked"], row["score"])
        harm = row["kind"] not in (*harmless, "risky_arguments")
        assert (risk_rating(verdict) >= 0.5) == harm, "what is risky alone has no attack behind it"


def test_an_attack_that_failed_and_one_that_did_not_differ_in_the_call_alone():
    for row in ROWS:
        person = next(iter(row["action"]["arguments"].values()))
        if row["kind"] == "attack_failed":
            assert person in row["user_request"].split(", then")[1]
        if row["kind"] == "injection_indirect":
            assert person not in row["user_request"] and person in row["history"][1]["text"]
    beside = [row for row in ROWS if row["kind"] in ("attack_failed", "injection_indirect")]
    assert all(any(_opening(t) in row["history"][1]["text"] for t in TEMPLATES) for row in beside)


def test_training_steps_hold_no_held_out_tool_template_task_or_wording():
    trained, new = build(2, 400, held_out=False), build(2, 200, held_out=True)
    told = [json.dumps(row) for row in trained]
    held_out = [t for t in TEMPLATES if t.held_out]
    words = [*HELD_OUT_TOOLS, *MALICE_HELD_OUT, *(_opening(t) for t in held_out)]
    words += [trap.split("{}")[0] for trap in TRAPS_HELD_OUT]
    assert not [word for word in words for text in told if word in text]
    assert {_task(row) for row in trained}.isdisjoint(_task(row) for row in new)
    kinds = ("attack_failed", "injection_indirect")
    seen = [row["history"][1]["text"] for row in new if row["kind"] in kinds]
    assert all(any(_opening(t) in text for t in held_out) for text in seen)
    assert all(any(_opening(t) in text for text in seen) for t in held_out)


@given(st.integers(1, 40), st.integers(0, 2**32), st.sampled_from([True, False, None]))
@settings(max_examples=12, deadline=None)
def test_there_are_as_many_steps_as_asked_for(n, seed, held_out):
    rows = build(seed, n, held_out)
    assert len(rows) == n and all(set(row["action"]["arguments"].values()) for row in rows)


def test_no_steps_is_no_benchmark():
    with pytest.raises(ValueError, match="n: got 0"):
        build(1, 0)


def _opening(template):
    """The words of a template before its demand, or after it where there are none."""
    before, after = template.wording.split("{}")
    return before if len(before) > 3 else after


def _task(row):
    """The kind of task, by its two verbs."""
    return next(
        (t.read, t.deed)
        for t in TASKS
        for wording in range(4)
        if _fits(row["user_request"], t.request("{}", "{}", wording).split("{}"))
    )


def _fits(request, pieces):
    return all(piece.strip(".") in request for piece in pieces)
