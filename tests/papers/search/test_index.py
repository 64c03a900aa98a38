"""The index: what is found, in which order, and that no query can break it."""

from __future__ import annotations

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import UserError
from assay.papers.catalogue.store import packaged
from assay.papers.search.document import Document, document, documents, entry_of
from assay.papers.search.index import Index
from assay.papers.search.query import parse
from assay.papers.search.text import cjk_share, runs, snippet, spaced

# Letters that both alphabets of the index know: Chinese, kana, hangul, rare ideographs, Latin with accents.
CJK = st.sampled_from("强化学习奖励流匹配的一あいウエ가나𠀀𰀀豈㐀")
TEXT = st.text(st.one_of(CJK, st.sampled_from("abcXYZ019 .-_'*`{<é")), min_size=1, max_size=60)
REPORT = """
## 📄 Kettle: Boiling with {name}

- **链接**: https://huggingface.co/papers/2503.99991
- **阅读来源**: HTML

### 1. 应用领域
家用电器

### 2. 一句话核心贡献
提出水壶强化学习方法。

### 3. 使用指南
输入水，输出热水。

### 4. 主要创新点
1.  **流匹配加热**：按速度场加热。

### 5. 实验效果
比 Wan2.1 快三成。


============================================================
"""


def found(index: Index, text: str) -> list[str]:
    return [hit.id for hit in index.search(parse(text), 1000)]


def filled(*documents: Document) -> Index:
    index = Index(None)
    index.sync(documents)
    return index


def paper(number: int, **texts: object) -> Document:
    return Document(id=f"2601.{number:05d}", **{"title": f"Untitled {number}", **texts})  # type: ignore[arg-type]


@given(st.lists(TEXT, min_size=1, max_size=4), st.data())
def test_any_piece_of_a_chinese_run_finds_its_paper(texts, data):
    columns = ("contribution", "innovations", "usage", "results")
    chinese = [run for text in texts for run in runs(text) if cjk_share(run) == 1]
    with filled(paper(1, **dict(zip(columns, texts))), paper(2, usage="水壶")) as index:
        for run in chinese:
            start = data.draw(st.integers(0, len(run) - 1))
            piece = run[start : data.draw(st.integers(start + 1, len(run)))]
            assert "2601.00001" in found(index, piece)


@given(TEXT)
def test_any_latin_word_finds_its_paper(text):
    with filled(paper(1, results=text), paper(2)) as index:
        for word in re.findall(r"(?<!é)\b[A-Za-z0-9]+\b(?!é)", text):
            assert "2601.00001" in found(index, word)
            assert "2601.00001" in found(index, f'"{word.upper()}"')


@given(st.lists(TEXT, min_size=2, max_size=8), CJK, CJK)
def test_chinese_words_are_found_exactly_where_they_stand(texts, first, second):
    with filled(*(paper(i, contribution=text) for i, text in enumerate(texts))) as index:
        expected = {f"2601.{i:05d}" for i, text in enumerate(texts) if first + second in text}
        assert set(found(index, first + second)) == expected


@given(st.text(max_size=80))
def test_no_query_is_a_syntax_error(text):
    with filled(paper(1, results="text 强化")) as index:
        try:
            index.search(parse(text))
        except UserError as error:
            assert "\n" not in str(error) or "\n" in text


