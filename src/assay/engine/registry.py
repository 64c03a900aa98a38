"""Finding trials and worlds by name, without importing them before they are wanted.

Built-in trials stand in a static index (`trials/_index.json`), which `python -m assay.engine.registry` writes
and a test compares with the modules; third parties bring theirs through the entry-point groups `assay.trials`
and `assay.worlds` (see `plugins.py`). A trial's full name is `field/name` (built in) or `distribution/name` (third
party).
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import json
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.engine.files import put
from assay.engine.plugins import Plugin, learn, plugins
from assay.engine.trial import Trial
from assay.errors import UserError

TRIALS_PACKAGE, WORLDS_PACKAGE = "assay.trials", "assay.worlds"


@dataclass(frozen=True)
class Entry:
    """One trial as it is listed: everything but the trial itself. `error` says why a plug-in cannot be used."""

    name: str
    module: str
    attribute: str = "trial"
    position: int | None = None  # its place in `trials = (...)`
    paper: str = ""
    title: str = ""
    claim: str = ""
    tags: tuple[str, ...] = ()
    error: str = ""
    plugin: Plugin | None = None

    @property
    def field(self) -> str:
        """The part before the slash: a field of work, or a third party's distribution."""
        return self.name.split("/")[0]


def list_trials() -> list[Entry]:
    """Every trial that can be named, built-in ones first; imports none of them."""
    index = json.loads((_package_folder(TRIALS_PACKAGE) / "_index.json").read_text("utf-8"))
    builtin = [Entry(**{**row, "tags": tuple(row["tags"])}) for row in index]
    return builtin + [_entry(plugin) for plugin in plugins("assay.trials")]


def _entry(plugin: Plugin) -> Entry:
    learned = dict(plugin.learned)
    if not learned and _top_is_missing(plugin.module):
        learned = {"error": f"ModuleNotFoundError: No module named {plugin.module.split('.')[0]!r}"}
    error = f"broken ({learned.pop('error')})" if "error" in learned else ""
    tags = tuple(learned.pop("tags", ()))
    attribute = plugin.attribute or "trial"
    return Entry(plugin.full_name, plugin.module, attribute, tags=tags, error=error, plugin=plugin, **learned)


def _top_is_missing(module: str) -> bool:
    """Whether not even the package is there; looking for what is inside it would import it."""
    return importlib.util.find_spec(module.split(".")[0]) is None


def find_all(name: str) -> list[Entry]:
    """The entries that `name` means: `field/name`, `name`, a paper's id (all its trials), a fragment of a title
    (all trials of that paper), or `module:attribute`.

    Raises UserError, with the three nearest names, for an unknown one, and for one that means several papers.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        listed = [e for e in list_trials() if (e.module, e.attribute) == (module, attribute)]
        return listed or [Entry(name, module, attribute)]
    known = list_trials()
    wanted = name.strip().replace("-", "_")
    if found := [e for e in known if wanted in (_underscored(e.name), _underscored(e.name.split("/")[-1]))]:
        if len(found) > 1:
            raise UserError(f"{name!r} means {len(found)} trials: {', '.join(e.name for e in found)}")
        return found
    if found := [e for e in known if e.paper == name.strip()]:
        return found
    fragment = name.strip().lower()
    if len(fragment) >= 4 and (found := [e for e in known if fragment in e.title.lower()]):
        if len({e.paper for e in found}) > 1:
            raise UserError(f"{name!r} fits several papers: {', '.join(e.name for e in found[:6])}")
        return found
    short = {e.name.split("/")[-1]: e.name for e in known} | {e.name: e.name for e in known}
    close = dict.fromkeys(short[s] for s in difflib.get_close_matches(wanted, short, n=6, cutoff=0.4))
    hint = f"did you mean {', '.join(list(close)[:3])}?" if close else "`assay trials list` shows all"
    raise UserError(f"unknown trial {name!r}: {hint}")


def find(name: str) -> Entry:
    """The one entry that `name` means; UserError where it means several (a paper with more than one trial)."""
    found = find_all(name)
    if len(found) > 1:
        raise UserError(f"{name!r} means {len(found)} trials: {', '.join(e.name for e in found)}")
    return found[0]


def load(entry: Entry) -> Trial:
    """Import the entry's module and hand out its trial. Raises UserError where the plug-in is broken."""
    try:
        trial = _imported(entry)
    except ModuleNotFoundError as error:
        if error.name and not entry.module.startswith(error.name) and entry.module.startswith("assay."):
            raise  # a missing library: the command line knows which extra brings it
        raise _broken(entry, error) from error
    except Exception as error:  # whatever a plug-in raises at import
        raise _broken(entry, error) from error
    if entry.plugin:
        learn(entry.plugin, {"paper": trial.paper, "claim": trial.claim, "tags": list(trial.tags)})
    return trial


