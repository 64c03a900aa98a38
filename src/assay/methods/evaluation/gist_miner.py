"""“TODO: Fix the Mess Gemini Created”: Towards Understanding GenAI-Induced Self-Admitted Technical Debt (2601.07786).

Finds comments that name an AI tool and admit a shortcoming of the code beside them, and says which part the tool plays
(source of the trouble, catalyst of doubt, or the one who shall mend it) and what kind of debt it is.

    report = mine(Path("checkout"), git=True, jobs=2)
    report.summary()["gist"], report.by_role()

A million lines take well under a minute on two cores; only files whose bytes hold a tool's name are read for comments.
It reads English. It sees what is admitted: code that somebody took over without a word is not found. In libraries
about language models it raises false alarms, because there a model's name is the subject and not the author.

Differs from the paper:

- The term lists are ours; the paper's are described, not listed.
- The authors coded comments by hand. Here rules see signs, and a regression on signs and hashed words weighs them; it
  was fitted on comments of our own (`worlds.gist_comments`). On their train half the vectors of MiniLM did no better
  than hashed words (macro-F1 0.85 against 0.86 in six folds), so the model is not needed. `classify` takes any.
- A language model can do the coding instead (`_gist_model`), after the same guide.
- Survival is that of whole-line comments by their text; the paper gives none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from ..protocols import Embed
from ._gist_comments import Comment, extract_comments
from ._gist_files import read_files
from ._gist_history import DAY, Introduced, Life, introductions, lives, survival
from ._gist_learner import ROLES, SIGNS, TYPES, Learner, rows_of, shipped, signs
from ._gist_report import GistFinding, GistReport, Span
from ._gist_terms import AI_TERMS, DEBT_TERMS, debt_terms, tools_named

__all__ = [
    "AI_TERMS", "DEBT_TERMS", "ROLES", "TYPES", "Comment", "GistFinding", "GistReport", "classify", "classify_all",
    "extract_comments", "mine",
]  # fmt: skip

Classify = Callable[[Sequence[Comment]], list[GistFinding]]

_TOOL, _USAGE, _DOUBT = (SIGNS.index(name) for name in ("tool named", "usage", "doubt"))


def classify(comment: Comment, learner: Learner | None = None, embed: Embed | None = None) -> GistFinding:
    """What one comment admits; see `classify_all`."""
    return classify_all([comment], learner, embed)[0]


def classify_all(
    comments: Sequence[Comment], learner: Learner | None = None, embed: Embed | None = None
) -> list[GistFinding]:
    """Role, debt and kind of debt of each comment (the paper's coding, by signs instead of by hand).

    Without a tool's name that means the tool, and where the comment speaks of calling or building a model, the role is
    "none"; else the regression decides. Debt is admitted by a role or by one of `DEBT_TERMS`. `learner`
    is the shipped one unless given; `embed` must be the one it was fitted on.
    """
    if not comments:
        return []
    learner = learner or shipped()
    seen = [signs(c) for c in comments]
    rows = rows_of(seen, [c.text for c in comments], embed)
    found = []
    for c, sign, role, kind in zip(comments, seen, learner.roles(rows), learner.kinds(rows), strict=True):
        authored = bool(sign[_TOOL]) and not sign[_USAGE]
        best = int(role.argmax()) if authored else 0
        debts = debt_terms(c.text)
        is_debt = best > 0 or bool(debts)
        tools = tools_named(c.text, c.context)
        found.append(
            GistFinding(
                comment=c,
                is_ai_authorship=authored,
                is_debt=is_debt,
                debt_type=TYPES[int(kind.argmax())] if is_debt else None,
                role=ROLES[best],
                uncertainty=is_debt and (ROLES[best] == "catalyst" or bool(sign[_DOUBT])),
                confidence=round(float(role[best]), 4) if authored else 1.0,
                evidence=(
                    *(Span(f"tool {n.term}", n.start, n.end) for n in tools),
                    *(Span("debt", a, b) for a, b in debts),
                ),
            )
        )
    return found


def mine(
    root: Path,
    git: bool = False,
    since: date | None = None,
    until: date | None = None,
    *,
    jobs: int = 1,
    include_vendored: bool = False,
    classify: Classify = classify_all,
) -> GistReport:
    """Look through every source file under `root` and classify the comments that name a tool.

    With `git` the files are the tracked ones, and each finding has its age and a hash of its author; `since` and
    `until` (inclusive) keep what was written then. `jobs` processes share the files.

    Raises:
        FileNotFoundError: `root` does not exist.
        ValueError: `root` is a file, or in no repository though `git` is asked for; `since` after `until`, dates
            without `git`, `jobs` below 1.
    """
    _check(root, git, since, until, jobs)
    read = list(read_files(root, git=git, jobs=jobs, include_vendored=include_vendored))
    naming = [c for file in read for c in file.naming]
    meant = [c for c in naming if tools_named(c.text, c.context)]
    found = [f for f in classify(meant) if f.role != "none"]
    stayed: list[Life] = []
    now = int(time.time())
    if git:
        found = [_dated(f, i, now) for f, i in zip(found, introductions(root, [f.comment for f in found]), strict=True)]
        found = [f for f in found if _within(f, since, until)]
        stayed = _gist_lives(lives(root), classify)
    return GistReport(
        root=str(root),
        files=tuple((f.path, f.lines, f.comments) for f in read if not f.skipped),
        skipped=tuple(sorted((f.path, f.skipped) for f in read if f.skipped)),
        ai_comments=len(meant),
        findings=tuple(found),
        survival=survival(stayed, now) if git else None,
    )


def _check(root: Path, git: bool, since: date | None, until: date | None, jobs: int) -> None:
    if not root.exists():
        raise FileNotFoundError(f"no such folder: {root}")
    if not root.is_dir():
        raise ValueError(f"root: {root} is a file, wanted a folder")
    if since and until and since > until:
        raise ValueError(f"since: {since} is later than until: {until}")
    if (since or until) and not git:
        raise ValueError("since, until: the date of a comment is known from git only, ask for git as well")
    if jobs < 1:
        raise ValueError(f"jobs: got {jobs}, wanted at least 1")


def _dated(f: GistFinding, told: Introduced | None, now: int) -> GistFinding:
    if told is None:
        return f
    day = datetime.fromtimestamp(told.when, UTC).date()
    return replace(f, age_days=max(0, (now - told.when) // DAY), introduced=day, author_hash=told.author_hash)


def _within(f: GistFinding, since: date | None, until: date | None) -> bool:
    if since is None and until is None:
        return True
    return f.introduced is not None and (since or date.min) <= f.introduced <= (until or date.max)


def _gist_lives(found: list[Life], classify: Classify) -> list[Life]:
    """Those of comments that admit debt."""
    comments = [Comment(life.path, 1, 1, life.text, "line") for life in found]
    keep = [i for i, c in enumerate(comments) if tools_named(c.text)]
    roles = classify([comments[i] for i in keep])
    return [found[i] for i, f in zip(keep, roles, strict=True) if f.role != "none"]
