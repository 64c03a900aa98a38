"""The connection to Ray: a session of our own on this machine, or a running cluster and those of its nodes that can
take part."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import signal
import socket
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.engine.fingerprint import fingerprint
from assay.engine.machine import this_machine
from assay.engine.scratch import scratch, short_parent
from assay.errors import EnvironmentFailed, UserError, first_line

KNOCK_S = 5.0
# Read when Ray is imported: it reports nothing to anybody, and prints nothing over our own lines (or our JSON).
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "1", "RAY_DEDUP_LOGS_SKIP_REGEX": ".*"}
PROBE_LIMIT_S = 120.0  # a node has to start an interpreter, and to fetch what is shipped, before it answers


@dataclass(frozen=True)
class _Connection:
    """What this module connected to, and how to undo it."""

    address: str
    shipped: frozenset[str]
    undo: contextlib.ExitStack


@dataclass(frozen=True)
class Node:
    """Room on a node: so many actors of so many CPUs."""

    actors: int
    cpus: int


_connections: list[_Connection] = []  # at most one: Ray knows one cluster a process
_users: list[None] = []  # nested `session()` blocks


def ray() -> Any:
    """The module; UserError where it is not installed."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray as module
        import ray.exceptions
    except ModuleNotFoundError as error:
        raise UserError("--on ray needs: pip install 'assay-papers[ray]'") from error
    return module


@contextlib.contextmanager
def session() -> Iterator[None]:
    """While it lasts, pools share one connection to Ray; the outermost block closes it if `join` made it."""
    ray()
    _users.append(None)
    try:
        yield
    finally:
        _users.pop()
        if not _users:
            _leave()


def join(address: str, modules: tuple[str, ...]) -> None:
    """Connect to the cluster at `address`, or ('') start Ray on this machine; a connection that is there is used.

    Packages of the modules that are not installed as distributions, and so not by name on the nodes, are shipped.
    Raises EnvironmentFailed where that does not work.
    """
    shipped = frozenset(_not_installed(modules)) if address else frozenset()
    if ray().is_initialized():
        if not _connections or (_connections[0].address == address and shipped <= _connections[0].shipped):
            return
        _leave()
    undo = contextlib.ExitStack()
    _connections.append(_Connection(address, shipped, undo))
    try:
        settings = _running_cluster(address, shipped) if address else _own_session(undo)
        undo.callback(ray().shutdown)
        logging.getLogger("ray").setLevel(logging.ERROR)  # what goes wrong is raised
        with _sigterm_kept():
            ray().init(**settings, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        _leave()
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        raise EnvironmentFailed(f"--on ray: cannot start or reach {where}: {first_line(error)}") from error


def room(
    modules: tuple[str, ...], code: str, threads: int, memory: int, note: Callable[[str], None]
) -> dict[str, Node]:
    """How many actors fit on each node that can take part; `note` is told about those that cannot, and why.

    code: the fingerprint of the modules here. memory: bytes that an actor reserves; 0 for none.
    Raises EnvironmentFailed where no node can take part.
    """
    alive = {n["NodeID"]: n for n in ray().nodes() if n["Alive"]}
    own = bool(_connections) and not _connections[0].address  # this machine, with the path of this process
    excluded = {} if own else _unfit(list(alive), modules, code)
    found: dict[str, Node] = {}
    reasons: list[str] = []
    for name in alive:
        cpus = int(alive[name]["Resources"].get("CPU", 0))
        each = min(threads, cpus) or 1
        actors = min(cpus // each, int(alive[name]["Resources"].get("memory", 0)) // memory if memory else cpus)
        why = excluded.get(name, "")
        if not why and not actors:
            why = f"has not {threads} CPUs and {memory >> 20} MB for a unit"
        if why:
            reasons.append(f"node {alive[name]['NodeManagerAddress']} {why}")
        else:
            found[name] = Node(actors, each)
    if not found:
        raise EnvironmentFailed(f"--on ray: no node can take part: {'; '.join(reasons) or 'there is none'}")
    for reason in reasons:
        note(f"left out: {reason}")
    return found


def on_node(name: str) -> Any:
    """The scheduling strategy that binds to one node."""
    ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(name, soft=False)


def _unfit(names: list[str], modules: tuple[str, ...], code: str) -> dict[str, str]:
    """Asks every node at once; why those that cannot take part cannot."""
    ask = ray().remote(num_cpus=0, max_retries=0)(_answer)
    asked = {ask.options(scheduling_strategy=on_node(name)).remote(modules): name for name in names}
    ready, _ = ray().wait(list(asked), num_returns=len(asked), timeout=PROBE_LIMIT_S)
    found = {name: _cannot(r, code) if r in ready else "does not answer" for r, name in asked.items()}
    return {name: why for name, why in found.items() if why}


def _answer(modules: tuple[str, ...]) -> tuple[str, str]:
    """Runs on a node: what kind of machine it is, and the fingerprint of the trial's code there."""
    return this_machine().id, fingerprint(modules)


def _cannot(reference: Any, code: str) -> str:
    try:
        machine, found = ray().get(reference)
    except ray().exceptions.RayError as error:
        return f"cannot run Assay: {str(error).strip().splitlines()[-1]}"
    if machine != this_machine().id:
        return "is another kind of machine than this one, and pairs must come from like ones"
    return "" if found == code else "has other code of this trial: install the same version there"


def _not_installed(modules: tuple[str, ...]) -> Iterator[str]:
    """Files and folders of the top-level packages that no distribution has put into site-packages."""
    installed = [Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib", "stdlib")]
    for top in sorted({"assay", *(m.split(".")[0] for m in modules)}):
        spec = importlib.util.find_spec(top)
        found = (spec.submodule_search_locations or [spec.origin or ""]) if spec else []
        places = [Path(p) for p in found if p]
        yield from (str(p) for p in places if not any(p.is_relative_to(i) for i in installed))


def _running_cluster(address: str, shipped: frozenset[str]) -> dict[str, Any]:
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:  # Ray itself tries for minutes
        socket.create_connection((host, int(port)), KNOCK_S).close()
    return {"address": address, "runtime_env": {"py_modules": sorted(shipped), "env_vars": _VISIBLE}}


def _own_session(undo: contextlib.ExitStack) -> dict[str, Any]:
    """Ray on this machine for this process alone: without dashboard, behind a token, its files in a folder of ours."""
    folder = undo.enter_context(scratch("ray", short_parent()))  # a socket's path must stay under 108 bytes
    undo.enter_context(_environment({"RAY_AUTH_TOKEN": _token()}))
    return {
        "address": "local",
        "include_dashboard": False,
        "_temp_dir": str(folder),
        "runtime_env": {"env_vars": {**_VISIBLE, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}},
    }


_VISIBLE = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # units see the graphics cards they would see without Ray


@lru_cache(maxsize=1)
def _token() -> str:
    """What the processes of our sessions know each other by; Ray reads it once a process."""
    return secrets.token_hex(32)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*variables, "RAY_AUTH_MODE")}  # which Ray sets by itself
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray puts a handler of its own on SIGTERM, which would cut a run off instead of letting it stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave() -> None:
    while _connections:
        _connections.pop().undo.close()
