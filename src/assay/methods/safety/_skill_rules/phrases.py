"""Matching prose by word groups, in time linear in the text whatever the text is.

A phrase is a row of word groups inside one sentence, joined by how far apart they may stand:

    "NOT+TELL .. USER"     `+` at most two words between and no comma; `..` at most seven words between
    "SEND & PRIVATE"       `&` anywhere in the sentence, in any order

A group is a class of the vocabulary in `prose.toml` (upper case) or words with bars (`no|not`). Words match by a
crude stem (`sending`, `sends`, `send`). It is a regular expression without its repetition: an index from stems to
places gives the starts, and from each start a bounded number of words is looked at.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from .markdown import Block

NEGATORS = frozenset(
    ("never", "not", "don't", "dont", "no", "avoid", "without", "refus", "reject", "cannot", "can't", "forbid",
     "prohibit", "nor", "won't", "doesn't", "didn't", "isn't")
)  # fmt: skip
NEAR, CLOSE = 7, 2  # words that may stand between the groups of `..` and of `+`
LOOK_BACK = 5  # words before a phrase in which a negator turns it round
NEGATED = 0.2
LONGEST = 80  # words of a sentence that `&` looks at
_WORD = re.compile(r"https?://[^\s)>\]\"'`]+|[A-Za-z0-9_.~/*'’@$-]+|[,;:()]")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n\s*\n")
_DOT_FOLDER = re.compile(r"~/\.(?:config/)?\w+")
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|dev|ai|app|co|example)(?:/\S*)?$")
_TOLD = re.compile(  # an order to say what follows in quotation marks
    r"(?:^|[.;:,]\s{1,3}|\b(?:then|always|just|must|should|and|to)\s)(?:say|reply|answer|respond|write|tell\s\w{1,12})\W{1,3}$",
    re.IGNORECASE,
)
_PAUSE = frozenset(",;:()")


@dataclass(frozen=True)
class Match:
    """Where a phrase stands: offsets into the block's text, and the weight of the place."""

    block: Block
    start: int
    end: int
    weight: float
    word: str  # of the phrase's first group, as written


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Lower case, without the commonest English endings. URLs and hosts become `url`, mail addresses `@`, paths
    into a dot folder of the home folder `~/.folder`."""
    word = word.lower().replace("’", "'").strip(".'-")
    if word.startswith(("http://", "https://")) or _HOST.match(word):
        return "url"
    if "@" in word[1:] and "." in word:
        return "@"
    folder = _DOT_FOLDER.match(word)
    if folder:
        return folder.group()
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if len(word) - len(ending) >= 3 and word.endswith(ending) and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl" else word


@lru_cache(maxsize=1)
def prose() -> dict[str, Any]:
    """The vocabulary and the rules of `prose.toml`."""
    return tomllib.loads(files(__package__).joinpath("prose.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=512)
def group(words: str) -> frozenset[str]:
    """Stems of a group: a class of the vocabulary, or words with bars between; classes may be among them."""
    stems: set[str] = set()
    for word in words.split("|"):
        stems.update(map(stem, prose()["vocabulary"].get(word, word).split()))
    return frozenset(stems)


@lru_cache(maxsize=512)
def parse(phrase: str) -> tuple[tuple[frozenset[str], ...], tuple[str, ...]]:
    """(groups, joints between them) of a phrase. A phrase is either all `&` or none."""
    parts = re.split(r"\s*(\+|\.\.|&)\s*", phrase.strip())
    groups, joints = tuple(group(p) for p in parts[::2]), tuple(parts[1::2])
    if "&" in joints and set(joints) != {"&"}:
        raise ValueError(f"phrase: got {phrase!r}, wanted `&` alone or `+` and `..`")
    return groups, joints


class Texts:
    """All blocks of a file, with an index from stem to blocks, so that a phrase looks only where it could stand."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.texts = [Text(block) for block in blocks]
        self.index: dict[str, list[int]] = {}
        for i, text in enumerate(self.texts):
            for word in text.index:
                self.index.setdefault(word, []).append(i)

    def find(self, phrase: str) -> Iterator[Match]:
        """Matches of `phrase` in all blocks, in order."""
        candidates: set[int] | None = None
        for words in parse(phrase)[0]:
            places = {i for word in words for i in self.index.get(word, ())}
            candidates = places if candidates is None else candidates & places
            if not candidates:
                return
        for i in sorted(candidates or ()):
            yield from self.texts[i].find(phrase)


