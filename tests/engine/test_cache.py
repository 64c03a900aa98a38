"""The cache is counted and emptied, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.engine.cache import clear, sizes
from assay.engine.machine import measuring
from assay.errors import StoreLocked, UserError


@pytest.fixture
def cache(own_cache: Path) -> Path:
    (own_cache / "models" / "nano-1").mkdir(parents=True)
    (own_cache / "models" / "nano-1" / "w.bin").write_bytes(b"x" * 1000)
    (own_cache / "fixtures").mkdir()
    (own_cache / "fixtures" / "a").write_bytes(b"x" * 10)
    (own_cache / "data" / "locomo").mkdir(parents=True)
    (own_cache / "data" / "locomo" / "mine.json").write_text("{}")
    return own_cache


def test_sizes_are_by_kind_and_leave_out_the_users_own_data(cache: Path) -> None:
    assert list(sizes().items()) == [("models", 1000), ("fixtures", 10)]


def test_clearing_frees_what_was_counted_and_keeps_the_users_own_data(cache: Path) -> None:
    assert clear() == {"models": 1000, "fixtures": 10}
    assert sizes() == {}
    assert (cache / "data" / "locomo" / "mine.json").exists()


def test_a_link_is_removed_and_not_followed(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("...")
    (cache / "link").symlink_to(tmp_path / "precious")
    clear()
    assert not (cache / "link").is_symlink()
    assert (tmp_path / "precious" / "thesis.tex").exists()


def test_a_cache_in_use_is_left_alone(cache: Path) -> None:
    with measuring(alone=False, waiting=lambda: False), pytest.raises(StoreLocked, match="a run is using the cache"):
        clear()
    assert sizes()


@pytest.mark.parametrize("place", ["home", "cwd"])
def test_a_folder_that_holds_more_than_a_cache_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "thesis.tex").write_text("...")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    if place == "home":
        monkeypatch.setenv("HOME", str(tmp_path))
    else:
        monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="more than a cache"):
        clear()
    assert (tmp_path / "thesis.tex").exists()


def test_no_cache_is_an_empty_one(own_cache: Path) -> None:
    assert (sizes(), clear()) == ({}, {})
