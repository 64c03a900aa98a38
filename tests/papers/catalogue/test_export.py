"""The catalogue in other formats, read back by readers of those formats."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from importlib.resources import files

from markdown_it import MarkdownIt

from assay.papers.catalogue.export import FORMATS, stats
from assay.papers.catalogue.record import from_json
from assay.papers.catalogue.store import packaged

HOSTILE = replace(packaged()[0], title='A "B", 50% of $C$ & D_E {F} ^G ~H \\I #J <b>*K*</b>\u2028L', one_line="x | y")


def test_json_and_json_lines_are_read_back_as_the_same_papers():
    papers = (*packaged(), HOSTILE)
    assert tuple(map(from_json, json.loads(FORMATS["json"](papers)))) == papers
    lines = FORMATS["jsonl"](papers).split("\n")
    assert tuple(from_json(json.loads(line)) for line in lines if line) == papers


def test_csv_is_read_back_with_a_row_for_each_paper():
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"]((*packaged(), HOSTILE)), newline="")))
    assert [row["id"] for row in rows] == [p.id for p in (*packaged(), HOSTILE)]
    assert rows[-1]["title"] == HOSTILE.title
    assert rows[0]["claims"].split(" | ") == [claim.text for claim in packaged()[0].claims]


def test_bibtex_has_balanced_braces_one_key_each_and_no_bare_marks():
    text = FORMATS["bibtex"]((*packaged(), HOSTILE))
    keys = re.findall(r"^@misc\{(.+),$", text, re.MULTILINE)
    assert keys == [p.slug for p in (*packaged(), HOSTILE)]
    unescaped = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    titles = re.findall(r"title         = \{\{(.*)\}\},", unescaped)
    assert len(titles) == len(keys)
    assert not [t for t in titles if re.search(r"[&%$#_~^]", t)]
    assert "year          = {2026},\n  month         = {1},\n  eprint        = {2601.08521}" in text


def test_markdown_shows_titles_and_claims_literally():
    html = MarkdownIt().render(FORMATS["md"]((*packaged(), HOSTILE)))
    assert html.count("<a href=") == len(packaged()) + 1
    assert "&lt;b&gt;*K*&lt;/b&gt;" in html
    assert html.count("<li>") == len(packaged()) + 1 + sum(len(p.claims) for p in (*packaged(), HOSTILE))


def test_the_packaged_edition_is_its_own_export_but_for_what_is_left_at_its_default():
    rows = [json.loads(line) for line in FORMATS["jsonl"](packaged()).split("\n") if line]
    for row in rows:
        assert (row.pop("origin"), row.pop("also_on")) == ("package", [])
    shipped = (files("assay.papers.catalogue") / "data" / "catalogue.jsonl").read_text("utf-8")
    written = [json.loads(line) for line in shipped.splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in written]
    assert [row["claims"] for row in rows] == [row["claims"] for row in written]


def test_stats_add_up():
    counts = stats(packaged())
    assert counts["papers"] == 124
    for part in ("by_date", "by_field", "by_source", "by_origin"):
        assert sum(counts[part].values()) == 124
    assert sum(counts["by_kind"].values()) == counts["claims"]
    assert 0 < counts["claims_with_a_figure"] < counts["claims"]
    assert stats([])["papers"] == 0
