"""Cards tell a reader what a trial is; the scoreboard imports none whose card is good."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import cards, registry, rows, run
from assay.engine.registry import Entry
from assay.engine.scoreboard import scoreboard
from assay.engine.store import Store
from assay.engine.trial import Bar, Bars, Mirror
from assay.engine.units import trial_fingerprint

NAME = "engine/sample_trials"
ENTRY = Entry("sample_trials:better_cards", "sample_trials", "better_cards")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store(tmp_path / "results.duckdb")
    run("sample_trials:better_cards", seeds=8, isolation="inline", store=made.path)
    monkeypatch.setattr(registry, "list_trials", lambda: [ENTRY])
    return made


def test_a_card_gives_the_trial_back_but_for_its_functions(own_cache: Path) -> None:
    rich = replace(
        s.better_cards,
        bar=Bars(Bar(relative=0.1), Bar(versus=None, absolute=0.5, metric="draw", better="higher")),
        mirrors=(Mirror("twice", 2.0, ("method", "baseline"), kind="difference"),),
        world_args={"size": 3},
        tags=("stand-in",),
        note="a note",
    )
    cards.keep(ENTRY, rich)
    card = cards.read(ENTRY)
    assert card is not None
    assert replace(card.trial, arms=rich.arms) == rich
    assert list(card.trial.arms) == list(rich.arms)
    assert card.fingerprint == trial_fingerprint(rich)
    assert dict(cards.described(card.trial)) == dict(cards.described(rich))
    with pytest.raises(TypeError, match="cannot be called"):
        card.trial.arms["method"](None, None, 0)


def test_a_card_is_no_good_once_a_source_reads_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "card_lab.py").write_text("from sample_trials import better_cards as trial\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry = Entry("lab/cards", "card_lab")
    cards.keep(entry, registry.load(entry))
    assert cards.read(entry) is not None
    (tmp_path / "card_lab.py").write_text("from sample_trials import better_cards as trial  # changed\n")
    cards._sha.cache_clear()
    assert cards.read(entry) is None


def test_a_damaged_card_is_no_card(own_cache: Path) -> None:
    cards.keep(ENTRY, s.better_cards)
    (path,) = (own_cache / "cards").iterdir()
    for text in ("", "{", "[]", '{"sources": {}, "trial": {"paper": 3}}'):
        path.write_text(text)
        assert cards.read(ENTRY) is None


def test_the_scoreboard_by_card_is_that_of_the_imported_trial(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, notes = scoreboard(store)  # no card yet: the trial is imported
    monkeypatch.setattr(registry, "load", lambda entry: pytest.fail("imported a trial"))
    again, notes_again = scoreboard(store)
    assert notes == notes_again == []
    assert [(j.name, j.verdict, j.units) for j in again] == [(j.name, j.verdict, j.units) for j in first]


def test_units_that_came_since_the_verdict_are_judged_without_importing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoreboard(store)
    unit = store.units()[0]
    more = [
        replace(u, unit_key=u.unit_key[::-1], seed=u.seed + 8, world_digest=f"{u.seed}")
        for u in store.units(latest=True)
    ]
    store.add({"table": "units", "row": rows.unit_row(u)} for u in more)
    monkeypatch.setattr(registry, "load", lambda entry: pytest.fail("imported a trial"))
    (judged,), _ = scoreboard(store)
    assert unit.trial == judged.name
    assert judged.verdict.n == 16


def test_a_trial_that_is_gone_is_a_note(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = replace(store.units()[0], trial="lab/gone", unit_key="0" * 64)
    store.add([{"table": "units", "row": rows.unit_row(unit)}])
    board, notes = scoreboard(store)
    assert [j.name for j in board] == [ENTRY.name]
    assert notes[0].startswith("lab/gone: unknown trial")


def test_the_second_look_at_real_trials_imports_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    code = (
        "import sys; from assay.cli.main import main; assert main(sys.argv[1:]) == 0;"
        "print([m for m in ('torch', 'scipy', 'transformers') if m in sys.modules], file=sys.stderr)"
    )
    run("hadw", seeds=1, isolation="inline", store=path)
    for imported in ("['torch'", "[]\n"):
        words = [sys.executable, "-c", code, "status", "--store", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "post_training/hadw" in done.stdout
        assert done.stderr.startswith(imported), done.stderr
