"""The user's own catalogue: papers of imported reports, laid over the packaged ones."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from assay.errors import UserError
from assay.papers.catalogue.record import from_json, to_json
from assay.papers.catalogue.store import find, packaged, select
from assay.papers.catalogue.user import UserCatalogue, merged, record_of
from assay.papers.report import parse
from assay.places import default_catalogue

SAMPLE = (Path(__file__).parents[1] / "report" / "every_style.md").read_bytes().decode()
KNOWN = "2601.08521"


@pytest.fixture
def own(tmp_path: Path) -> UserCatalogue:
    return UserCatalogue(tmp_path / "sub" / "catalogue.sqlite")


def test_a_report_becomes_records_with_their_origin(own):
    done = own.add(parse(SAMPLE))
    assert (done.new, done.updated, done.left_out) == (8, 0, 1)
    first, second = sorted(own.papers(), key=lambda p: p.position)[:2]
    assert (first.id, first.title, first.position) == ("2503.99991", "Kettle: Boiling Water with Fewer Tokens", 1)
    assert (first.origin, first.field, first.claims, first.read_from) == ("user", "", (), "html")
    assert first.one_line == parse(SAMPLE).entries[0].contribution
    assert second.read_from == "abs"
    assert from_json(json.loads(json.dumps(to_json(first)))) == first


def test_the_same_report_again_updates_and_adds_nothing(own):
    own.add(parse(SAMPLE))
    done = own.add(parse(SAMPLE.replace("Kettle: Boiling", "Kettle: Steaming")))
    assert (done.new, done.updated) == (0, 8)
    assert len(own.papers()) == 8
    assert find("2503.99991", own.papers()).title == "Kettle: Steaming Water with Fewer Tokens"


def test_a_paper_of_two_days_is_one_record_under_the_first_with_both_dates(own):
    own.add(parse(SAMPLE))
    for day in ("2025-03-01", "2025-03-09"):
        own.add(parse(SAMPLE.replace("2025-03-04", day)))
    paper = find("2503.99991", own.papers())
    assert paper.report_date == date(2025, 3, 1)
    assert paper.also_on == (date(2025, 3, 4), date(2025, 3, 9))
    nine = date(2025, 3, 9)
    assert len(select(own.papers(), dates=(nine, nine))) == 8


def test_the_entry_of_the_latest_report_is_kept_as_written(own):
    assert own.entry("2503.99991") is None
    own.add(parse(SAMPLE))
    own.add(parse(SAMPLE.replace("2025-03-04", "2025-03-09").replace("烧干的次数没有变化", "烧干的次数少了")))
    assert "烧干的次数少了" in str(own.entry("2503.99991"))
    assert str(own.entry("2503.99992")) in SAMPLE
    assert own.entry("2503.00000") is None


def test_a_users_record_shadows_the_packaged_one_and_keeps_what_only_that_knows(own):
    report = parse(SAMPLE.replace("2503.99991", KNOWN))
    own.add(report)
    papers = merged(packaged(), own.papers())
    assert len(papers) == len(packaged()) + 7
    ours, theirs = find(KNOWN, papers), find(KNOWN, packaged())
    assert (ours.origin, ours.title, ours.report_date) == ("user", report.entries[0].title, date(2025, 3, 4))
    assert (ours.slug, ours.field, ours.claims, ours.one_line) == (
        theirs.slug, theirs.field, theirs.claims, theirs.one_line,
    )  # fmt: skip
    assert ours.also_on == (theirs.report_date,)
    assert sum(p.id == KNOWN for p in papers) == 1
    assert [p.report_date for p in papers] == sorted(p.report_date for p in papers)


def test_nothing_is_created_by_looking(own):
    assert own.papers() == []
    assert not own.path.parent.exists()
    assert merged(packaged(), []) == packaged()


def test_a_report_without_a_date_is_refused_and_nothing_is_written(own):
    with pytest.raises(UserError, match="no date"):
        own.add(parse("hello"))
    assert not own.path.exists()


def test_a_broken_or_newer_file_is_told_in_one_line(own, tmp_path):
    broken = tmp_path / "broken.sqlite"
    broken.write_text("this is no database, and it is long enough to be read as one" * 20)
    with pytest.raises(UserError, match=r"cannot be used.*ASSAY_CATALOGUE"):
        UserCatalogue(broken).papers()
    own.add(parse(SAMPLE))
    import sqlite3

    with sqlite3.connect(own.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(UserError, match="newer assay"):
        own.papers()


def test_a_long_contribution_is_cut_and_a_link_without_id_is_no_record():
    long = SAMPLE.replace("让水壶在开水之前", "让水壶在开水之前" * 40)
    paper = record_of(parse(long).entries[0], date(2025, 3, 4), 1)
    assert (len(paper.one_line), paper.one_line[-1]) == (200, "…")
    with pytest.raises(ValueError, match="no arXiv id"):
        record_of(parse(SAMPLE.replace("papers/2503.99991", "papers/x")).entries[0], date(2025, 3, 4), 1)


def test_the_file_lies_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("ASSAY_CATALOGUE", "/somewhere/c.sqlite")
    assert default_catalogue() == Path("/somewhere/c.sqlite")
    monkeypatch.delenv("ASSAY_CATALOGUE")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_catalogue() == Path("/data/assay/catalogue.sqlite")


@pytest.mark.parametrize(
    ("change", "told"),
    [({"origin": "friend"}, "package or user"), ({"origin": "package", "claims": []}, "claims: none"),
     ({"origin": "package", "field": ""}, "field: got ''"), ({"origin": "user", "field": "cooking"}, "cooking")],
)  # fmt: skip
def test_only_a_users_record_may_lack_field_and_claims(change, told):
    with pytest.raises(ValueError, match=told):
        from_json({**to_json(packaged()[0]), **change})
    assert from_json({**to_json(packaged()[0]), "origin": "user", "field": "", "claims": []}).field == ""
