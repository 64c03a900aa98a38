"""Rules over facts of code, one row each: id, pattern, severity, title, facts that it wants, how it is weighed.

A row speaks of what happens (`environ->network`), not of a language: `facts.py` lists the words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .._skill_files import Skill, SkillFile
from .facts import BROWSER_PROFILE, Fact
from .markdown import read_blocks
from .model import Evidence, Rule, Severity, evidence
from .reading import LOCAL, Reading, read_skill

KINDS = ("python", "shell", "javascript", "instruction", "manifest", "data")
Weigh = Callable[[Fact, Reading, Skill], float]  # 0: this fact is no evidence


def _plain(fact: Fact, reading: Reading, skill: Skill) -> float:
    return 1.0


def _host(undeclared: float, unknown: float, declared: float) -> Weigh:
    """Weight by whether the prose names the host that the data go to."""

    def weigh(fact: Fact, reading: Reading, skill: Skill) -> float:
        if not fact.detail or "{}" in fact.detail:
            return unknown
        return declared if reading.is_declared(fact.detail) else undeclared

    return weigh


def _half(fact: Fact, reading: Reading, skill: Skill) -> float:
    return 0.5


def _detail(pattern: str, otherwise: float = 0.0) -> Weigh:
    """1 where the detail matches, else `otherwise`."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda fact, reading, skill: 1.0 if compiled.search(fact.detail) else otherwise


_OFFLINE = re.compile(
    r"\b(?:never leaves?|stays? (?:local|on (?:your|this|the) (?:machine|computer|device|disk))"
    r"|runs? (?:entirely |fully |completely )?(?:locally|offline)|no network"
    r"|without (?:any )?network|nothing (?:is sent|leaves)|not (?:sent|uploaded)|local[- ]only|offline"
    r"|does not (?:call|contact|use) (?:any )?(?:network|server|internet))\b",
    re.IGNORECASE,
)


def _claims_offline(fact: Fact, reading: Reading, skill: Skill) -> float:
    claims = _OFFLINE.search(skill.description) or any(
        _OFFLINE.search(b.text) for b in read_blocks(skill.body, skill.body_line) if b.kind == "prose"
    )
    return 1.0 if claims and fact.detail not in LOCAL else 0.0


def _before_evaluation(fact: Fact, reading: Reading, skill: Skill) -> float:
    """Packed data are common; packed data in a file that evaluates decoded text are not."""
    evaluated = any(f.path == fact.path and f.what in ("decoded->exec", "decoded->shell") for f in reading.facts)
    return 1.0 if evaluated else 0.15


def _sudo(fact: Fact, reading: Reading, skill: Skill) -> float:
    """Installing a system package with sudo is common and said; anything else with sudo is more."""
    return 0.7 if re.search(r"\b(?:apt|apt-get|dnf|yum|pacman|zypper|apk|snap)\b", fact.detail) else 1.0


def _browser(fact: Fact, reading: Reading, skill: Skill) -> float:
    return (
        1.0
        if BROWSER_PROFILE.search(fact.detail) or re.search("cookie|Login Data|logins.json", fact.detail, re.I)
        else 0.0
    )


def _fixed_source(fact: Fact, reading: Reading, skill: Skill) -> float:
    """A commit or digest holds a URL to one content; the public index is no foreign one."""
    if re.search(r"@[0-9a-f]{40}\b|sha256=", fact.detail):
        return 0.2
    return 0.0 if re.search(r"pypi\.org|registry\.npmjs\.org", fact.detail) else 1.0


_DROP_BOX = (
    r"webhook|requestbin|pipedream|ngrok|pastebin|paste\.|transfer\.|hooks?\.|beacon|collect|telemetry|metrics|track"
    r"|exfil|drop|c2\b|intake|ingest|stats|analytics"
)
_KEY_FILE_NAME = r"-name\s.{0,20}(?:\.pem|\.key|id_rsa|\.env|\.kdbx|wallet|secret|passw)"
_IP = r"^\d{1,3}(?:\.\d{1,3}){3}$|^\["

