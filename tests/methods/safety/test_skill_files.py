"""Reading skills: what is found, what is refused, and that nothing hostile stops the scan."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest
from made_skills import make

from assay.methods.safety._skill_files import Limits, discover, load_skill, split_front_matter


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return path


def test_a_folder_is_read_with_its_front_matter_and_kinds(tmp_path: Path) -> None:
    skill = make(
        tmp_path,
        {"scripts/a.py": "x = 1\n", "b.sh": "ls\n", "c.ts": "1", "requirements.txt": "x==1\n", "d.bin": b"\0\1"},
    )
    assert (skill.name, skill.description) == ("demo", "Tidies notes in one folder.")
    assert {f.path: f.kind for f in skill.files} == {
        "SKILL.md": "instruction", "b.sh": "shell", "c.ts": "javascript", "d.bin": "binary",
        "requirements.txt": "manifest", "scripts/a.py": "python",
    }  # fmt: skip
    assert skill.has_scripts


def test_allowed_tools_may_be_a_list_or_a_string_with_patterns(tmp_path: Path) -> None:
    text = "---\nname: a\ndescription: b\nallowed-tools: Read, Bash(git log:*) Write\n---\n"
    assert make(tmp_path / "a", {"SKILL.md": text}).allowed_tools == ("Read", "Bash(git log:*)", "Write")
    text = "---\nname: a\ndescription: b\nallowed-tools: [Read, Write]\n---\n"
    assert make(tmp_path / "b", {"SKILL.md": text}).allowed_tools == ("Read", "Write")


def test_an_archive_reads_like_its_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "demo", {"a.py": "x = 1\n"})
    packed = archive(
        tmp_path / "demo.skill", {f"demo/{f.path}": (folder.path / f.path).read_bytes() for f in folder.files}
    )
    assert load_skill(packed).sha256 == folder.sha256


@pytest.mark.parametrize("name", ["../evil.py", "a/../../evil.py", "/etc/evil", "C:/evil", "..\\evil.py"])
def test_members_that_would_land_outside_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="outside its folder"):
        load_skill(archive(tmp_path / "x.zip", {"SKILL.md": b"# x", name: b"1"}))


def test_a_bomb_and_a_link_in_an_archive_are_refused(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "b.zip", {"SKILL.md": b"# x", "zeros": b"\0" * 1_000_000}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="more than 100 times"):
        load_skill(bomb)
    link = zipfile.ZipInfo("passwd")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as target:
        target.writestr("SKILL.md", "# x")
        target.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="is a link"):
        load_skill(tmp_path / "l.zip")


def test_a_file_that_is_no_archive_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=r"x\.zip: cannot be unpacked"):
        load_skill(tmp_path / "x.zip")


def test_links_that_leave_the_folder_or_turn_in_circles_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    make(tmp_path / "s", {})
    os.symlink(tmp_path / "secret", tmp_path / "s" / "out.txt")
    os.symlink("round", tmp_path / "s" / "round")
    os.symlink(".", tmp_path / "s" / "again")
    skill = load_skill(tmp_path / "s")
    assert [f.path for f in skill.files] == ["SKILL.md"]
    assert {p.split(":")[0] for p in skill.problems} == {"out.txt", "round"}


def test_a_file_too_large_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    skill = make(tmp_path, {"big.py": "x = '" + "a" * 10_000_000 + "'\n", "small.py": "y = 1\n"})
    assert [f.path for f in skill.files] == ["SKILL.md", "small.py"]
    assert "big.py" in skill.problems[0]


def test_limits_on_the_whole_skill_refuse_it(tmp_path: Path) -> None:
    make(tmp_path, {f"f{i}.txt": "x" * 100 for i in range(5)} | {"a/b/c/d.txt": "x"})
    for limits in (Limits(max_files=3), Limits(max_total_bytes=300), Limits(max_depth=2)):
        with pytest.raises(ValueError, match=r"more than|deeper"):
            load_skill(tmp_path, limits)
    with pytest.raises(ValueError, match="max_files"):
        Limits(max_files=0)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00broken", b"---\n: [unclosed\n---\n# x", b"---\n- a\n---\n"])
def test_a_broken_instruction_file_is_read_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "SKILL.md").write_bytes(content)
    assert load_skill(tmp_path).front_error


def test_bytes_that_are_no_utf8_do_not_hide_the_code_around_them(tmp_path: Path) -> None:
    skill = make(tmp_path, {"a.py": b"# caf\xe9 \0\nimport os\n"})
    assert "import os" in next(f.text for f in skill.files if f.path == "a.py")


def test_skills_are_found_at_any_depth_and_in_any_case(tmp_path: Path) -> None:
    make(tmp_path / "plugin" / "skills" / "one", {})
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "skill.md").write_text("# two")
    make(tmp_path / "node_modules" / "three", {})
    assert [p.name for p in discover(tmp_path)] == ["one", "two"]


def test_where_there_is_no_skill_the_message_says_where_it_looked(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no SKILL.md under .* \(searched 2 folders\)"):
        discover(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        discover(tmp_path / "missing")
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        discover(tmp_path / "file.txt")


def test_the_body_starts_on_the_line_after_the_front_matter() -> None:
    front, error, body, line = split_front_matter("---\nname: a\ndescription: b\n---\n# Title\n")
    assert (front["name"], error, body, line) == ("a", "", "# Title\n", 5)
    assert split_front_matter("---\nname: never closed\n")[2] == ""
