"""Reading shell: pipelines of commands, what flows through them, and the deeds that need no flow.

`shell_parse.py` makes pipelines of a script; here each command is asked what it takes, prints, sends and runs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .code import Code
from .facts import (
    AGENT_MEMORY,
    BROWSER_PROFILE,
    CONTEXT_PATH,
    CREDENTIAL_PATH,
    HOME_ROOT,
    SYSTEM_PERSIST,
    Fact,
    env_label,
    host_of,
)
from .shell_deeds import DEEDS
from .shell_parse import MAX_LINE, SUBSTITUTION, Command, pipelines

NESTED = 3  # scripts inside strings inside scripts
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)(?::?[-=+?][^}]{0,200})?\}?")
_UPLOADS = re.compile(
    r"\s(?:-d|--data[\w-]*|-F|--form[\w-]*|-T|--upload-file|--post-data|--post-file|--json|--body-data"
    r"|--body-file)(?:[\s=@]|$)"
    r"|-X\s{0,2}(?:POST|PUT|PATCH)|--request[= ](?:POST|PUT)|--method[= ](?:POST|PUT)"
)
SENDERS = frozenset(
    [
        "curl",
        "wget",
        "nc",
        "ncat",
        "netcat",
        "scp",
        "rsync",
        "sftp",
        "ftp",
        "socat",
        "http",
        "https",
        "telnet",
        "aws",
        "gsutil",
        "rclone",
        "sendmail",
        "mail",
        "mailx",
    ]
)
SHELLS = frozenset(["sh", "bash", "zsh", "dash", "ksh", "ash", "fish"])
INTERPRETERS = SHELLS | frozenset(
    ["python", "python3", "python2", "perl", "ruby", "node", "php", "pwsh", "powershell", "osascript"]
)
RAISERS = frozenset(["sudo", "doas", "pkexec", "su", "gosu", "runuser"])
_SENSITIVE_COMMAND = re.compile(
    r"find-generic-password|find-internet-password|dump-keychain|gh auth token|print-access-token|aws configure get"
    r"|get-login-password|secret-tool lookup|pass show|op (?:read|item get)|vault (?:read|kv get)|cmdkey /list"
    r"|docker-credential"
)
_SHELL_OWN = frozenset(
    [
        "HOME",
        "PWD",
        "OLDPWD",
        "PATH",
        "SHELL",
        "TMPDIR",
        "LINENO",
        "RANDOM",
        "SECONDS",
        "BASH_SOURCE",
        "IFS",
        "PPID",
        "UID",
        "EUID",
        "USER",
        "OPTARG",
    ]
)


@dataclass
class State:
    """What variables and files of a script are known to hold."""

    labels: dict[str, set[str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, set[str]] = field(default_factory=dict)


def shell_facts(pieces: Iterable[Code]) -> tuple[list[Fact], list[Code]]:
    """(facts, code of other languages in heredocs and `-c` strings) of a skill's shell pieces."""
    facts: dict[Fact, None] = {}
    others: list[Code] = []
    for code in pieces:
        reader = _Reader(code, facts, others, State(), 0)
        reader.read(code.text, code.line)
    return list(facts), others


