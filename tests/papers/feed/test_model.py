"""Ids, documents and errors."""

from __future__ import annotations

import pickle
import subprocess
import sys

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.papers import feed
from assay.papers.feed import DocSection, FeedError, SystemClock, normal_id
from assay.papers.feed.model import document_text, place


@pytest.mark.parametrize(
    ("written", "id"),
    [
        ("2601.11354", "2601.11354"),
        ("2601.11354v12", "2601.11354"),
        ("arXiv:0704.0001v1", "0704.0001"),
        ("cs/0501001", "cs/0501001"),
        ("math.AG/0601001v2", "math.AG/0601001"),
        ("hep-th/9901001", "hep-th/9901001"),
        ("https://arxiv.org/pdf/2601.11354v1.pdf", "2601.11354"),
        ("https://huggingface.co/papers/2601.11354", "2601.11354"),
        ("http://export.arxiv.org/abs/cs/0501001", "cs/0501001"),
    ],
)
def test_every_way_of_writing_an_id_gives_the_same(written, id):
    assert normal_id(written) == id
    assert normal_id(id) == id


@given(st.text(max_size=30) | st.from_regex(r"[0-9./a-z:?#\s]{1,20}"))
def test_what_passes_as_an_id_is_safe_in_an_address(text):
    try:
        id = normal_id(text)
    except ValueError:
        return
    assert id.isascii()
    assert id.count("/") <= 1
    assert not set(id) - set("0123456789./-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert ".." not in id


words = st.text(alphabet="ab c\n#", max_size=12)


@given(words, st.lists(st.tuples(st.integers(1, 5), words, words), max_size=5))
def test_every_section_lies_at_its_offset(abstract, sections):
    text = document_text(abstract, [s for s in sections if s[1] or s[2]])
    placed = place(abstract, sections)
    assert [(s.level, s.title, s.text) for s in placed] == [s for s in sections if s[1] or s[2]]
    for section in placed:
        assert text[section.offset : section.offset + len(section.text)] == section.text


def test_offsets_worked_by_hand():
    assert place("ab", [(1, "One", "x"), (2, "", "y"), (3, "", "")]) == (
        DocSection(1, "One", "x", 11),  # ab, two newlines, "# One", two newlines
        DocSection(2, "", "y", 14),
    )


def test_an_error_keeps_its_reason_on_the_way_through_another_process():
    error = pickle.loads(pickle.dumps(FeedError("timeout", "https://h took too long")))
    assert (error.reason, error.detail, str(error)) == (
        "timeout", "https://h took too long", "timeout: https://h took too long",
    )  # fmt: skip


def test_the_package_hands_its_names_on_and_no_others():
    assert {name: getattr(feed, name).__name__ for name in feed.__all__} == {name: name for name in feed.__all__}
    with pytest.raises(AttributeError, match="no attribute 'Fead'"):
        feed.Fead  # noqa: B018


def test_the_records_load_with_the_standard_library_alone():
    code = "import sys, assay.papers.feed.model; print({'httpx', 'lxml', 'anyio'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_the_machines_clock_goes_on():
    async def nap() -> float:
        clock = SystemClock()
        before = clock.time()
        await clock.sleep(0.02)
        return clock.time() - before

    assert anyio.run(nap) >= 0.015
