"""A text within a context: what goes first, what stays, and where it is cut."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.papers.digest.fit import estimate, fit
from assay.papers.feed.arxiv import compose

SENTENCE = "The lamp burns where the reader looks at page {}."


def _document(sizes: dict[str, int], captions: tuple[str, ...] = ()):
    sections = [(1, title, " ".join(SENTENCE.format(n) for n in range(size))) for title, size in sizes.items()]
    return compose("2601.10001", "html", "Lantern", "We light lamps.", sections, url="http://x", captions=captions)


def _fit(document, context, count=None):
    return anyio.run(fit, document, context, count)


def test_what_fits_is_left_alone():
    document = _document({"Introduction": 3, "Related Work": 3, "Method": 3})
    fitted = _fit(document, 5000)
    assert fitted.text == document.text and fitted.warnings == () and fitted.tokens == estimate(document.text)


def test_related_work_appendices_and_bibliography_go_first_then_captions_and_conclusion():
    titles = "1 Introduction,2 Related Work,3 Method,4 Experiments,5 Conclusion,References,Appendix A"
    sizes = dict.fromkeys(titles.split(","), 30)
    document = _document(sizes, captions=("Table 1: what nobody else says.",))
    kept = []
    for context in range(3700, 700, -50):
        text = _fit(document, context).text
        kept.append([title for title in sizes if f"# {title}\n" in text] + ["Captions"] * ("Table 1" in text))
    gone = [title for before, after in pairwise(kept) for title in before if title not in after]
    order = ["References", "Appendix A", "2 Related Work", "Captions", "5 Conclusion", "4 Experiments", "3 Method"]
    assert gone == [title for title in order if title in gone] and len(gone) >= 5


def test_a_cut_never_falls_inside_a_sentence_and_is_told():
    fitted = _fit(_document({"Method": 500}), 1000)
    assert fitted.text.rstrip().endswith(".") and fitted.tokens <= 1000
    assert fitted.warnings == ("cut: Method (a part)",)


@given(st.integers(500, 4000), st.lists(st.integers(0, 120), min_size=1, max_size=6))
def test_whatever_the_sizes_the_text_fits_and_every_sentence_is_whole(context, sizes):
    document = _document({f"{n} Part": size for n, size in enumerate(sizes)})
    fitted = _fit(document, context)
    assert fitted.tokens <= context + 20  # headings and blank lines are estimated one by one
    whole = {SENTENCE.format(n) for n in range(120)}
    for line in fitted.text.split("\n"):
        assert not line.startswith("The lamp") or {f"{part}." for part in line.rstrip(".").split(". ")} <= whole


def test_the_models_own_count_is_heeded():
    async def twice(text: str) -> int:
        return 2 * estimate(text)

    async def silent(_: str) -> None:
        return None

    document = _document({"Method": 500})
    assert estimate(_fit(document, 2000, twice).text) <= 1000
    assert _fit(document, 2000, silent) == _fit(document, 2000)


def test_a_context_too_small_for_anything_is_refused():
    with pytest.raises(ValueError, match="context: got 100, wanted at least 500"):
        _fit(_document({"Method": 1}), 100)


def test_chinese_takes_more_tokens_a_character():
    assert estimate("灯" * 130) == 101 and estimate("a" * 350) == 101
