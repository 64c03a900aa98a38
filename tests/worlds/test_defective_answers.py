import random
from itertools import combinations
from string import Template

import pytest

from assay.worlds import defective_answers
from assay.worlds._answer_families import FAMILIES
from assay.worlds.defective_answers import MOST_DEFECTS, Task, answered, drawn, executed, world


@pytest.mark.parametrize("number", range(len(FAMILIES)))
def test_any_set_of_defects_goes_in_and_each_defect_alone_is_caught(number):
    family = FAMILIES[number]
    values = drawn(family, random.Random(number))
    sets = [
        several
        for size in range(MOST_DEFECTS + 1)
        for several in combinations(range(len(family.defects)), size)
        if len({family.defects[i].right for i in several}) == size
    ]
    texts = [answered(family, values, several).text for several in sets]
    assert len(set(texts)) == len(texts), "different sets of defects make different answers"
    checks = tuple(check._replace(test=Template(check.test).substitute(values)) for check in family.checks)
    task = Task(number, "", "", str(values["name"]) if family.code else "", checks, (), ())
    (table,) = executed([task], [texts])
    assert all(table[0]), "the right answer passes every check"
    alone = {several[0]: row for several, row in zip(sets, table) if len(several) == 1}
    assert not any(all(row) for row in alone.values()), "every defect fails some check"


def test_answers_of_a_task_differ_in_their_defects_and_quality_is_their_harm():
    tasks = world(tasks=9).sample(4)
    assert [task.family for task in tasks] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    for task in tasks:
        answers = [*task.answers, *task.pool]
        assert (len(task.answers), len(task.pool)) == (24, 8)
        assert len({answer.defects for answer in answers}) == 32
        harms = FAMILIES[task.family].defects
        assert all(answer.quality == -sum(harms[i].harm for i in answer.defects) for answer in answers)
        assert max(len(answer.defects) for answer in answers) == MOST_DEFECTS


def test_the_same_seed_gives_the_same_tasks():
    assert world(tasks=8).sample(1) == world(tasks=8).sample(1)
    assert world(tasks=8).sample(1) != world(tasks=8).sample(2)


def test_the_check_accepts_references_and_rejects_what_has_defects_or_is_no_code():
    tasks = world(tasks=8)
    sample = tasks.sample(0)
    for right, (task, text) in tasks.examples(sample)[::5]:
        assert tasks.check(task, text) is right
    assert not tasks.check(sample[0], "def broken(:")


@pytest.mark.parametrize(
    ("wrong", "words"), [({"tasks": 0}, "tasks"), ({"answers": 3}, "answers"), ({"pool": 1}, "pool")]
)
def test_sizes_out_of_range_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        world(**wrong)
    with pytest.raises(ValueError, match="at most 60"):
        world(answers=50, pool=20)


def test_a_failed_sandbox_is_an_error_and_no_table_of_zeros(monkeypatch):
    from assay.methods.protocols import Ran

    monkeypatch.setattr(
        defective_answers, "run_python", lambda *a, **k: Ran(False, None, "", "", "killed", 0.0, {}, "bwrap")
    )
    with pytest.raises(RuntimeError, match="killed"):
        executed([], [])
