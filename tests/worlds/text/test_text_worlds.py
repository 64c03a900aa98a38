"""The text worlds: worked replies pass their check, spoiled ones do not, train and test never meet."""

from __future__ import annotations

import pickle
import subprocess
import sys
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.text import chain, countdown, lists, lookup, mix6
from assay.worlds.text.problem import Problem, ProblemSet, parse, split_of

WORLDS = {"chain": chain, "lookup": lookup, "countdown3": countdown, "lists": lists}
seeds = st.integers(0, 2**63)
kinds = st.sampled_from(sorted(WORLDS))
splits = st.sampled_from(["train", "test"])


@given(kinds, seeds, splits)
def test_the_worked_reply_passes_and_the_problem_lies_in_its_split(kind, seed, split):
    problem = WORLDS[kind].sample(seed, split)
    assert problem.kind == kind
    assert split_of(problem.prompt) == split
    assert WORLDS[kind].check(problem, problem.trace)
    assert WORLDS[kind].check(problem, f"Let me see.\n{problem.trace}\n")
    assert WORLDS[kind].sample(seed, split) == problem


@given(kinds, seeds)
def test_a_reply_with_another_answer_or_none_fails(kind, seed):
    problem = WORLDS[kind].sample(seed)
    steps = problem.trace.rpartition("\n")[0]
    wrong = problem.answer[::-1] + "j" if kind == "lists" else str((int(problem.answer) + 1) % 100)
    assert not WORLDS[kind].check(problem, f"{steps}\n#{wrong}")
    assert not WORLDS[kind].check(problem, steps)
    assert not WORLDS[kind].check(problem, "")


@given(seeds, st.integers(2, 5))
def test_countdown_executes_the_lines(seed, numbers):
    problem = countdown.sample(seed, numbers=numbers)
    *lines, answer = problem.trace.split("\n")
    assert countdown.check(problem, problem.trace)
    assert not countdown.check(problem, answer), "an answer without its lines is no solution"
    for i, line in enumerate(lines):
        left, _, result = line.partition("=")
        spoiled = [*lines[:i], f"{left}={int(result) + 1}", *lines[i + 1 :], answer]
        assert not countdown.check(problem, "\n".join(spoiled))
        assert not countdown.check(problem, "\n".join([*lines[: i + 1], *lines[i:], answer])), "a line twice"
        assert not countdown.check(problem, "\n".join([*lines[:i], *lines[i + 1 :], answer])), "a number unused"


def test_countdown_counts_every_solution_and_nothing_beyond_the_given_numbers():
    problem = Problem("N4 4 3 T28", "", "28", "countdown3", {"numbers": (4, 4, 3), "target": 28})
    assert countdown.check(problem, "3+4=7\n4*7=28\n#28")
    assert countdown.check(problem, "4 + 3 = 7\n7 * 4 = 28\n#28")
    assert countdown.check(problem, "4*4=16\n3+16=19\n#28") is False
    assert countdown.check(problem, "4*7=28\n#28") is False  # 7 is not at hand
    assert countdown.check(problem, "14+14=28\n#28") is False
    assert countdown.check(problem, "3-4=-1\n#28") is False


def test_hand_worked_problems_are_worked_the_same_way():
    value = 63
    for sign, number, wanted in (("+", 5, 68), ("*", 3, 4), ("-", 5, 99)):
        value = chain.apply(value, sign, number)
        assert value == wanted
    assert [lists.apply("eieb", name) for name in ("V", "S", "R3", "W")] == ["beie", "beei", "beie", "biee"]


@given(seeds)
def test_a_lookup_is_followed_by_its_pairs_alone(seed):
    problem = lookup.sample(seed)
    facts, _, question = problem.prompt[1:].partition("?")
    value_of = {fact[:2]: fact[2:] for fact in facts.split()}
    key, hops = question.split("^")
    assert len(value_of) == problem.meta["pairs"], "keys are all different"
    for _ in range(int(hops)):
        key = value_of[key]
    assert key == problem.answer


