"""What the language readers report: facts about code, in words shared by Python, shell and JavaScript.

A fact is either a **flow** `source->sink` or a **deed** (one word or two). The rules of `code_rules.py` are a
table over these words, so that one rule covers a flaw in whatever language it is written.

Sources   environ          the whole environment
          secret-env       one variable whose name speaks of a key, token or password
          env              any other single variable
          credentials      contents of a known credential store (~/.ssh, ~/.aws, browser profiles, ...)
          home-files       names or contents from a walk of the home folder, `/`, or a personal folder
          files            names or contents of other files
          input            arguments and standard input;  clipboard;  host-info (user, machine, address)
          context          conversation, transcript, system prompt
          network          a reply from the network;  downloaded (a file written from one)
          decoded          text decoded from base64, hex, zlib, rot13 or a chr() chain
Sinks     network, exec (an evaluator), shell (a process), log, file

Deeds     network (any call, with its host), credential-read, home-walk, sudo, setuid, su, root-check, chmod-open,
          privileged-container, sudoers, pipe-to-shell, install-url, run-url, decode-layer, chr-chain, packed,
          agent-memory, system-persist, skip-permissions, context-read, environ-read, ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One fact at a place; `detail` is a host, path, variable or command, whatever names it best."""

    what: str
    detail: str
    path: str
    line: int
    col: int = 1
    end_line: int = 0
    end_col: int = 0
    weight: float = 1.0


SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEYS?|KEY|TOKENS?|SECRETS?|PASS(?:WORD|WD|PHRASE)?|PWD|CREDENTIALS?|CREDS|AUTH|PAT|DSN)(?:$|_)"
    r"|^(?:AWS|GITHUB|GH|OPENAI|ANTHROPIC|AZURE|GCP|GOOGLE|SLACK|STRIPE|NPM|HF)_|KEY$|TOKEN$|SECRET$",
    re.IGNORECASE,
)
CREDENTIAL_PATH = re.compile(
    r"\.ssh(?:/|\b)|\.aws(?:/|\b)|\.netrc|_netrc|\.git-credentials|\.npmrc|\.pypirc|\.kube(?:/|\b)|\.docker/config"
    r"|\.azure(?:/|\b)|gcloud|application_default_credentials|\.gnupg|id_(?:rsa|ed25519|ecdsa|dsa)\b"
    r"|/etc/(?:shadow|gshadow)"
    r"|/etc/passwd\b|Login Data|Cookies\b|cookies\.sqlite|logins\.json|key[34]\.db|Keychains?\b|login\.keychain"
    r"|keyrings?(?:/|\b)|\.config/gh/hosts|\.terraform\.d/credentials|\.pgpass|\.my\.cnf|\.vault-token|\.password-store"
    r"|wallet\.dat|\.bitcoin|\.ethereum|\.1password|\.bw(?:/|\b)|169\.254\.169\.254|metadata\.google\.internal"
    r"|\.boto\b|\.s3cfg|\.cargo/credentials|\.gem/credentials|\.m2/settings|rclone\.conf",
)
BROWSER_PROFILE = re.compile(
    r"Google/Chrome|google-chrome|\.mozilla|Firefox/Profiles|BraveSoftware|Microsoft/Edge|chromium", re.I
)
CONTEXT_PATH = re.compile(
    r"\.claude/(?:projects|history|todos|sessions)|\.claude\.json|\.cursor/(?:chats|history)|\.codex/(?:sessions"
    r"|history)"
    r"|(?:conversation|transcript|chat[_-]?(?:history|log)|system[_-]?prompt|session[_-]?log)s?(?:\.\w+|/|\b)",
    re.IGNORECASE,
)
CONTEXT_NAME = re.compile(
    r"^(?:\w*_)?(?:conversation|transcripts?|chat_?(?:history|log)|system_?prompt|conversation_?history"
    r"|message_?history"
    r"|dialog(?:ue)?|agent_?context|context_?window|session_?(?:history|log|messages))(?:_\w+)?$",
    re.IGNORECASE,
)
AGENT_MEMORY = re.compile(
    r"(?:CLAUDE|AGENTS|GEMINI|MEMORY)\.md\b|\.cursorrules|copilot-instructions\.md|\.claude/settings|\.claude/CLAUDE"
)
SYSTEM_PERSIST = re.compile(
    r"\.(?:bashrc|zshrc|bash_profile|profile|zprofile)\b|/etc/(?:cron|profile|rc\.local|systemd)|crontab"
    r"|LaunchAgents|\.config/autostart|systemd/user"
)
HOME_ROOT = re.compile(
    r"^(?:~|\$HOME|\$\{HOME\}|/home|/Users|/root|/|[A-Za-z]:\\|%USERPROFILE%|/mnt|/Volumes)(?:/\{\}|/\*\*?|/|/\{\}/)?$"
    r"|^(?:~|\$HOME|\$\{HOME\}|/home/[^/]+|/Users/[^/]+)/(?:Documents|Desktop|Downloads|Pictures|Library|\.config"
    r"|AppData|Dropbox)\b"
    r"|^/(?:etc|var)/?$"
)
HOST = re.compile(r"(?:https?|ftp|wss?|tcp)://(?:[^\s/@'\"]{0,80}@)?([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]{2,45}\])")
BARE_HOST = re.compile(
    r"^(?=[^/\s]{4,253}$)(?:\d{1,3}(?:\.\d{1,3}){3}|[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)(?::\d{1,5})?$"
)


def host_of(text: str) -> str:
    """Host named by a URL in `text`, or `text` itself if it is a bare host; "" if it names none."""
    match = HOST.search(text)
    if match:
        return match.group(1).lower().rstrip(".")
    return text.split(":")[0].lower() if BARE_HOST.match(text) else ""


def hosts_in(text: str) -> set[str]:
    """All hosts named in a text, with or without a scheme."""
    found = {m.group(1).lower().rstrip(".") for m in HOST.finditer(text)}
    return found | {
        m.group().lower()
        for m in re.finditer(r"\b(?:[a-z0-9-]{1,63}\.){1,4}[a-z]{2,24}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b", text, re.I)
    }


def path_labels(path: str) -> set[str]:
    """Labels of what is read from `path`."""
    labels = set()
    if CREDENTIAL_PATH.search(path) or BROWSER_PROFILE.search(path):
        labels.add("credentials")
    if CONTEXT_PATH.search(path):
        labels.add("context")
    if HOME_ROOT.search(path):
        labels.add("home-files")
    return labels or {"files"}


def env_label(name: str) -> str:
    """Label of one environment variable by its name."""
    if CONTEXT_NAME.match(name):
        return "context"
    return "secret-env" if SECRET_NAME.search(name) else "env"
