"""Whether a text's numbers and names stand in the paper: read alike on both sides, compared exactly.

A number that is told as a change (a difference, a factor, a share) may also be the difference or the ratio of two
numbers that stand within 400 characters of each other, to the digits that it is written with (two at least). A level
may not: in a table of fifty numbers nearly every percentage is the difference of two of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from assay.papers.digest.validate import Fault
from assay.papers.report import views
from assay.papers.report.grammar import CONTRIBUTION, RESULTS, SECTION_NAMES

NEAR = 400  # characters
GROUNDED_SECTIONS = (CONTRIBUTION, RESULTS)

_MAGNITUDE = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "万": 1e4, "亿": 1e8}
# Longest spelling first; what it stands for. Case counts: 7 m is a length, 7 M is not.
_UNITS = {
    r"percentage[ -]points?\b": "%", r"per ?cent\b": "%", r"个百分点": "%", r"points?\b": "%", r"pp\b": "%", "%": "%",
    r"times\b": "×", r"-?fold\b": "×", "倍": "×", r"×(?!\s*\d)": "×",
    r"x(?![A-Za-z0-9])": "×", r"thousand\b": "k", r"million\b": "M", r"billion\b": "B", r"trillion\b": "T",
    "万亿": "T", "万": "万", "亿": "亿", r"[kK](?![A-Za-z0-9])": "k", r"M(?![A-Za-z0-9])": "M",
    r"B(?![A-Za-z0-9])": "B", r"T(?![A-Za-z0-9])": "T",
}  # fmt: skip
_UNIT = re.compile(r"(?:\s|~|\\,|\{|\}|\$){0,3}\\?(?:" + "|".join(f"({spelled})" for spelled in _UNITS) + ")")
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?)(?:[eE][-+]?\d{1,3}(?![\w.]))?"
_ANY_NUMBER = re.compile(rf"(?<!\d)(?<!\d[.,]){_DIGITS}")
# Not inside a name or an index: the 3 of Qwen3, the 4 of GPT-4, the 1 of x_1 are no figures.
_FIGURE = re.compile(rf"(?<![A-Za-z\d_])(?<!\d[.,])(?<![A-Za-z]-)(?<!_\{{)(?<!\^){_DIGITS}")
_NAME_GOES_ON = re.compile(r"[A-Za-z_]")
_RANGE = re.compile(r"\s*(?:-|–|—|~|～|to|至|到)\s*")
_NUMBERED_ITEM = re.compile(r"^[ \t]*\d{1,2}[.)](?=\s)", re.MULTILINE)
_TIMES = re.compile(r"\\times(?![A-Za-z])")
_CROSS = re.compile(r"(?<=\d)[xX](?=\d)")
# Full-width forms as plain ones, one for one, so that places in the text stay. Not the comma: it parts clauses.
_PLAIN = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F) if wide != 0xFF0C} | {0x2212: "-"}
_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_WORDS: dict[str, float] = {word: value for value, word in enumerate(_COUNTED.split())}
_WORDS |= {"half": 0.5, "twice": 2, "double": 2, "doubles": 2, "triple": 3, "hundred": 100, "thousand": 1000}
_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)
_POINTS = re.compile(r"百分点|points?\b|pp\b")
_CHANGE_BEFORE = re.compile(
    r"(?:提升|提高|增加|增长|上升|改善|降低|下降|减少|缩短|节省|领先|落后|超过|超出|优于|[高低多少快慢差仅只占])"
    r"(?:[出了约近达为用需\s]|幅度){0,4}\Z"
    r"|(?:\bby|\b(?:gain|improvement|increase|reduction|decrease|drop|saving|margin|gap|difference|rise)s?(?:\s+of)?"
    r"|\b(?:gain|improv|increas|reduc|decreas|rais|lower|cut|sav|drop)\w*)"
    r"(?:\s+(?:about|roughly|nearly|approximately|an?|up to|some|only|just))*\s*[+-]?\Z",
    re.IGNORECASE,
)
_CHANGE_AFTER = re.compile(
    r"\s*的?\s*(?:提升|提高|增幅|增长|增加|降幅|下降|降低|减少|差距|差异|优势|改善)"
    r"|\s*-?\s*(?:higher|lower|more|less|fewer|faster|slower|better|worse|larger|smaller|gain|improvement|increase"
    r"|reduction|decrease|drop|rise|margin|gap|difference|savings?|of the)\b",
    re.IGNORECASE,
)

_NAME = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9]*(?:[-+./&_'’][A-Za-z0-9]+)*")
_NOT_NAMES = re.compile(r"https?://\S+|\\[A-Za-z]+")
_SENTENCE_START = re.compile(r"(?:^|[.!?。！？:：;；\n])[\s\"'“”(*_`\[-]*(?:\d{1,2}[.)]\s+)?[\s*_`]*\Z")
# Words of the trade that name no method and no benchmark.
_TRADE = (
    "AI API APIs CLI CPU CPUs GPU GPUs HTML HTTP HTTPS JSON LLM LLMs ML MLLM NLP PDF RL SDK SOTA URL VLM VLMs "
    "Chinese English Face GitHub Hugging Linux Python arXiv"
)
_GENERAL = frozenset(_TRADE.split())


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands in a text: `value` in `unit` ("", "%", "×", or a magnitude), and its written digits."""

    text: str
    value: float
    unit: str
    start: int
    end: int
    digits: int
    change: bool = False  # told as a difference, a factor or a share

    @property
    def base(self) -> float:
        """The value with its magnitude: 1.5k is 1500."""
        return self.value * _MAGNITUDE.get(self.unit, 1)


