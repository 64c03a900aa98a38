import json
import multiprocessing
import os
import signal
import time
from functools import partial

import anyio
import pytest

from assay.methods.concurrency import run_sync
from assay.methods.data.stages import read_rows, run_stage, write_rows

ROWS = [{"id": f"r{i}", "n": i} for i in range(6)]


async def doubled(row):
    await anyio.sleep(0.001 * (6 - row["n"]))  # the last to start is the first to finish
    return {**row, "twice": 2 * row["n"]}


def stage(rows, call, out, **settings):
    return run_sync(partial(run_stage, rows, call, out, **settings))


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_rows_come_out_in_the_order_of_the_input(tmp_path, name):
    report = stage(ROWS, doubled, tmp_path / name, workers=6)
    assert [row["twice"] for row in read_rows(report.out)] == [0, 2, 4, 6, 8, 10]
    assert (report.done, report.reused, report.failed) == (6, 0, ())


def test_a_second_run_calls_nothing_and_a_changed_row_is_done_again(tmp_path):
    called = []

    async def counted(row):
        called.append(row["n"])
        return row

    out = tmp_path / "out.jsonl"
    stage(ROWS, counted, out)
    assert stage(ROWS, counted, out).reused == 6
    changed = [*ROWS[:5], {"id": "r5", "n": 50}]
    assert stage(changed, counted, out).done == 1
    assert called == [0, 1, 2, 3, 4, 5, 50]
    assert stage(changed, counted, out, resume=False).done == 6


def test_a_failed_row_is_reported_left_out_and_tried_again(tmp_path):
    async def odd_fails(row):
        if row["n"] % 2:
            raise RuntimeError("no answer")
        return row

    out = tmp_path / "out.jsonl"
    report = stage(ROWS, odd_fails, out)
    assert report.failed == tuple((f"r{i}", "RuntimeError: no answer") for i in (1, 3, 5))
    assert [row["n"] for row in read_rows(out)] == [0, 2, 4]
    again = stage(ROWS, doubled, out)
    assert (again.done, again.reused) == (3, 3)
    assert [row["n"] for row in read_rows(out)] == [0, 1, 2, 3, 4, 5]


def slow_stage(folder):
    async def slow(row):
        await anyio.sleep(0.02)
        (folder / f"called-{row['id']}-{os.getpid()}").touch()
        return row

    stage([{"id": i} for i in range(40)], slow, folder / "out.jsonl")


def test_a_killed_stage_goes_on_where_it_stopped(tmp_path):
    for wait in (0.25, 0.4):
        process = multiprocessing.get_context("fork").Process(target=slow_stage, args=(tmp_path,))
        process.start()
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    slow_stage(tmp_path)
    assert [row["id"] for row in read_rows(tmp_path / "out.jsonl")] == list(range(40))
    calls = [path.name.split("-")[1] for path in tmp_path.glob("called-*")]
    assert len(calls) <= 40 + 2  # at each kill at most the row in hand is lost


def test_a_torn_journal_line_costs_only_its_row(tmp_path):
    out = tmp_path / "out.jsonl"
    stage(ROWS, doubled, out)
    journal = next(tmp_path.glob(".*journal"))
    journal.write_bytes(journal.read_bytes()[:-9])
    assert (report := stage(ROWS, doubled, out)).reused == 5
    assert report.done == 1
    assert stage(ROWS, doubled, out).reused == 6


def test_wrong_input_is_named(tmp_path):
    with pytest.raises(ValueError, match="two rows are called 'a'"):
        stage([{"id": "a"}, {"id": "a"}], doubled, tmp_path / "x.jsonl")
    with pytest.raises(ValueError, match=r"out: got x\.csv"):
        stage(ROWS, doubled, tmp_path / "x.csv")
    with pytest.raises(ValueError, match="workers: got 0"):
        stage(ROWS, doubled, tmp_path / "x.jsonl", workers=0)
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(ValueError, match="line 3: not JSON"):
        read_rows(tmp_path / "bad.jsonl")
    (tmp_path / "list.jsonl").write_text("[1]\n")
    with pytest.raises(ValueError, match="line 1: got list"):
        read_rows(tmp_path / "list.jsonl")


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "out.jsonl"
    write_rows(path, [{"a": 1}])
    with pytest.raises(TypeError):
        write_rows(path, [{"a": object()}])
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
