"""The prompts: their data, and a third language that is one file and one entry."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from assay.papers.digest import prompt
from assay.papers.digest.validate import validate
from assay.papers.digest.write import read_reply
from assay.papers.report import check, parse_file
from assay.papers.report.grammar import SECTION_NAMES
from tests.papers.digest.conftest import mock
from tests.papers.digest.world import DAY, Invented, publish, replies

TOY = ("Fach", "Beitrag in einem Satz", "Gebrauch", "Neuerungen", "Ergebnisse")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_prompt_names_the_sections_and_the_limits_that_are_checked(lang):
    system, paper = prompt.opening(lang, "Lantern", "We light lamps.")
    assert all(name in system.text for name in SECTION_NAMES[lang])
    assert ("40" in system.text and "220" in system.text) if lang == "zh" else "80 to 400" in system.text
    assert "$field" not in system.text and "Lantern" in paper.text and "We light lamps." in paper.text


def test_a_text_with_dollars_and_braces_is_passed_on_as_it_is():
    text = "cost $field is ${x} and $\\alpha$ {y}"
    assert text in prompt.opening("en", "T", text)[1].text


def test_an_unknown_language_is_refused():
    assert prompt.languages() == ["en", "zh"]
    with pytest.raises(ValueError, match="lang: got 'fr', wanted one of en, zh"):
        prompt.opening("fr", "T", "x")


def test_a_third_language_is_one_file_and_one_entry(server, write, monkeypatch, tmp_path):
    english = (files("assay.papers.digest") / "prompts" / "en.md").read_text("utf-8")
    folder = tmp_path / "package" / "prompts"
    folder.mkdir(parents=True)
    (folder / "toy.md").write_text(english.replace("English", "Toy"), "utf-8")
    monkeypatch.setitem(SECTION_NAMES, "toy", TOY)
    monkeypatch.setattr(prompt, "files", lambda _: tmp_path / "package")
    prompt._parts.cache_clear()
    assert validate(read_reply(json.dumps(Invented(1).english()), "toy").texts, "toy", "") == []
    publish(server, 2)
    says = {n: lambda paper, _: json.dumps(paper.english()) for n in (1, 2)}
    report = parse_file(write(mock(replies(says)), lang="toy").path, strict=True)
    assert report.lang == "toy" and check(report, today=DAY) == []
    assert tuple(section.name for section in report.entries[1].sections) == TOY
    prompt._parts.cache_clear()


def test_a_prompt_without_one_of_its_parts_is_refused(monkeypatch, tmp_path):
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "en.md").write_text("# system\n\nRead.\n", "utf-8")
    monkeypatch.setattr(prompt, "files", lambda _: tmp_path)
    prompt._parts.cache_clear()
    with pytest.raises(ValueError, match="got no part '# paper'"):
        prompt.opening("en", "T", "x")
    prompt._parts.cache_clear()