class Text:
    """A block's words with an index from stem to positions, built once for all phrases."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.words: list[tuple[str, int, int, int, int]] = []  # stem, start, end, sentence, clause
        self.index: dict[str, list[int]] = {}
        ends = [m.start() for m in _SENTENCE_END.finditer(block.text)]
        sentence = clause = 0
        for match in _WORD.finditer(block.text):
            if match.group() in _PAUSE:
                clause += 1
                continue
            while sentence < len(ends) and match.start() > ends[sentence]:
                sentence += 1
            word = stem(match.group())
            self.index.setdefault(word, []).append(len(self.words))
            self.words.append((word, match.start(), match.end(), sentence, clause))

    def find(self, phrase: str) -> Iterator[Match]:
        """Matches of `phrase`, not overlapping, in order."""
        groups, joints = parse(phrase)
        spans = self._together(groups) if joints and joints[0] == "&" else self._in_row(groups, joints)
        last = -1
        for start, end, first in spans:
            if start > last:
                last = end
                word = self.block.text[self.words[first][1] : self.words[first][2]]
                yield Match(self.block, self.words[start][1], self.words[end][2], self._weight(start, end), word)

    def _places(self, words: frozenset[str]) -> list[int]:
        return sorted(i for w in words for i in self.index.get(w, ()))

    def _in_row(self, groups: tuple[frozenset[str], ...], joints: tuple[str, ...]) -> Iterator[tuple[int, int, int]]:
        for start in self._places(groups[0]):
            at = start
            for words, joint in zip(groups[1:], joints, strict=True):
                found = self._next(words, at, CLOSE if joint == "+" else NEAR, joint == "+")
                if found is None:
                    break
                at = found
            else:
                yield start, at, start

    def _next(self, words: frozenset[str], at: int, gap: int, same_clause: bool) -> int | None:
        _, _, _, sentence, clause = self.words[at]
        for i in range(at + 1, min(at + 2 + gap, len(self.words))):
            if self.words[i][3] != sentence or (same_clause and self.words[i][4] != clause):
                return None
            if self.words[i][0] in words:
                return i
        return None

    def _together(self, groups: tuple[frozenset[str], ...]) -> Iterator[tuple[int, int, int]]:
        first: list[dict[int, int]] = []  # sentence -> position of a group's first word in it
        for words in groups:
            positions: dict[int, int] = {}
            for i in self._places(words):
                positions.setdefault(self.words[i][3], i)
            first.append(positions)
        for sentence in sorted(set.intersection(*(set(p) for p in first))):
            places = [p[sentence] for p in first]
            if len(set(places)) == len(places) and max(places) - min(places) <= LONGEST:
                yield min(places), max(places), places[0]

    def _weight(self, start: int, end: int) -> float:
        """1, or 0.2 where the words are forbidden, quoted in order to warn, or under a warning heading."""
        if self.block.caution:
            return NEGATED
        sentence = self.words[start][3]
        before = [w[0] for w in self.words[max(0, start - LOOK_BACK) : start] if w[3] == sentence]
        if any(w in NEGATORS for w in before):
            return NEGATED
        return NEGATED if self._quoted(start, end) else 1.0

    def _quoted(self, start: int, end: int) -> bool:
        """Whether the words stand in quotation marks as the words of others, not as what the agent is to say."""
        text, (begin, finish) = self.block.text, (self.words[start][1], self.words[end][2])
        opened = max(text.rfind(mark, max(0, begin - 160), begin) for mark in '"“')
        closed = any(mark in text[finish : finish + 160] for mark in '"”')
        quoted = (opened >= 0 and closed) or any(text[begin:finish] in span for span in self.block.spans)
        told = opened >= 0 and _TOLD.search(text[max(0, opened - 30) : opened])
        return quoted and not told
