"""From a comment to its role and kind of debt: signs that rules see, words, and a regression on both.

The paper's authors coded comments by hand; the signs below are what such a coder looks for. Each is a number in [0, 1].
The regression weighs them together with hashed words; its weights are fitted on labelled comments (`fit`) and those
that ship were fitted on the train half of the labelled corpus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocols import Embed
from ..text_index import hash_embed
from ._gist_comments import Comment
from ._gist_terms import debt_terms, is_usage, named, near_tools, tools_named

ROLES = ("none", "source", "catalyst", "mitigator")
TYPES = ("design", "requirement", "test", "defect", "documentation", "algorithm")
WEIGHTS = "gist_weights.json"
WORDS = 256  # dimensions of the hashed words

Vector = NDArray[np.float64]

_TOOL = "\x00"  # stands for each tool's name while the signs are looked for
_BLAME = (
    r"wrong\w*|incorrect|bugs?\b|broken|breaks|hallucinat\w+|forg[eo]t\w*|left out|omit\w*|ignor\w+|drops|loses|lost\b|"
    r"made up|invented|mix(?:ed|es) up|misse[sd]\b|missing\b|swallow\w*|hides|overwrit\w+|insecure|terrible|"
    r"useless|slop|"
    r"\bmess\b|defect|race condition|leaks?\b|fails?\b|insufficient|never\b|only the|no way|without any|slow\b|"
    r"exponential|quadratic|steps\b|unusable|too (?:slow|many)|replace\b|fix(?:ed|me)?\b"
)
_DOUBT = (
    r"not (?:so |really )?sure|unsure|no (?:idea|clue)|nobody|who knows|can(?:'|no)?t (?:explain|say|put|vouch|"
    r"be true)|"
    r"don'?t (?:\w+ )?(?:understand|get|trust|touch|ask)|do not (?:understand|trust)|could not|couldn'?t|"
    r"did(?:n'?t| not) \w+|"
    r"haven'?t|have not|has not|not (?:been )?(?:tested|verified|checked|convinced|compared)|"
    r"un(?:tested|verified|checked|proven|clear|known|safe)|probably|possibly|perhaps|maybe|might|\bmay\b|seems?\b|"
    r"doubts?|hope\b|guess\w*|hmm|fishy|i think\b|wonder|why\b|less so|second (?:pair|look)|verify|"
    r"leav(?:e|ing) it|keep it|\?"
)
_SETTLED = (
    r"reviewed|verified|confirmed|checked|proof|proven|compared|approved|signed off|correct\b|fine\b|works well|"
    r"agrees?\b|"
    r"identical|same (?:result|as)|covered by|100 ?%|harmless|no longer|simplified|tested\b|nothing (?:to add|is open)|"
    r"all of them|zero differences|thanks to|recommend"
)
_PLAN = (
    r"ask(?:ed)?\b|let\b|have\b|gets?\b|will\b|going to|plan(?:ned)?\b|paste into|feed\b|try\b|gives?\b|run(?:ning)?\b|"
    r"prompt\b|told\b|wait\w*|next (?:step|week|sprint)|should\b|could\b|wants? to|once\b|as soon as|after\b|until\b"
)
_TASK = (
    r"fix|repair|refactor\w*|rewrit\w+|restructur\w+|clean\w*|split|merge|pull|factor|test\w*|generat\w*|write|draft|"
    r"document|describe|proofread|translat\w+|replace|redo|add\b|implement|correct|improve|find|check|enumerate|turn it"
)
_MADE = (
    r"wrote|written|generat\w+|suggest\w+|propos\w+|produced|made|drafted|gave|says?\b|said|typed|from\b|by\b|pasted|"
    r"code\b|completed|autocomplet\w+|according to|version|regex|answer|idea|port(?:ed)?\b|'s\b|came (?:out|up)|"
    r"special|"
    r"used|assumed"
)
_SIGNS: tuple[tuple[str, str], ...] = (
    ("blame", rf"\b(?:{_BLAME})"),
    ("tool then blame", rf"{_TOOL}[^.!?]{{0,60}}\b(?:{_BLAME})"),
    ("blame then tool", rf"\b(?:{_BLAME})[^.!?]{{0,50}}{_TOOL}"),
    ("doubt", rf"(?:\b(?:{_DOUBT})|\?)"),
    ("settled", rf"\b(?:{_SETTLED})"),
    ("plan then tool", rf"\b(?:{_PLAN})[^.!?]{{0,30}}{_TOOL}"),
    ("tool then plan", rf"{_TOOL}(?:'s \w+)?[^.!?]{{0,25}}\b(?:{_PLAN})"),
    ("tool then task", rf"{_TOOL}[^.!?]{{0,20}}\b(?:to|for|will|could|should|can|run)\b[^.!?]{{0,25}}\b(?:{_TASK})"),
    ("task", rf"\b(?:{_TASK})\b"),
    ("made then tool", rf"\b(?:{_MADE})[^.!?]{{0,12}}{_TOOL}"),
    ("tool then made", rf"{_TOOL}[^.!?]{{0,12}}(?:{_MADE})"),
    ("tool first", rf"^\W*{_TOOL}"),
    ("first person", r"\b(?:i|my|me|we|our|us)\b"),
    ("negation", r"\b(?:not?|n't|never|none|nothing|without)\b"),
    ("must", r"\b(?:must|has to|have to|needs?|needed|required|still|yet)\b"),
    ("requirement", r"missing|unsupported|not (?:yet )?(?:supported|handled|possible)|only\b|left out|forg[eo]t|"
     r"implement|"
     r"remains|require"),
    ("test", r"test|verif|check|coverage|unproven|tried|flaky"),
    ("defect", r"wrong|bug|broken|breaks|fail|crash|incorrect|defect|lost|loses|leak|race|off by|insecure|unsafe|loop"),
    ("documentation", r"\bdocs?\b|document|comment|explanation|describ|translat|spelling|alt text|notice|"
     r"write it down"),
    ("algorithm", r"slow|quadratic|exponential|perform|scale|fast|heuristic|optim|algorithm|complexity|steps|converge|"
     r"expensive|naive"),
    ("design", r"ugly|hack|mess|kludge|refactor|duplicat|copy|hard.?coded|magic|clean|workaround|temporary|"
     r"legacy|style|"
     r"nested|should be"),
)  # fmt: skip
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _SIGNS)
SIGNS = ("tool named", "other meaning", "usage", "debt term", *(name for name, _ in _SIGNS))


def signs(comment: Comment, guards: bool = True) -> Vector:
    """The signs of a comment, shape (len(SIGNS),); `guards=False` takes every match of a name for the tool and looks
    neither at the code beside the comment nor for usage."""
    context = comment.context if guards else ""
    text = near_tools(comment.text, context, guards)
    tools = tools_named(text, context) if guards else named(text)
    masked = text
    for n in reversed(tools):
        masked = f"{masked[: n.start]}{_TOOL}{masked[n.end :]}"
    first = [
        bool(tools),
        len(tools) < len(named(text)),
        guards and is_usage(text, context),
        bool(debt_terms(text)),
    ]
    return np.array([*first, *(bool(pattern.search(masked)) for _, pattern in _COMPILED)], dtype=np.float64)


@dataclass(frozen=True)
class Learner:
    """Two regressions on [signs, words]: the role over `ROLES`, the kind of debt over `TYPES`.

    `role` has shape (4, d) and `kind` (6, d) with d = len(SIGNS) + words + 1, the last column the bias.
    """

    role: Vector
    kind: Vector

    def roles(self, rows: Vector) -> Vector:
        """Probabilities of `ROLES` for rows (n, d - 1); shape (n, 4)."""
        return _softmax(rows, self.role)

    def kinds(self, rows: Vector) -> Vector:
        """Probabilities of `TYPES`; shape (n, 6)."""
        return _softmax(rows, self.kind)


def rows_of(signs: Sequence[Vector], texts: Sequence[str], embed: Embed | None = None) -> Vector:
    """What the regressions read, shape (n, len(SIGNS) + words): the signs beside the vectors of `embed`."""
    if len(signs) != len(texts):
        raise ValueError(f"texts: got {len(texts)}, wanted {len(signs)}, one for each row of signs")
    words = hash_embed(texts, WORDS) if embed is None else embed(texts)
    return np.concatenate([np.stack(signs), words.astype(np.float64)], axis=1)


def fit(rows: Vector, roles: Sequence[str], kinds: Sequence[str | None]) -> Learner:
    """Fit both regressions; `kinds` is None for a comment that admits no debt, which only the first learns from.

    Raises ValueError unless every role occurs, and two kinds.
    """
    if set(roles) != set(ROLES):
        raise ValueError(f"roles: got {sorted(set(roles))}, wanted all of {', '.join(ROLES)}")
    if len(set(kinds) - {None}) < 2:
        raise ValueError(f"kinds: got {sorted({k for k in kinds if k})}, wanted at least two")
    admitted = [i for i, kind in enumerate(kinds) if kind is not None]
    return Learner(
        _regression(rows, roles, ROLES),
        _regression(rows[admitted], [str(kinds[i]) for i in admitted], TYPES),
    )


@cache
def shipped() -> Learner:
    """The regressions whose weights come with the package."""
    return read_weights(json.loads(files(__package__).joinpath(WEIGHTS).read_text(encoding="utf-8")))


def read_weights(content: Mapping[str, Any]) -> Learner:
    """A learner from what `weights_of` wrote. Raises ValueError where it was made for other signs."""
    if tuple(content["signs"]) != SIGNS:
        raise ValueError("weights: made for other signs than those of this version, fit them anew")
    return Learner(np.array(content["role"]), np.array(content["kind"]))


def weights_of(learner: Learner) -> dict[str, Any]:
    """A learner as plain data, four digits a weight."""
    return {
        "signs": list(SIGNS),
        "role": np.round(learner.role, 4).tolist(),
        "kind": np.round(learner.kind, 4).tolist(),
    }


def _regression(rows: Vector, names: Sequence[str], order: Sequence[str]) -> Vector:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000).fit(rows, list(names))
    weights = np.full((len(order), rows.shape[1] + 1), 0.0)
    weights[:, -1] = -30.0  # a class that never occurred is never said
    found = np.column_stack([fitted.coef_, fitted.intercept_])
    if len(fitted.classes_) == 2:  # told as one against the other
        found = np.concatenate([np.zeros_like(found), found])
    for name, row in zip(fitted.classes_, found, strict=True):
        weights[order.index(name)] = row
    return weights


def _softmax(rows: Vector, weights: Vector) -> Vector:
    scores = rows @ weights[:, :-1].T + weights[:, -1]
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Vector = raised / raised.sum(axis=1, keepdims=True)
    return result
