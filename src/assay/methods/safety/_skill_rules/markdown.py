"""Instruction text as a reader sees it: blocks of rendered Markdown, and the code that they tell one to run.

What a page shows is not what its source says (comments, escapes, link targets), so prose rules read the
rendered text; `hidden.py` reads the source. Text that is quoted, or stands under a heading such as *Bad
example*, is marked `caution`: a skill that warns of an attack must be able to name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

RENDERED = 200_000  # characters; what follows is read as plain lines, so that time stays linear in the size
CAUTION = re.compile(
    r"\b(?:bad|unsafe|insecure|wrong|malicious|hostile|suspicious|attacks?|attackers?|injections?|jailbreaks?|phishing"
    r"|red[ -]flags?|anti-?patterns?|do not|don['’]t|never|avoid|forbidden|prohibited|refuse|reject|warnings?|beware"
    r"|not allowed|must not|should not|untrusted|quarantine|flag(?:s|ged)?|detects?|treat (?:it|them|these|this) as)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Block:
    """A paragraph, list item or heading (`prose`), a code block (`fence`) or raw HTML; `line` counts from 1."""

    kind: Literal["prose", "fence", "html"]
    text: str
    line: int
    info: str = ""
    caution: bool = False
    spans: tuple[str, ...] = ()  # inline code of a prose block


@lru_cache(maxsize=64)
def read_blocks(text: str, first_line: int = 1) -> tuple[Block, ...]:
    """Blocks of a Markdown text whose first line has number `first_line` in its file."""
    cut = text.rfind("\n", 0, RENDERED) + 1 if len(text) > RENDERED else len(text)
    rendered = tuple(_rendered(text[:cut] if cut else "", first_line))
    if cut == len(text):
        return rendered
    return rendered + plain_blocks(text[cut:], first_line + text.count("\n", 0, cut))


def plain_blocks(text: str, first_line: int = 1) -> tuple[Block, ...]:
    """Each non-empty line as a prose block of its own: for text that is no Markdown."""
    return tuple(Block("prose", line, first_line + i) for i, line in enumerate(text.split("\n")) if line.strip())


def _rendered(text: str, first_line: int) -> Iterator[Block]:
    headings: list[tuple[int, bool]] = []  # (level, whether it warns) of the headings above
    lead_in = False  # the paragraph before announces an example of what not to do
    quotes = 0
    heading_level = 0
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "heading_open":
            heading_level = int(token.tag[1:])
            headings = [h for h in headings if h[0] < heading_level]
        elif token.type == "heading_close":
            heading_level = 0
        elif token.type in ("blockquote_open", "blockquote_close"):
            quotes += 1 if token.nesting == 1 else -1
        block = _block(token, first_line)
        if block is None:
            continue
        if heading_level:
            headings.append((heading_level, bool(CAUTION.search(block.text))))
            lead_in = False
        caution = quotes > 0 or lead_in or any(warns for _, warns in headings)
        if block.kind == "fence":
            caution = caution or bool(CAUTION.search(f"{block.info} {block.text.split(chr(10), 1)[0]}"))
        yield replace(block, caution=caution)
        if block.kind == "prose" and not heading_level and not _in_list(token):
            lead_in = block.text.rstrip().endswith(":") and bool(CAUTION.search(block.text))


def _block(token: Token, first_line: int) -> Block | None:
    line = first_line + (token.map[0] if token.map else 0)
    if token.type == "fence":
        return Block("fence", token.content, line + 1, token.info.strip().lower())
    if token.type == "code_block":
        return Block("fence", token.content, line)
    if token.type == "html_block":
        return Block("html", token.content, line)
    if token.type != "inline":
        return None
    children = token.children or []
    shown = "".join(_shown(child) for child in children)
    spans = tuple(c.content for c in children if c.type == "code_inline")
    return Block("prose", shown, line, spans=spans)


def _shown(token: Token) -> str:
    if token.type in ("text", "code_inline"):
        return token.content
    return "\n" if token.type in ("softbreak", "hardbreak") else ""


def _in_list(token: Token) -> bool:
    return token.level > 1  # items of the list that a lead-in announces keep its mark
