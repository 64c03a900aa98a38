"""Reading agent skills from disk: folders and archives, hostile ones included. Nothing is executed or imported.

A skill is a folder with a `SKILL.md` (YAML front matter and a Markdown body), or a `.zip`/`.skill` archive of
one. Archive members that would land outside their folder, links that leave it, and members that unpack to more
than a hundred times their size are refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

Kind = Literal["instruction", "python", "shell", "javascript", "manifest", "data", "binary"]

ARCHIVES = (".zip", ".skill")
MAX_RATIO = 100  # unpacked size over packed size of one archive member
SKIPPED_FOLDERS = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv"})

_KIND_BY_SUFFIX: dict[str, Kind] = {
    **dict.fromkeys((".md", ".markdown", ".mdx", ".txt", ".rst"), "instruction"),
    **dict.fromkeys((".py", ".pyw"), "python"),
    **dict.fromkeys((".sh", ".bash", ".zsh", ".ksh"), "shell"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".ts", ".mts", ".jsx", ".tsx"), "javascript"),
}
_MANIFEST = re.compile(
    r"(requirements|constraints)[\w.-]*\.(txt|in)|pyproject\.toml|setup\.(py|cfg)|Pipfile|environment\.ya?ml"
    r"|package(-lock)?\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|Dockerfile[\w.-]*|Containerfile",
    re.IGNORECASE,
)
_FRONT_MATTER = re.compile(r"\A(?:\ufeff)?---[ \t]*\r?\n(.*?)(?:^---[ \t]*\r?$\n?|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Limits:
    """How much of a skill is read. A larger file is left out and named; a larger skill is refused."""

    max_files: int = 2000
    max_file_bytes: int = 2_000_000
    max_total_bytes: int = 50_000_000
    max_depth: int = 12

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"Limits.{name}: got {value}, wanted at least 1")


@dataclass(frozen=True, eq=False)
class SkillFile:
    """One file: `path` relative to the skill with forward slashes, `text` empty when it is binary."""

    path: str
    kind: Kind
    text: str
    sha256: str

    @cached_property
    def lines(self) -> list[str]:
        """The text by lines, split at newlines only (form feeds and the like stay inside a line)."""
        return self.text.split("\n")


@dataclass(frozen=True, eq=False)
class Skill:
    """A skill as read. `problems` names what could not be read, one line each."""

    path: Path
    name: str
    description: str
    allowed_tools: tuple[str, ...]
    body: str
    body_line: int  # line of SKILL.md (from 1) on which the body starts
    files: tuple[SkillFile, ...]
    front: dict[str, Any] = field(default_factory=dict)
    front_error: str = ""
    problems: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Digest of every file's path and content."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.path}\0{file.sha256}\n".encode())
        return digest.hexdigest()

    @property
    def instruction_file(self) -> SkillFile:
        """SKILL.md itself."""
        return next(f for f in self.files if f.path.lower() == "skill.md")

    @property
    def has_scripts(self) -> bool:
        """Whether the skill bundles code of any of the three languages that are read."""
        return any(f.kind in ("python", "shell", "javascript") for f in self.files)


def load_skill(path: Path, limits: Limits | None = None) -> Skill:
    """Read the skill at `path`, a folder with SKILL.md or an archive of one.

    Raises:
        FileNotFoundError: there is nothing at `path`, or no SKILL.md in it.
        ValueError: `path` is another kind of file, or the skill is beyond `limits` or built to do harm.
    """
    limits = limits or Limits()
    if not path.exists():
        raise FileNotFoundError(f"no such folder: {path}")
    problems: list[str] = []
    if path.is_dir():
        raw = list(_folder_files(path, limits, problems))
    elif path.suffix.lower() in ARCHIVES:
        raw = list(_archive_files(path, limits, problems))
    else:
        raise ValueError(f"{path} is a file: wanted a folder with SKILL.md, or a .zip or .skill archive of one")
    files = tuple(sorted((_skill_file(name, data) for name, data in raw), key=lambda f: f.path))
    instruction = next((f for f in files if f.path.lower() == "skill.md"), None)
    if instruction is None:
        raise FileNotFoundError(f"no SKILL.md in {path}" + (f" ({problems[0]})" if problems else ""))
    front, error, body, body_line = split_front_matter(instruction.text)
    return Skill(
        path=path,
        name=str(front.get("name") or path.stem),
        description=str(front.get("description") or ""),
        allowed_tools=_tool_list(front.get("allowed-tools", front.get("allowed_tools"))),
        body=body,
        body_line=body_line,
        files=files,
        front=front,
        front_error=error,
        problems=tuple(problems),
    )


def discover(root: Path) -> list[Path]:
    """Every skill under `root`, in sorted order: folders that hold SKILL.md (any case) and archives.

    Raises FileNotFoundError if `root` does not exist or holds no skill, ValueError if it is some other file.
    """
    if not root.exists():
        raise FileNotFoundError(f"no such folder: {root}")
    if root.is_file():
        if root.suffix.lower() in ARCHIVES:
            return [root]
        raise ValueError(f"{root} is a file: wanted a folder with SKILL.md, or a .zip or .skill archive of one")
    found: list[Path] = []
    searched = 0
    for folder, subfolders, names in os.walk(root):
        searched += 1
        subfolders[:] = sorted(d for d in subfolders if d not in SKIPPED_FOLDERS)
        if any(name.lower() == "skill.md" for name in names):
            found.append(Path(folder))
        found += [Path(folder, n) for n in names if n.lower().endswith(ARCHIVES) and _holds_skill(Path(folder, n))]
    if not found:
        raise FileNotFoundError(f"no SKILL.md under {root} (searched {searched} folders)")
    return sorted(found)


def split_front_matter(text: str) -> tuple[dict[str, Any], str, str, int]:
    """(front matter, what is wrong with it or "", body, line of the body's first line) of a SKILL.md."""
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, "no front matter", text, 1
    body, line = text[match.end() :], text.count("\n", 0, match.end()) + 1
    try:
        front = yaml.safe_load(match.group(1))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return {}, f"front matter is not YAML: {' '.join(str(error).split())[:120]}", body, line
    if not isinstance(front, dict):
        return {}, "front matter is not a mapping", body, line
    missing = [k for k in ("name", "description") if not front.get(k)]
    return front, f"front matter lacks {' and '.join(missing)}" if missing else "", body, line


def _tool_list(value: object) -> tuple[str, ...]:
    """`allowed-tools` as written by hand: a list, or one string with commas or blanks between the tools."""
    if isinstance(value, str):
        return tuple(m.group().strip() for m in re.finditer(r"[^\s,()]+(?:\([^)]*\))?", value))
    return tuple(str(v) for v in value) if isinstance(value, list) else ()


def _folder_files(root: Path, limits: Limits, problems: list[str]) -> Iterator[tuple[str, bytes]]:
    total = count = 0
    inside = root.resolve()
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        if depth >= limits.max_depth and subfolders:
            raise ValueError(f"{root}: folders nested deeper than {limits.max_depth}")
        subfolders[:] = sorted(d for d in subfolders if d not in SKIPPED_FOLDERS and not _is_skill(here / d))
        for name in [*subfolders, *sorted(names)]:
            path = here / name
            relative = path.relative_to(root).as_posix()
            if path.is_symlink():
                if not _stays_inside(path, inside):
                    problems.append(f"{relative}: link leaves the skill's folder, not followed")
                continue  # a link that stays inside names a file that is read under its own name
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            count += 1
            if count > limits.max_files:
                raise ValueError(f"{root}: more than {limits.max_files} files")
            size = path.stat().st_size
            if size > limits.max_file_bytes:
                problems.append(f"{relative}: {size} bytes, more than {limits.max_file_bytes}, not read")
                continue
            total += size
            if total > limits.max_total_bytes:
                raise ValueError(f"{root}: more than {limits.max_total_bytes} bytes in all")
            try:
                yield relative, path.read_bytes()
            except OSError as error:
                problems.append(f"{relative}: cannot be read ({error.strerror})")


def _archive_files(path: Path, limits: Limits, problems: list[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _refuse_hostile(path, members, limits)
            base = _archive_base(path, members)
            for member in members:
                name = member.filename
                if base and not name.startswith(base):
                    continue
                if member.file_size > limits.max_file_bytes:
                    problems.append(f"{name}: {member.file_size} bytes, more than {limits.max_file_bytes}, not read")
                    continue
                with archive.open(member) as stream:
                    data = stream.read(member.file_size + 1)
                if len(data) > member.file_size:
                    raise ValueError(f"{path}: {name} is larger than its header says")
                yield name[len(base) :], data
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise ValueError(f"{path}: cannot be unpacked ({error})") from error


def _refuse_hostile(path: Path, members: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(members) > limits.max_files:
        raise ValueError(f"{path}: more than {limits.max_files} files")
    if sum(m.file_size for m in members) > limits.max_total_bytes:
        raise ValueError(f"{path}: more than {limits.max_total_bytes} bytes in all")
    for member in members:
        name = member.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
            raise ValueError(f"{path}: member {name!r} would land outside its folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{path}: member {name!r} is a link")
        if member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise ValueError(f"{path}: member {name!r} unpacks to more than {MAX_RATIO} times its size")
        if len(parts) > limits.max_depth + 1:
            raise ValueError(f"{path}: folders nested deeper than {limits.max_depth}")


def _archive_base(path: Path, members: list[zipfile.ZipInfo]) -> str:
    """Folder inside the archive that holds SKILL.md, with its closing slash; "" at the top."""
    names = [m.filename for m in members if PurePosixPath(m.filename).name.lower() == "skill.md"]
    if not names:
        raise FileNotFoundError(f"no SKILL.md in {path}")
    shortest = min(names, key=lambda n: (n.count("/"), n))
    return shortest[: -len("SKILL.md")]


def _skill_file(path: str, data: bytes) -> SkillFile:
    digest = hashlib.sha256(data).hexdigest()
    kind = _kind(path, data)
    if kind == "binary":
        return SkillFile(path, kind, "", digest)
    # a NUL byte or a stray Latin-1 letter must not hide the rest of a script from the rules
    text = data.decode("utf-8", errors="replace").replace("\0", " ").replace("\r\n", "\n")
    return SkillFile(path, kind, text, digest)


def _kind(path: str, data: bytes) -> Kind:
    name = PurePosixPath(path).name
    if _MANIFEST.fullmatch(name):
        return "manifest"
    known = _KIND_BY_SUFFIX.get(PurePosixPath(name).suffix.lower())
    if known:
        return known
    if data.startswith(b"#!"):
        shebang = data[:200].split(b"\n", 1)[0]
        for word, kind in ((b"python", "python"), (b"node", "javascript"), (b"sh", "shell")):
            if word in shebang:
                return kind  # type: ignore[return-value]
    return "binary" if b"\0" in data[:8192] else "data"


def _is_skill(folder: Path) -> bool:
    try:
        return any(name.lower() == "skill.md" for name in os.listdir(folder))
    except OSError:  # unreadable or a broken link: the walk reports it, here it is merely no skill
        return False


def _holds_skill(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(n).name.lower() == "skill.md" for n in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return path.suffix.lower() == ".skill"  # claims to be one: reported as an error, not passed over


def _stays_inside(link: Path, inside: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(inside)
    except (OSError, RuntimeError):  # dangling or cyclic
        return False
