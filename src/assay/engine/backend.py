"""Where units are run: `--on local`, on this machine, or `--on ray[:ADDRESS]`, on a Ray cluster."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from assay.engine.fingerprint import fingerprint
from assay.engine.options import RunOptions, modules_of, worker_count
from assay.engine.pool import Pool
from assay.engine.trial import Trial
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.engine.ray_pool import RayPool

LOCAL = "local"


@contextlib.contextmanager
def backend(on: str) -> Iterator[None]:
    """Keeps Ray, if `on` asks for it, from the first pool that needs it to the end of the run.

    Raises UserError for another word, and where Ray is not installed.
    """
    if _address(on) is None:
        yield
        return
    from assay.engine.ray_cluster import session

    with session():
        yield


def open_pool(trial: Trial, options: RunOptions, units: int, note: Callable[[str], None]) -> Pool | RayPool:
    """A pool for so many units of the trial. `note` is told what a user should know about the choice."""
    address = _address(options.on)
    network = options.network or options.model is not None
    modules = modules_of(trial)
    if trial.exclusive and address is not None:
        note("this trial must have its machine to itself: it runs here, not on Ray")
    if trial.exclusive or address is None:
        count = worker_count(trial, options, units)
        return Pool(count, modules=modules, threads=trial.threads, network=network, fresh=options.fresh)
    from assay.engine.ray_pool import RayPool

    return RayPool(
        address,
        units if options.workers is None else min(units, options.workers),
        modules=modules,
        code=fingerprint(modules),
        threads=trial.threads,
        memory_mb=options.memory_mb or trial.memory_mb,
        network=network,
        fresh=options.fresh,
        assets=_asset_files(trial),
        note=note,
    )


def _address(on: str) -> str | None:
    """None for this machine, '' for a Ray session of our own, else the address of a running cluster."""
    kind, colon, address = on.partition(":")
    if on == LOCAL:
        return None
    if kind != "ray" or (colon and not address):
        raise UserError(f"--on: got {on!r}, wanted local, ray or ray:ADDRESS (ray:auto, ray:10.0.0.5:6379)")
    return address


def _asset_files(trial: Trial) -> tuple[Path, ...]:
    """The files of the assets that the trial asked for; `prepare_assets` has made them by now."""
    if not trial.prepare:
        return ()
    models = importlib.import_module("assay.models")
    places = [Path(models.ensure(asset)) for asset in trial.prepare]
    return tuple(f for p in places for f in (sorted(p.rglob("*")) if p.is_dir() else [p]) if f.is_file())