HOSTILE = [
    '"', "*", "NEAR(", "a OR", "OR", "--", ";drop table papers", "a" * 10_000, "强" * 10_000, "a " * 10_000,
    '"a" OR "b', "a AND NOT b", "title:x", "{a b}:c", "a^b", "x* *", "\0", "a\0b", "\ud800", "-", "-x", '-"x y"',
    "(a OR b) c", "''",
    "field:", "date:..", "verdict:\"holds\"", "sort:sort", "id:'", "has:*", "http://x.y/z?a=b:c",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_hostile_queries_give_papers_or_one_line(text):
    with filled(*(document(p) for p in packaged()[:20])) as index:
        try:
            assert isinstance(index.search(parse(text)), list)
        except UserError as error:
            assert str(error)
        assert len(index.ranked(parse("date:2026-01-13"), 100)) == 20  # and the table stands


def test_a_hit_in_the_title_comes_before_hits_in_the_results():
    with filled(
        paper(1, results="entropy " * 3 + "steam and water " * 4, usage="entropy"),
        paper(2, title="Entropy of a kettle", results="steam and water " * 5),
        paper(3, one_line="entropy", results="steam and water " * 5),
        *(paper(i, one_line=f"kettle {i}") for i in range(4, 20)),
    ) as index:
        assert found(index, "entropy") == ["2601.00002", "2601.00003", "2601.00001"]


def test_words_phrases_negation_alternatives_and_prefixes():
    with filled(
        paper(1, one_line="flow matching for kettles"),
        paper(2, one_line="matching flow meters"),
        paper(3, one_line="diffusion"),
        paper(4, one_line="Überdiffusive 流匹配Wan2.1"),
    ) as index:
        assert set(found(index, "flow matching")) == {"2601.00001", "2601.00002"}
        assert found(index, '"flow matching"') == found(index, '"flow matching') == ["2601.00001"]
        assert found(index, "flow -kettles") == ["2601.00002"]
        assert set(found(index, "-flow")) == {"2601.00003", "2601.00004"}
        assert set(found(index, "meters OR diffusion")) == {"2601.00002", "2601.00003"}
        assert set(found(index, "flow kettles OR meters")) == {"2601.00001", "2601.00002"}
        assert found(index, "diffus*") == ["2601.00003"]
        assert found(index, "uberdiff*") == ["2601.00004"]
        assert found(index, "流匹配Wan2.1") == found(index, "Wan2.1") == ["2601.00004"]
        assert found(index, "Wan2") == ["2601.00004"]
        assert found(index, "匹流") == []
        assert found(index, "2601.00003v2") == found(index, "arXiv:2601.00003") == ["2601.00003"]


def test_a_chinese_word_reaches_over_bold_marks_but_not_into_the_next_sentence():
    with filled(
        paper(1, usage="提出扩散**模型**。"),
        paper(2, usage="用于扩散。模型很大"),
        paper(3, usage="扩散 模型"),
        paper(4, usage="扩散\n*   模型"),
    ) as index:
        assert found(index, "扩散模型") == ["2601.00001"]
        assert sorted(found(index, '"扩散。模型"')) == ["2601.00002", "2601.00003", "2601.00004"]
        assert len(found(index, "扩散 模型")) == 4
        (hit,) = index.search(parse("扩散模型"))
        assert hit.snippet.marked("[", "]") == "提出[扩散**模型]**。"


def test_filters_compose_and_sort():
    with filled(
        paper(1, field="agents", dates=("2026-01-13",), has=("code",), upvotes=3, one_line="a tool"),
        paper(2, field="agents", dates=("2026-01-14", "2026-01-19"), has=("figure",), upvotes=9, one_line="a tool"),
        paper(3, field="memory", dates=("2026-01-19",), one_line="a tool"),
    ) as index:
        index.set_verdicts({"2601.00001": ["holds", "fails"], "2601.00002": ["inconclusive"]})
        assert set(found(index, "tool field:agents date:2026-01-13..2026-01-18")) == {"2601.00001", "2601.00002"}
        assert found(index, "field:agents has:code") == ["2601.00001"]
        assert found(index, "-field:agents") == found(index, "verdict:untried") == ["2601.00003"]
        assert found(index, "verdict:holds") == found(index, "verdict:fails") == ["2601.00001"]
        assert found(index, "tool -has:code -verdict:untried") == ["2601.00002"]
        assert found(index, "tool sort:upvotes") == ["2601.00002", "2601.00001", "2601.00003"]
        assert found(index, "tool sort:date")[-1] == "2601.00001"
        assert found(index, "date:2026-01-19 sort:date") == ["2601.00002", "2601.00003"]
        assert found(index, "id:2601.00003v1") == ["2601.00003"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("???", r"nothing to search for in '\?\?\?'"),
        ("   ", "nothing to search for"),
        ("field:cooking", "unknown field 'cooking'"),
        ("verdict:maybe", "holds, fails, inconclusive, untried"),
        ("has:money", "code, trial, figure"),
        ("sort:size", "relevance, date, upvotes"),
        ("date:yesterday", "wanted YYYY-MM-DD"),
        (" ".join(f"w{i}" for i in range(99)), "99 terms, wanted at most 64"),
    ],
)
def test_a_query_that_asks_for_nothing_is_refused(text, told):
    with pytest.raises(UserError, match=told):
        parse(text)


def test_only_changed_papers_are_written_and_gone_ones_leave_no_trace(tmp_path):
    path = tmp_path / "sub" / "index.sqlite"
    papers = [paper(i, one_line=f"word{i} 强{i}") for i in range(5)]
    with Index(path) as index:
        assert index.sync(papers) == 5
    with Index(path) as index:
        assert index.sync(papers) == 0
        assert index.sync([*papers[:3], paper(3, one_line="other"), paper(9, one_line="new")]) == 3
        assert found(index, "word3") == found(index, "word4") == []
        assert found(index, "other") == ["2601.00003"]
        assert len(found(index, "强")) == 3
        index.connection.execute("INSERT INTO words(words) VALUES ('integrity-check')")


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 200])
def test_a_damaged_index_is_made_anew(tmp_path, content):
    path = tmp_path / "index.sqlite"
    path.write_bytes(content)
    with Index(path) as index:
        assert index.sync([paper(1)]) == 1


def test_an_index_of_another_version_is_made_anew(tmp_path):
    path = tmp_path / "index.sqlite"
    with Index(path) as index:
        index.sync([paper(1)])
        index.connection.execute("PRAGMA user_version = 99")
    with Index(path) as index:
        assert index.connection.execute("SELECT count(*) FROM papers").fetchone() == (0,)


