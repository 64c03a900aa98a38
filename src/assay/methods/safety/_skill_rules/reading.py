"""All facts about a skill's code: every piece read by the reader of its language, strings and heredocs included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from .._skill_files import Skill
from .code import Code, code_of, instruction_body
from .facts import Fact, hosts_in
from .javascript import javascript_facts
from .markdown import read_blocks
from .python_roles import python_facts
from .shell import shell_facts

LOCAL = frozenset(("localhost", "127.0.0.1", "0.0.0.0", "[::1]", "::1", "host.docker.internal"))


@dataclass(frozen=True)
class Reading:
    """The facts, and the hosts that the skill says it talks to."""

    facts: tuple[Fact, ...]
    declared: frozenset[str]

    def is_declared(self, host: str) -> bool:
        """Whether the skill's prose names this host (or the host is this machine)."""
        return host in self.declared or host in LOCAL


@lru_cache(maxsize=8)
def read_skill(skill: Skill) -> Reading:
    """Facts of all code of the skill, each once, ordered by place."""
    pieces = code_of(skill)
    facts, commands = python_facts([p for p in pieces if p.language == "python"])
    more, from_javascript = javascript_facts([p for p in pieces if p.language == "javascript"])
    facts += more
    shell = [p for p in pieces if p.language == "shell"] + commands + from_javascript
    more, inner = shell_facts(shell)
    facts += more
    facts += _inner_facts(inner)
    facts.sort(key=lambda f: (f.path, f.line, f.col, f.what, f.detail))
    return Reading(tuple(dict.fromkeys(facts)), declared_hosts(skill))


def _inner_facts(pieces: list[Code]) -> list[Fact]:
    """Python and JavaScript inside shell; what they run in turn is read once more and no deeper."""
    facts, commands = python_facts([p for p in pieces if p.language == "python"])
    more, from_javascript = javascript_facts([p for p in pieces if p.language == "javascript"])
    return facts + more + shell_facts(commands + from_javascript)[0]


def declared_hosts(skill: Skill) -> frozenset[str]:
    """Hosts named in the front matter or in the prose of SKILL.md; a host that only code names is not declared."""
    file = skill.instruction_file
    body, line = instruction_body(skill, file)
    prose = [b.text for b in read_blocks(body, line) if b.kind == "prose" and not b.caution]
    texts = [
        *prose,
        skill.description,
        *(str(v) for k, v in skill.front.items() if k != "allowed-tools"),
        " ".join(skill.allowed_tools),
    ]
    return frozenset().union(*(hosts_in(text) for text in texts))
