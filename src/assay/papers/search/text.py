"""Text as the index sees it: one rule for what is stored and what is asked, and snippets cut from the original.

Every CJK, kana and hangul character stands alone between blanks. The tokenizer of SQLite takes a whole Chinese run
for one word, its trigram tokenizer finds no word of two characters, and a dictionary misses new terms; single
characters asked for as a phrase find what a substring search would. Punctuation and blanks between two of them are a
word of their own, so that no phrase reaches from one sentence into the next; marks of Markdown are not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
_CHARACTER = re.compile(f"[{_CJK}]")
_GAP = re.compile(rf"(?<=[{_CJK}])\W+(?=[{_CJK}])")
_MARKUP = frozenset("*`")
_BREAK = "\ue000"  # a character of private use counts as a word
_CJK_RUN = re.compile(f"[{_CJK}]+")
_RUN = re.compile(f"[{_CJK}]+|[^{_CJK}]+")
_BEFORE, _AFTER = 50, 130  # characters of a snippet around its first hit


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of the original text with the hits in it, as spans of character positions."""

    text: str
    hits: tuple[tuple[int, int], ...]

    def marked(self, before: str, after: str) -> str:
        """The text with each hit between two marks."""
        parts, end = [], 0
        for start, stop in self.hits:
            parts += [self.text[end:start], before, self.text[start:stop], after]
            end = stop
        return "".join([*parts, self.text[end:]])


def spaced(text: str) -> str:
    """The text with a blank on both sides of every CJK, kana and hangul character, and of every gap between two."""
    text = _GAP.sub(lambda gap: gap[0] if _MARKUP.issuperset(gap[0]) else f" {_BREAK} ", text)
    return _CJK_RUN.sub(lambda run: f" {' '.join(run[0])} ", text)


def runs(text: str) -> list[str]:
    """Cut between CJK and other characters: `流匹配Wan2.1` is `流匹配` and `Wan2.1`."""
    return _RUN.findall(text)


def is_cjk(text: str) -> bool:
    """True if the text begins with a CJK, kana or hangul character."""
    return _CHARACTER.match(text) is not None


def cjk_share(text: str) -> float:
    """The share of CJK characters among the letters and digits."""
    letters = [character for character in text if character.isalnum()]
    return sum(is_cjk(character) for character in letters) / len(letters) if letters else 0.0


def has_token(text: str) -> bool:
    """True if the index's tokenizer finds a word in the text: a letter, a digit, or anything CJK."""
    return any(_is_token(character) for character in text)


def snippet(texts: Iterable[str], terms: Sequence[str]) -> Snippet | None:
    """The surroundings of the first hit in the first text that has one; None where no text has any."""
    patterns = [pattern for pattern in map(_pattern, terms) if pattern]
    if not patterns:
        return None
    wanted = re.compile("|".join(patterns))
    for text in texts:
        folded, origin = _folded(text)
        spans = [(origin[m.start()], origin[m.end() - 1] + 1) for m in wanted.finditer(folded)]
        if spans:
            return _cut(text, spans)
    return None


def _pattern(term: str) -> str:
    """The words of a term with anything but words between them, as the phrase of the index does."""
    folded, _ = _folded(term)
    words = [re.escape(word) for word in "".join(c if _is_token(c) else " " for c in spaced(folded)).split()]
    if not words:
        return ""
    lead = "" if is_cjk(folded) else r"(?<![^\W_])"
    return lead + ("[*`]*" if runs(term) == [term] and is_cjk(folded) else r"[\W_]*").join(words)


def _cut(text: str, spans: list[tuple[int, int]]) -> Snippet:
    start, stop = max(0, spans[0][0] - _BEFORE), min(len(text), spans[0][1] + _AFTER)
    if start:  # begin at a word where one begins nearby
        blank = text.find(" ", start, spans[0][0])
        start = blank + 1 if blank >= 0 else start
    if stop < len(text):
        blank = text.rfind(" ", spans[0][1], stop)
        stop = blank if blank > stop - 20 else stop
    while text[start].isspace():
        start += 1
    lead, tail = "…" * (start > 0), "…" * (stop < len(text))
    inside = [(a, b) for a, b in spans if b <= stop]
    shift = len(lead) - start
    flat = re.sub(r"\s", " ", text[start:stop])
    return Snippet(lead + flat + tail, tuple((a + shift, b + shift) for a, b in inside))


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Small letters without accents, and for each of them the position it came from."""
    lower = text.lower()
    if len(lower) == len(text) and unicodedata.is_normalized("NFD", lower):  # nothing to take off: most texts
        return lower, range(len(text))
    folded: list[str] = []
    origin: list[int] = []
    for index, character in enumerate(text):
        plain = [c for c in unicodedata.normalize("NFD", character.lower()) if not unicodedata.combining(c)]
        if is_cjk(character):  # hangul would fall apart
            plain = [character]
        folded += plain
        origin += [index] * len(plain)
    return "".join(folded), origin


def _is_token(character: str) -> bool:
    return is_cjk(character) or unicodedata.category(character)[0] in "LN" or unicodedata.category(character) == "Co"
