"""Units on Ray: the same statuses, limits, values and cleanliness as in the local pool. Real Ray, one session."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import sample_trials as s

from assay.engine import run
from assay.engine.backend import open_pool
from assay.engine.pool import Limits
from assay.engine.progress import Silent
from assay.engine.result import Result
from assay.engine.runner import RunOptions, run_trials
from assay.engine.store import Store
from assay.engine.trial import Trial, UnitResult
from assay.errors import EnvironmentFailed, UserError

pytestmark = pytest.mark.usefixtures("ray_session")


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def on_ray(trial: Trial, progress: Silent | None = None, **options: object) -> Result:
    return run_trials([trial], replace(RunOptions(on="ray", seeds=2), **options), progress)[0]  # type: ignore[arg-type]


def statuses(result: Result, arm: str = "method") -> list[str]:
    return [u.status for u in result.arms if u.arm == arm]


def unit(result: Result, arm: str = "method") -> UnitResult:
    return next(u for u in result.arms if u.arm == arm)


def test_values_are_those_of_the_local_pool_to_the_last_bit() -> None:
    local, there = run(s.better_cards, seeds=4, workers=2), on_ray(s.better_cards, seeds=4)
    assert [u.error for u in there.failed] == []
    assert [(u.unit_key, u.value, u.extra, u.machine_id) for u in there.arms] == [
        (u.unit_key, u.value, u.extra, u.machine_id) for u in local.arms
    ]


MISBEHAVIOUR = {
    s.exits: ("killed", "exit code 1"),
    s.segfaults: ("killed", "SIGSEGV"),
    s.raises: ("error", "RuntimeError: no such luck"),
    s.returns_nan: ("invalid", "Measures.value: got nan"),
    s.connects: ("error", "NetworkDisabled"),
    s.closes_streams: ("ok", ""),
    s.spins: ("timeout", "ran longer than 6 s"),
    s.allocates: ("oom", "limit 400 MB"),
}


def test_each_misbehaviour_has_its_status_and_spares_the_others() -> None:
    arms = {**s.better_cards.arms, **{arm.__name__: arm for arm in MISBEHAVIOUR}}
    result = on_ray(replace(s.better_cards, arms=arms, timeout_s=6.0), seeds=1, memory_mb=400)
    for arm, (status, words) in MISBEHAVIOUR.items():
        assert statuses(result, arm.__name__) == [status]
        assert words in unit(result, arm.__name__).error
    undisturbed = run(s.better_cards, seeds=1, isolation="inline")
    for arm in s.better_cards.arms:
        assert unit(result, arm).value == unit(undisturbed, arm).value


def test_what_a_unit_prints_comes_back(tmp_path: Path) -> None:
    found = unit(on_ray(s.with_method(s.prints), seeds=1, store=tmp_path / "results.duckdb"))
    (log,) = (tmp_path / "results.d" / "logs").rglob(f"{found.unit_key}.log")
    assert log.read_bytes() == b"hello from the arm\n"
    assert len(Store(tmp_path / "results.duckdb").units()) == 3


def test_fixtures_reach_the_arms_of_their_seed_wherever_they_run(
    own_cache: Path,
) -> None:
    # The actors have the cache of the process that started Ray, this test one of its own, as on two machines.
    trial = replace(s.table_cards, fixture=s.Fixture(s.build_offset))
    there = on_ray(trial)
    assert [u.error for u in there.failed] == []
    assert len(list((own_cache / "fixtures").glob("*.pkl"))) == 2
    again = on_ray(trial)  # the fixtures are sent there this time
    assert [u.value for u in again.arms] == [u.value for u in there.arms]
    assert [u.value for u in there.arms] == [u.value for u in run(trial, seeds=2, isolation="inline").arms]


def test_a_unit_whose_actor_dies_is_scheduled_once_more(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    result = on_ray(s.with_method(partial(s.kills_its_host, str(calls), 1), name="dies_once"), seeds=1)
    assert statuses(result) == statuses(result, "baseline") == statuses(result, "placebo") == ["ok"]
    assert len(calls.read_text().splitlines()) == 2


def test_a_unit_that_loses_two_actors_is_killed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    calls = tmp_path / "calls"
    result = on_ray(s.with_method(partial(s.kills_its_host, str(calls), 9), name="dies"), seeds=1)
    assert statuses(result) == ["killed"]
    assert capfd.readouterr() == ("", "")  # Ray's own lines would spoil `--json`
    assert unit(result).error.startswith("its Ray actor was lost, and so was the next one: ")
    assert statuses(result, "baseline") == statuses(result, "placebo") == ["ok"]
    assert len(calls.read_text().splitlines()) == 2


def test_no_more_than_twice_as_many_units_as_actors_are_taken_on() -> None:
    from assay.engine.schedule import Schedule
    from assay.engine.units import plan

    schedule = Schedule(plan("field/cards", s.slow_cards, seeds=6), Path("nowhere"))
    with open_pool(s.slow_cards, RunOptions(on="ray"), 18, print) as pool:
        taken = 0
        while pool.free and (next_one := schedule.next()):
            pool.submit(schedule.job(next_one), Limits(60, 4096))
            taken += 1
        assert taken == pool.busy == 2 * pool.size
        done = pool.kill_running()
    assert [d.outcome.status for d in done] == ["cancelled"] * taken


def test_a_timed_trial_runs_here_and_says_so() -> None:
    notes = Notes()
    result = on_ray(replace(s.better_cards, exclusive=True), notes, seeds=1)
    assert statuses(result) == ["ok"]
    assert notes.lines == ["this trial must have its machine to itself: it runs here, not on Ray"]


@pytest.mark.parametrize("on", ["slurm", "ray:", "Ray", ""])
def test_another_word_is_one_line(on: str) -> None:
    with pytest.raises(UserError, match="wanted local, ray or ray:ADDRESS"):
        run_trials([s.better_cards], RunOptions(on=on))


def test_without_ray_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^--on ray needs: pip install 'assay-papers\[ray\]'$"):
        run_trials([s.better_cards], RunOptions(on="ray", store=tmp_path / "deep" / "results.duckdb"))
    assert not (tmp_path / "deep").exists()
    assert UserError.exit_code == 2


# --- a process of its own: interrupted, killed, without a cluster -----------------------------------------------

COMMAND = """
import sys
sys.path.insert(0, {here!r})
import sample_trials as s
from assay.engine.pool import Limits
from assay.engine.progress import Silent
from assay.engine.runner import RunOptions, run_trials

