"""Pattern SC1: dependencies that are not held to a version, in manifests and in install commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import PurePosixPath

from .._skill_files import Skill, SkillFile
from .code import Code, code_of
from .model import Evidence, Rule, Severity, evidence

LOCKS = re.compile(
    r"(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml|poetry\.lock|uv\.lock|Pipfile\.lock|requirements[\w.-]*\.lock)$",
    re.I,
)
_EXACT_NPM = re.compile(r"^v?\d+\.\d+\.\d+(?:[-+][\w.]+)?$|^file:|^workspace:|^\./|^npm:[^@]+@\d+\.\d+\.\d+$")
_INSTALL = re.compile(
    r"\b(?P<pip>(?:uv )?pip3? install|python3? -m pip install|pipx install|uv add|uv tool install"
    r"|uvx)\s+(?P<pip_args>[^\n|;&>]{1,400})"
    r"|\b(?P<npm>npm (?:install|i|add)|pnpm (?:add|install)|yarn add|npx|bunx|bun add)\s+(?P<npm_args>[^\n|;&>]{1,400})"
)
_TAKES_VALUE = frozenset(
    [
        "-r",
        "--requirement",
        "-c",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-t",
        "--target",
        "--prefix",
        "-p",
        "--package",
        "--python",
        "-f",
        "--find-links",
        "--with",
    ]
)
Found = Iterator[tuple[int, str, float]]  # line, why, weight


def manifest_rules() -> tuple[Rule, ...]:
    """The rules of this module."""
    table: tuple[tuple[str, Severity, str, tuple[str, ...], Callable[[SkillFile, Skill], Found]], ...] = (
        (
            "SS-SC1-01",
            "low",
            "requirements file names a package without an exact version",
            ("manifest",),
            _requirements,
        ),
        ("SS-SC1-02", "low", "pyproject or setup names a package without an exact version", ("manifest",), _pyproject),
        ("SS-SC1-03", "low", "package.json names a range and no lock file is there", ("manifest",), _package_json),
        ("SS-SC1-04", "low", "image without a fixed tag or digest", ("manifest", "data"), _images),
        (
            "SS-SC1-05",
            "low",
            "pip installs a package without an exact version",
            ("instruction", "shell", "python", "manifest", "data", "javascript"),
            _pip,
        ),
        (
            "SS-SC1-06",
            "low",
            "npm or npx takes a package without an exact version",
            ("instruction", "shell", "python", "manifest", "data", "javascript"),
            _npm,
        ),
        (
            "SS-SC1-07",
            "medium",
            "package index other than the public one",
            ("manifest", "instruction", "shell"),
            _other_index,
        ),
        ("SS-SC1-08", "medium", "dependency taken from a moving branch or URL", ("manifest",), _moving_source),
    )
    return tuple(Rule(i, "SC1", severity, title, kinds, _Check(i, find)) for i, severity, title, kinds, find in table)


class _Check:
    def __init__(self, rule_id: str, find: Callable[[SkillFile, Skill], Found]) -> None:
        self.rule_id, self.find = rule_id, find

    def __call__(self, file: SkillFile, skill: Skill) -> Iterator[Evidence]:
        for line, why, weight in self.find(file, skill):
            yield evidence(self.rule_id, file, line, 1, line, 10**6, why, weight)


def _name(file: SkillFile) -> str:
    return PurePosixPath(file.path).name.lower()


def _locked(skill: Skill) -> bool:
    return any(LOCKS.search(f.path) for f in skill.files)


def _pinned(requirement: str) -> bool:
    """Whether a PEP 508 requirement admits one version only."""
    return bool(re.search(r"={2,3}\s*(?!\S{0,20}\*)\S|@\s*file:|--hash=", requirement)) or bool(
        re.search(r"@\s*(?:git\+)?https?://\S+@[0-9a-f]{40}\b|#sha256=", requirement)
    )


def _requirements(file: SkillFile, skill: Skill) -> Found:
    if not _name(file).startswith("requirements"):
        return
    text = file.text.replace("\\\n", "  ")  # hashes stand on continued lines
    hashed = "--hash=" in text
    for number, line in enumerate(file.lines, 1):
        stripped = line.split(" #")[0].strip()
        if not stripped or stripped.startswith(("#", "-", "--hash")) or hashed:
            continue
        if not _pinned(stripped):
            yield number, f"not pinned: {stripped[:80]}", 0.4 if _locked(skill) else 1.0


def _pyproject(file: SkillFile, skill: Skill) -> Found:
    if _name(file) not in ("pyproject.toml", "setup.py", "setup.cfg", "pipfile", "environment.yml", "environment.yaml"):
        return
    weight = 0.3 if _locked(skill) else 0.8
    inside = False
    for number, line in enumerate(file.lines, 1):
        if re.search(
            r"\b(?:dependencies|install_requires|requires|packages)\b\s*[\]:=]"
            r"|\[(?:tool\.poetry\.)?(?:dev-)?(?:dependencies|packages)\]",
            line,
        ):
            inside = "build-system" not in line and not line.strip().startswith("requires ")
        elif re.match(r"\s*[\]\[)]", line):
            inside = inside and not re.match(r"\s*[\])]", line) and "dependencies" in line
        if not inside:
            continue
        for item in re.findall(
            r"[\"']([A-Za-z][\w.-]{1,60}(?:\[[\w,-]{1,60}\])?(?:\s{0,2}[<>=~!^][^\"']{0,60})?)[\"']", line
        ):
            if not _pinned(item) and not re.match(r"[\d.]+$", item):
                yield number, f"not pinned: {item[:80]}", weight


def _package_json(file: SkillFile, skill: Skill) -> Found:
    if _name(file) != "package.json":
        return
    try:
        data = json.loads(file.text)
    except (ValueError, RecursionError):
        return  # npm would not install from it either
    for section in ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"):
        wanted = data.get(section) if isinstance(data, dict) else None
        for name, version in wanted.items() if isinstance(wanted, dict) else ():
            if not _EXACT_NPM.match(str(version)):
                yield _line_with(file, f'"{name}"'), f"{name}: {version}", 0.2 if _locked(skill) else 1.0


def _images(file: SkillFile, skill: Skill) -> Found:
    if not (_name(file).startswith(("dockerfile", "containerfile")) or "compose" in _name(file)):
        return
    stages: set[str] = set()
    for number, line in enumerate(file.lines, 1):
        match = re.match(
            r"\s*(?:FROM\s+(?:--platform=\S+\s+)?|image:\s*)[\"']?([^\s\"']{1,200})[\"']?(?:\s+[Aa][Ss]\s+(\S+))?", line
        )
        if not match:
            continue
        image, stage = match.groups()
        if image not in stages and "@sha256:" not in image and image != "scratch":
            tag = image.rpartition(":")[2] if ":" in image.rsplit("/", 1)[-1] else ""
            if not re.search(r"\d", tag) or "latest" in tag:
                yield number, f"image {image}", 1.0
        if stage:
            stages.add(stage)


@lru_cache(maxsize=64)
def _shell_places(skill: Skill) -> tuple[tuple[str, int, str, float], ...]:
    """(path, line, text, weight) of every line in which a command may stand."""
    pieces: list[Code] = list(code_of(skill))
    return tuple(
        (c.path, c.line + i, line, c.weight)
        for c in pieces
        for i, line in enumerate(c.text.split("\n"))
        if "install" in line or "npx" in line or "uvx" in line or " add" in line or "bunx" in line
    )


def _installs(file: SkillFile, skill: Skill, kind: str) -> Iterator[tuple[int, list[str], float]]:
    for path, number, line, weight in _shell_places(skill):
        if path != file.path or line.lstrip().startswith(("#", "//")):
            continue
        line = line.replace('", "', " ").replace("', '", " ") if file.kind in ("python", "javascript") else line
        for match in _INSTALL.finditer(line[:2000]):
            if match.group(kind) is None:
                continue
            arguments = match.group(f"{kind}_args").replace("`", " ")
            try:
                words = shlex.split(arguments)
            except ValueError:  # a quote opened before the command began
                words = arguments.replace("'", " ").replace('"', " ").split()
            if match.group(kind) in ("npx", "bunx", "uvx"):
                words = [w for w in words if not w.startswith("-")][:1]
            yield number, list(_packages(words)), weight


def _packages(words: list[str]) -> Iterator[str]:
    skip = False
    for word in words:
        if (
            skip
            or word.startswith(("-", "$", "./", "/", "<", "{", "["))
            or word in (".", "..", "\\")
            or not re.match(r"[A-Za-z@]", word)
        ):
            skip = word in _TAKES_VALUE
            continue
        if word in ("in", "to", "and", "or", "the", "into", "from", "it", "with"):
            return  # prose goes on after the command
        yield word.rstrip("`.,;:)]\"'")


def _pip(file: SkillFile, skill: Skill) -> Found:
    for line, packages, weight in _installs(file, skill, "pip"):
        for package in packages:
            if "://" not in package and not _pinned(package) and not re.search(r"@\d", package):
                yield line, f"pip install {package[:60]}", weight


def _npm(file: SkillFile, skill: Skill) -> Found:
    for line, packages, weight in _installs(file, skill, "npm"):
        for package in packages:
            version = package.rpartition("@")[2] if "@" in package[1:] else ""
            if not _EXACT_NPM.match(version) and "://" not in package:
                yield line, f"{package[:60]}", weight * (0.5 if _locked(skill) else 1.0)


def _other_index(file: SkillFile, skill: Skill) -> Found:
    pattern = re.compile(
        r"(?:--(?:extra-)?index-url|--registry|index-url\s*=|registry\s*=|--find-links"
        r"|--trusted-host)[=\s]{1,3}(\S{4,200})"
    )
    for number, line in enumerate(file.lines, 1):
        match = pattern.search(line[:2000])
        if match and not re.search(r"pypi\.org|registry\.npmjs\.org", match.group(1)):
            yield number, f"index {match.group(1)[:80]}", 1.0


def _moving_source(file: SkillFile, skill: Skill) -> Found:
    pattern = re.compile(r"(?:git\+(?:https?|ssh)://|github:|git://|https?://)[^\s\"']{3,300}")
    if not re.match(r"requirements|pyproject|setup|package\.json|pipfile|environment", _name(file)):
        return
    for number, line in enumerate(file.lines, 1):
        for match in pattern.finditer(line[:2000]):
            source = match.group()
            dependency = source.startswith(("git", "github:")) or re.search(r"\.(?:tgz|tar\.gz|whl|zip)\b", source)
            if dependency and not re.search(r"@[0-9a-f]{40}\b|#[0-9a-f]{40}\b|sha256=", source):
                yield number, f"from {source[:80]}", 1.0


def _line_with(file: SkillFile, part: str) -> int:
    return next((i for i, line in enumerate(file.lines, 1) if part in line), 1)
