"""A report from the paper's own sentences."""

from __future__ import annotations

from assay.papers.digest.extractive import NOT_STATED, extract
from assay.papers.digest.ground import Source, ground
from assay.papers.digest.paper import entry_text, source_text, write_extractive
from assay.papers.feed.arxiv import compose
from assay.papers.report import check, parse, parse_file
from tests.papers.digest.world import DAY, publish

ABSTRACT = (
    "Reading by night is dear, cf. the report of Ostrava et al. Nobody has solved it. We propose Lantern, a language "
    "model that lights lamps. On HarbourBench it reaches 71.4% accuracy, 3.2 points above Torch."
)
INTRODUCTION = """Light is dear, and lamps that nobody looks at burn all night long.

We make three contributions:

- **Looking rule**: the lamps follow the eyes.
- A queue of lamps, with
  1. a short end,
  2. a long end.
- HarbourBench, a benchmark of 480 evenings.

| Lamp | Score |
|---|---|
| Torch | 68.2 |"""


def _document(**changed):
    sections = changed.pop("sections", [
        (1, "1 Introduction", INTRODUCTION),
        (1, "2 Method", "The input is a gaze track. Training takes 12 hours on one A100 GPU. The code is released."),
        (2, "2.1 The looking rule", "The rule keeps a lamp on while the reader looks at it."),
        (1, "3 Experiments", "Torch reaches 68.2% and Lantern 71.4% on HarbourBench, with 32 lamps against 96."),
    ])  # fmt: skip
    return compose(
        "2601.10001", "html", "Lantern", changed.pop("abstract", ABSTRACT), sections, url="http://x", **changed
    )


def test_the_five_sections_come_from_where_papers_say_them():
    field, contribution, usage, innovations, results = extract(_document())
    assert "Large language models" in field
    assert contribution == "We propose Lantern, a language model that lights lamps."
    assert "one A100 GPU" in usage and "The code is released." in usage
    assert innovations.split("\n") == [
        "*   **Looking rule**: the lamps follow the eyes.",
        "*   **Contribution 2**: A queue of lamps, with a short end, a long end.",
        "*   **Contribution 3**: HarbourBench, a benchmark of 480 evenings.",
    ]
    assert results.split("\n")[0] == "*   On HarbourBench it reaches 71.4% accuracy, 3.2 points above Torch."
    assert "with 32 lamps against 96" in results and "|" not in results


def test_without_bullets_the_methods_subsections_are_the_innovations():
    sections = [
        (1, "Introduction", "Light is dear. Lamps burn all night."),
        (1, "Method", "It has parts."),
        (2, "2.1 The looking rule", "The rule keeps a lamp on while the reader looks at it. It is simple."),
        (2, "2.2 The queue", "Lamps wait in a queue until they are needed by somebody."),
        (1, "Experiments", "They went well, as far as anybody could see."),
        (2, "3.1 Setup", "We bought lamps of brass in the nearest town."),
    ]
    innovations = extract(_document(sections=sections))[3]
    assert innovations.split("\n") == [
        "*   **The looking rule**: The rule keeps a lamp on while the reader looks at it.",
        "*   **The queue**: Lamps wait in a queue until they are needed by somebody.",
    ]


def test_what_the_paper_does_not_say_is_said_to_be_not_stated():
    bare = extract(_document(sections=[], abstract="Lamps are lit where somebody looks, and nowhere else."))
    assert bare[2] == bare[4] == NOT_STATED and bare[1].startswith("Lamps are lit")
    assert extract(_document(sections=[], abstract=""))[1] == NOT_STATED


def test_every_number_of_an_extract_is_grounded():
    document = _document()
    assert ground(extract(document), "en", Source(source_text(document))) == []


def test_the_entry_says_that_no_model_wrote_it():
    text = entry_text("2601.10001", "Lantern", write_extractive(_document(), "en"), "en")
    entry = parse(text).entries[0]
    assert entry.read_from == "HTML (extractive)" and entry.lang == "en"


def test_a_day_without_a_model_needs_no_inspect(server, write, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "inspect_ai", None)  # an import of it would fail
    publish(server, 4)
    result = write(None, lang="en")
    report = parse_file(result.path, strict=True)
    assert result.written == 4 and check(report, today=DAY) == [] and result.tokens_in == 0