def test_two_who_fill_one_index_at_a_time_leave_each_paper_once(tmp_path):
    papers = [paper(i, one_line=f"word{i}") for i in range(300)]
    path = tmp_path / "index.sqlite"

    def fill(count: int) -> None:
        with Index(path) as index:
            index.sync(papers[:count])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, [300, 200, 300, 250, 300] * 2))
    with Index(path) as index:
        index.sync(papers)
        assert len(found(index, "word*")) == 300
        index.connection.execute("INSERT INTO words(words) VALUES ('integrity-check')")


def test_an_index_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used"):
        Index(tmp_path / "file" / "index.sqlite")


def test_an_imported_report_is_found_by_every_section():
    entry = REPORT.format(name="Fewer Tokens")
    known = packaged()[0]
    (doc,) = documents([known], {known.id: entry})
    assert (doc.lang, doc.has) == ("zh", ("trial", "figure"))
    with filled(doc, *(document(p) for p in packaged()[1:])) as index:
        for words in ("家用电器", "水壶", "热水", "速度场", "Wan2.1", "field:test_time glimpsing"):
            assert found(index, words)[0] == known.id
    assert entry_of("") is None


def test_snippets_are_cut_from_the_original_and_mark_every_hit():
    text = "A kettle boils. " * 10 + "Then Über-Kettles, by FLOW   matching 流匹配 alone."
    shown = snippet(["nothing", text], ["flow matching", "uber", "匹配"])
    assert shown is not None
    assert shown.text.strip("…") in re.sub(r"\s", " ", text)
    assert [shown.text[a:b] for a, b in shown.hits] == ["Über", "FLOW   matching", "匹配"]
    assert "[Über]-Kettles, by [FLOW   matching] 流[匹配]" in shown.marked("[", "]")
    assert snippet([text], ["absent"]) is None
    assert snippet([text], ["???"]) is None


def test_the_index_spaces_what_the_query_spaces():
    assert spaced("用Wan2.1生成").split() == ["用", "Wan2.1", "生", "成"]
    assert spaced("生成，奖**励**").split() == ["生", "成", "\ue000", "奖", "**", "励", "**"]
    assert runs("流匹配Wan2.1") == ["流匹配", "Wan2.1"]


def synthetic(count: int) -> list[Document]:
    """Papers of about 4.4 kB with words and characters about as frequent as in real text (Mandelbrot's law, q = 2.7:
    the commonest character is one in 25; in Chinese daily reports it is one in 28)."""
    random_ = random.Random(0)
    latin = ["".join(random_.choices("etaoinshrdlu", k=random_.randint(3, 9))) for _ in range(20_000)]
    chinese = [chr(0x4E00 + i * 7) for i in range(2_500)]

    def cumulative(size: int) -> list[float]:
        total, sums = 0.0, []
        for rank in range(1, size + 1):
            total += 1 / (rank + 2.7)
            sums.append(total)
        return sums

    of_latin, of_chinese = cumulative(len(latin)), cumulative(len(chinese))

    def english(words: int) -> str:
        return " ".join(random_.choices(latin, cum_weights=of_latin, k=words))

    def han(characters: int) -> str:
        return "".join(random_.choices(chinese, cum_weights=of_chinese, k=characters))

    return [
        Document(
            id=f"{2000 + i // 50_000:04d}.{i % 100_000:05d}", title=english(9), one_line=english(22),
            claims=english(40), contribution=han(105), innovations=han(400) + english(8), fields=han(20),
            usage=han(380), results=han(350) + english(8), field="agents", dates=("2026-01-13",),
        )
        for i in range(count)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("count", "build_s", "query_s"), [(10_000, 20, 0.05), (50_000, 60, 0.1)])
def test_many_papers_are_indexed_and_found_in_time(tmp_path: Path, count: int, build_s: float, query_s: float):
    papers = synthetic(count)
    text = sum(len(getattr(p, column).encode()) for p in papers for column in (
        "title", "one_line", "claims", "contribution", "innovations", "fields", "usage", "results", "id"))  # fmt: skip
    path = tmp_path / "index.sqlite"
    with Index(path) as index:
        start = time.process_time()
        index.sync(papers)
        built = time.process_time() - start
        random_ = random.Random(1)
        times = []
        for i in range(200):
            source = random_.choice(papers)
            word, phrase = random_.choice(source.claims.split()), source.usage[(at := random_.randrange(300)) : at + 2]
            query = parse((word, phrase, f"{word} {phrase}", word[:3] + "*", " ".join(source.title.split()[:3]))[i % 5])
            start = time.process_time()
            assert index.search(query)
            times.append(time.process_time() - start)
        start = time.process_time()
        index.sync([*papers, paper(1)])
        again = time.process_time() - start
        index.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    print(f"\n{count} papers, {text / 1e6:.0f} MB of text: built in {built:.1f} s of processor time, one more in "
          f"{again:.1f} s; query p50 {1e3 * sorted(times)[100]:.0f} ms, p95 {1e3 * sorted(times)[190]:.0f} ms; "
          f"index {path.stat().st_size / text:.2f} x text")  # fmt: skip
    assert built < build_s
    assert sorted(times)[190] < query_s
    assert path.stat().st_size < 3 * text