def numbers(text: str) -> list[Number]:
    """The figures that a text states, in order; list marks, addresses and numbers inside names are none."""
    blanked = _NUMBERED_ITEM.sub(_blank, _NOT_NAMES.sub(_blank, _plain(text)))
    blanked = _NAME.sub(lambda name: _blank(name) if re.search(r"\d", name[0]) else name[0], blanked)
    found = [number for number in _read(_FIGURE, blanked) if not _NAME_GOES_ON.match(_after(blanked, number.end))]
    return [
        replace(n, text=text[n.start : n.end].strip(), change=_is_change(n, blanked)) for n in _ranged(blanked, found)
    ]


def names(text: str) -> list[str]:
    """Methods, benchmarks, models: Latin tokens of three characters or more with capitals or digits inside."""
    plain = _NOT_NAMES.sub(_blank, text)
    found = (match for match in _NAME.finditer(plain) if len(match[0]) >= 3)
    return list(dict.fromkeys(m[0] for m in found if m[0] not in _GENERAL and _is_name(m[0], plain[: m.start()])))


class Source:
    """A paper's text with its numbers and letters indexed; `has_number` and `has_name` say what it bears out."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._numbers = _ranged(_plain(text), list(_read(_ANY_NUMBER, text)))
        self._figures = numbers(text)  # as a text that states them is read
        self._units: dict[float, set[str]] = {}
        for number in (*self._numbers, *self._figures):
            self._units.setdefault(_key(number.value), set()).add(number.unit)
        for match in _WORD.finditer(text):
            self._units.setdefault(_key(_WORDS[match[0].lower()]), set()).add("")
        self._bases = {_key(number.base) for number in self._numbers}
        self._letters = re.sub(r"[^a-z0-9]+", "", text.lower())

    def has_number(self, number: Number) -> bool:
        """True if the paper states the number, in whatever spelling, or, for a change, two that give it."""
        if self.states(number):
            return True
        return number.change and any(_agrees(number, value) for value in self._derived(number.unit))

    def has_name(self, name: str) -> bool:
        """True if the letters and digits of the name, or of each of its parts, stand in the paper."""
        if self._spells(name):
            return True
        parts = [part for part in re.split(r"[-/&_.]", name) if part]
        return len(parts) > 1 and all(self._spells(part) for part in parts if len(part) >= 3 and _is_name(part, "a "))

    def states(self, number: Number) -> bool:
        """True if the number itself stands there, as a fraction, a percentage, or with its magnitude spelled out."""
        units = self._units.get(_key(number.value), set())
        if units and (not number.unit or units & {"", number.unit}):
            return True
        if number.unit in _MAGNITUDE or not number.unit:
            return _key(number.base) in self._bases or self._percent(number)
        return self._percent(number)

    def _percent(self, number: Number) -> bool:
        """0.813 is 81.3 %, and the other way round."""
        if number.unit == "%":
            return "" in self._units.get(_key(number.value / 100), set())
        return not number.unit and number.value <= 1 and "%" in self._units.get(_key(number.value * 100), set())

    def _derived(self, unit: str) -> Iterator[float]:
        for a, b in self._pairs:
            big, small = max(a.base, b.base), min(a.base, b.base)
            if unit != "×" and _alike(a, b):
                yield big - small
                if unit == "%" and big <= 1:
                    yield 100 * (big - small)
            if a.unit == b.unit and small:
                if unit in ("×", ""):
                    yield big / small
                if unit == "%":
                    yield 100 * small / big
                    yield 100 * big / small

    @cached_property
    def _pairs(self) -> list[tuple[Number, Number]]:
        starts = [n.start for n in self._figures]
        return [
            (a, b)
            for i, a in enumerate(self._figures)
            for b in self._figures[i + 1 : bisect_right(starts, a.start + NEAR)]
            if a.base != b.base
        ]

    def _spells(self, name: str) -> bool:
        letters = re.sub(r"[^a-z0-9]+", "", name.lower())
        return letters in self._letters or (letters.endswith("s") and letters[:-1] in self._letters)


def ground(texts: Sequence[str], lang: str, source: Source) -> list[Fault]:
    """A fault for each number and name of the contribution and the results that the source does not bear out."""
    faults = []
    for place in GROUNDED_SECTIONS:
        name, text = SECTION_NAMES[lang][place], texts[place]
        for number in _once(n for n in numbers(text) if not source.has_number(n)):
            told = f"{name!r} says {number.text!r}: the paper does not state this number, nor two that give it."
            faults.append(Fault("ungrounded_number", place, f"{told} Correct it or leave it out."))
        for token in (t for t in names(text) if not source.has_name(t)):
            told = f"{name!r} names {token!r}: the paper does not. Use its own names or leave it out."
            faults.append(Fault("ungrounded_name", place, told))
    return faults


def without_ungrounded(text: str, source: Source) -> str:
    """The text less the sentences that state what the source does not; list items that end up empty go too."""
    kept = []
    for line in text.split("\n"):
        mark = re.match(r"\s*(?:[*+-]|\d{1,3}[.)])?\s*", line)
        lead = mark[0] if mark else ""
        sentences = views.sentences(line[len(lead) :])
        good = [s for s in sentences if _bears_out(s, source)]
        if len(good) == len(sentences):
            kept.append(line)
        elif good and any(re.search(r"\w", s) for s in good):
            kept.append(lead + ("" if good[0][-1:] in "。！？" else " ").join(good))
    return "\n".join(kept).strip("\n")


def _bears_out(sentence: str, source: Source) -> bool:
    return all(map(source.has_number, numbers(sentence))) and all(map(source.has_name, names(sentence)))


def _once(found: Iterator[Number]) -> list[Number]:
    return list({number.text: number for number in found}.values())


def _read(pattern: re.Pattern[str], text: str) -> Iterator[Number]:
    plain = _plain(text)
    for match in pattern.finditer(plain):
        value = float(match[0].replace(",", ""))
        unit, end = "", match.end()
        if spelled := _UNIT.match(plain, end):
            unit, end = list(_UNITS.values())[(spelled.lastindex or 1) - 1], spelled.end()
        digits = len(re.sub(r"\D", "", re.split("[eE]", match[0])[0]).lstrip("0"))
        yield Number(text[match.start() : end].strip(), value, unit, match.start(), end, digits)


def _plain(text: str) -> str:
    """Full-width digits, `\\times` and the x of 128x128 in one spelling, each place of the text kept."""
    times = _TIMES.sub(lambda match: "×".ljust(len(match[0])), text.translate(_PLAIN))
    return _CROSS.sub("×", times)


def _ranged(text: str, found: list[Number]) -> list[Number]:
    """In `10–20 %` the first number is a percentage too."""
    out = list(found)
    for i in range(len(out) - 2, -1, -1):
        here, following = out[i], out[i + 1]
        if not here.unit and following.unit and _RANGE.fullmatch(text, here.end, following.start):
            out[i] = replace(here, unit=following.unit)
    return out


def _is_change(number: Number, text: str) -> bool:
    """True for factors, percentage points, and numbers next to a word of change: `by 5 %`, `提升 5%`, `5% fewer`."""
    if number.unit == "×" or _POINTS.search(text, number.start, number.end):
        return True
    before = text[max(0, number.start - 40) : number.start]
    return bool(_CHANGE_BEFORE.search(before) or _CHANGE_AFTER.match(text, number.end))


def _agrees(number: Number, value: float) -> bool:
    places = max(2, number.digits) - 1
    return f"{value:.{places}e}" == f"{number.base:.{places}e}"


def _alike(a: Number, b: Number) -> bool:
    """A difference is taken of numbers of one kind, a number without a unit (of a table) being of any."""
    kinds = {"" if n.unit in _MAGNITUDE else n.unit for n in (a, b)}
    return len(kinds - {""}) < 2


def _is_name(token: str, before: str) -> bool:
    if sum(character.isupper() for character in token) >= 2 or any(character.isdigit() for character in token):
        return True
    return token[0].isupper() and _SENTENCE_START.search(before[-40:]) is None


def _after(text: str, end: int) -> str:
    return text[end : end + 1]


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _key(value: float) -> float:
    return float(f"{value:.10g}")
