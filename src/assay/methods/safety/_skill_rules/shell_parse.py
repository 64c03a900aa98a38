"""Shell scripts as lists of pipelines of commands, by `bashlex` where it can and by tokens where it cannot."""

from __future__ import annotations

import re
import shlex
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import bashlex
import bashlex.errors

MAX_PARSED = 30_000  # characters; bashlex is slow, longer scripts go by tokens
MAX_LINE = 4_000
MAX_LINES = 20_000  # of a script; the rest is not read
SUBSTITUTION = re.compile(r"\$\(((?:[^()]|\([^()]*\)){1,2000})\)|`([^`]{1,2000})`|<\(((?:[^()]|\([^()]*\)){1,2000})\)")


@dataclass
class Command:
    """One simple command: its words with quotes removed, and the targets of its redirections."""

    words: list[str]
    line: int
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    heredoc: str = ""

    @property
    def text(self) -> str:
        return " ".join(self.words)


def pipelines(text: str, line: int = 1) -> Iterator[list[Command]]:
    """The pipelines of a script, in order; a command's line is that of its file."""
    if len(text) <= MAX_PARSED:
        try:
            trees = bashlex.parse(text)
        except (
            bashlex.errors.ParsingError,
            NotImplementedError,
            RecursionError,
            AttributeError,
            IndexError,
            TypeError,
            ValueError,
            AssertionError,
            KeyError,
        ):
            trees = None  # bashlex reports what it cannot read in many ways
        if trees is not None:
            for tree in trees:
                yield from _from_tree(tree, text, line)
            return
    yield from _from_tokens(text, line)


def _from_tree(node: bashlex.ast.node, text: str, line: int) -> Iterator[list[Command]]:
    if node.kind == "pipeline":
        simple = [p for p in node.parts if p.kind == "command"]
        yield [_command(p, text, line) for p in simple]
        for part in node.parts:
            if part.kind not in ("command", "pipe", "reservedword"):
                yield from _from_tree(part, text, line)
    elif node.kind == "command":
        yield [_command(node, text, line)]
    else:
        if node.kind == "for":
            words = [p.word for p in node.parts if p.kind in ("reservedword", "word")]
            yield [
                Command(words[: words.index("do")] if "do" in words else words, line + text.count("\n", 0, node.pos[0]))
            ]
        for part in [*getattr(node, "list", []), *getattr(node, "parts", [])]:
            if part.kind in (
                "command",
                "pipeline",
                "list",
                "compound",
                "if",
                "for",
                "while",
                "until",
                "function",
                "case",
            ):
                yield from _from_tree(part, text, line)


def _command(node: bashlex.ast.node, text: str, line: int) -> Command:
    command = Command([], line + text.count("\n", 0, node.pos[0]))
    for part in node.parts:
        if part.kind in ("word", "assignment"):
            command.words.append(part.word)
        elif part.kind == "redirect":
            if getattr(part, "heredoc", None) is not None:
                command.heredoc = part.heredoc.value
            elif part.type in (">", ">>", "&>", ">|") and hasattr(part.output, "word"):
                command.outputs.append(part.output.word)
            elif part.type in ("<", "<<<") and hasattr(part.output, "word"):
                command.inputs.append(part.output.word)
    return command


def _from_tokens(text: str, first_line: int) -> Iterator[list[Command]]:
    lines = text.split("\n")[:MAX_LINES]
    places: dict[str, list[int]] = {}  # of each line's text, so that the end of a heredoc is not searched for
    for i, line in enumerate(lines):
        places.setdefault(line.strip(), []).append(i)
    number = 0
    while number < len(lines):
        start, line = number, lines[number][:MAX_LINE]
        while line.endswith("\\") and number + 1 < len(lines):
            number += 1
            line = line[:-1] + " " + lines[number][:MAX_LINE]
        heredoc = ""
        marker = re.search(r"<<-?\s*(['\"]?)(\w+)\1", line)
        if marker:
            ends = places.get(marker.group(2), [])
            later = bisect_right(ends, number)
            if later < len(ends):
                end = ends[later]
                heredoc, number = "\n".join(lines[number + 1 : end]), end
        number += 1
        yield from _split(line[:MAX_LINE], first_line + start, heredoc)


def _split(line: str, number: int, heredoc: str) -> Iterator[list[Command]]:
    kept: list[str] = []  # substitutions are set aside so that their blanks and pipes do not split the line

    def set_aside(match: re.Match[str]) -> str:
        kept.append(match.group())
        return f"\x01{len(kept) - 1}\x02"

    line = SUBSTITUTION.sub(set_aside, line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:  # a quote that closes on another line
        tokens = line.replace("'", " ").replace('"', " ").split()
    pipeline = [Command([], number, heredoc=heredoc)]
    redirect = ""
    for token in tokens:
        token = re.sub("\x01(\\d+)\x02", lambda m: kept[int(m.group(1))], token)
        if token in ("|", "|&"):
            pipeline.append(Command([], number))
        elif set(token) <= set(";&") and token:
            yield pipeline
            pipeline = [Command([], number)]
        elif set(token) <= set("<>&|") and token:
            redirect = token
        elif redirect:
            (pipeline[-1].outputs if ">" in redirect else pipeline[-1].inputs).append(token)
            redirect = ""
        else:
            pipeline[-1].words.append(token)
    yield pipeline
