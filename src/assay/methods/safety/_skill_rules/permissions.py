"""Pattern PE1: permissions wider than any use of them, in the front matter and in settings files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .._skill_files import Skill, SkillFile
from .code import code_of
from .facts import hosts_in
from .model import META, Evidence, Rule, Severity, evidence

_ANY_SHELL = re.compile(r"^(?:Bash|Shell|Execute|Terminal|Run)(?:\(\s*(?:\*|\*:\*|:\*|\.\*)\s*\))?$", re.IGNORECASE)
_NETWORK_TOOL = re.compile(r"^(?:WebFetch|WebSearch|Fetch|Browser|Http)(?:\b|\()", re.IGNORECASE)
_WRITE_TOOL = re.compile(r"^(?:Write|Edit|MultiEdit|NotebookEdit)(?:\b|\()", re.IGNORECASE)
_WRITES = re.compile(
    r"\b(?:write|writes|writing|edit|save|saves|create|creates|update|updates|modify|output|generate|fill|convert"
    r"|fix|rename|append|replace|add)\b",
    re.I,
)
_ALL_OF_IT = re.compile(r"^(?:\*|all|any|mcp__\*|.*\(\*\*?\)|.*\(/\*\*\)|.*\(~/\*\*\))$", re.IGNORECASE)
_WIDE_SETTING = re.compile(
    r"\"(?:Action|Resource|NotAction)\"\s{0,3}:\s{0,3}\[?\s{0,3}\"\*\"|[\"'](?:allow|permissions|scopes|tools"
    r"|allowedTools|allowed_tools)[\"']\s{0,3}:\s{0,3}\[?\s{0,3}[\"']\*|<all_urls>"
    r"|\"Bash\(\*(?::\*)?\)\"|auth/(?:drive|gmail|cloud-platform)\"|https://mail\.google\.com/|\b(?:admin:org"
    r"|delete_repo|repo:\*)\b"
    r"|\"defaultMode\"\s{0,3}:\s{0,3}\"bypassPermissions\"|permissions:\s{0,3}write-all|AdministratorAccess"
    r"|roles/owner\b|cluster-admin"
    r"|--dangerously-skip-permissions"
)
Found = Iterator[tuple[str, float]]  # why, weight


def permission_rules() -> tuple[Rule, ...]:
    """The rules of this module, and the one about the skill's form."""
    front: tuple[tuple[str, Severity, str, Callable[[Skill], Found]], ...] = (
        ("SS-PE1-01", "medium", "Front matter allows every tool", _all_tools),
        ("SS-PE1-02", "low", "Front matter allows any shell command", _any_shell),
        ("SS-PE1-03", "low", "A shell is allowed and nothing in the skill needs one", _unused_shell),
        ("SS-PE1-04", "low", "Network tools are allowed and the skill names no host", _unused_network),
        ("SS-PE1-05", "low", "More tools are allowed than the skill speaks of", _many_tools),
    )
    rules = [
        Rule(i, "PE1", severity, title, ("instruction",), _FrontCheck(i, find)) for i, severity, title, find in front
    ]
    rules.append(
        Rule(
            "SS-PE1-06",
            "PE1",
            "medium",
            "A settings or policy file grants everything",
            ("data", "instruction", "manifest"),
            _wide_settings,
        )
    )
    rules.append(Rule("SS-META-01", META, "low", "The front matter cannot be used", ("instruction",), _broken_front))
    return tuple(rules)


class _FrontCheck:
    def __init__(self, rule_id: str, find: Callable[[Skill], Found]) -> None:
        self.rule_id, self.find = rule_id, find

    def __call__(self, file: SkillFile, skill: Skill) -> Iterator[Evidence]:
        if file.path.lower() != "skill.md":
            return
        line = next((i for i, text in enumerate(file.lines, 1) if re.match(r"allowed[-_]tools", text)), 1)
        for why, weight in self.find(skill):
            yield evidence(self.rule_id, file, line, 1, line, 10**6, why, weight)


def _all_tools(skill: Skill) -> Found:
    for tool in skill.allowed_tools:
        if _ALL_OF_IT.match(tool) and not _ANY_SHELL.match(tool):
            yield f"allowed-tools: {tool}", 1.0


def _any_shell(skill: Skill) -> Found:
    for tool in skill.allowed_tools:
        if _ANY_SHELL.match(tool):
            yield f"{tool}: any command", 1.0 if "(" in tool else 0.5


def _unused_shell(skill: Skill) -> Found:
    if any(_ANY_SHELL.match(t) or t.lower().startswith("bash(") for t in skill.allowed_tools) and not code_of(skill):
        yield "no script and no command in the skill", 1.0


def _unused_network(skill: Skill) -> Found:
    if (
        any(_NETWORK_TOOL.match(t) for t in skill.allowed_tools)
        and not hosts_in(skill.body)
        and not re.search(r"\b(?:fetch|web|url|online|website|link|search|browse|download)", skill.body, re.IGNORECASE)
    ):
        yield "the instructions name no site to fetch", 0.8


def _many_tools(skill: Skill) -> Found:
    unused = [
        t
        for t in skill.allowed_tools
        if _WRITE_TOOL.match(t) and not _WRITES.search(f"{skill.description} {skill.body}")
    ]
    if unused:
        yield f"{', '.join(unused)}: the instructions never write", 0.3
    if len(skill.allowed_tools) >= 8:
        yield f"{len(skill.allowed_tools)} tools", 0.5


def _wide_settings(file: SkillFile, skill: Skill) -> Iterator[Evidence]:
    for number, line in enumerate(file.lines, 1):
        match = _WIDE_SETTING.search(line[:4000])
        if match:
            yield evidence(
                "SS-PE1-06",
                file,
                number,
                match.start() + 1,
                number,
                match.end() + 1,
                "grants everything",
                1.0 if file.kind != "instruction" else 0.6,
            )


def _broken_front(file: SkillFile, skill: Skill) -> Iterator[Evidence]:
    if file.path.lower() == "skill.md" and skill.front_error:
        yield evidence("SS-META-01", file, 1, 1, 1, 10**6, skill.front_error, 0.2)
