"""The packaged catalogue: facts that hang together, and ways to find them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from datetime import date

import pytest

from assay.engine.registry import list_trials
from assay.errors import UserError
from assay.papers.catalogue.record import FIELDS, from_json, paper_id, to_json
from assay.papers.catalogue.store import find, packaged, parse_dates, select

PER_REPORT = {"2026-01-13": 25, "2026-01-14": 15, "2026-01-18": 38, "2026-01-19": 13, "2026-02-11": 33}


def test_the_first_edition_is_complete():
    assert Counter(p.report_date.isoformat() for p in packaged()) == PER_REPORT
    for day, count in PER_REPORT.items():
        positions = [p.position for p in packaged() if p.report_date.isoformat() == day]
        assert positions == list(range(1, count + 1))


def test_ids_and_slugs_name_one_paper_each():
    assert len({p.id for p in packaged()}) == len({p.slug for p in packaged()}) == len(packaged())
    assert {p.field for p in packaged()} <= set(FIELDS)


def test_every_paper_says_what_it_claims_with_finite_figures():
    for paper in packaged():
        assert len(paper.claims) >= 2, paper.id
        for claim in paper.claims:
            if claim.figure:
                assert math.isfinite(claim.figure.value), claim.id
                assert claim.figure.baseline is None or math.isfinite(claim.figure.baseline), claim.id


def test_every_trial_that_a_claim_names_is_registered_for_its_paper():
    registered = {entry.name: entry.paper for entry in list_trials()}
    named = {name: paper.id for paper in packaged() for claim in paper.claims for name in claim.trials}
    assert len(named) >= 6
    assert {name: registered.get(name) for name in named} == named


def test_records_are_written_in_english_and_without_markup():
    for paper in packaged():
        texts = [paper.one_line, *(claim.text for claim in paper.claims)]
        assert not [t for t in texts if re.search(r"[\u4e00-\u9fff*`$]", t)], paper.id


def test_a_record_survives_the_way_through_json():
    for paper in packaged():
        assert from_json(json.loads(json.dumps(to_json(paper)))) == paper


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "12"}, "dddd.ddddd"),
        ({"field": "cooking"}, "post_training"),
        ({"slug": "Has-Caps"}, "lower-case"),
        ({"one_line": ""}, "one_line"),
        ({"claims": []}, "claims"),
        ({"read_from": "memory"}, "html or abs"),
        ({"surprise": 1}, "unknown fields"),
        ({"claims": [{"id": "2601.05110#1", "text": "x", "kind": "mechanism", "trials": ["hadw"]}]}, "field/name"),
    ],
)
def test_a_wrong_record_is_refused_by_name(change, told):
    row = {**to_json(packaged()[0]), **change}
    with pytest.raises(ValueError, match=told):
        from_json(row)


@pytest.mark.parametrize(
    "word",
    ["2601.08521", "2601.08521v2", "arXiv:2601.08521", "https://huggingface.co/papers/2601.08521", "hadw",
     "https://arxiv.org/pdf/2601.08521v1.pdf", "group-relative advantage is biased"],
)  # fmt: skip
def test_a_paper_is_found_however_it_is_named(word):
    assert find(word).slug == "hadw"


def test_a_slug_may_be_typed_with_hyphens():
    assert find("skill-scan").id == "2601.10338"


def test_an_unknown_paper_gets_the_nearest_names():
    with pytest.raises(UserError, match=r"nearest: .*2601"):
        find("2601.08529")


def test_a_fragment_of_many_titles_asks_back():
    with pytest.raises(UserError, match="name one of them"):
        find("reinforcement learning")


def test_ids_are_normalised_and_other_words_are_not_ids():
    assert paper_id("2601.11354v2") == "2601.11354"
    assert paper_id("hadw") is None
    assert paper_id("x2601.11354y") is None


def test_select_by_date_and_field():
    day = date(2026, 1, 19)
    assert len(select(packaged(), dates=(day, day))) == PER_REPORT["2026-01-19"]
    assert {p.field for p in select(packaged(), field="safety")} == {"safety"}
    with pytest.raises(UserError, match="unknown field 'cooking'"):
        select(packaged(), field="cooking")


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-01-19..", "2026-01-19..2026-01-13"])
def test_bad_dates_are_refused(text):
    if text == "2026-01-19..":
        assert parse_dates(text)[1] == date(2026, 1, 19)
    else:
        with pytest.raises(UserError, match="bad date"):
            parse_dates(text)
