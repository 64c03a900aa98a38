"""Keys, seeds and order: what decides whether two units are the same one."""

from __future__ import annotations

import hashlib
import importlib
import sys
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
import sample_trials as s
from hypothesis import given
from hypothesis import strategies as st

from assay.engine import fingerprint as fingerprints
from assay.engine.fingerprint import digest, fingerprint
from assay.engine.trial import Bar, Trial
from assay.engine.units import derived_seed, plan


def keys(trial: Trial, **options: object) -> set[str]:
    return {u.key for u in plan("field/cards", trial, seeds=2, **options).units}  # type: ignore[arg-type]


def test_the_bar_is_judged_and_not_run_so_it_is_no_part_of_a_key() -> None:
    assert keys(s.better_cards) == keys(replace(s.better_cards, bar=Bar(absolute=9.0), claim="another claim"))


@pytest.mark.parametrize(
    "other",
    [
        replace(s.better_cards, version=2),
        replace(s.better_cards, world="sample_trials:numbered"),
        replace(s.better_cards, world_args={"size": 3}),
        replace(s.better_cards, threads=2),
        replace(s.better_cards, pairs="case"),
    ],
    ids=["version", "world", "world_args", "threads", "pairs"],
)
def test_whatever_changes_what_is_computed_changes_every_key(other: Trial) -> None:
    assert not keys(s.better_cards) & keys(other)


def test_changed_code_makes_other_units(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(s.better_cards)
    monkeypatch.setattr("assay.engine.units.trial_fingerprint", lambda trial: "of other code")
    assert not before & keys(s.better_cards)


def test_quick_model_and_assets_are_part_of_the_key() -> None:
    base = keys(s.better_cards)
    assert not base & keys(s.better_cards, quick=True)
    assert not base & keys(s.better_cards, model="mockllm/model")
    assert not base & keys(s.better_cards, assets={"nano": "abc"})


def test_a_seed_is_one_number_for_all_arms_and_another_for_every_trial_and_seed() -> None:
    units = plan("field/cards", s.better_cards, seeds=50).units
    numbers = {seed: {u.number for u in units if u.seed == seed} for seed in range(50)}
    assert all(len(found) == 1 for found in numbers.values())
    assert len(set.union(*numbers.values())) == 50
    assert derived_seed(s.better_cards, 0) != derived_seed(replace(s.better_cards, paper="2601.00002"), 0)


def test_the_number_is_numpys_seed_sequence_of_paper_world_and_seed() -> None:
    entropy = int.from_bytes(hashlib.sha256(b"2601.00001 sample_trials:cards").digest()[:16], "big")
    expected = np.random.SeedSequence([entropy, 5]).generate_state(1)[0]
    assert derived_seed(s.better_cards, 5) == expected


def test_seeds_are_outermost_and_arms_in_a_fixed_shuffle() -> None:
    first = plan("field/cards", s.better_cards, seeds=40).units
    assert [u.seed for u in first] == sorted(u.seed for u in first)
    orders = [tuple(u.arm for u in first if u.seed == seed) for seed in range(40)]
    assert len(set(orders)) == 6  # every order of three arms comes up
    assert first == plan("field/cards", s.better_cards, seeds=40).units


def test_an_arm_that_runs_after_another_comes_later_in_its_seed() -> None:
    for seed in range(20):
        units = plan("field/cards", s.matched_cards, seeds=[seed]).units
        arms = [u.arm for u in units]
        assert arms.index("placebo") > arms.index("method")
        late = units[arms.index("placebo")]
        assert late.waits_for == (units[arms.index("method")].key,)


def test_arms_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="waits for itself"):
        _ = plan("x/y", replace(s.better_cards, after={"method": "placebo", "placebo": "method"}), seeds=1).units


