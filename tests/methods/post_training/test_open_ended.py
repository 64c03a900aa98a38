import json

import pytest

from assay.methods.concurrency import run_sync
from assay.methods.data.stages import read_rows
from assay.methods.post_training._open_ended import part_of
from assay.methods.post_training.arenarl import (
    OPEN_DEEP_RESEARCH,
    OPEN_TRAVEL,
    compared,
    is_valid,
    open_deep_research,
    open_travel,
)

QUERIES = [f"query {i}" for i in range(30)]


async def longer(query, a, b):
    return float(len(a)), float(len(b))


class Worker:
    """An agent whose k-th trajectory for a task is k words long, and every third one without an answer."""

    def __init__(self):
        self.asked = []

    async def __call__(self, task):
        self.asked.append(task)
        count = self.asked.count(task)
        words = "word " * count
        return words if count % 3 == 0 else f"<answer>{words}</answer>"


def build(tmp_path, agent=None, **options):
    settings = {"rollouts": 5, "reference": Worker()}
    made = {**settings, **options}

    async def run():
        return await open_travel(QUERIES, agent or Worker(), longer, tmp_path, **made)

    return run_sync(run)


def test_the_winner_of_the_valid_trajectories_is_imitated(tmp_path):
    built = build(tmp_path)
    rows = read_rows(tmp_path / "sft.jsonl")
    wanted = [query for query in QUERIES if part_of(query) == "sft"]
    assert [row["prompt"] for row in rows] == [OPEN_TRAVEL.task(query) for query in wanted]
    assert {row["completion"] for row in rows} == {"<answer>" + "word " * 5 + "</answer>"}
    assert {row["valid"] for row in rows} == {4}
    assert built.sft.done == len(wanted)


def test_every_query_falls_to_one_part_and_always_the_same(tmp_path):
    built = build(tmp_path)
    files = [read_rows(tmp_path / f"{name}.jsonl") for name in ("sft", "rl", "test")]
    asked = [row.get("prompt") or row["input"] for rows in files for row in rows]
    assert sorted(asked) == sorted(map(OPEN_TRAVEL.task, QUERIES))
    assert built.rl_prompts == len(files[1])
    assert all("reference" in row for row in files[2])


def test_a_build_that_was_stopped_asks_for_no_trajectory_twice(tmp_path):
    build(tmp_path)
    again = Worker()
    built = build(tmp_path, again)
    assert again.asked == []
    assert built.sft.reused == len(read_rows(tmp_path / "sft.jsonl"))


def test_a_query_without_a_valid_trajectory_is_reported_and_left_out(tmp_path):
    async def speechless(task):
        return "no tags"

    built = build(tmp_path, speechless)
    assert built.sft.done == 0
    assert "none of 5 trajectories ends in an answer" in built.sft.failed[0][1]
    assert read_rows(tmp_path / "sft.jsonl") == []


def test_the_two_forms_ask_for_different_work(tmp_path):
    async def run():
        await open_deep_research(QUERIES, Worker(), longer, tmp_path, rollouts=1)

    run_sync(run)
    row = json.loads((tmp_path / "rl.jsonl").read_text().splitlines()[0])
    assert row["prompt"].startswith(OPEN_DEEP_RESEARCH.instructions)


def test_a_win_is_counted_over_a_reference_and_silence_loses():
    answers = ("<answer>long one</answer>", "<answer>b</answer>", "<answer>c</answer>")
    assert run_sync(compared, longer, "q", answers[0], answers[1]) == 1
    assert run_sync(compared, longer, "q", answers[1], answers[0]) == 0
    assert run_sync(compared, longer, "q", answers[1], answers[2]) == 0.5
    assert run_sync(compared, longer, "q", "a very long thought without an answer", answers[1]) == 0
    assert not is_valid("<answer> </answer>")


@pytest.mark.parametrize(
    ("queries", "options", "said"),
    [
        (["a", "a"], {}, "queries: got 1 twice"),
        (["a"], {}, "none of 1 falls to"),
        (QUERIES, {"rollouts": 0}, "rollouts: got 0"),
    ],
)
def test_wrong_input_is_named(tmp_path, queries, options, said):
    async def run():
        await open_travel(queries, Worker(), longer, tmp_path, **options)

    with pytest.raises(ValueError, match=said):
        run_sync(run)
    assert list(tmp_path.iterdir()) == []
