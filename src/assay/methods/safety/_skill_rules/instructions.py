"""What the prose of a skill asks of the agent: patterns P1, P3, P4 and the prose side of E, PE and SC.

The rules stand in `prose.toml`; here they meet the blocks of a file, and each match is weighed by its sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from .._skill_files import Skill, SkillFile
from .code import instruction_body
from .facts import hosts_in
from .markdown import Block, plain_blocks, read_blocks
from .model import Evidence, Rule, evidence
from .phrases import Match, Texts, prose

IN_CODE = 0.5  # weight of prose found in the comments and strings of scripts
ABOUT_SENDING = ("SS-P3-", "SS-E4-")
_SENTENCE_END = re.compile(r"[.!?;]\s")
_CONSENT = re.compile(
    r"\b(?:ask(?:s|ed)?|confirm(?:s|ed)?|wish(?:es)?|wants?|approv(?:e|es|al)|agrees?|consents?|opts?|chooses?"
    r"|our own|your own|own account)\b",
    re.IGNORECASE,
)
_NO_CONSENT = re.compile(
    r"\b(?:without|no need to|do not|don't|never|rather than|before) (?:\w+ )?(?:ask|confirm|wait|approv)",
    re.IGNORECASE,
)
_NATURAL = re.compile(r"^[^={}\[\]<>|$]*$")
PROSE_KINDS = ("instruction", "data", "python", "shell", "javascript")


def prose_rules() -> tuple[Rule, ...]:
    """The rules of `prose.toml`."""
    return tuple(
        Rule(
            row["id"],
            row["pattern"],
            row["severity"],
            row["title"],
            PROSE_KINDS,
            _Check(row["id"], row["title"], row["phrases"]),
        )
        for row in prose()["rule"]
    )


class _Check:
    def __init__(self, rule_id: str, title: str, phrases: list[str]) -> None:
        self.rule_id, self.title, self.phrases = rule_id, title, phrases

    def __call__(self, file: SkillFile, skill: Skill) -> Iterator[Evidence]:
        scale = 1.0 if file.kind == "instruction" else IN_CODE
        texts = texts_of(file, skill)
        for match in _without_overlaps([m for phrase in self.phrases for m in texts.find(phrase)]):
            weight = match.weight * (_openness(match, skill) if self.rule_id.startswith(ABOUT_SENDING) else 1.0)
            yield _located(self.rule_id, self.title, file, match, round(weight * scale, 3))


def _without_overlaps(matches: list[Match]) -> Iterator[Match]:
    last: Match | None = None
    for match in sorted(matches, key=lambda m: (m.block.line, id(m.block), m.start, -m.end)):
        if last is None or match.block is not last.block or match.start >= last.end:
            last = match
            yield match


def _openness(match: Match, skill: Skill) -> float:
    """How little the user is asked: 0.3 where the sentence asks, or sends to a host that the description names."""
    text = match.block.text
    if match.word.lower().endswith(("ends", "osts", "oads", "mits", "ails", "ards", "ares", "yncs")):
        return 0.4  # third person: tells what a script does, and does not ask the agent for it
    start = max((m.end() for m in _SENTENCE_END.finditer(text, 0, match.start)), default=0)
    after = _SENTENCE_END.search(text, match.end)
    sentence = text[start : after.start() if after else len(text)]
    declared = hosts_in(sentence) & hosts_in(skill.description)
    return 0.3 if declared or (_CONSENT.search(sentence) and not _NO_CONSENT.search(sentence)) else 1.0


def _located(rule_id: str, why: str, file: SkillFile, match: Match, weight: float) -> Evidence:
    text = match.block.text
    first, last = text.count("\n", 0, match.start), text.count("\n", 0, match.end)
    line, end_line = match.block.line + first, match.block.line + last
    shown = text[match.start : match.end].split("\n")
    return evidence(
        rule_id,
        file,
        line,
        _column(file, line, shown[0]),
        end_line,
        _column(file, end_line, shown[-1]) + len(shown[-1]),
        why,
        weight,
    )


def _column(file: SkillFile, line: int, words: str) -> int:
    """Column of rendered words in their source line: exact unless the Markdown inside them hides it."""
    source = file.lines[line - 1] if 0 < line <= len(file.lines) else ""
    return max(source.find(words), source.find(words.split(" ")[0]), 0) + 1


@lru_cache(maxsize=256)
def texts_of(file: SkillFile, skill: Skill) -> Texts:
    """The words of a file by block: rendered Markdown, comments of its HTML, or the lines of any other file."""
    return Texts(blocks_of(file, skill))


def blocks_of(file: SkillFile, skill: Skill) -> tuple[Block, ...]:
    """Blocks in which an agent would read prose."""
    if file.kind != "instruction":  # comments and messages: lines that read as a sentence
        return tuple(b for b in plain_blocks(file.text) if b.text.strip().count(" ") >= 4 and _NATURAL.match(b.text))
    body, line = instruction_body(skill, file)
    blocks = tuple(
        b for b in read_blocks(body, line) if b.kind != "fence" or not b.info or b.info in ("text", "markdown", "md")
    )
    if file.path.lower() == "skill.md" and skill.description:
        at = next((i for i, text in enumerate(file.lines, 1) if text.startswith("description")), 1)
        blocks = (Block("prose", skill.description.replace("\n", " "), at), *blocks)
    return blocks
