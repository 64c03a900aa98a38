"""`assay trials new`: a package with a trial, a world and a test that work as they are, to be changed from there."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from assay.errors import UserError

NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
PAPER = re.compile(r"\d{4}\.\d{5}")
FILES = {  # template -> its place in the package, `NAME` standing for the name
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "init.py": "src/NAME/__init__.py",
    "trial.py": "src/NAME/trial.py",
    "world.py": "src/NAME/world.py",
    "test_trial.py": "tests/test_trial.py",
}


def write_package(name: str, paper: str, parent: Path) -> Path:
    """Write the package `name` into a new folder of `parent` and return it; whole or not at all.

    Raises UserError for a name that no package can have or another one has, a paper id that is none, and a folder
    that exists.
    """
    name = name.replace("-", "_")
    _check_name(name)
    if not PAPER.fullmatch(paper):
        raise UserError(f"bad --paper {paper!r}: wanted an arXiv id such as 2601.08521")
    folder = parent / name
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} exists: choose another name, or move it away")
    part = parent / f".{name}.part"
    words = {"name": name, "distribution": name.replace("_", "-"), "paper": paper}
    try:
        for template, place in FILES.items():
            target = part / place.replace("NAME", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (files("assay.cli") / "templates" / f"{template}.txt").read_text("utf-8")
            target.write_text(Template(text).substitute(words), "utf-8")
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from error
    return folder


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UserError(f"bad name {name!r}: wanted 2 to 40 small letters, digits and _, such as my_trial")
    if name in sys.stdlib_module_names or name == "tests" or importlib.util.find_spec(name) is not None:
        raise UserError(f"bad name {name!r}: a package of that name is there already; choose another")
