"""A paper's text within a model's context: what matters for a report stays, cut at the ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from assay.papers.feed.model import Document, document_text

CONTEXT = 24_000  # tokens
LEAST_CONTEXT = 500
_LATIN_PER_TOKEN, _CJK_PER_TOKEN = 3.5, 1.3
_WORTH_COUNTING = 0.6  # of the context: a model is asked for its own count only where it may matter

# First match counts; the lower the rank, the longer it stays. What no pattern names is taken for the method.
_RANKS = (
    (re.compile(r"\b(?:references|bibliography)\b|参考文献", re.I), 8),
    (
        re.compile(
            r"\b(?:appendi(?:x|ces)|supplementa(?:ry|l)|acknowledge?ments?|ethic|impact statement)\b|附录", re.I
        ),
        7,
    ),
    (re.compile(r"\b(?:related work|prior work|background|literature)\b|相关工作", re.I), 6),
    (re.compile(r"\bintroduction\b|引言|绪论", re.I), 1),
    (re.compile(r"\b(?:conclu\w+|summary|discussion|limitations?)\b|结论|总结", re.I), 4),
    (re.compile(r"\b(?:experiment\w*|results?|evaluations?|analys[ie]s|ablations?|benchmarks?)\b|实验|结果", re.I), 3),
)
_METHOD, _CAPTIONS = 2, 5
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z$\[(])|(?<=[。！？])|\n+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")

Count = Callable[[str], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The text that goes to the model, its size, and what was left out."""

    text: str
    tokens: int
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Piece:
    rank: int
    title: str
    level: int
    text: str
    kept: str = ""


def estimate(text: str) -> int:
    """Tokens by the number of characters: 3.5 a token, 1.3 for Chinese, Japanese and Korean ones."""
    cjk = len(_CJK.findall(text))
    return int((len(text) - cjk) / _LATIN_PER_TOKEN + cjk / _CJK_PER_TOKEN) + 1


async def fit(document: Document, context: int = CONTEXT, count: Count | None = None) -> Fitted:
    """The document in at most `context` tokens, by estimate or by the model's own `count`.

    Abstract, introduction, method, experiments, conclusion and captions are kept in this order of priority; related
    work, appendices and the bibliography go first. Raises ValueError for a context below 500 tokens.
    """
    if context < LEAST_CONTEXT:
        raise ValueError(f"context: got {context}, wanted at least {LEAST_CONTEXT}")
    room = context
    while True:
        fitted = _cut(document, room)
        if count is None or fitted.tokens < _WORTH_COUNTING * context:
            return fitted
        counted = await count(fitted.text)
        if counted is None:
            return fitted
        if counted <= context or room < 2:
            return Fitted(fitted.text, counted, fitted.warnings)
        room = min(int(room * context / counted), room - 1)


def _cut(document: Document, room: int) -> Fitted:
    pieces = _pieces(document)
    left = float(room)
    for piece in sorted(pieces, key=lambda p: p.rank):
        heading = estimate(piece.title) + 1
        piece.kept = _head(piece.text, left - heading)
        left = left - heading - estimate(piece.kept) if piece.kept == piece.text else 0  # what follows matters less
    kept = [(p.level, p.title, p.kept) for p in pieces[1:] if p.kept]
    text = document_text(pieces[0].kept, kept)
    lost = [p for p in pieces if len(p.kept) < len(p.text)]
    warnings = tuple(f"cut: {p.title or 'Abstract'} ({'a part' if p.kept else 'whole'})" for p in lost)
    return Fitted(text, estimate(text), warnings)


def _pieces(document: Document) -> list[_Piece]:
    """The abstract first, then every section in order, subsections ranked with the section that they belong to."""
    pieces = [_Piece(0, "", 1, document.abstract.strip())]
    rank = _METHOD
    for section in document.sections:
        own = _rank(section.title)
        if section.level <= 1:
            rank = own
        pieces.append(_Piece(max(rank, own) if own > _CAPTIONS else rank, section.title, section.level, section.text))
    captions = [caption for caption in document.captions if caption not in document.text]
    pieces.append(_Piece(_CAPTIONS, "Captions", 1, "\n".join(captions)))
    return [pieces[0], *(piece for piece in pieces[1:] if piece.text.strip())]


def _rank(title: str) -> int:
    return next((rank for pattern, rank in _RANKS if pattern.search(title)), _METHOD)


def _head(text: str, room: float) -> str:
    """As many whole sentences (or table rows) from the beginning as there is room for."""
    if estimate(text) <= room:
        return text
    end = 0
    spent = 0.0
    for start, stop in _sentence_spans(text):
        spent += estimate(text[start:stop])
        if spent > room:
            break
        end = stop
    return text[:end].rstrip()


def _sentence_spans(text: str) -> list[tuple[int, int]]:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return [(a, b) for a, b in zip([0, *ends], [*ends, len(text)]) if b > a]