# --- fingerprints ---


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose trial imports a method inside a function, which imports a helper through a relative import."""
    root = tmp_path / "paperlab"
    (root / "lazy").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "trial.py").write_text("import json\ndef arm():\n    from paperlab.method import f\n    return f\n")
    (root / "method.py").write_text("from .helper import g\nfrom paperlab.lazy import h\n")
    (root / "helper.py").write_text("g = 1\n")
    (root / "unrelated.py").write_text("z = 1\n")
    (root / "lazy" / "__init__.py").write_text("def __getattr__(name):\n    raise AttributeError(name)\n")
    (root / "lazy" / "home.py").write_text("h = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return root


def fresh(*modules: str) -> str:
    """The fingerprint as a new process would find it."""
    for name in [m for m in sys.modules if m.split(".")[0] == "paperlab"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    for cached in (fingerprints._source_of, fingerprints._imports):
        cached.cache_clear()
    return fingerprint(modules)


@pytest.mark.parametrize("changed", ["trial.py", "method.py", "helper.py", "lazy/__init__.py", "lazy/home.py"])
def test_code_that_is_imported_anywhere_is_part_of_the_fingerprint(package: Path, changed: str) -> None:
    before = fresh("paperlab.trial")
    path = package / changed
    path.write_text(path.read_text() + "# changed\n")
    assert fresh("paperlab.trial") != before


def test_code_that_is_not_imported_is_no_part_of_it(package: Path) -> None:
    before = fresh("paperlab.trial")
    (package / "unrelated.py").write_text("z = 2\n")
    assert fresh("paperlab.trial") == before


def test_finding_the_code_imports_none_of_it(package: Path) -> None:
    fresh("paperlab.trial")
    assert [m for m in sys.modules if m.startswith("paperlab.")] == ["paperlab.lazy"]  # its __init__ is all


def test_the_engine_is_no_part_of_what_is_tried() -> None:
    found = fingerprints._closure(["sample_trials"])
    assert "sample_trials" in found
    assert not [name for name in found if name.startswith("assay.engine")]


# --- digests ---


@dataclass
class Card:
    suit: str
    values: list[float]


class Suit(Enum):
    HEARTS = 1
    SPADES = 2


def test_equal_data_has_equal_digests_however_it_was_built() -> None:
    shared = [1.0, 2.0]
    assert digest({"a": 1, "b": [shared, shared]}) == digest({"b": [[1.0, 2.0], [1.0, 2.0]], "a": 1})
    assert digest({3, 1, 2}) == digest({2, 3, 1})
    assert digest(np.arange(4.0)) == digest(np.arange(8.0)[::2] / 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [2, 1]),
        ([1], (1,)),
        ([1], [1.0]),
        (["ab", "c"], ["a", "bc"]),
        ({"a": 1}, {"a": 2}),
        (0.0, -0.0),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(2, "f4"), np.zeros(2, "f8")),
        (Card("hearts", [1.0]), Card("spades", [1.0])),
        (Suit.HEARTS, Suit.SPADES),
        (None, "None"),
        (b"1", "1"),
        (np.random.default_rng(1), np.random.default_rng(2)),
    ],
)
def test_different_data_has_different_digests(one: object, other: object) -> None:
    assert digest(one) != digest(other)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))  # fmt: skip
def test_a_digest_survives_pickling(data: object) -> None:
    import pickle

    assert digest(pickle.loads(pickle.dumps(data))) == digest(data)


def test_tensors_are_hashed_by_type_shape_and_bytes() -> None:
    torch = pytest.importorskip("torch")
    half = torch.arange(6, dtype=torch.bfloat16)
    assert digest(half) == digest(half.clone())
    assert digest(half) != digest(half.reshape(2, 3))
    assert digest(half) != digest(half.float())
    assert digest(torch.nn.Linear(2, 2)) != digest(torch.nn.Linear(2, 2))
    assert digest(torch.zeros(0)) == digest(torch.zeros(0))


@pytest.mark.parametrize("thing", [print, sys.stdout, (i for i in ())], ids=["function", "file", "generator"])
def test_what_has_no_content_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="plain data"):
        digest([thing])
