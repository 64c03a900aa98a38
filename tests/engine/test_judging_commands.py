"""`assay run`, `assay verdict` and `assay power` on small trials, as a user types them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from assay.cli.main import main
from assay.engine.store import Store

GOOD, BAD = "sample_trials:better_cards", "sample_trials:failing_cards"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of sixteen seeds."""
    path = tmp_path_factory.mktemp("store") / "results.duckdb"
    assert main(["run", GOOD, "--workers", "2", "--json", "--store", str(path)]) == 0
    return path


def test_a_run_shows_verdict_contrasts_arms_and_the_next_step(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", GOOD, "--store", str(filled)]) == 0
    out = capsys.readouterr().out
    assert f"{GOOD}: HOLDS" in out
    for words in (
        "clears the bar and beats the placebo on 16 seeds",
        "sum better than placebo: +1",
        "next: assay plot",
    ):
        assert words in out
    assert [line.split()[0] for line in out.splitlines() if " ± " in line][1:] == ["method", "baseline", "placebo"]


def test_a_run_as_json_is_the_verdict_the_arms_and_the_counts(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", GOOD, "--json", "--store", str(filled)]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["verdict"]["outcome"], found["units"]) == ("holds", {"ran": 0, "reused": 48, "failed": 0})
    assert [arm["arm"] for arm in found["arms"]] == ["method", "baseline", "placebo"]


def test_a_verdict_as_json_has_p_after_holm_and_q(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verdict", GOOD, "--json", "--store", str(filled)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["p"] == found["p_holm"] == found["q"] == 2.0**-16
    assert found["rule"] == "three-tests/1"


def test_a_papers_id_means_all_its_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--paper", "2602.05435", "--dry-run", "--store", str(tmp_path / "results.duckdb")]
    assert main(words) == 0
    planned = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert len(planned) == 3
    assert all("stable_velocity" in name for name in planned)


@pytest.mark.parametrize("command", ["run", "verdict"])
def test_an_expectation_that_is_not_met_is_exit_code_six(
    command: str, filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, GOOD, "--expect", "holds", "--store", str(filled)]) == 0
    assert main([command, GOOD, "--expect", "fails", "--store", str(filled)]) == 6


def test_the_power_curve_is_at_the_level_on_the_bar_and_quick_to_have(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.process_time()
    assert main(["power", GOOD, "--effect", "0.52", "--store", str(filled)]) == 0
    assert time.process_time() - begun < 6  # processor seconds; about one on an idle machine
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["seeds", "effect", "on", "the", "bar", "effect", "0.52"]
    points = [tuple(map(float, line.split())) for line in lines[2:12]]
    assert [int(seeds) for seeds, _, _ in points] == [6, 8, 10, 12, 16, 20, 24, 32, 48, 64]
    assert max(on_bar for _, on_bar, _ in points) < 0.08
    assert points[0][2] < points[4][2] <= points[-1][2]


def test_one_point_of_the_curve_can_be_asked_for(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", GOOD, "--seeds", "9", "--store", str(filled)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("9 ")
    assert main(["power", GOOD, "--seeds", "1", "--store", str(filled)]) == 2


def test_an_open_answer_says_how_many_seeds_it_needs_in_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path / "results.duckdb")]
    assert main(["run", "sample_trials:open_cards", "--workers", "1", *store]) == 0
    told = capsys.readouterr().out
    needed = next(line for line in told.splitlines() if line.startswith("  seeds    ≈ "))
    figure = needed.removeprefix("  seeds    ").removesuffix(" would settle it")
    low, high = figure.split("(")[1].rstrip(")").split("–")
    assert int(low) <= int(figure.split()[1]) <= int(high)
    for command in ("verdict", "power"):
        assert main([command, "sample_trials:open_cards", *store]) == 0
        assert figure in capsys.readouterr().out


def test_failed_units_are_exit_code_one_and_retried_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", BAD, "--workers", "1", "--seeds", "2", "--store", str(tmp_path / "results.duckdb")]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "2 units failed; the first: method, seed 0: error: RuntimeError: no such luck" in out
    key = out.split("assay status --log ")[1].split()[0]
    assert main(["status", "--log", key, *words[-2:]]) == 0
    assert "RuntimeError: no such luck" in capsys.readouterr().out
    assert main([*words, "--retry-failed", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["units"] == {"ran": 2, "reused": 4, "failed": 2}
    assert main([*words, "--force", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["units"] == {"ran": 6, "reused": 0, "failed": 2}
    attempts = [u.attempt for u in Store(tmp_path / "results.duckdb").units() if u.arm == "method"]
    assert sorted(attempts) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run"], "run wants names, --all, --field or --paper"),
        (["run", GOOD, "--all"], "run wants names, --all, --field or --paper"),
        (["run", GOOD, "--paper", "2601.08521"], "run wants names, --all, --field or --paper"),
        (["run", "--field", "astrology"], "no trial in field 'astrology'"),
        (["run", "--paper", "hadw"], "wanted an arXiv id such as"),
        (["run", GOOD, "--arms", "methodd"], "no arm 'methodd'"),
        (["run", GOOD, "--workers", "0"], "workers: got 0"),
        (["run", GOOD, "--verify", "-2"], "--verify: got -2"),
        (["run", GOOD, "--seeds", "1500-1501"], "reserved"),
        (["verdict", GOOD], "no results"),
        (["power", GOOD], "no results"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--store", str(tmp_path / "results.duckdb")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line


def test_data_of_a_users_own_is_no_matter_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["run", GOOD, "--data", "my.csv"])
    assert refused.value.code == 2
    assert "--data" in capsys.readouterr().err
