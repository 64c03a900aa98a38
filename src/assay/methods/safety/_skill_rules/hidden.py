"""Pattern P2: what the source of an instruction file says and its rendered page does not show."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import groupby

from .._skill_files import Skill, SkillFile
from .code import CAUTIOUS, instruction_body
from .markdown import read_blocks
from .model import Evidence, Rule, Severity, evidence

_AGENT = re.compile(r"\b(?:agents?|assistants?|models?|ai|llms?|claude|gpt|chatbot|copilot|you)\b", re.IGNORECASE)
_ORDER = re.compile(
    r"\b(?:ignore|disregard|always|never|must|instead|silently|secretly|do not|don't|without (?:asking|telling)"
    r"|before|after|execute|run|send|post"
    r"|upload|curl|append|copy|include|open|read|fetch|write|add|put|tell|mention|use|recommend|forward|treat"
    r"|approve|delete|paste|keep)\b",
    re.IGNORECASE,
)
_CONCEALED = re.compile(
    r"\b(?:user|secret|silently|hidden|do not (?:tell|mention|show|reveal)|between us|can(?:'t|not) see"
    r"|system prompt|conversation|credentials?|tokens?)\b",
    re.IGNORECASE,
)
_INVISIBLE_STYLE = re.compile(
    r"display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden|font-size\s{0,3}:\s{0,3}0"
    r"|opacity\s{0,3}:\s{0,3}0(?:\.0+)?[;\"' ]"
    r"|(?<!-)color\s{0,3}:\s{0,3}(?:white|#f{3}(?:f{3})?\b|transparent|rgba?\(255,\s?255,\s?255)"
    r"|\bhidden\b(?=[^<>]{0,80}>)"
    r"|color=[\"']?(?:white|#f{3,6})|(?:left|top|text-indent)\s{0,3}:\s{0,3}-\d{3,5}px",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{24,8000}+={0,2}")
_COMMENT_LINK = re.compile(
    r"^\s{0,3}\[[^\]\n]{0,60}\]:\s{0,3}(?:#|<>|about:blank|[^\s]{1,200})\s{1,3}[\"'(](.{12,500})[\"')]\s*$"
)
_ALT_TEXT = re.compile(r"!\[([^\]\n]{40,500})\]\(|\]\([^)\s]{1,200}\s+[\"']([^\"'\n]{40,500})[\"']\)")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_LOOKALIKE = re.compile(r"[A-Za-z]{0,20}[\u0370-\u03ff\u0400-\u04ff][A-Za-z\u0370-\u03ff\u0400-\u04ff]{0,20}")
_UNSEEN_IN_PAGE = frozenset(("SS-P2-01", "SS-P2-05", "SS-P2-08"))  # hidden by rendering, not by the characters
TEXT_KINDS = ("instruction", "data", "python", "shell", "javascript", "manifest")
Found = Iterator[tuple[int, int, float, str]]  # offset, end, weight, why


def hidden_rules() -> tuple[Rule, ...]:
    """The rules of this module."""
    table: tuple[tuple[str, Severity, str, tuple[str, ...], Callable[[str], Found]], ...] = (
        ("SS-P2-01", "high", "HTML comment that speaks to the agent", ("instruction",), _comments),
        ("SS-P2-02", "high", "Zero-width characters between letters", TEXT_KINDS, _zero_width),
        ("SS-P2-03", "high", "Unicode tag characters (invisible ASCII)", TEXT_KINDS, _tags),
        ("SS-P2-04", "high", "Bidirectional control characters", TEXT_KINDS, _bidi),
        ("SS-P2-05", "high", "Text styled to be invisible", ("instruction", "data"), _invisible_style),
        ("SS-P2-06", "high", "Prose encoded in base64", TEXT_KINDS, _encoded_prose),
        ("SS-P2-07", "high", "Text pushed far to the right", TEXT_KINDS, _padded),
        ("SS-P2-08", "high", "Instruction in a link definition, title or image text", ("instruction",), _link_text),
        ("SS-P2-09", "medium", "Letters of two scripts in one word", ("instruction",), _mixed_scripts),
        ("SS-P2-10", "medium", "Private-use or unassigned characters", ("instruction", "data"), _private_use),
    )
    return tuple(Rule(i, "P2", severity, title, kinds, _Check(i, find)) for i, severity, title, kinds, find in table)


class _Check:
    def __init__(self, rule_id: str, find: Callable[[str], Found]) -> None:
        self.rule_id, self.find = rule_id, find

    def __call__(self, file: SkillFile, skill: Skill) -> Iterator[Evidence]:
        starts = _line_starts(file.text)
        in_fence, in_warning = (
            _shown_lines(file, skill) if self.rule_id in _UNSEEN_IN_PAGE else (frozenset(), frozenset())
        )
        for start, end, weight, why in self.find(file.text):
            (line, col), (end_line, end_col) = _place(starts, start), _place(starts, end)
            if line in in_fence:
                continue  # a code block shows its text as it is
            weight = min(weight, CAUTIOUS) if line in in_warning else weight
            yield evidence(self.rule_id, file, line, col, end_line, end_col, why, weight)


@lru_cache(maxsize=64)
def _shown_lines(file: SkillFile, skill: Skill) -> tuple[frozenset[int], frozenset[int]]:
    """(lines inside code blocks, lines that are quoted or warned of) of an instruction file."""
    blocks = read_blocks(*instruction_body(skill, file)) if file.kind == "instruction" else ()
    lines = {b: range(b.line, b.line + b.text.count("\n") + 1) for b in blocks}
    fenced = frozenset(n for b in blocks if b.kind == "fence" for n in lines[b])
    return fenced, frozenset(n for b in blocks if b.caution for n in lines[b])


def addressed(text: str) -> float:
    """How much a text is an order to an agent: 1 with an addressee or something to conceal, 0.5 for a bare order."""
    text = text[:4000]
    if not _ORDER.search(text):
        return 0.15
    if _AGENT.search(text) or _CONCEALED.search(text):
        return 1.0
    return 0.5 if len({m.group().lower() for m in _ORDER.finditer(text)}) >= 2 else 0.15


def _comments(text: str) -> Found:
    start = text.find("<!--")
    while start >= 0 and (end := text.find("-->", start)) >= 0:
        inner = text[start + 4 : end].strip()
        if len(inner[:4000].split()) >= 4:
            yield start, end + 3, addressed(inner), f"hidden from the rendered page: {inner[:80]}"
        start = text.find("<!--", end)


def _zero_width(text: str) -> Found:
    """One piece of evidence a line; a soft hyphen or joiner inside one word is a typographer's, many are not."""
    pattern = re.compile(r"[\u200b\u200c\u2060-\u2064\ufeff\u180e]|(?<=[A-Za-z])[\u200d\u00ad\u034f](?=[A-Za-z])")
    offset = 0
    for line in text.split("\n"):
        found = [
            m.start() for m in pattern.finditer(line) if offset + m.start() and not _right_to_left(line, m.start())
        ]
        if found:
            weight = 1.0 if len(found) > 2 else 0.5
            yield offset + found[0], offset + found[-1] + 1, weight, f"{len(found)} zero-width characters"
        offset += len(line) + 1


