"""The words and line shapes of a daily report: what its lines are made of, in every language it is written in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

TITLE = "# Hugging Face Daily Papers Report"
ICON = "📄"
SEPARATOR = "=" * 60
PAPER_URL = "https://huggingface.co/papers/"
DAY_URL = "https://huggingface.co/papers/date/"
EXTRACTIVE = " (extractive)"  # after the reading source, where no model wrote the sections

# A language is one entry here; its five names stand in the order of a paper's sections.
SECTION_NAMES: dict[str, tuple[str, str, str, str, str]] = {
    "zh": ("应用领域", "一句话核心贡献", "使用指南", "主要创新点", "实验效果"),
    "en": ("Field", "Contribution in one sentence", "How to use it", "Main innovations", "Results"),
}
FIELD, CONTRIBUTION, USAGE, INNOVATIONS, RESULTS = range(5)


@dataclass(frozen=True, slots=True)
class Words:
    """What stands around the sections: labels, reading sources, and the line of a paper that failed."""

    link: str
    read_from: str
    sources: tuple[str, ...]
    not_read: str
    failed: str


WORDS = {
    "zh": Words("链接", "阅读来源", ("HTML", "ArXiv Abs"), "未读取",
                "> 未完成：{reason}（第 {attempts} 次尝试，{at}）；下次运行将重试。"),
    "en": Words("Link", "Read from", ("HTML", "arXiv abstract"), "not read",
                "> Not done: {reason} (attempt {attempts}, {at}); will be retried."),
}  # fmt: skip


def words(lang: str) -> Words:
    """The labels of a language; English ones where it brings none of its own."""
    return WORDS.get(lang, WORDS["en"])


def sources(lang: str) -> tuple[str, ...]:
    """What may stand after `Read from` for a paper that was read."""
    plain = words(lang).sources
    return (*plain, *(source + EXTRACTIVE for source in plain))


def failed_note(reason: str, attempts: int, at: str, lang: str = "zh") -> str:
    """The line that keeps a failed paper's place; `at` is UTC as YYYY-MM-DDTHH:MM:SSZ."""
    return words(lang).failed.format(reason=reason, attempts=attempts, at=at)


# Blanks within a line, and blank lines. `\s` would also take \x0b, \x85 and others, which are text here.
_B = r"[ \t\r]*"
_BLANK_LINES = rf"{_B}\n(?:{_B}\n)*"
_COLON = r"(?:\*\*[：:]|[：:]\*\*)"


def _label(names: set[str]) -> str:
    return rf"[-*+][ ]+\*\*(?:{'|'.join(map(re.escape, sorted(names)))}){_COLON}[ ]*"


_LINK = _label({w.link for w in WORDS.values()})
_READ = _label({w.read_from for w in WORDS.values()})

BLANK = re.compile(rf"{_B}\n?\Z")
SEPARATOR_LINE = re.compile(rf"^={{3,200}}{_B}(?:\n|\Z)", re.MULTILINE)
LINK_LINE = re.compile(rf"{_LINK}[^ \t\r\n]*{_B}(?:\n|\Z)")
ICON_LINE = re.compile(rf"##[ ]+{ICON}")
ENTRY_HEAD = re.compile(
    rf"(?P<before>(?:{_B}\n)*)"
    rf"(?P<title_lead>##[ ]+(?:{ICON}\ufe0f?[ ]*)?)(?P<title>(?:[^\n]*[^ \t\r\n])?)"
    rf"(?P<link_lead>{_BLANK_LINES}{_LINK})(?P<url>[^ \t\r\n]*)(?={_B}(?:\n|\Z))"
    rf"(?:(?P<read_lead>{_BLANK_LINES}{_READ})(?P<read_from>(?:[^\n]*[^ \t\r\n])?))?"
    rf"(?P<head_tail>{_B}(?:\n|\Z)(?:{_B}\n)*)"
)
DATE = re.compile(rf"^\*\*Date{_COLON}[ ]*([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?={_B}$)", re.MULTILINE)
SOURCE = re.compile(rf"^\*\*Source URL{_COLON}[ ]*([^ \t\r\n]*)(?={_B}$)", re.MULTILINE)
ENTRY_URL = re.compile(re.escape(PAPER_URL) + r"([0-9]{4}\.[0-9]{5})")
DAY = re.compile(re.escape(DAY_URL) + r"([0-9]{4}-[0-9]{2}-[0-9]{2})")
PREFACE = re.compile(r"#{1,3} [^\n]+")


def _note(template: str) -> str:
    parts = {"reason": r"(?P<reason>[^\s（(]+)", "attempts": r"(?P<attempts>[0-9]+)", "at": r"(?P<at>[0-9TZ:.+-]+)"}
    pattern = re.escape(template)
    for name, part in parts.items():
        pattern = pattern.replace(rf"\{{{name}\}}", part)
    return pattern


FAILED_NOTES = tuple(re.compile(_note(w.failed)) for w in WORDS.values())


def failed_match(line: str) -> re.Match[str] | None:
    """`reason`, `attempts` and `at` of a failed paper's line, in any language."""
    return next((match for note in FAILED_NOTES if (match := note.fullmatch(line))), None)


def heading_pattern() -> re.Pattern[str]:
    """A line that names a section in any spelling: numbered or not, bold or not, `1.`, `1)`, `一、`, `：` or `:`.

    Groups: `hash` with its blanks, `outer` bold before the number, `number`, `dot`, `gap`, `inner` bold before the
    name, `name`, `close` (bold and colon behind the name), `rest` of the line.
    """
    return _heading(tuple(name for names in SECTION_NAMES.values() for name in names))


@lru_cache(maxsize=8)
def _heading(names: tuple[str, ...]) -> re.Pattern[str]:
    spelled = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(
        r"^(?P<hash>#{1,6}[ ]+)?"
        r"(?:(?P<outer>\*\*)?(?P<number>[0-9]{1,2}|[一二三四五])(?P<dot>[.．、)）])(?P<gap>[ ]*))?"
        rf"(?P<inner>\*\*)?(?P<name>{spelled})(?P<close>[：:]?(?:\*\*)?[：:]?)(?P<rest>[^\n]*)",
        re.MULTILINE,
    )


def is_heading(match: re.Match[str]) -> bool:
    """Text may follow a section's name on its line only after a colon; `1. 使用指南生成器` is a line of text."""
    close = match["close"]
    return "：" in close or ":" in close or not match["rest"].strip(" \t\r")


def heading_at(line: str) -> bool:
    """True if the line would be read as a section's heading, in whatever spelling."""
    match = heading_pattern().match(line)
    return match is not None and is_heading(match)


def place_of(name: str) -> tuple[str, int]:
    """Language and place (0 to 4) of a section's name; ValueError for a name that no language has."""
    for lang, names in SECTION_NAMES.items():
        if name in names:
            return lang, names.index(name)
    known = "; ".join(", ".join(names) for names in SECTION_NAMES.values())
    raise ValueError(f"name: got {name!r}, wanted a section's name: {known}")
