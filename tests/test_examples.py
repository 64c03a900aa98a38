"""The examples run as they are shown, in a process and a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def shown(folder: Path, name: str, *words: str) -> str:
    """What the example prints; its errors are the test's."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_two_papers_train_in_one_trl_run_and_leave_a_picture(tmp_path):
    pytest.importorskip("trl")
    pytest.importorskip("matplotlib")
    printed = shown(tmp_path, "trl_two_papers.py", "--steps", "4")
    assert "HA-DW and Uniqueness" in printed
    assert (tmp_path / "two_papers.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("memcontrol.py", "rewards of the two models"),
        ("dr_zero.py", "links asked for on average"),
        ("safepred.py", "risk 0.8  after such actions it said: Audit records are missing."),
        ("toolsafe.py", "feedback          paid: Ann           answer: The bill is paid."),
    ],
)
def test_an_example_without_a_language_model_tells_its_story(tmp_path, name, said):
    pytest.importorskip("torch")
    assert said in shown(tmp_path, name)


def test_the_example_in_a_browser_tells_its_story(tmp_path):
    pytest.importorskip("playwright.sync_api")
    from assay.worlds.gui import close_browser, launch_browser

    try:
        close_browser(launch_browser())
    except RuntimeError as error:
        pytest.skip(str(error))
    printed = shown(tmp_path, "camel_cua.py")
    assert printed.startswith("finished, sealed as ")
    assert "the bank says: limit set" in printed


TRAINING = [
    "bapo_trl.py",
    "calibrated_agents.py",
    "dr_mas_team.py",
    "hadw_trl.py",
    "judge_rlvr_trl.py",
    "lost_in_noise_trl.py",
    "lsrif_trl.py",
    "octopus_trl.py",
    "p1_vl_trl.py",
    "prl_trl.py",
    "profit_sft.py",
    "rubrichub_trl.py",
    "uniqueness_trl.py",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINING)
def test_an_example_that_trains_runs_to_its_end(tmp_path, name):
    pytest.importorskip("trl")
    assert shown(tmp_path, name)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "said"), [("mfa_regions.py", "steered:"), ("probe_monitor.py", "tokens written")])
def test_an_example_that_reads_a_models_states_tells_its_story(tmp_path, name, said):
    pytest.importorskip("transformers")
    assert said in shown(tmp_path, name)
