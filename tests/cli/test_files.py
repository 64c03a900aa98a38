"""Files that commands write are whole or not there."""

from __future__ import annotations

import pytest

from assay.cli.files import replacing
from assay.errors import UserError


def test_a_file_appears_whole_under_its_own_name(tmp_path):
    with replacing(tmp_path / "a.txt") as part:
        part.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "none" / "a.txt"
    with pytest.raises(UserError, match=r"none/a\.txt cannot be written"), replacing(path) as part:
        part.write_text("x")
