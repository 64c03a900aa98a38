"""Search in a few thousand texts: BM25 by SQLite's FTS5, cosine of embeddings by one matrix product.

    index = TextIndex({"a": "Ada was born in Rome.", "b": "Bea lives in Pisa."})
    index.search("who was born in Rome", k=1)        # [Passage("a", "Ada was born in Rome.", …)]

Results are the same on every machine and in every order of insertion: equal scores stand in the order of their ids.
`hash_embed` and `TfidfEmbed` embed without a model; they need scikit-learn (`pip install 'assay-papers[lm]'`).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.methods.protocols import Embed

Mode = Literal["bm25", "cosine"]
Vectors = NDArray[np.float32]

MOST_HASHED = 100_000  # texts whose hashed vectors are remembered
_WORD = re.compile(r"\w+")
_hashed: dict[tuple[int, str], Vectors] = {}


@dataclass(frozen=True)
class Passage:
    """A text that a search found; a higher score is a better match."""

    id: str
    text: str
    score: float


class TextIndex:
    """Texts by id, searched by words ("bm25") or by meaning ("cosine", which needs `embed`).

    Pickles as its texts and its embedder, and builds itself anew; the embeddings are made at the first cosine search.
    Raises TypeError unless `docs` maps text to text.
    """

    def __init__(self, docs: Mapping[str, str], *, embed: Embed | None = None) -> None:
        if not isinstance(docs, Mapping) or not all(isinstance(x, str) for pair in docs.items() for x in pair):
            raise TypeError(f"docs: got {type(docs).__name__}, wanted a mapping from ids to texts, both str")
        self.docs = dict(sorted(docs.items()))
        self.embed = embed
        self._ids = list(self.docs)

    def __len__(self) -> int:
        return len(self.docs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.docs, self.embed)

    def search(self, query: str, k: int = 5, mode: Mode = "bm25") -> list[Passage]:
        """The `k` best texts, best first; with "bm25" only texts that share a word with the query.

        Raises ValueError for k < 1, an unknown mode, or "cosine" without an embedder.
        """
        if k < 1:
            raise ValueError(f"k: got {k}, wanted at least 1")
        if mode == "bm25":
            return self._by_words(query, k)
        if mode == "cosine":
            return self._by_meaning(query, k)
        raise ValueError(f"mode: got {mode!r}, wanted 'bm25' or 'cosine'")

    def _by_words(self, query: str, k: int) -> list[Passage]:
        words = dict.fromkeys(_WORD.findall(query.lower()))
        if not words:
            return []
        any_word = " OR ".join(f'"{word}"' for word in words)
        found = self._table.execute(
            "SELECT rowid, bm25(docs) FROM docs WHERE docs MATCH ? ORDER BY bm25(docs), rowid LIMIT ?", (any_word, k)
        )
        return [self._passage(row - 1, -score) for row, score in found]  # FTS5 gives better matches lower figures

    def _by_meaning(self, query: str, k: int) -> list[Passage]:
        if self.embed is None:
            raise ValueError("mode: 'cosine' wants an index made with embed=")
        if not self.docs:
            return []
        scores = self._vectors @ self.embed([query])[0]
        order = np.argsort(-np.round(scores, 6), kind="stable")[:k]  # equal texts may differ in the last bit
        return [self._passage(int(row), float(scores[row])) for row in order]

    def _passage(self, row: int, score: float) -> Passage:
        return Passage(self._ids[row], self.docs[self._ids[row]], score)

    @cached_property
    def _table(self) -> sqlite3.Connection:
        table = sqlite3.connect(":memory:", check_same_thread=False)  # only read from now on
        table.execute("CREATE VIRTUAL TABLE docs USING fts5(text, tokenize='unicode61 remove_diacritics 2')")
        rows = enumerate(self.docs.values(), start=1)
        table.executemany("INSERT INTO docs (rowid, text) VALUES (?, ?)", rows)
        return table

    @cached_property
    def _vectors(self) -> Vectors:
        assert self.embed is not None
        vectors = self.embed(list(self.docs.values()))
        if vectors.ndim != 2 or len(vectors) != len(self.docs):
            raise ValueError(f"embed: gave shape {vectors.shape}, wanted ({len(self.docs)}, d)")
        return vectors


def _rebuilt(docs: Mapping[str, str], embed: Embed | None) -> TextIndex:
    return TextIndex(docs, embed=embed)


def hash_embed(texts: Sequence[str], dim: int = 256) -> Vectors:
    """Bags of words and pairs of words, hashed into `dim` signed buckets; unit rows, float32 (n, dim).

    Needs no corpus, and a text's vector never changes; a text without a word is the zero row. Vectors are remembered.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    if dim < 1:
        raise ValueError(f"dim: got {dim}, wanted at least 1")
    if len(_hashed) > MOST_HASHED:
        _hashed.clear()
    new = [text for text in dict.fromkeys(texts) if (dim, text) not in _hashed]
    if new:
        hashed = HashingVectorizer(n_features=dim, ngram_range=(1, 2), token_pattern=r"\w+", dtype=np.float32)
        for text, row in zip(new, hashed.transform(new).toarray()):
            _hashed[dim, text] = row
    return np.stack([_hashed[dim, text] for text in texts]) if len(texts) else np.zeros((0, dim), np.float32)


class TfidfEmbed:
    """An `Embed` of the words that a corpus holds, weighted by how rare they are in it; unit rows.

    A text of none of those words is the zero row. Raises ValueError for a corpus without a word.
    """

    def __init__(self, corpus: Sequence[str], most_words: int = 4096) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        if not any(_WORD.search(text) for text in corpus):
            raise ValueError(f"corpus: got {len(corpus)} texts without a word, wanted at least one word")
        self._fitted = TfidfVectorizer(max_features=most_words, token_pattern=r"\w+", dtype=np.float32).fit(corpus)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        width = len(self._fitted.vocabulary_)
        return self._fitted.transform(texts).toarray() if len(texts) else np.zeros((0, width), np.float32)


def near_duplicates(vectors: Vectors, threshold: float = 0.9, block: int = 1024) -> Iterator[tuple[int, int, float]]:
    """Pairs i < j of unit rows whose cosine is at least `threshold`, in order, with it.

    Memory is block x n, whatever the number of rows.
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors: got shape {vectors.shape}, wanted (n, d)")
    if not -1 <= threshold <= 1:
        raise ValueError(f"threshold: got {threshold}, wanted a cosine in [-1, 1]")
    if block < 1:
        raise ValueError(f"block: got {block}, wanted at least 1")
    for start in range(0, len(vectors), block):
        rows = vectors[start : start + block] @ vectors[start:].T
        for i, j in zip(*np.nonzero(np.triu(rows >= threshold, k=1))):
            yield start + int(i), start + int(j), float(rows[i, j])
