"""The constraints of LSRIF that a rule can check, in a form that can be written down (2601.06431)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+|[。！？]+")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+\S", re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
_SCRIPTS = {
    "latin": "A-Za-z\u00c0-\u024f",
    "cyrillic": "\u0400-\u04ff",
    "greek": "\u0370-\u03ff",
    "arabic": "\u0600-\u06ff",
    "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-\u097f",
    "chinese": "\u3400-\u4dbf\u4e00-\u9fff",
    "japanese": "\u3040-\u30ff",
    "korean": "\uac00-\ud7af",
}
_LETTER = re.compile(r"[^\W\d_]")

COUNTS: dict[str, Callable[[str], int]] = {
    "words": lambda text: len(text.split()),
    "sentences": lambda text: sum(bool(re.search(r"\w", piece)) for piece in _BETWEEN_SENTENCES.split(text)),
    "lines": lambda text: sum(bool(line.strip()) for line in text.splitlines()),
    "bullets": lambda text: len(_BULLET.findall(text)),
}


def _holds(text: str, value: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) is not None


def _in_order(text: str, values: Sequence[str]) -> bool:
    at = 0
    for value in values:
        found = text.find(value, at)
        if found < 0:
            return False
        at = found + len(value)
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _written_in(text: str, script: str) -> bool:
    letters = _LETTER.findall(text)
    own = re.findall(f"[{_SCRIPTS[script]}]", text)
    return 2 * len(own) > len(letters)


def _has_number(text: str, value: str | None) -> bool:
    found = _NUMBER.findall(text)
    return bool(found) if value is None else value in found


VALUE_RULES: dict[str, Callable[[str, Any], bool]] = {
    "has": _holds,
    "lacks": lambda text, value: not _holds(text, value),
    "starts": lambda text, value: text.lstrip().startswith(value),
    "ends": lambda text, value: text.rstrip().endswith(value),
    "case": lambda text, value: text.isupper() if value == "upper" else text.islower(),
    "json": lambda text, value: _is_json(text),
    "language": _written_in,
    "order": _in_order,
    "number": _has_number,
    "without": lambda text, value: value.lower() not in text.lower(),
    "matches": lambda text, value: re.search(value, text) is not None,
}
_NO_VALUE = ("json", "number")  # rules that need none; "number" may have one


@dataclass(frozen=True)
class Rule:
    """A check that can be written down as JSON: `{"rule": "words", "least": 3, "most": 10}`.

    words, sentences, lines, bullets   between `least` and `most`, either of which may be left out
    has, lacks                         a word or phrase, whatever its case
    starts, ends, matches              a text; a regular expression that is found somewhere
    case, language                     "upper" or "lower"; a script such as "latin" or "chinese": most letters are of it
    number, without                    that number, or any if no value is given; a letter that does not occur
    order                              texts that occur one after another
    json                               the whole is valid JSON

    Raises ValueError for an unknown rule or a value that does not fit it.
    """

    rule: str
    value: Any = None
    least: int | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        if self.rule in COUNTS:
            self._check_counts()
        elif self.rule not in VALUE_RULES:
            raise ValueError(f"rule: got {self.rule!r}, wanted one of {', '.join([*COUNTS, *VALUE_RULES])}")
        elif self.least is not None or self.most is not None:
            raise ValueError(f"{self.rule}: got least or most, which only {', '.join(COUNTS)} have")
        else:
            self._check_value()

    def _check_counts(self) -> None:
        if self.value is not None:
            raise ValueError(f"{self.rule}: got value {self.value!r}, wanted least or most")
        low, high = self.span
        if self.least is self.most is None or not 0 <= low <= high:
            raise ValueError(f"{self.rule}: got least={self.least}, most={self.most}, wanted 0 <= least <= most")

    def _check_value(self) -> None:
        value = self.value
        if value is None and self.rule in _NO_VALUE:
            return
        if self.rule == "order":
            if not isinstance(value, (list, tuple)) or len(value) < 2 or not all(map(_is_text, value)):
                raise ValueError(f"order: got {value!r}, wanted a list of at least two texts")
            object.__setattr__(self, "value", tuple(value))
        elif not _is_text(value):
            raise ValueError(f"{self.rule}: got value {value!r}, wanted a text")
        elif self.rule == "case" and value not in ("upper", "lower"):
            raise ValueError(f"case: got {value!r}, wanted 'upper' or 'lower'")
        elif self.rule == "language" and value not in _SCRIPTS:
            raise ValueError(f"language: got {value!r}, wanted one of {', '.join(_SCRIPTS)}")
        elif self.rule == "matches":
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"matches: {value!r} is no regular expression ({error})") from None

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest count that pass."""
        return self.least or 0, float("inf") if self.most is None else self.most

    def __call__(self, text: str) -> bool:
        if self.rule in COUNTS:
            low, high = self.span
            return low <= COUNTS[self.rule](text) <= high
        return VALUE_RULES[self.rule](text, self.value)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; fields that are not set are left out."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def read_rule(given: Mapping[str, Any]) -> Rule:
    """A rule from its JSON form. Raises ValueError for a field that no rule has, or what `Rule` refuses."""
    if not isinstance(given, Mapping) or "rule" not in given:
        raise ValueError(f"check: got {given!r}, wanted an object with a 'rule'")
    unknown = set(given) - {"rule", "value", "least", "most"}
    if unknown:
        raise ValueError(f"check: got the field {sorted(unknown)[0]!r}, wanted rule, value, least or most")
    return Rule(**given)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
