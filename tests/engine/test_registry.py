"""Names of trials and worlds, built in and third-party, without importing what was not asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import plugins as plugins_module
from assay.engine import registry
from assay.engine.registry import Entry, build_index, find, find_all, get_trial, get_world, list_trials, load
from assay.errors import UserError

KNOWN = [
    Entry("post_training/hadw", "assay.trials.post_training.hadw", paper="2601.08521", title="History-Aware Weights"),
    Entry("safety/skill_scan", "assay.trials.safety.skill_scan", paper="2601.10338", title="Agent Skills in the Wild"),
    Entry("generation/flow", "m.flow", paper="2602.05435", title="Stable Velocity of Flows"),
    Entry("generation/flow_sampling", "m.flow", paper="2602.05435", title="Stable Velocity of Flows"),
    Entry("mylab/hadw2", "mylab", paper="2601.99999", title="History of Something"),
]


def install(folder: Path, name: str, points: dict[str, dict[str, str]]) -> Path:
    """The metadata of a distribution, as pip leaves it."""
    home = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (home / "RECORD").write_text("")
    sections = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in found.items()) for group, found in points.items()]
    (home / "entry_points.txt").write_text("\n".join(sections))
    return home


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "list_trials", lambda: KNOWN)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("post_training/hadw", "post_training/hadw"),
        ("hadw", "post_training/hadw"),
        ("skill-scan", "safety/skill_scan"),
        ("skill_scan", "safety/skill_scan"),
        ("2601.10338", "safety/skill_scan"),
        ("in the wild", "safety/skill_scan"),
        ("flow", "generation/flow"),
    ],
)
def test_a_trial_is_found_by_any_of_its_names(word: str, name: str) -> None:
    assert find(word).name == name


@pytest.mark.usefixtures("known")
def test_a_papers_id_means_all_its_trials() -> None:
    assert [e.name for e in find_all("2602.05435")] == ["generation/flow", "generation/flow_sampling"]
    with pytest.raises(UserError, match="means 2 trials"):
        find("stable velocity")


@pytest.mark.usefixtures("known")
def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown trial 'hadv': did you mean .*post_training/hadw"):
        find("hadv")
    with pytest.raises(UserError, match="assay trials list"):
        find("qqqqqqqq")


@pytest.mark.usefixtures("known")
def test_a_fragment_of_several_papers_titles_is_refused() -> None:
    with pytest.raises(UserError, match="fits several papers"):
        find("history")


def test_two_trials_of_one_name_need_the_longer_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "list_trials", lambda: [*KNOWN, Entry("mylab/hadw", "mylab")])
    with pytest.raises(UserError, match="means 2 trials: post_training/hadw, mylab/hadw"):
        find("hadw")
    assert find("mylab/hadw").module == "mylab"


def test_a_trial_can_be_named_by_module_and_attribute() -> None:
    assert get_trial("sample_trials:better_cards") == ("sample_trials:better_cards", s.better_cards)
    listed = next(e for e in list_trials() if e.attribute == "trial")
    assert find(f"{listed.module}:trial") == listed
    with pytest.raises(UserError, match="wanted a Trial"):
        get_trial("sample_trials:Cards")


def test_a_plug_in_is_listed_without_being_imported_and_a_broken_one_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_lab.py").write_text("raise RuntimeError('no licence')\n")
    install(tmp_path, "broken-lab", {"assay.trials": {"cards": "broken_lab:trial"}})
    monkeypatch.syspath_prepend(tmp_path)
    (entry,) = [e for e in list_trials() if e.module == "broken_lab"]
    assert (entry.name, entry.error) == ("broken-lab/cards", "")
    assert "broken_lab" not in sys.modules
    with pytest.raises(UserError, match=r"is broken \(RuntimeError: no licence\)"):
        load(entry)
    assert find("broken-lab/cards").error == "broken (RuntimeError: no licence)"
    assert len(list_trials()) > 5


def test_a_plug_in_whose_package_is_gone_is_listed_as_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "gone", {"assay.trials": {"cards": "gone_for_good.trials:trial"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert find("gone/cards").error == "broken (ModuleNotFoundError: No module named 'gone_for_good')"


def test_what_a_plug_in_claims_is_listed_once_it_was_imported_and_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = install(tmp_path, "cards-lab", {"assay.trials": {"ours": "sample_trials:better_cards"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert find("cards-lab/ours").claim == ""
    assert load(find("cards-lab/ours")) is s.better_cards
    assert find("ours").claim == s.better_cards.claim
    assert [e.name for e in find_all(s.better_cards.paper) if e.plugin] == ["cards-lab/ours"]
    os.utime(home / "RECORD", ns=(1, 1))
    assert find("cards-lab/ours").claim == ""


def test_two_plug_ins_of_one_name_need_the_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lab-one", "lab-two"):
        points = {
            "assay.trials": {"ours": "sample_trials:better_cards"},
            "assay.worlds": {"deck": "sample_trials:cards"},
        }
        install(tmp_path, name, points)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="means 2 trials: lab-one/ours, lab-two/ours"):
        find("ours")
    assert find("lab-two/ours").name == "lab-two/ours"
    with pytest.raises(UserError, match="means 2 worlds: lab-one/deck, lab-two/deck"):
        get_world("deck")
    assert get_world("lab-one/deck") is s.cards


def test_an_entry_point_picks_its_trial_out_of_several_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "many_lab.py").write_text(
        "from dataclasses import replace\nfrom sample_trials import better_cards\n"
        "trials = tuple(replace(better_cards, name=name) for name in ('first', 'second'))\n"
    )
    install(tmp_path, "many", {"assay.trials": {"second": "many_lab:trials", "third": "many_lab:trials"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert load(find("many/second")).name == "second"
    with pytest.raises(UserError, match="offers the trials first, second: name the entry point after one of them"):
        load(find("many/third"))


def test_metadata_is_read_once_and_again_when_the_distribution_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = install(tmp_path, "lab", {"assay.trials": {"one": "sample_trials:better_cards"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert find("lab/one")
    seen: list[Path] = []
    read = plugins_module._metadata
    monkeypatch.setattr(plugins_module, "_metadata", lambda home, stamp: seen.append(home) or read(home, stamp))
    assert find("lab/one")
    assert seen == []
    (home / "entry_points.txt").write_text("[assay.trials]\ntwo = sample_trials:better_cards\n")
    os.utime(home / "RECORD", ns=(2, 2))
    assert find("lab/two")
    assert [p.name for p in seen] == ["lab-1.0.dist-info"]


def test_damaged_metadata_and_a_damaged_index_harm_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    home = install(tmp_path, "lab", {"assay.trials": {"one": "sample_trials:better_cards"}})
    (home / "entry_points.txt").write_bytes(b"\xff[[[ not a file of sections")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(list_trials()) > 5
    (own_cache / "plugins.json").write_text("{")
    assert len(list_trials()) > 5


def test_listing_trials_imports_neither_them_nor_anything_heavy() -> None:
    code = (
        "import sys; from assay.engine.registry import list_trials; list_trials();"
        "print([m for m in sys.modules if m.split('.')[0] in {'torch', 'numpy', 'duckdb', 'matplotlib', 'inspect_ai'}"
        " or m.startswith(('assay.trials.', 'assay.methods.', 'assay.worlds.'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_static_index_is_what_the_modules_say() -> None:
    path = registry._package_folder(registry.TRIALS_PACKAGE) / "_index.json"
    said = [Entry(**{**row, "tags": tuple(row["tags"])}) for row in json.loads(path.read_text("utf-8"))]
    assert said == build_index(), "run `python -m assay.engine.registry`"


def test_every_built_in_trial_can_be_loaded_by_its_name_and_has_its_world() -> None:
    for entry in list_trials():
        if entry.module.startswith(registry.TRIALS_PACKAGE):
            name, trial = get_trial(entry.name)
            assert (name, trial.paper) == (entry.name, entry.paper)
            assert callable(get_world(trial.world))


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of worlds in the place of the built-in one."""
    root = tmp_path / "lab_worlds"
    (root / "text").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "cards.py").write_text("def world():\n    return 'cards'\n")
    (root / "text" / "__init__.py").write_text("def sums():\n    return 'sums'\n")
    (root / "text" / "chain.py").write_text("def world():\n    return 'chain'\n")
    (root / "needy.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "WORLDS_PACKAGE", "lab_worlds")


@pytest.mark.usefixtures("worlds")
def test_a_world_is_a_module_a_member_of_one_or_a_module_below_one() -> None:
    assert get_world("cards")() == "cards"
    assert get_world("text/sums")() == "sums"
    assert get_world("text/chain")() == "chain"
    assert get_world("sample_trials:cards") is s.cards


@pytest.mark.usefixtures("worlds")
def test_an_unknown_world_is_one_line_and_a_missing_library_is_not_hidden() -> None:
    with pytest.raises(UserError, match="unknown world 'card': did you mean cards"):
        get_world("card")
    with pytest.raises(UserError, match="has no factory 'world'"):
        get_world("text")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        get_world("needy")
