"""Debt admitted on generated code: does reading a comment for what it says find more than a search for words?

A seed is one of eight splits: four or five files of the test half are judged, the regression is fitted on all other
files; terms and signs are fixed. They were written with the train half in view only, by the hand that wrote the
corpus. The verdict on a comment is one of four: none, source, catalyst, mitigator.

baseline     both term lists on one line, which is how the paper's comments were first found, and the commonest role of
             the fitted files. Tuned there: small letters or capitals alike, or as written; one line or the comment.
placebo      the miner without its idea: every match of a name is the tool, no look at the code beside it, and the
             signs of one comment are those of another (shuffled); same learner, same words
method       the miner
words        the same learner on the hashed words alone (shown)
linters      what a linter says of such comments: each TODO or FIXME at the start of one, as pylint's W0511 and ruff's
             FIX002 have it, with the commonest role (shown; bandit reports nothing on comments)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from assay.engine.trial import Bar, Measures, Metric, Models, Trial
from assay.methods.evaluation._gist_comments import Comment
from assay.methods.evaluation._gist_learner import ROLES, SIGNS, Vector, fit, rows_of, signs
from assay.methods.evaluation._gist_terms import AI_TERMS, DEBT_TERMS
from assay.methods.evaluation.gist_miner import classify_all
from assay.trials.evaluation._gist_examples import Example, examples, fit_on
from assay.worlds.gist_comments import FILES, NONE, GistComments, Place, Split

_AI, _DEBT = "|".join(term.pattern for term in AI_TERMS), "|".join(DEBT_TERMS)
_TAG = re.compile(r"^\W*(?:TODO|FIXME|XXX|HACK)\b")


def grep(split: Split, models: Models, seed: int) -> Measures:
    """Baseline."""
    role = commonest_role(split)
    train, test = examples(split.train), examples(split.test)
    truth = {e.label.place: e.label.role != NONE for e in train}

    def found(e: Example, ignore_case: bool, by_line: bool) -> bool:
        flags = re.IGNORECASE if ignore_case else 0
        lines = text_of(e).split("\n") if by_line else [text_of(e)]
        return any(re.search(rf"\b(?:{_AI})\b", line, flags) and re.search(_DEBT, line, flags) for line in lines)

    def right(options: tuple[bool, bool]) -> int:
        return sum(found(e, *options) == truth[e.label.place] for e in train)

    best = max(product((True, False), (True, False)), key=right)
    note = f"{'any' if best[0] else 'exact'} case, {'one line' if best[1] else 'whole comment'}, role {role}"
    return measured(split, {e.label.place: role if found(e, *best) else NONE for e in test}, {"tuned": note})


def shuffled_signs(split: Split, models: Models, seed: int) -> Measures:
    """Placebo."""
    train, test = comments(examples(split.train)), comments(examples(split.test))
    generator = np.random.default_rng(seed)

    def rows(part: Sequence[tuple[Example, Comment]]) -> Vector:
        own = np.stack([signs(c, guards=False) for _, c in part])
        own[:, ROLE_SIGNS] = own[generator.permutation(len(own))][:, ROLE_SIGNS]
        return rows_of(list(own), [c.text for _, c in part])

    fitted, judged = rows(train), rows(test)
    learner = fit(fitted, [e.label.role for e, _ in train], [e.label.debt_type for e, _ in train])
    said = {e.label.place: NONE for e in examples(split.test)}
    for (e, _), row, named in zip(test, learner.roles(judged), judged[:, 0], strict=True):
        said[e.label.place] = ROLES[int(row.argmax())] if named else NONE
    return measured(split, said)


def miner(split: Split, models: Models, seed: int) -> Measures:
    """Method."""
    test = examples(split.test)
    seen = comments(test)
    findings = classify_all([c for _, c in seen], fit_on(examples(split.train)))
    said = {e.label.place: NONE for e in test} | {
        e.label.place: f.role for (e, _), f in zip(seen, findings, strict=True)
    }
    kinds = [
        f.debt_type == e.label.debt_type for (e, _), f in zip(seen, findings, strict=True) if e.label.kind == "gist"
    ]
    return measured(split, said, extra={"types_right": float(sum(kinds)), "types_asked": float(len(kinds))})


def words_alone(split: Split, models: Models, seed: int) -> Measures:
    """Shown: what the words alone tell the learner."""
    train, test = comments(examples(split.train)), comments(examples(split.test))

    def rows(part: Sequence[tuple[Example, Comment]]) -> Vector:
        return rows_of([np.zeros(len(SIGNS))] * len(part), [c.text for _, c in part])

    learner = fit(rows(train), [e.label.role for e, _ in train], [e.label.debt_type for e, _ in train])
    said = {e.label.place: NONE for e in examples(split.test)}
    for (e, _), row in zip(test, learner.roles(rows(test)), strict=True):
        said[e.label.place] = ROLES[int(row.argmax())]
    return measured(split, said)


def linters(split: Split, models: Models, seed: int) -> Measures:
    """Shown: tags at the start of comments."""
    role = commonest_role(split)
    tagged = {e.label.place: e.comment is not None and bool(_TAG.match(e.comment.text)) for e in examples(split.test)}
    return measured(split, {place: role if yes else NONE for place, yes in tagged.items()})


ROLE_SIGNS = [i for i, name in enumerate(SIGNS) if name not in ("tool named", "debt term")]


def comments(found: Sequence[Example]) -> list[tuple[Example, Comment]]:
    """The examples that are comments."""
    return [(e, e.comment) for e in found if e.comment is not None]


def text_of(e: Example) -> str:
    """What a search for words meets at an example: the comment, or the line of code that is none."""
    if e.comment is not None:
        return e.comment.text
    return (FILES / e.label.path).read_text(encoding="utf-8").split("\n")[e.label.line - 1]


def commonest_role(split: Split) -> str:
    """The role that most of the fitted comments have."""
    return Counter(label.role for label in split.train if label.role != NONE).most_common(1)[0][0]


def measured(
    split: Split,
    said: Mapping[Place, str],
    notes: Mapping[str, str] | None = None,
    extra: Mapping[str, float] | None = None,
) -> Measures:
    """Macro-F1 of the verdicts, with F1 of each class and the counts of debt on generated code or not."""
    score = GistComments().check(split, said)
    counts = {
        "true_positives": float(score.true_positives),
        "false_positives": float(score.false_positives),
        "false_negatives": float(score.false_negatives),
        "gist_f1": score.gist_f1,
    }
    wrong = [
        f"{label.path}:{label.line} {label.role} read as {said[label.place]}"
        for label in split.test
        if said[label.place] != label.role and said[label.place] not in label.roles
    ]
    return Measures(
        score.macro_f1,
        extra={**{f"f1_{name}": value for name, value in score.f1.items()}, **counts, **(extra or {})},
        notes={"wrong": "; ".join(wrong), **(notes or {})},
    )


trial = Trial(
    paper="2601.07786",
    claim="Signs in comments tell debt on generated code, and the tool's part in it, better than a search for words.",
    headline="81 of 6,540 comments that name an AI tool admit debt: 34 catalyst, 22 source, 19 mitigator",
    metric=Metric("macro-F1 of debt and role on unseen files", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", absolute=0.20),
    arms={"baseline": grep, "placebo": shuffled_signs, "method": miner, "words": words_alone, "linters": linters},
    world="gist_comments",
    pairs="case",
    seeds=8,
    quick_seeds=2,
    extras=("safety",),
    note="Comments, terms and signs come from one house: on comments of strangers all arms will do worse.",
)