def test_the_last_value_of_a_lookup_is_sometimes_a_key_and_sometimes_not():
    ends = [lookup.sample(seed, hops=(2, 2)) for seed in range(200)]
    share = sum(f" {p.answer}" in p.prompt or f"L{p.answer}" in p.prompt for p in ends) / len(ends)
    assert 0.3 < share < 0.95, "the end of the way must not be told by being a key or none"


@given(st.text())
def test_no_text_breaks_a_checker(text):
    for kind, world in WORLDS.items():
        assert world.check(world.sample(0), text) in (True, False), kind


def test_the_answer_is_what_follows_the_last_hash():
    assert parse("1+1=2\n#2") == "2"
    assert parse("#1\n # 2 \nwell") == "2"
    assert parse("no answer # here") is None


def test_draws_do_not_depend_on_the_hash_seed_of_the_process():
    code = "from assay.worlds.text import mix6; print([p.prompt for p in mix6.world(each=2).sample(5)])"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": s}, capture_output=True, text=True, check=True
        ).stdout
        for s in ("1", "2")
    }
    assert len(runs) == 1


def test_one_prompt_in_ten_is_a_test_prompt():
    prompts = {draw_any(seed).prompt for seed in range(4000)}
    share = sum(split_of(prompt) == "test" for prompt in prompts) / len(prompts)
    assert 0.08 < share < 0.12


def draw_any(seed: int) -> Problem:
    """A chain of either split, nine train ones to a test one."""
    return chain.sample(seed, "test" if seed % 10 == 0 else "train")


def test_mix6_has_each_part_as_often_as_asked_and_no_prompt_twice():
    world = mix6.world(each=30)
    problems = world.sample(7)
    assert [p.kind for p in problems] == ["chain"] * 30 + ["lookup"] * 30 + ["countdown3"] * 30
    assert len({p.prompt for p in problems}) == 90
    assert all(6 <= p.meta["steps"] <= 8 for p in problems[:30])
    assert all(3 <= p.meta["hops"] <= 4 for p in problems[30:60])
    assert all(world.check(p, p.trace) for p in problems)
    assert pickle.loads(pickle.dumps(problems)) == problems
    assert world.sample(8) != problems


@pytest.mark.parametrize("world", [chain, lookup, countdown, lists])
def test_each_world_is_a_trial_world_of_its_own(world):
    problems = world.world(each=3).sample(1)
    assert len(problems) == 3
    assert all(world.check(p, p.trace) and split_of(p.prompt) == "test" for p in problems)


@given(kinds, seeds)
def test_the_english_prompt_holds_what_the_short_one_holds(kind, seed):
    problem = WORLDS[kind].sample(seed)
    english = problem.meta["english"]
    assert "#" in english
    if kind == "countdown3":
        assert all(str(n) in english for n in (*problem.meta["numbers"], problem.meta["target"]))
    else:
        body = problem.prompt[1:].split()[0].split("?")[0]
        assert (body[:2] if kind == "chain" else body) in english


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: chain.sample(0, "dev"), "split: got 'dev'"),
        (lambda: chain.sample(0, steps=(3, 2)), "steps: got"),
        (lambda: lookup.sample(0, pairs=(4, 9), hops=(1, 5)), "hops: got"),
        (lambda: lists.sample(0, letters=(1, 2)), "letters: got"),
        (lambda: countdown.sample(0, numbers=1), "numbers: got 1"),
        (lambda: mix6.world(each=0), "each: got 0"),
        (lambda: mix6.check(Problem("x", "", "", "maze"), ""), "problem.kind: got 'maze'"),
        (lambda: countdown.world(each=100_000, numbers=2).sample(0), "the world has not so many"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_small_solver_finds_every_countdown_solvable():
    for seed in range(50):
        problem = countdown.sample(seed)
        assert any(_reaches(list(order), problem.meta["target"]) for order in permutations(problem.meta["numbers"]))


def _reaches(pool: list[int], target: int) -> bool:
    if len(pool) == 1:
        return pool[0] == target
    first = countdown.legal_steps(pool[0], pool[1])
    return any(_reaches([step[3], *pool[2:]], target) for step in first)


def test_a_problem_set_draws_from_the_split_it_is_given():
    world = ProblemSet((chain.sample,), chain.check, each=5, split="train")
    assert {split_of(p.prompt) for p in world.sample(0)} == {"train"}