def _right_to_left(text: str, at: int) -> bool:
    return any(unicodedata.bidirectional(c) in ("R", "AL") for c in text[max(0, at - 20) : at + 20])


def _tags(text: str) -> Found:
    for match in re.finditer(r"[\U000e0000-\U000e007f]+", text):
        if text[match.start() - 1 : match.start()] == "\U0001f3f4":
            continue  # a flag of a region, such as Scotland's, is spelt with tags
        hidden = "".join(chr(ord(c) - 0xE0000) for c in match.group() if 0xE0020 <= ord(c) < 0xE007F)
        yield match.start(), match.end(), 1.0, f"invisible text: {hidden[:80]}"


def _bidi(text: str) -> Found:
    for match in re.finditer(f"[{''.join(sorted(_BIDI))}]", text):
        yield (
            match.start(),
            match.end(),
            0.2 if _right_to_left(text, match.start()) else 1.0,
            f"U+{ord(match.group()):04X}",
        )


def _invisible_style(text: str) -> Found:
    for match in _INVISIBLE_STYLE.finditer(text):
        opened = text.rfind("<", max(0, match.start() - 300), match.start())
        if opened < 0:
            continue  # prose or CSS about styles: nothing is hidden here
        shut = text.find(">", match.end(), match.end() + 300)
        content = text[shut + 1 : shut + 400].split("</")[0] if shut >= 0 else ""
        if content.strip():
            yield opened, match.end(), addressed(content), f"invisible: {' '.join(content.split())[:80]}"


def decode_text(blob: str) -> str:
    """Readable text behind a base64 string, or ""."""
    blob = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True)
        text = data.decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    readable = sum(c.isprintable() or c in "\n\t" for c in text)
    return text if text and readable >= 0.97 * len(text) and sum(map(str.isalpha, text)) >= 0.5 * len(text) else ""


def _encoded_prose(text: str) -> Found:
    for match in _BASE64.finditer(text):
        decoded = decode_text(match.group())
        if len(decoded.split()) >= 3:
            yield match.start(), match.end(), addressed(decoded), f"decodes to: {' '.join(decoded.split())[:80]}"


def _padded(text: str) -> Found:
    for match in re.finditer(r"(?:[ \u00a0]{80}|\t{12})[ \t\u00a0]*+(\S[^\n]{8,400})", text):
        yield match.start(1), match.end(1), addressed(match.group(1)), f"after {match.start(1) - match.start()} blanks"


def _link_text(text: str) -> Found:
    offset = 0
    for line in text.split("\n"):
        if len(line) < 2000:
            comment = _COMMENT_LINK.match(line)
            if comment:
                yield offset + comment.start(1), offset + comment.end(1), addressed(comment.group(1)), "never rendered"
            for match in _ALT_TEXT.finditer(line):
                shown = match.group(1) or match.group(2)
                if addressed(shown) >= 1.0:
                    yield offset + match.start(), offset + match.end(), 0.8, "shown only on hover or to screen readers"
        offset += len(line) + 1


def _mixed_scripts(text: str) -> Found:
    for match in _LOOKALIKE.finditer(text):
        word = match.group()
        scripts = {unicodedata.name(c, "").split(" ")[0] for c in word if c.isalpha()}
        if "LATIN" in scripts and len(scripts) > 1 and len(word) > 3:
            yield match.start(), match.end(), 0.8, f"{'and '.join(sorted(scripts)).lower()} letters in one word"


def _private_use(text: str) -> Found:
    odd = [
        i
        for i, c in enumerate(text)
        if c > "\ud7ff" and unicodedata.category(c) in ("Co", "Cn") and not "\U000e0000" <= c <= "\U000e007f"
    ]
    for _, run in groupby(enumerate(odd), lambda pair: pair[1] - pair[0]):
        places = [place for _, place in run]
        yield (
            places[0],
            places[-1] + 1,
            1.0 if len(places) > 3 else 0.3,
            f"{len(places)} characters without a public meaning",
        )


def _line_starts(text: str) -> list[int]:
    return [0, *(m.end() for m in re.finditer("\n", text))]


def _place(starts: list[int], offset: int) -> tuple[int, int]:
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1
