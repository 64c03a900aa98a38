"""What a trial needs of the machine, checked before its first unit; what is missing is one line with a remedy."""

from __future__ import annotations

import ctypes.util
import os
import shutil
from pathlib import Path

from assay.places import cache_root

_PROGRAMS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "run `playwright install chromium`"),
    "espeak-ng": (("espeak-ng",), "install the system package espeak-ng"),
    "semgrep": (("semgrep",), "run `pip install semgrep`"),
    "shellcheck": (("shellcheck",), "install the system package shellcheck"),
    "tesseract": (("tesseract",), "install the system package tesseract-ocr"),
    "git": (("git",), "install the system package git"),
}


def missing(needs: tuple[str, ...]) -> str:
    """The first need that is not met, with what to do; '' when all are there."""
    for need in needs:
        if need.startswith("data:"):
            folder = data_folder(need.removeprefix("data:"))
            if not folder.exists():
                return f"needs the data {need.removeprefix('data:')!r}: put it under {folder}"
        elif need == "gl":
            if not (ctypes.util.find_library("EGL") or ctypes.util.find_library("OSMesa")):
                return "needs OpenGL without a screen: install the system packages libegl1 and libosmesa6"
        else:
            programs, remedy = _PROGRAMS.get(need, ((need,), f"install {need}"))
            if not any(shutil.which(p) for p in programs) and not (need == "chromium" and _playwright_chromium()):
                return f"needs {need}: {remedy}"
    return ""


def data_folder(name: str) -> Path:
    """Where data that Assay may not ship is looked for: `$ASSAY_DATA/NAME`, else `data/NAME` of the cache."""
    root = os.environ.get("ASSAY_DATA")
    return (Path(root).expanduser() if root else cache_root() / "data") / name


def _playwright_chromium() -> bool:
    root = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or "~/.cache/ms-playwright").expanduser()
    return any(root.glob("chromium*"))
