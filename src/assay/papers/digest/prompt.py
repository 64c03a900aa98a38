"""What a model is asked: the texts of `prompts/LANG.md`, with section names and limits filled in as data."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from assay.papers.digest.reader import Turn
from assay.papers.digest.validate import FIELD_LENGTH, INNOVATION_COUNT, Fault, limits_of
from assay.papers.report.grammar import SECTION_NAMES

KEYS = ("field", "contribution", "usage", "innovations", "results")
_PARTS = ("system", "paper", "repair", "translate")


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _nullable(kind: str) -> dict[str, Any]:
    return {"anyOf": [{"type": kind}, {"type": "null"}]}


_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}
# The JSON Schema of a reply: the five sections, and the figures of the results one by one.
SCHEMA: dict[str, Any] = _object({
    "field": _STRING,
    "contribution": _STRING,
    "usage": _STRINGS,
    "innovations": {"type": "array", "items": _object({"name": _STRING, "text": _STRING})},
    "results": _STRINGS,
    "figures": {"type": "array", "items": _object({
        "quantity": _STRING, "value": {"type": "number"}, "unit": _STRING, "versus": _nullable("string"),
        "baseline": _nullable("number"), "setting": _STRING,
    })},
})  # fmt: skip
TRANSLATION_SCHEMA: dict[str, Any] = _object({"sections": _STRINGS})


def opening(lang: str, title: str, text: str) -> list[Turn]:
    """The first call about a paper: what to write, then the paper, set off as data.

    The marker lines hold a digest of the text, so that no text can hold its own end marker.
    """
    mark = hashlib.sha256(text.encode()).hexdigest()[:16]
    parts, limits = _parts(lang), limits_of(lang)
    spans = {
        "field": FIELD_LENGTH,
        "contribution": limits.contribution,
        "usage": limits.usage,
        "innovations": INNOVATION_COUNT,
        "results": limits.results,
    }
    told = dict(zip(KEYS, SECTION_NAMES[lang]))
    told |= {f"{key}_{end}": str(value) for key, span in spans.items() for end, value in zip(("least", "most"), span)}
    paper = parts["paper"].substitute(
        title=title, text=text, open=f"<<<PAPER {mark}>>>", close=f"<<<END OF PAPER {mark}>>>"
    )
    return [Turn("system", parts["system"].substitute(told)), Turn("user", paper)]


def repair(lang: str, reply: str, faults: Sequence[Fault]) -> list[Turn]:
    """The turns that follow a reply which cannot be used: the reply itself, and what is wrong with it."""
    listed = "\n".join(f"- {fault.message}" for fault in faults)
    return [Turn("assistant", reply or "{}"), Turn("user", _parts(lang)["repair"].substitute(faults=listed))]


def translation(lang: str, sections: str) -> list[Turn]:
    """The call that translates five sections (as JSON) into `lang`."""
    return [Turn("system", _parts(lang)["translate"].substitute()), Turn("user", sections)]


def digest_of(turns: Sequence[Turn]) -> str:
    """What a call depends on, as a short hash."""
    return hashlib.sha256("\x00".join(f"{t.role}\x00{t.text}" for t in turns).encode()).hexdigest()


def languages() -> list[str]:
    """The languages that there is a prompt for."""
    folder = files("assay.papers.digest") / "prompts"
    return sorted(item.name.removesuffix(".md") for item in folder.iterdir() if item.name.endswith(".md"))


@cache
def _parts(lang: str) -> dict[str, string.Template]:
    """The parts of a language's file, by their headings."""
    if lang not in languages():
        raise ValueError(f"lang: got {lang!r}, wanted one of {', '.join(languages())}")
    text = (files("assay.papers.digest") / "prompts" / f"{lang}.md").read_text("utf-8")
    parts = {}
    for name in _PARTS:
        _, found, rest = ("\n" + text).partition(f"\n# {name}\n")
        if not found:
            raise ValueError(f"prompts/{lang}.md: got no part '# {name}', wanted {', '.join(_PARTS)}")
        parts[name] = string.Template(rest.partition("\n# ")[0].strip())
    return parts