def _imported(entry: Entry) -> Trial:
    found = getattr(importlib.import_module(entry.module), entry.attribute, None)
    if isinstance(found, Iterable):
        offered = tuple(found)
        found = _pick(offered, entry)
        if found is None:
            names = ", ".join(t.name for t in offered if isinstance(t, Trial))
            raise LookupError(f"it offers the trials {names}: name the entry point after one of them")
    if not isinstance(found, Trial):
        raise TypeError(f"{entry.module}:{entry.attribute} is {found!r}, wanted a Trial")
    return found


def _broken(entry: Entry, error: Exception) -> UserError:
    why = " ".join(f"{type(error).__name__}: {error}".split())
    if entry.plugin:
        learn(entry.plugin, {"error": why[:300]})
    return UserError(f"trial {entry.name} is broken ({why})")


def get_trial(name: str) -> tuple[str, Trial]:
    """Full name and trial of what the user typed."""
    entry = find(name)
    return entry.name, load(entry)


def get_world(name: str) -> Callable[..., Any]:
    """The factory of a world.

    `"cards"` is `world` of `assay.worlds.cards`; `"text/sums"` is `sums` of `assay.worlds.text`, else `world` of
    `assay.worlds.text.sums`; `"package.module:factory"` is taken as it stands; any other name is looked up among
    the entry points of group `assay.worlds`.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        return _factory(importlib.import_module(module), attribute, name)
    *parents, last = name.split("/")
    if parents and callable(factory := getattr(_module_or_none(".".join([WORLDS_PACKAGE, *parents])), last, None)):
        return factory  # type: ignore[no-any-return]
    if module_found := _module_or_none(".".join([WORLDS_PACKAGE, *parents, last])):
        return _factory(module_found, "world", name)
    points = plugins("assay.worlds")
    if found := [p for p in points if name in (p.name, p.full_name)]:
        if len(found) > 1:
            raise UserError(f"world {name!r} means {len(found)} worlds: {', '.join(p.full_name for p in found)}")
        return _factory(importlib.import_module(found[0].module), found[0].attribute or "world", name)
    known = [m.name for m in pkgutil.iter_modules([str(_package_folder(WORLDS_PACKAGE))]) if m.name[0] != "_"]
    near = difflib.get_close_matches(last, known + [p.name for p in points], n=3, cutoff=0.4)
    raise UserError(f"unknown world {name!r}" + (f": did you mean {', '.join(near)}?" if near else ""))


# --- the static index ------------------------------------------------------------------------------------------


def build_index() -> list[Entry]:
    """Import every built-in trial module and list what it offers, sorted by name."""
    found: list[Entry] = []
    root = _package_folder(TRIALS_PACKAGE)
    for path in sorted(root.glob("*/*.py")):
        if path.stem.startswith("_"):
            continue
        module_name = f"{TRIALS_PACKAGE}.{path.parent.name}.{path.stem}"
        module = importlib.import_module(module_name)
        title = _title(path.parent.name, path.stem)
        trials = getattr(module, "trials", None) or (module.trial,)
        for position, trial in enumerate(trials):
            alone = not hasattr(module, "trials")
            found.append(
                Entry(
                    name=f"{path.parent.name}/{trial.name or path.stem}",
                    module=module_name,
                    attribute="trial" if alone else "trials",
                    position=None if alone else position,
                    paper=trial.paper,
                    title=title,
                    claim=trial.claim,
                    tags=trial.tags,
                )
            )
    return sorted(found, key=lambda e: e.name)


def write_index(found: list[Entry]) -> Path:
    """Write the index beside the trials, by way of a temporary name."""
    path = _package_folder(TRIALS_PACKAGE) / "_index.json"
    rows = [{k: v for k, v in asdict(e).items() if k not in ("error", "plugin")} for e in found]
    put(path, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def _title(field: str, slug: str) -> str:
    """The paper's title: the first line of the method's docstring, up to the arXiv id; read without importing."""
    path = _package_folder("assay") / "methods" / field / f"{slug}.py"
    if not path.exists():
        return ""
    first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].replace("\n", " ")
    for mark in (" (arXiv", " (2", " — arXiv", ", arXiv", ". arXiv"):
        first = first.split(mark)[0]
    return first.strip().rstrip(".")


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {package}")
    return Path(next(iter(spec.submodule_search_locations)))


def _module_or_none(name: str) -> Any:
    """The module, or None where there is none of that name; a missing import *inside* it still raises."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            return None
        raise


def _factory(module: Any, attribute: str, name: str) -> Callable[..., Any]:
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise UserError(f"world {name!r}: module {module.__name__} has no factory {attribute!r}")
    return factory  # type: ignore[no-any-return]


def _underscored(name: str) -> str:
    return name.replace("-", "_")


def _pick(trials: tuple[Any, ...], entry: Entry) -> Any:
    if entry.position is not None and entry.position < len(trials):
        return trials[entry.position]
    wanted = entry.name.split("/")[-1]
    named = [t for t in trials if isinstance(t, Trial) and t.name == wanted]
    return named[0] if named else (trials[0] if len(trials) == 1 else None)


if __name__ == "__main__":
    print(f"{len(found := build_index())} trials -> {write_index(found)}", file=sys.stderr)