Row = tuple[str, str, Severity, str, tuple[str, ...], Weigh]
# fmt: off
TABLE: tuple[Row, ...] = (
    # --- external transmission
    ("SS-E1-01", "E1", "medium", "Facts about the user or machine are sent out",
        ("host-info->network",), _host(1.0, 0.7, 0.4)),
    ("SS-E1-02", "E1", "medium", "File contents are sent to a host the skill does not declare",
        ("files->network", "home-files->network"), _host(1.0, 0.3, 0.0)),
    ("SS-E1-03", "E1", "medium", "Arguments or input are sent to a host the skill does not declare",
        ("input->network", "clipboard->network"), _host(0.8, 0.2, 0.0)),
    ("SS-E1-04", "E1", "medium", "Something is sent to a host the skill does not declare",
        ("upload",), _host(0.9, 0.2, 0.0)),
    ("SS-E1-05", "E1", "medium", "A network call to a bare address", ("network",), _detail(_IP)),
    ("SS-E1-06", "E1", "medium", "A network call in a skill that says it works offline", ("network",), _claims_offline),
    ("SS-E1-07", "E1", "medium", "Something is sent to a collecting service",
        ("upload",), lambda f, r, s: 0.0 if r.is_declared(f.detail) else _detail(_DROP_BOX)(f, r, s)),
    ("SS-E1-08", "E1", "medium", "Certificate checks are switched off", ("tls-off",), _half),
    ("SS-E1-09", "E1", "low", "A network call to a host the skill does not declare",
        ("network",), _host(0.3, 0.0, 0.0)),
    # --- environment
    ("SS-E2-01", "E2", "high", "The whole environment is sent out", ("environ->network",), _plain),
    ("SS-E2-02", "E2", "high", "The whole environment is written to a file", ("environ->file",), _plain),
    ("SS-E2-03", "E2", "high", "The whole environment is logged", ("environ->log",), _plain),
    ("SS-E2-04", "E2", "high", "A secret variable is sent as data", ("secret-env->network",), _host(1.0, 0.6, 0.3)),
    ("SS-E2-05", "E2", "high", "A secret variable authenticates at a host the skill does not declare",
        ("secret-env->auth",), _host(0.7, 0.1, 0.0)),
    ("SS-E2-06", "E2", "high", "A secret variable is logged", ("secret-env->log",), _plain),
    ("SS-E2-07", "E2", "high", "A secret variable is written to a file", ("secret-env->file",), _plain),
    ("SS-E2-08", "E2", "medium", "The whole environment is read", ("environ-read",), _half),
    ("SS-E2-10", "E2", "high", "The environment reaches a process or an evaluator",
        ("environ->shell", "environ->exec", "secret-env->shell"), _half),
    # --- file system
    ("SS-E3-01", "E3", "medium", "Walks the home folder, the root or a personal folder", ("home-walk",), _plain),
    ("SS-E3-02", "E3", "medium", "Results of such a walk are sent out", ("home-files->network",), _plain),
    ("SS-E3-03", "E3", "medium", "Results of such a walk are written to a file", ("home-files->file",), _plain),
    ("SS-E3-04", "E3", "medium", "Searches for key files",
        ("home-walk", "credential-read"), _detail(_KEY_FILE_NAME)),
    # --- context
    ("SS-E4-01", "E4", "high", "Conversation or prompt is sent out", ("context->network",), _host(1.0, 0.8, 0.5)),
    ("SS-E4-02", "E4", "high", "Conversation or prompt is written to a file", ("context->file",), _half),
    ("SS-E4-03", "E4", "high", "Reads the agent's own transcripts or settings", ("context-read",), _plain),
    ("SS-E4-04", "E4", "high", "Conversation or prompt reaches a process or log",
        ("context->shell", "context->log"), _half),
    # --- permissions
    ("SS-PE1-07", "PE1", "low", "Makes files writable by everyone", ("chmod-open",), _plain),
    ("SS-PE1-08", "PE1", "medium", "Starts a container with the host's rights", ("privileged-container",), _plain),
    ("SS-PE1-10", "PE1", "medium", "Switches off permission prompts or guards",
        ("skip-permissions", "guard-off"), _plain),
    # --- root
    ("SS-PE2-01", "PE2", "medium", "Runs a command with sudo", ("sudo",), _sudo),
    ("SS-PE2-02", "PE2", "medium", "Becomes another user", ("su",), _plain),
    ("SS-PE2-03", "PE2", "high", "Sets the user id or a setuid bit", ("setuid", "setcap"), _plain),
    ("SS-PE2-04", "PE2", "high", "Changes who may become root", ("sudoers", "admin-group"), _plain),
    ("SS-PE2-05", "PE2", "medium", "Runs a container as root", ("root-container",), _plain),
    ("SS-PE2-06", "PE2", "medium", "Refuses to run without root", ("root-check",), _half),
    ("SS-PE2-07", "PE2", "medium", "Hands files to root", ("root-owner",), _half),
    # --- credentials
    ("SS-PE3-01", "PE3", "critical", "Touches a credential store", ("credential-read",), _plain),
    ("SS-PE3-02", "PE3", "critical", "Credentials are sent out", ("credentials->network",), _plain),
    ("SS-PE3-03", "PE3", "critical", "Credentials are logged or copied to a file",
        ("credentials->file", "credentials->log"), _plain),
    ("SS-PE3-04", "PE3", "critical", "Asks the cloud's metadata address for credentials",
        ("network", "credential-read"), _detail(r"169\.254\.169\.254|metadata\.google\.internal|100\.100\.100\.200")),
    ("SS-PE3-05", "PE3", "critical", "Reads a browser's cookies or passwords", ("credential-read",), _browser),
    ("SS-PE3-06", "PE3", "critical", "Credentials reach a process", ("credentials->shell", "credentials->exec"), _half),
    # --- fetched code
    ("SS-SC2-01", "SC2", "critical", "A network reply is executed", ("network->exec",), _plain),
    ("SS-SC2-02", "SC2", "critical", "A downloaded file is executed",
        ("downloaded->shell", "downloaded->exec"), _plain),
    ("SS-SC2-03", "SC2", "critical", "A network reply reaches a process", ("network->shell",), _half),
    ("SS-SC2-04", "SC2", "critical", "Installs a package from a URL or another index", ("install-url",), _fixed_source),
    ("SS-SC2-05", "SC2", "critical", "Runs a package straight from a URL", ("run-url",), _plain),
    ("SS-SC2-06", "SC2", "high", "Clones a repository", ("git-clone",), lambda f, r, s: 0.3),
    # --- obfuscation
    ("SS-SC3-01", "SC3", "critical", "Decoded text is evaluated", ("decoded->exec",), _plain),
    ("SS-SC3-02", "SC3", "critical", "Decoded text reaches a process", ("decoded->shell",), _plain),
    ("SS-SC3-03", "SC3", "high", "Text is decoded more than once", ("decode-layer",), _before_evaluation),
    ("SS-SC3-04", "SC3", "high", "Obfuscated shell", ("shell-obfuscation",), _plain),
    ("SS-SC3-09", "SC3", "medium", "Evaluates a text built at run time", ("evaluator",), _half),
    # --- lasting beyond the task
    ("SS-P4-07", "P4", "medium", "Writes to the agent's standing instructions", ("agent-memory",), _plain),
    ("SS-P4-08", "P4", "medium", "Installs itself in the user's start-up files", ("system-persist",), _plain),
)
# fmt: on


def code_rules() -> tuple[Rule, ...]:
    """The table as rules."""
    return tuple(
        Rule(rule_id, pattern, severity, title, KINDS, _Check(rule_id, title, frozenset(facts), weigh))
        for rule_id, pattern, severity, title, facts, weigh in TABLE
    )


class _Check:
    def __init__(self, rule_id: str, title: str, facts: frozenset[str], weigh: Weigh) -> None:
        self.rule_id, self.title, self.facts, self.weigh = rule_id, title, facts, weigh

    def __call__(self, file: SkillFile, skill: Skill) -> Iterator[Evidence]:
        reading = read_skill(skill)
        for fact in reading.facts:
            if fact.path != file.path or fact.what not in self.facts:
                continue
            weight = self.weigh(fact, reading, skill) * fact.weight
            if weight > 0:
                why = f"{self.title}: {fact.detail}" if fact.detail else self.title
                end = (fact.end_line or fact.line, fact.end_col or 10**6)
                yield evidence(self.rule_id, file, fact.line, fact.col, *end, why, round(weight, 3))
