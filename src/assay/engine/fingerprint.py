"""Two hashes: of the code a unit runs (its fingerprint) and of the data it acts on (its digest)."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache, partial
from pathlib import Path, PurePath
from typing import Any

# The engine runs what is tried and is no part of it: a change here does not make stored units stale. What a key
# or a digest is made of is versioned instead (units.KEY_FORM).
_NOT_TRIED = ("assay.engine", "assay.errors", "assay.places", "assay.cli", "assay.papers")


# --- code ------------------------------------------------------------------------------------------------------


def fingerprint(modules: Iterable[str]) -> str:
    """sha256 over the source of the modules and of every module of the same top-level package that they import,
    at the top or inside a function, transitively. A package that hands names on lazily counts with all its modules.
    """
    hashes = {name: sha for name, (_, sha) in sources(modules).items()}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def sources(modules: Iterable[str]) -> dict[str, tuple[str, str]]:
    """What `fingerprint` looks at: path and sha256 of the source, by module."""
    return {name: _source_of(name) for name in _closure(sorted(set(modules)))}


def modules_behind(*functions: Callable[..., Any] | None) -> set[str]:
    """The modules in which the functions (partials included) are defined."""
    found: set[str] = set()
    for function in functions:
        while isinstance(function, partial):
            function = function.func
        if function is not None and (module := getattr(function, "__module__", None)):
            found.add(module)
    return found


def _closure(start: list[str]) -> list[str]:
    seen: dict[str, None] = {}
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name in seen or name.startswith(_NOT_TRIED) or not _source_of(name)[0]:
            continue
        seen[name] = None
        waiting += _imports(name)
    return sorted(seen)


@lru_cache(maxsize=4096)
def _source_of(name: str) -> tuple[str, str]:
    """Path and sha256 of a module's source; two empty texts where it has none (built in, missing, a namespace)."""
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # no parent package; `__main__` has no spec
        return "", ""
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return "", ""
    return spec.origin, hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


@lru_cache(maxsize=4096)
def _imports(name: str) -> tuple[str, ...]:
    """Modules of the same distribution that `name` imports anywhere in its source. Others are not even looked up:
    finding `torch.nn` would import torch."""
    path, _ = _source_of(name)
    package = name if _is_package(name) else name.rpartition(".")[0]
    own = _own_names(name)
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Import):
            found.update(dict.fromkeys(a.name for a in node.names if own(a.name)))
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            if own(base):
                found[base] = None
                found.update(dict.fromkeys(m for a in node.names for m in _handed_on(base, a.name)))
    return tuple(found)


def _own_names(name: str) -> Callable[[str], bool]:
    """Which modules belong to the distribution of `name`: its top-level package, or the folder it lies in."""
    top = name.split(".")[0]
    if "." in name or _is_package(name):
        return lambda other: other.split(".")[0] == top
    folder = Path(_source_of(name)[0]).parent
    return lambda other: "." not in other and Path(_source_of(other)[0] or "/").parent == folder


def _handed_on(base: str, name: str) -> list[str]:
    """The modules behind `from base import name` besides `base` itself."""
    if not _is_package(base):
        return []
    if _source_of(f"{base}.{name}")[0]:
        return [f"{base}.{name}"]
    return _modules_in(base) if "def __getattr__(" in Path(_source_of(base)[0]).read_text("utf-8") else []


def _is_package(name: str) -> bool:
    return _source_of(name)[0].endswith("__init__.py")


def _modules_in(package: str) -> list[str]:
    folder = Path(_source_of(package)[0]).parent
    return [f"{package}.{p.stem}" for p in sorted(folder.glob("*.py")) if p.stem != "__init__"]


# --- data ------------------------------------------------------------------------------------------------------


def digest(value: object) -> str:
    """sha256 of plain data by structure: numbers, text, containers (dicts by sorted keys), dataclasses, enums,
    NumPy arrays and generators, torch tensors and generators, objects with plain attributes.

    Raises TypeError for what has no content to hash: functions, open files, processes.
    """
    h = hashlib.sha256()
    _feed(value, h.update)
    return h.hexdigest()


def _feed(value: Any, add: Callable[[bytes], None]) -> None:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if value is None or isinstance(value, (bool, int, float, complex, str, PurePath)):
        _text(add, kind, repr(value) if not isinstance(value, str) else value)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _text(add, "bytes", str(len(value)))
        add(bytes(value))
    elif isinstance(value, Enum):
        _text(add, kind, value.name)
    elif isinstance(value, Mapping):
        _items(add, "mapping", sorted(((digest(k), v) for k, v in value.items()), key=lambda kv: kv[0]))
    elif isinstance(value, (list, tuple)):
        _items(add, kind, ((str(i), v) for i, v in enumerate(value)))
    elif isinstance(value, (set, frozenset)):
        _text(add, kind, "".join(sorted(digest(v) for v in value)))
    elif is_dataclass(value) and not isinstance(value, type):
        _items(add, kind, ((f.name, getattr(value, f.name)) for f in fields(value)))
    elif hasattr(value, "detach") and hasattr(value, "numpy"):  # torch.Tensor
        tensor = value.detach().cpu().contiguous()
        _text(add, "tensor", f"{tensor.dtype}{tuple(tensor.shape)}")
        add(tensor.flatten().view(dtype=_byte_dtype(tensor)).numpy().tobytes())
    elif hasattr(value, "__array_interface__") and hasattr(value, "dtype"):  # NumPy arrays and scalars
        _array(value, add)
    elif hasattr(value, "bit_generator"):
        _feed(value.bit_generator.state, add)
    elif hasattr(value, "get_state") and hasattr(value, "initial_seed"):  # torch.Generator
        _feed(value.get_state(), add)
    elif hasattr(value, "state_dict"):
        _items(add, kind, sorted(value.state_dict().items()))
    elif callable(value) or isinstance(value, io.IOBase) or not hasattr(value, "__dict__"):
        raise TypeError(f"cannot hash {kind}: samples and fixtures are plain data (numbers, text, arrays, dataclasses)")
    else:
        _items(add, kind, sorted(vars(value).items()))


def _text(add: Callable[[bytes], None], kind: str, text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    add(f"{kind}:{len(raw)}:".encode() + raw)


def _items(add: Callable[[bytes], None], kind: str, items: Iterable[tuple[str, Any]]) -> None:
    _text(add, kind, "(")
    for name, item in items:
        _text(add, "", name)
        _feed(item, add)
    add(b")")


def _array(value: Any, add: Callable[[bytes], None]) -> None:
    _text(add, "array", f"{value.dtype}{value.shape}")
    if value.dtype.hasobject:
        for item in value.ravel().tolist():
            _feed(item, add)
    else:
        add(value.tobytes())


def _byte_dtype(tensor: Any) -> Any:
    import torch

    return torch.uint8 if tensor.numel() else tensor.dtype