class _Reader:
    def __init__(self, code: Code, facts: dict[Fact, None], others: list[Code], state: State, depth: int) -> None:
        self.code, self.facts, self.others, self.state, self.depth = code, facts, others, state, depth

    def read(self, text: str, line: int) -> None:
        for pipeline in pipelines(text, line):
            self.pipeline(pipeline)

    def fact(self, what: str, detail: str, line: int) -> None:
        self.facts[Fact(what, detail[:200], self.code.path, line, weight=self.code.weight)] = None

    # ---- flow -------------------------------------------------------------------------------------------

    def pipeline(self, commands: list[Command]) -> None:
        flowing: set[str] = set()
        for command in commands:
            command = self.assigned(command)
            if command.words[:1] == ["for"] and len(command.words) > 3:
                name, values = command.words[1], command.words[3:]
                self.state.labels[name] = set().union(*(self.labels(v, command.line, True) for v in values))
            elif command.words:
                flowing = self.command(command, flowing)

    def assigned(self, command: Command) -> Command:
        """Takes `NAME=value` words off the front and remembers them."""
        words = list(command.words)
        while words and words[0] in ("export", "local", "readonly", "declare", "typeset") and len(words) > 1:
            words.pop(0)
        for word in list(words):
            match = re.match(r"([A-Za-z_]\w*)\+?=(.*)\Z", word, re.DOTALL)
            if match is None:
                break
            name, value = match.groups()
            self.state.labels[name] = self.state.labels.get(name, set()) | self.labels(value, command.line)
            self.state.texts[name] = self.expand(value)[:MAX_LINE]
            words.pop(0)
        return replace(command, words=words)

    def command(self, command: Command, piped: set[str]) -> set[str]:
        """Report what one command does with what is piped into it; return the labels of what it prints."""
        words = [self.expand(w) for w in command.words]
        name, words = self.unwrapped(words, command.line)
        if not words:
            return piped
        text, line = " ".join(words), command.line
        taken = set(piped).union(
            *(self.labels(w, line) for w in command.words), *(self.labels(i, line, True) for i in command.inputs)
        )
        taken |= self.labels(command.heredoc, line) if command.heredoc else set()
        self.deeds(name, words, text, line)
        printed = self.printed(name, words, text, line) | taken
        if name in SENDERS or "/dev/tcp/" in text + " ".join(command.outputs):
            printed = self.sends(name, words, text, taken, line)
        if command.heredoc and name in ("cat", "tee"):
            self.nested(name, words, command)
        if name in INTERPRETERS or name in ("eval", "source", ".", "xargs"):
            self.runs(name, words, command, piped, taken)
        elif (
            words[0] in self.state.files or f"./{words[0]}" in self.state.files
        ) and "network" in self.state.files.get(words[0], set()):
            self.fact("downloaded->shell", text, line)
        for output in command.outputs:
            self.writes(self.expand(output), printed, line)
        if name == "tee":
            for word in words[1:]:
                self.writes(word, printed, line)
        return printed

    def unwrapped(self, words: list[str], line: int) -> tuple[str, list[str]]:
        """The command's name without path, and its words without `sudo`, `env A=b`, `nohup`, `time`, ..."""
        while words:
            name = words[0].rsplit("/", 1)[-1]
            if name in RAISERS and not (name == "su" and len(words) == 1 and self.code.weight < 1):
                self.fact("su" if name in ("su", "runuser", "gosu") else "sudo", " ".join(words), line)
                words = words[1:]
                while words and words[0].startswith("-"):
                    words = words[2:] if words[0] in ("-u", "-g", "-U") else words[1:]
                if name in ("su", "runuser", "gosu"):
                    return name, words
            elif name in (
                "nohup",
                "time",
                "exec",
                "command",
                "then",
                "do",
                "else",
                "!",
                "if",
                "while",
                "until",
                "{",
                "(",
                "builtin",
                "stdbuf",
            ):
                words = words[1:]
            elif name == "env" and len(words) > 1 and not words[1].startswith("-"):
                words = words[1:]
                while words and re.match(r"[A-Za-z_]\w*=", words[0]):
                    words = words[1:]
            elif name == "timeout" and len(words) > 2:
                words = words[2:]
            else:
                return name, words
        return "", []

    def printed(self, name: str, words: list[str], text: str, line: int) -> set[str]:
        if (name in ("env", "printenv") and len(words) == 1) or re.match(
            r"(?:set|export -p|declare -x|compgen -v)$", text
        ):
            self.fact("environ-read", text, line)
            return {"environ"}
        if name == "printenv" and len(words) == 2:
            return {env_label(words[1])}
        if name in ("pbpaste", "wl-paste") or (name in ("xclip", "xsel") and "-o" in text):
            return {"clipboard"}
        if name in ("whoami", "hostname", "id", "uname", "ifconfig"):
            return {"host-info"}
        if name in ("history", "fc"):
            return {"context"}
        if (
            (name == "base64" and re.search(r"\s(?:-d|-D|--decode)\b", text))
            or (name == "xxd" and "-r" in text)
            or (name == "openssl" and " -d" in text)
        ):
            return {"decoded"}
        if name in ("gunzip", "zcat") or (name == "tr" and re.search(r"A-Za-z.{1,3}N-ZA-M", text)) or name == "rev":
            return {"decoded"}
        if _SENSITIVE_COMMAND.search(text):
            self.fact("credential-read", text, line)
            return {"credentials"}
        if name in ("find", "ls", "tree", "du", "tar", "zip", "fd", "rg", "grep", "locate", "mdfind", "rsync", "cp"):
            return self.walked(name, words, text, line)
        return set()

    def walked(self, name: str, words: list[str], text: str, line: int) -> set[str]:
        recursive = (
            name in ("find", "tree", "du", "tar", "zip", "fd", "rg") or re.search(r"\s-\w*[rR]", text) is not None
        )
        roots = [w for w in words[1:] if HOME_ROOT.search(w.rstrip("*").rstrip("/") or "/")]
        if name in ("locate", "mdfind") or (recursive and roots):
            self.fact("home-walk", text, line)
            return {"home-files"}
        return set()

    def sends(self, name: str, words: list[str], text: str, taken: set[str], line: int) -> set[str]:
        host = next((h for h in map(host_of, words[1:]) if h), "")
        if not host:
            match = re.search(r"/dev/tcp/([^/\s]+)|@([\w.-]+):", text)
            host = next((g for g in match.groups() if g), "") if match else ""
        self.fact("network", host, line)
        if name not in ("curl", "wget", "http", "https") or _UPLOADS.search(text):
            self.fact("upload", host, line)
        header = re.compile(r"-H|--header|-u|--user|--oauth2-bearer|-b")
        auth: set[str] = set()
        for flag, word in itertools.pairwise(words):
            if header.fullmatch(flag):
                auth |= self.labels(word, line)
        sent = set(taken)
        body = [w for f, w in itertools.pairwise(words) if not header.fullmatch(f)]
        if auth:
            sent -= {a for a in auth if a in ("secret-env", "env") and not any(a in self.labels(w, line) for w in body)}
            self.fact("secret-env->auth", host, line)
        for word in words[1:]:
            sent |= self.labels(word.partition("@")[2] if "@" in word and "://" not in word else "", line, True)
            if name in ("scp", "rsync", "aws", "gsutil", "rclone", "sftp"):
                sent |= self.labels(word, line, True)
        for label in sorted(sent):
            self.fact(f"{label}->network", host, line)
        for flag, word in itertools.pairwise(words):
            if flag in (
                "-o",
                "--output",
                "-O",
                "--output-document",
                "-fsSLo",
                "-sLo",
                "-Lo",
                "-sSLo",
                "-sSfLo",
                "-fsSL-o",
            ):
                self.state.files.setdefault(word, set()).add("network")
        if name in ("curl", "wget") and (re.search(r"\s-\w*O\b", text) or name == "wget"):
            target = next((w for w in words if "://" in w), "").split("?")[0].rsplit("/", 1)[-1]
            if target:
                self.state.files.setdefault(target, set()).add("network")
        return {"network"}

    def runs(self, name: str, words: list[str], command: Command, piped: set[str], taken: set[str]) -> None:
        line, text = command.line, " ".join(words)
        raw = " ".join(command.words)
        reads_stdin = (
            len(words) == 1 or all(w.startswith("-") for w in words[1:]) or words[1:2] == ["-s"] or name == "xargs"
        )
        for label in sorted(piped & {"network", "decoded"}):
            if reads_stdin:
                self.fact(f"{label}->exec", f"| {name}", line)
        evaluates = name in ("eval", "source", ".") or "-c" in words or "<(" in raw
        if evaluates:
            for label in sorted((taken - piped) & {"network", "decoded", "downloaded", "input"}):
                self.fact(f"{label}->exec", text, line)
        for word in words[1:]:
            if "network" in self.state.files.get(word, set()) | self.state.files.get(word.removeprefix("./"), set()):
                self.fact("downloaded->shell", text, line)
        self.nested(name, words, command)

    def nested(self, name: str, words: list[str], command: Command) -> None:
        """Code handed to an interpreter as a string or a heredoc."""
        inner = command.heredoc
        for flag, word in itertools.pairwise(words):
            if flag in ("-c", "-e") or (name in SHELLS and re.fullmatch(r"-\w*c", flag)):
                inner = word
        if name == "eval":
            inner = " ".join(words[1:])
        if name in ("cat", "tee"):  # a script that is written here to be run later
            name = _language_of(inner, [*command.outputs, *words[1:]])
        if not inner.strip():
            return
        if name in SHELLS or name == "eval":
            if self.depth < NESTED:
                _Reader(self.code, self.facts, self.others, self.state, self.depth + 1).read(inner, command.line)
        elif name.startswith("python"):
            self.others.append(Code("python", inner, self.code.path, command.line, self.code.weight))
        elif name == "node":
            self.others.append(Code("javascript", inner, self.code.path, command.line, self.code.weight))

    def writes(self, path: str, printed: set[str], line: int) -> None:
        if path in ("/dev/null", "&1", "&2", "1", "2"):
            return
        self.state.files.setdefault(path, set()).update(printed)
        for label in sorted(printed & {"environ", "secret-env", "credentials", "context", "home-files"}):
            self.fact(f"{label}->file", path, line)
        for pattern, what in ((AGENT_MEMORY, "agent-memory"), (SYSTEM_PERSIST, "system-persist")):
            if pattern.search(path):
                self.fact(what, path, line)

    def labels(self, word: str, line: int, is_file: bool = False) -> set[str]:
        """Labels of what a word holds: variables, substitutions, and files that it names."""
        if not word:
            return set()
        found: set[str] = set()
        for match in SUBSTITUTION.finditer(word):
            inner = next(g for g in match.groups() if g is not None)
            if self.depth < NESTED:
                reader = _Reader(self.code, self.facts, self.others, self.state, self.depth + 1)
                for pipeline in pipelines(inner, line):
                    flowing: set[str] = set()
                    for command in pipeline:
                        command = reader.assigned(command)
                        flowing = reader.command(command, flowing) if command.words else flowing
                    found |= flowing
        for match in _VARIABLE.finditer(word):
            name = match.group(1)
            if name in self.state.labels:
                found |= self.state.labels[name]
            elif name not in _SHELL_OWN and name.isupper():
                found.add(env_label(name))
        text = self.expand(word)
        if CREDENTIAL_PATH.search(text) or BROWSER_PROFILE.search(text):
            found.add("credentials")
        if CONTEXT_PATH.search(text) and ("/" in text or "." in text):
            found.add("context")
        name = text.lstrip("@<")
        found |= self.state.files.get(name, set())
        if is_file and not found and name not in ("", "-"):
            found.add("files")
        return found

    def expand(self, word: str) -> str:
        """The word with the values of known variables put in."""
        return (
            _VARIABLE.sub(lambda m: self.state.texts.get(m.group(1), m.group()), word)[:MAX_LINE]
            if "$" in word
            else word
        )

    # ---- deeds ------------------------------------------------------------------------------------------

    def deeds(self, name: str, words: list[str], text: str, line: int) -> None:
        for word in words[1:]:
            if name not in (
                "echo",
                "printf",
                "rm",
                "git",
                "test",
                "[",
                "[[",
                "chmod",
                "mkdir",
            ) and CREDENTIAL_PATH.search(word):
                self.fact("credential-read", word, line)
                break
        for pattern, what in DEEDS:
            if pattern.search(text):
                self.fact(what, text, line)


def _language_of(script: str, targets: list[str]) -> str:
    """Interpreter of a script by its first line or by the name of its file; "" if it is no script."""
    first = script.lstrip().split("\n", 1)[0]
    for word, name in (("python", "python3"), ("node", "node"), ("sh", "sh")):
        if first.startswith("#!") and word in first:
            return name
    for suffix, name in ((".sh", "sh"), (".py", "python3"), (".js", "node"), (".mjs", "node")):
        if any(t.endswith(suffix) for t in targets):
            return name
    return ""
