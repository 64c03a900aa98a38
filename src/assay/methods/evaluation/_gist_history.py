"""What git knows of a comment: who brought it when, and whether and when such comments went away again.

Only comments that a tool is named in are looked up. Whole-line comments are followed through the history by their
text; docstrings and comments behind code are not.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ._gist_comments import SUFFIXES, Comment
from ._gist_terms import named

DAY = 86_400
HALF_YEAR, YEAR = 182, 365  # days at which survival is told

# What git itself looks for in a change before it is read here (POSIX, case ignored).
_PICKAXE = (
    "gpt|open ?ai|copilot|codex|claude|anthropic|gemini|bard|llama|mistral|deep.?seek|qwen|grok|cursor|windsurf|"
    "codeium|tabnine|codewhisperer|llm|vibe.?cod|(^|[^a-z])ai([^a-z]|$)"
)
_LINE_COMMENT = re.compile(r"^\s*(?:#|//|/?\*+|--|<!--)\s?(.*?)(?:\*/|-->)?\s*$")
_BLAME_HEAD = re.compile(r"[0-9a-f]{40} \d+ (\d+)")


@dataclass(frozen=True)
class Introduced:
    """When the oldest line of a comment was written (seconds since 1970), and a hash of its author's address."""

    when: int
    author_hash: str


@dataclass(frozen=True)
class Life:
    """One comment in the history: when it came and, if it went, when."""

    path: str
    text: str
    came: int
    went: int | None


@dataclass(frozen=True)
class Survival:
    """Kaplan-Meier estimate over lives: `median_days` is None while more than half are still there."""

    n: int
    removed: int
    median_days: float | None
    after_half_year: float | None
    after_year: float | None


def introductions(root: Path, comments: Sequence[Comment]) -> list[Introduced | None]:
    """For each comment what `git blame` says of its lines; None where git does not know them yet."""
    by_path: dict[str, list[Comment]] = defaultdict(list)
    for comment in comments:
        by_path[comment.path].append(comment)
    blamed = {path: _blame(root, path, group) for path, group in by_path.items()}
    found: list[Introduced | None] = []
    for c in comments:
        known = [blamed[c.path][line] for line in range(c.start_line, c.end_line + 1) if line in blamed[c.path]]
        found.append(min(known, key=lambda i: i.when, default=None))
    return found


def _blame(root: Path, path: str, comments: Sequence[Comment]) -> dict[int, Introduced]:
    spans = [word for c in comments for word in ("-L", f"{c.start_line},{c.end_line}")]
    text = _git(root, "blame", "--line-porcelain", *spans, "--", path)
    lines: dict[int, Introduced] = {}
    line, when, author = 0, 0, ""
    for row in text.split("\n"):
        if head := _BLAME_HEAD.match(row):
            line = int(head[1])
        elif row.startswith("author-mail "):
            author = hashlib.sha256(row[12:].encode()).hexdigest()[:12]
        elif row.startswith("author-time "):
            when = int(row[12:])
        elif row.startswith("\t") and author != _nobody():
            lines[line] = Introduced(when, author)
    return lines


def _nobody() -> str:
    return hashlib.sha256(b"<not.committed.yet>").hexdigest()[:12]


def lives(root: Path) -> list[Life]:
    """Every whole-line comment naming a tool that the history of the checkout has seen come, oldest first."""
    since: dict[tuple[str, str], list[int]] = defaultdict(list)
    over: list[Life] = []
    for when, changes in _commits(root):
        added, removed = _moves_out(changes)
        for path, text in removed:
            if since[path, text]:
                over.append(Life(path, text, since[path, text].pop(0), when))
        for path, text in added:
            since[path, text].append(when)
    there = [Life(path, text, came, None) for (path, text), times in since.items() for came in times]
    return sorted([*over, *there], key=lambda life: (life.came, life.path, life.text))


Change = tuple[bool, str, str]  # added?, path, text


def _commits(root: Path) -> Iterator[tuple[int, list[Change]]]:
    """(author time, changed comments) of each commit that may matter, oldest first; merges are left out."""
    specs = [f"*{suffix}" for suffix in sorted(SUFFIXES)]
    log = _git(
        root, "log", "--reverse", "--no-merges", "--no-renames", "--format=%x00%at", "-p", "--unified=0", "-i",
        f"-G{_PICKAXE}", "--", *specs,
    )  # fmt: skip
    for commit in log.split("\0")[1:]:
        stamp, _, patch = commit.partition("\n")
        yield int(stamp), list(_changed_comments(patch))


def _changed_comments(patch: str) -> Iterator[Change]:
    old = new = ""
    run: list[str] = []
    sign = ""

    def told() -> Iterator[Change]:
        text = "\n".join(run).strip()
        if text and named(text):
            yield sign == "+", new if sign == "+" else old, text

    for row in patch.split("\n"):
        comment = _LINE_COMMENT.match(row[1:]) if row[:1] in ("+", "-") and row[:3] not in ("+++", "---") else None
        if run and (comment is None or row[0] != sign):
            yield from told()
            run = []
        if comment is not None:
            sign = row[0]
            run.append(comment[1].strip())
        elif row.startswith("--- "):
            old = row[4:].removeprefix("a/")
        elif row.startswith("+++ "):
            new = row[4:].removeprefix("b/")
    yield from told()


def _moves_out(changes: list[Change]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Added and removed comments of one commit, less those that only changed their place within their file."""
    added = [(path, text) for is_new, path, text in changes if is_new]
    removed = []
    for is_new, path, text in changes:
        if is_new:
            continue
        if (path, text) in added:
            added.remove((path, text))
        else:
            removed.append((path, text))
    return added, removed


def survival(found: Sequence[Life], now: int) -> Survival:
    """How long comments stay: those still there at `now` count as censored then."""
    if not found:
        return Survival(0, 0, None, None, None)
    from scipy.stats import CensoredData, ecdf

    gone = [(life.went - life.came) / DAY for life in found if life.went is not None]
    still = [max(0, now - life.came) / DAY for life in found if life.went is None]
    curve = ecdf(CensoredData(uncensored=gone, right=still)).sf
    times, shares = curve.quantiles, curve.probabilities
    longest = max([*gone, *still])
    at_half = next((float(t) for t, share in zip(times, shares) if share <= 0.5), None)
    return Survival(
        len(found),
        len(gone),
        at_half,
        float(curve.evaluate(HALF_YEAR)) if longest >= HALF_YEAR else None,
        float(curve.evaluate(YEAR)) if longest >= YEAR else None,
    )


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), "-c", "core.quotePath=false", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        if "does not have any commits" in said[0]:
            return ""
        raise ValueError(f"git {words[0]}: {said[0]}")
    return done.stdout.decode("utf-8", "replace")
