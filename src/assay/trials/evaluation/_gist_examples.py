"""The labelled comments as the miner reads them, and its weights fitted on their train half.

python -m assay.trials.evaluation._gist_examples FILE    writes the weights that ship with the package
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from assay.methods.evaluation._gist_comments import Comment, extract_comments
from assay.methods.evaluation._gist_learner import Learner, fit, rows_of, signs, weights_of
from assay.worlds.gist_comments import FILES, LabelledComment, halves, load


@dataclass(frozen=True)
class Example:
    """A label and the comment that stands there; None where the miner sees no comment: a string that looks like one."""

    label: LabelledComment
    comment: Comment | None


def examples(labels: Sequence[LabelledComment]) -> list[Example]:
    """The labels with the comments that hold their lines."""
    return [Example(label, _at(label.path, label.line)) for label in labels]


def fit_on(found: Sequence[Example]) -> Learner:
    """The miner's regressions, fitted on all examples that are comments."""
    seen = [(e.label, e.comment) for e in found if e.comment is not None]
    rows = rows_of([signs(c) for _, c in seen], [c.text for _, c in seen])
    return fit(rows, [label.role for label, _ in seen], [label.debt_type for label, _ in seen])


def shipped_learner() -> Learner:
    """What ships: fitted on the train half."""
    train = set(halves()["train"])
    return fit_on(examples([label for label in load() if label.path in train]))


def _at(path: str, line: int) -> Comment | None:
    return next((c for c in _comments(path) if c.start_line <= line <= c.end_line), None)


@cache
def _comments(path: str) -> tuple[Comment, ...]:
    return tuple(extract_comments(FILES / path, path))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(weights_of(shipped_learner())) + "\n", encoding="utf-8")