class Lines(Silent):
    def finished(self, result):
        print("done", result.arm, result.status, flush=True)

result = run_trials([s.{trial}], RunOptions(seeds={seeds}, on={on!r}), Lines())[0]
print("end", result.interrupted, result.exit_code, flush=True)
"""


def start(trial: str, seeds: int = 4, on: str = "ray") -> subprocess.Popen[str]:
    code = COMMAND.format(here=str(s.HERE), trial=trial, seeds=seeds, on=on)
    environment = {**os.environ, "ASSAY_RAY_TEST": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], text=True, env=environment, start_new_session=True, **pipes)  # type: ignore[call-overload,no-any-return]


def left_of(process: subprocess.Popen[str]) -> list[str]:
    """What still runs of all that the process started."""
    found = []
    for other in psutil.process_iter():
        try:
            marked = other.environ().get("ASSAY_RAY_TEST") == "1" and other.status() != psutil.STATUS_ZOMBIE
            if marked and other.pid != process.pid:
                found.append(" ".join(other.cmdline())[:80])
        except psutil.Error:
            continue
    return found


def until_nothing_is_left(process: subprocess.Popen[str], seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := left_of(process)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_ends_in_order_and_leaves_no_process(send: Callable[[int, int], None]) -> None:
    process = start("slow_cards", seeds=900)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("done")
    # A terminal sends Ctrl-C to everything in the foreground, a supervisor SIGTERM to the process.
    send(process.pid, signal.SIGINT if send is os.killpg else signal.SIGTERM)
    said, complained = process.communicate(timeout=60)
    assert said.splitlines()[-1] == "end True 130"
    assert complained == ""
    assert until_nothing_is_left(process, 2.0) == []


def test_a_killed_coordinator_takes_ray_and_its_workers_with_it() -> None:
    process = start("with_method(s.spins)", seeds=1)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("done")
    assert any("raylet" in line for line in left_of(process))
    process.kill()
    process.wait()
    assert until_nothing_is_left(process, 10.0) == []


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    process = start("better_cards", on=f"ray:127.0.0.1:{port}")
    _, complained = process.communicate(timeout=60)
    assert complained.splitlines()[-1] == (
        "assay.errors.EnvironmentFailed: --on ray: cannot start or reach the Ray cluster at "
        f"127.0.0.1:{port}: [Errno 111] Connection refused"
    )
    assert EnvironmentFailed.exit_code == 5


# --- a cluster that somebody else runs ---------------------------------------------------------------------------


def ray_node(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """A node of a cluster, in a process group of its own that can be killed as a machine that loses its power."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", *words]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "ASSAY_CACHE": str(folder / "their-cache")}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment, start_new_session=True, **quiet)  # type: ignore[call-overload,no-any-return]


CLUSTER = """
import os, signal, sys, time
sys.path.insert(0, {here!r})
from dataclasses import replace
import ray
import sample_trials as s
from assay.engine import run
from assay.engine.progress import Silent
from assay.engine.runner import RunOptions, run_trials

class KillsTheNode(Silent):
    done = 0

    def finished(self, result):
        self.done += 1
        if self.done == 20:
            print("nodes", sum(node["Alive"] for node in ray.nodes()))
            os.killpg({node}, signal.SIGKILL)

on, fixed = "ray:127.0.0.1:{port}", replace(s.table_cards, fixture=s.Fixture(s.build_offset))
for trial, seeds, progress in ((fixed, 2, Silent()), (s.slow_cards, 30, KillsTheNode())):
    (there,) = run_trials([trial], RunOptions(on=on, seeds=seeds), progress)
    here = run(trial, seeds=seeds, isolation="inline")
    same = [u.value for u in there.arms] == [u.value for u in here.arms]
    print(trial.name, same, [u.error for u in there.failed])
"""


@pytest.mark.slow
def test_a_running_cluster_gives_the_same_values_and_may_lose_a_node(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="assay-test-") as folder:
        nodes = [ray_node(tmp_path, "--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false")]
        try:
            wait_for_port(port)
            nodes.append(ray_node(tmp_path, f"--address=127.0.0.1:{port}"))
            time.sleep(10)
            code = CLUSTER.format(here=str(s.HERE), node=nodes[1].pid, port=port)
            environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
            command = [sys.executable, "-c", code]
            found = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
        finally:
            for node in nodes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(node.pid, signal.SIGKILL)
                node.wait()
    assert found.stdout.splitlines() == ["table_cards True []", "nodes 2", "slow_cards True []"], found.stderr


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise TimeoutError(f"nothing listens on port {port}")
