"""A translation keeps ids, numbers, code, formulas and links, or the paper is marked as failed."""

from __future__ import annotations

import json

import anyio
import pytest

from assay.papers.digest.translate import translate
from assay.papers.report import Report, check, compose, compose_failed, parse, render
from assay.papers.report.grammar import DAY_URL
from tests.papers.digest.conftest import mock
from tests.papers.digest.world import DAY, Invented

PAPERS = [Invented(1), Invented(2)]


def _texts(paper: Invented, lang: str) -> list[str]:
    from assay.papers.digest.write import read_reply

    reply = (
        paper.reply()
        if lang == "zh"
        else paper.english(
            usage=[
                *paper.english()["usage"][:2],
                "**Needs**: one GPU with `lamp --on` and $\\alpha$; else not stated.",
            ]
        )
    )
    texts = list(read_reply(json.dumps(reply), lang).texts)
    if lang == "zh":
        texts[2] += "\n*   用 `lamp --on` 和 $\\alpha$ 运行。"
    return texts


@pytest.fixture
def report() -> Report:
    entries = [compose(p.id, p.title, "HTML", _texts(p, "zh")) for p in PAPERS]
    failed = compose_failed("2601.10009", "Ferry", "http_5xx", 2, "2026-01-19T12:00:00Z")
    return parse(render(Report(DAY, f"{DAY_URL}{DAY}", (*entries, failed))), strict=True)


def _translated(report: Report, *said):
    from inspect_ai.model import ModelOutput, ModelUsage

    asked = []

    def answer(messages, *_):
        asked.append([message.text for message in messages])
        paper = next(p for p in PAPERS if p.name in messages[1].text)
        texts = said[min(sum(m.role == "assistant" for m in messages), len(said) - 1)](paper)
        output = ModelOutput.from_content("mockllm/model", json.dumps({"sections": texts}))
        output.usage = ModelUsage(input_tokens=10, output_tokens=10, total_tokens=20)
        return output

    done = anyio.run(lambda: translate(report, "en", mock(answer)))
    return done, asked


def test_a_report_in_the_other_language_says_the_same(report):
    done, asked = _translated(report, lambda paper: _texts(paper, "en"))
    assert done.failed == () and len(asked) == 2 and done.tokens == 40
    text = render(done.report)
    again = parse(text, strict=True)
    assert again.lang == "en" and check(again, today=DAY) == []
    assert [entry.arxiv_id for entry in again.entries] == [entry.arxiv_id for entry in report.entries]
    assert [entry.read_from for entry in again.entries] == ["HTML", "HTML", "not read"]
    assert (again.entries[2].reason, again.entries[2].attempts) == ("http_5xx", 2)
    assert "`lamp --on`" in text and "$\\alpha$" in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda texts: [*texts[:4], texts[4].replace("12 minutes", "13 minutes")], "structure:numbers_changed"),
        (lambda texts: [*texts[:2], texts[2].replace("--on", "--off"), *texts[3:]], "structure:code_changed"),
        (lambda texts: [*texts[:2], texts[2].replace("alpha", "beta"), *texts[3:]], "structure:formulas_changed"),
        (lambda texts: texts[:4], "structure:missing_section"),
        (lambda texts: [*texts[:4], "在这个基准上读者得到了更好的光照。" + texts[4]], "structure:language"),
        (lambda texts: [texts[0] + " https://evil.example", *texts[1:]], "structure:links_changed"),
    ],
)
def test_what_must_stay_and_does_not_fails_the_paper_after_two_repairs(report, change, reason):
    done, asked = _translated(report, lambda paper: change(_texts(paper, "en")))
    assert [failed[:2] for failed in done.failed] == [("2601.10001", reason), ("2601.10002", reason)]
    assert len(asked) == 6
    again = parse(render(done.report), strict=True)
    assert [entry.reason for entry in again.entries] == [reason, reason, "http_5xx"]


def test_a_change_is_told_to_the_model_and_mended(report):
    wrong = lambda paper: [*_texts(paper, "en")[:4], "It is 99% right." + _texts(paper, "en")[4]]  # noqa: E731
    done, asked = _translated(report, wrong, lambda paper: _texts(paper, "en"))
    assert done.failed == () and len(asked) == 4
    assert any("Section 5 changes numbers: lost none, new 99%" in text for text in asked[-1] + asked[-2])


def test_what_cannot_be_translated_is_refused(report):
    with pytest.raises(ValueError, match="to: got 'fr', wanted one of en, zh"):
        anyio.run(lambda: translate(report, "fr", mock()))
    with pytest.raises(ValueError, match="without a date"):
        anyio.run(lambda: translate(parse("no report"), "en", mock()))
    stray = parse(render(report).replace("## 📄", "stray words\n\n## 📄", 1))
    with pytest.raises(ValueError, match="is no paper with a link"):
        anyio.run(lambda: translate(stray, "en", mock()))
