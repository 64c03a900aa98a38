"""A model's reply as the five texts of a report: JSON, JSON in a fence, or the five sections in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.papers.digest.prompt import KEYS
from assay.papers.digest.validate import limits_of
from assay.papers.report import Entry, parse
from assay.papers.report.render import canonical_text

Texts = tuple[str | None, str | None, str | None, str | None, str | None]

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_OPEN_THINKING = re.compile(r"\A\s*<(?:think|thinking|reasoning)>.*\Z", re.DOTALL | re.IGNORECASE)
_STRAY_CLOSE = re.compile(r"\A.*?</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*```[a-zA-Z]*[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_BOLD_NAME = re.compile(r"\s*\*\*(?P<name>[^*]+?)\*\*\s*[：:]?\s*(?P<text>.*)", re.DOTALL)
_PLAIN_NAME = re.compile(r"\s*(?P<name>[^：:\n]{2,60})(?:：|:\s)\s*(?P<text>.+)", re.DOTALL)
_LIST_MARK = re.compile(r"^\s*(?:[*+-]|\d{1,2}[.)])\s+")
_EMPTY_ENTRY = "## 📄 -\n\n- **链接**: https://huggingface.co/papers/0000.00000\n- **阅读来源**: HTML\n\n"
_NOTHING: Texts = (None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, read: five Markdown texts (None where one is missing) and the figures it lists."""

    texts: Texts
    figures: tuple[Mapping[str, Any], ...] = ()

    @property
    def has_section(self) -> bool:
        return any(self.texts)


def read_reply(reply: str, lang: str) -> Answer:
    """The sections of a reply; reasoning blocks are dropped first. Never fails: what is not there is None."""
    said = without_thinking(reply)
    found = find_object(said, KEYS)
    if found is not None:
        return _from_json(found, lang)
    for text in (*_FENCE.findall(said), said):
        if any(texts := _from_markdown(text)):
            return Answer(texts)
    return Answer(_NOTHING)


def without_thinking(reply: str) -> str:
    """The reply less its reasoning blocks, closed or not."""
    said = _OPEN_THINKING.sub("", _THINKING.sub("", reply))
    return _STRAY_CLOSE.sub("", said).strip()


def find_object(said: str, keys: Sequence[str]) -> dict[str, Any] | None:
    """The first JSON object with one of the keys: the whole text, in a fence, or somewhere in it."""
    for text in (said, *_FENCE.findall(said)):
        if any(key in (found := _loads(text)) for key in keys):
            return found
    decoder = json.JSONDecoder(strict=False)
    at = said.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(said, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(found, dict) and any(key in found for key in keys):
                return found
        at = said.find("{", end)
    return None


def _loads(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _from_json(found: Mapping[str, Any], lang: str) -> Answer:
    colon = "：" if limits_of(lang).cjk else ":"
    field, contribution, usage, innovations, results = (found.get(key) for key in KEYS)
    texts: Texts = (
        None if field is None else "、".join(_strings(field)) if colon == "：" else ", ".join(_strings(field)),
        None if contribution is None else " ".join(_strings(contribution)),
        _bullets(usage),
        None if innovations is None else "\n".join(_named(innovations, colon)),
        _bullets(results),
    )
    figures = found.get("figures")
    listed = [row for row in figures if isinstance(row, dict)] if isinstance(figures, list) else []
    return Answer(texts, tuple(listed))


def _strings(value: object) -> list[str]:
    """The texts in a value that should be a text or a list of texts; whatever else stands there is spelled out."""
    if isinstance(value, str):
        whole = value.encode("utf-8", "replace").decode()  # JSON can spell halves of a character
        return [whole.strip()] if whole.strip() else []
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    if isinstance(value, dict):
        return [" ".join(text for item in value.values() for text in _strings(item))]
    return [] if value is None else [str(value)]


def _bullets(value: object) -> str | None:
    if value is None:
        return None
    lines = [_LIST_MARK.sub("", line) for text in _strings(value) for line in text.split("\n") if line.strip()]
    return "\n".join(f"*   {line.strip()}" for line in lines)


def _named(value: object, colon: str) -> Iterator[str]:
    items = value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, dict):
            name, text = _one_line(item.get("name")), _one_line(item.get("text") or item.get("description"))
        else:
            whole = _one_line(item)
            match = _BOLD_NAME.fullmatch(whole) or _PLAIN_NAME.fullmatch(whole)
            name, text = (match["name"], match["text"]) if match else ("", whole)
        name = name.strip("*：: ")
        gap = "" if colon == "：" else " "
        yield f"*   **{name}**{colon}{gap}{text}" if name else f"*   {text}"


def _one_line(value: object) -> str:
    return " ".join(" ".join(_strings(value)).split())


def _from_markdown(text: str) -> Texts:
    """The sections of a reply in Markdown; a section that stands twice counts with all its texts."""
    nodes = parse(_EMPTY_ENTRY + text.strip() + "\n").nodes
    entry = next((node for node in nodes if isinstance(node, Entry)), None)
    found: list[str | None] = [None] * len(KEYS)
    for section in entry.sections if entry else ():
        told = canonical_text(section.text)
        found[section.place] = "\n".join(filter(None, [found[section.place], told]))
    field, contribution, usage, innovations, results = found
    return field, contribution, usage, innovations, results
