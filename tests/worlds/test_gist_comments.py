"""The labelled comments: counts, labels, splits, and that the second reading stands beside the first."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.agreement import cohen_kappa
from assay.worlds import gist_comments
from assay.worlds.gist_comments import FILES, NONE, ROLES, GistComments

LABELS = gist_comments.load()
TYPES = {"design", "requirement", "test", "defect", "documentation", "algorithm"}


def test_the_bytes_are_those_that_were_frozen() -> None:
    assert gist_comments.content_hash() == gist_comments.SHA256


def test_there_are_as_many_comments_of_each_kind_as_the_docstring_says() -> None:
    kinds = Counter(label.kind for label in LABELS)
    assert kinds == {"gist": 140, "ai": 100, "debt": 107, "trap": 86}
    assert sum(len(label.roles) == 2 for label in LABELS) == 10
    assert {p.suffix for p in FILES.iterdir() if p.is_file()} == {".py", ".js", ".jsx"}
    assert len({label.path for label in LABELS}) == len([p for p in FILES.iterdir() if p.is_file()]) == 67


def test_every_label_names_a_line_that_is_there() -> None:
    assert len({label.place for label in LABELS}) == len(LABELS)
    for label in LABELS:
        lines = (FILES / label.path).read_text(encoding="utf-8").split("\n")
        assert lines[label.line - 1].strip(), label


def test_only_debt_has_a_type_and_only_gist_has_roles() -> None:
    for label in LABELS:
        assert (label.debt_type in TYPES) == (label.kind in ("gist", "debt")), label
        assert bool(label.roles) == (label.kind == "gist") and set(label.roles) <= set(ROLES), label
        assert bool(label.trap) == (label.kind == "trap"), label


def test_no_file_is_fitted_on_and_judged_and_none_is_judged_twice() -> None:
    world, judged = GistComments(), Counter[str]()
    for index in range(world.cases):
        split = world.sample(index)
        assert not {label.path for label in split.train} & {label.path for label in split.test}
        assert len(split.train) + len(split.test) == len(LABELS)
        assert {label.role for label in split.test} == {NONE, *ROLES}
        judged.update({label.path for label in split.test})
    assert set(judged.values()) == {1}
    assert set(judged) == set(gist_comments.halves()["test"])
    with pytest.raises(ValueError, match="seed: got 8"):
        world.sample(8)


def test_two_readings_of_thirty_comments_agree() -> None:
    first = {label.place: label.role for label in LABELS}
    second = gist_comments.second_reading()
    assert len(second) == 30
    assert cohen_kappa([first[place] for place in second], list(second.values())).value > 0.8


def test_a_comment_of_two_roles_is_read_rightly_as_either() -> None:
    world = GistComments()
    index, mixed = next(
        (i, label) for i in range(8) for label in world.sample(i).test if label.roles == ("source", "mitigator")
    )
    split = world.sample(index)
    verdicts = {label.place: label.role for label in split.test}
    assert world.check(split, verdicts).macro_f1 == 1.0
    assert world.check(split, {**verdicts, mixed.place: "mitigator"}).macro_f1 == 1.0
    assert world.check(split, {**verdicts, mixed.place: "catalyst"}).macro_f1 < 1.0


@given(st.integers(0, 7), st.randoms(use_true_random=False))
def test_the_score_is_a_mean_of_shares_whatever_is_said(index: int, random) -> None:
    world = GistComments()
    split = world.sample(index)
    score = world.check(split, {label.place: random.choice((NONE, *ROLES)) for label in split.test})
    assert 0.0 <= score.macro_f1 <= 1.0
    assert score.true_positives + score.false_negatives == sum(label.kind == "gist" for label in split.test)


def test_f1_is_the_hand_worked_one() -> None:
    world = GistComments()
    split = world.sample(0)
    score = world.check(split, {label.place: NONE for label in split.test})
    nones = sum(label.role == NONE for label in split.test)
    assert score.f1[NONE] == pytest.approx(2 * nones / (nones + len(split.test)))
    assert score.macro_f1 == pytest.approx(score.f1[NONE] / 4)


def test_verdicts_must_be_whole_and_known() -> None:
    world = GistComments()
    split = world.sample(0)
    with pytest.raises(ValueError, match="one a comment"):
        world.check(split, {})
    with pytest.raises(ValueError, match="wanted none, source"):
        world.check(split, {label.place: "villain" for label in split.test})
