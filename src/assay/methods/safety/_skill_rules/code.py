"""Every piece of code that a skill carries, wherever it stands: scripts, fences, manifests, heredocs, strings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from .._skill_files import Skill, SkillFile
from .markdown import CAUTION, read_blocks

Language = Literal["python", "shell", "javascript"]

_FENCE_LANGUAGE: dict[str, Language] = {
    **dict.fromkeys(("python", "py", "python3"), "python"),
    **dict.fromkeys(("bash", "sh", "shell", "zsh", "console", "shell-session", "terminal"), "shell"),
    **dict.fromkeys(("js", "javascript", "ts", "typescript", "node", "jsx", "tsx"), "javascript"),
}
_COMMANDS = re.compile(
    r"^\s*(?:\$ )?(?:sudo|curl|wget|bash|sh|pip3?|python3?|npm|npx|pnpm|yarn|uvx?|pipx|git|docker|chmod|chown"
    r"|find|cat|tar"
    r"|env|printenv|export|eval|source|scp|rsync|nc|ssh|apt|apt-get|brew|node|doas|su|gem|cargo|go|make|rm|ls"
    r"|tree|gh|aws)\s"
)
CAUTIOUS = 0.2  # weight of code or prose that is quoted or warned of


@dataclass(frozen=True)
class Code:
    """A piece of code: its place is `line` (of its first line) in file `path`; `weight` as for evidence.

    `exact` says that columns are those of the file; a piece taken out of a string only knows its line.
    """

    language: Language
    text: str
    path: str
    line: int = 1
    weight: float = 1.0
    exact: bool = False


def code_of(skill: Skill) -> tuple[Code, ...]:
    """All pieces of the skill, files first, in the order of their paths."""
    pieces: list[Code] = []
    for file in skill.files:
        if file.kind in ("python", "shell", "javascript"):
            pieces.append(Code(file.kind, file.text, file.path, exact=True))
        elif PurePosixPath(file.path).name.lower() == "setup.py":
            pieces.append(Code("python", file.text, file.path, exact=True))
        elif file.kind == "instruction":
            pieces += _in_markdown(skill, file)
        elif file.kind in ("manifest", "data"):
            pieces += _in_configuration(file)
    return tuple(pieces)


def _in_markdown(skill: Skill, file: SkillFile) -> Iterator[Code]:
    body, line = instruction_body(skill, file)
    for block in read_blocks(body, line):
        weight = CAUTIOUS if block.caution else 1.0
        if block.kind == "fence":
            language = _FENCE_LANGUAGE.get(block.info.split()[0].strip("{}") if block.info else "")
            if language is None and not block.info and _COMMANDS.search(block.text):
                language = "shell"
            if language:
                text = re.sub(r"^\$ ", "", block.text, flags=re.MULTILINE) if language == "shell" else block.text
                yield Code(language, text, file.path, block.line, weight)
        for span in block.spans:
            if _COMMANDS.match(span):
                weight = CAUTIOUS if block.caution or CAUTION.search(block.text) else 0.8
                yield Code("shell", span, file.path, _line_of(block.text, span, block.line), weight)


def _in_configuration(file: SkillFile) -> Iterator[Code]:
    """Commands in Dockerfiles, Makefiles, `package.json` scripts and workflow steps."""
    name = PurePosixPath(file.path).name.lower()
    if name.startswith(("dockerfile", "containerfile")):
        text = file.text.replace("\\\n", " \\\n")
        for match in re.finditer(r"^[ \t]*RUN[ \t]+((?:[^\n\\]|\\.|\\\n)++)", text, re.MULTILINE | re.IGNORECASE):
            yield Code("shell", match.group(1), file.path, text.count("\n", 0, match.start()) + 1)
    elif name == "makefile" or name.endswith(".mk"):
        for number, line in enumerate(file.lines, 1):
            if line.startswith("\t"):
                yield Code("shell", line.strip().lstrip("@-"), file.path, number)
    elif name == "package.json":
        yield from _package_scripts(file)
    elif name.endswith((".yml", ".yaml")):
        for number, line in enumerate(file.lines, 1):
            match = re.match(r"\s*(?:-\s+)?(?:run|command|script|entrypoint|cmd|hook):\s*(?![|>])(\S.*)", line)
            if match:
                yield Code("shell", match.group(1).strip("'\""), file.path, number)
            elif _COMMANDS.match(line) or _COMMANDS.match(line.lstrip(" -")):
                yield Code("shell", line.strip().lstrip("- "), file.path, number)


def _package_scripts(file: SkillFile) -> Iterator[Code]:
    try:
        scripts = json.loads(file.text).get("scripts", {})
    except (ValueError, AttributeError, RecursionError):
        return  # not a package.json that npm would run; its text is still read by the other rules
    for name, command in scripts.items() if isinstance(scripts, dict) else ():
        if isinstance(command, str):
            yield Code("shell", command, file.path, _line_of(file.text, f'"{name}"', 1))


def instruction_body(skill: Skill, file: SkillFile) -> tuple[str, int]:
    """Text and first line of what an agent reads of an instruction file: SKILL.md without its front matter."""
    return (skill.body, skill.body_line) if file.path.lower() == "skill.md" else (file.text, 1)


def _line_of(text: str, part: str, first_line: int) -> int:
    return first_line + text.count("\n", 0, max(text.find(part), 0))
