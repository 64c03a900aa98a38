"""`assay report`: the scoreboard as one self-contained HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from assay.cli.files import replacing
from assay.cli.stores import add_store, open_store
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.engine.page import Section
    from assay.engine.scoreboard import Judged
    from assay.engine.store import Store


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these trials (default: all that were run)")
    parser.add_argument("--field", help="only one field of work")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.engine import registry
    from assay.engine.page import report
    from assay.engine.standings import standings

    names = [registry.find(name).name for name in arguments.names] or None
    store = open_store(arguments)
    board, notes = standings(store, names=names)
    board = [j for j in board if arguments.field in (None, j.name.split("/")[0])]
    if not board:
        raise UserError("none of these trials has a full run in the store: assay run NAME")
    page = report(sections(board, store))
    with replacing(arguments.out) as part:
        part.write_text(page, "utf-8")
    for note in notes:
        print(f"note: {note}")
    print(f"wrote {arguments.out} ({len(board)} trials, {len(page) / 1e6:.2f} MB)")
    return 0


def sections(board: list[Judged], store: Store) -> list[Section]:
    """What the page shows of every trial, with the machine and the versions that the figures were measured with."""
    from assay.engine.page import Section

    machines = {i: f"{cpu}, {cores} cores, {ram} MB" for i, cpu, cores, ram in store.query(
        "SELECT machine_id, cpu, cores, ram_mb FROM machines")}  # fmt: skip
    versions = {i: _versions(packages, v) for i, packages, v in store.query(
        "SELECT env_id, packages, assay_version FROM envs")}  # fmt: skip
    found = []
    for judged in board:
        last = max(judged.units, key=lambda u: u.started)
        found.append(
            Section(
                name=judged.name,
                title=judged.title,
                trial=judged.trial,
                verdict=judged.verdict,
                values=judged.values(),
                seconds=judged.seconds(),
                machine=machines.get(last.machine_id, "an unknown machine"),
                versions=versions.get(last.env_id, "unknown versions"),
                command=f"assay run {judged.name}",
            )
        )
    return found


def _versions(packages: str, assay_version: str) -> str:
    import json

    shown = {k: v for k, v in json.loads(packages).items() if k in ("python", "numpy", "torch", "transformers")}
    return ", ".join([f"assay {assay_version}", *(f"{name} {version}" for name, version in sorted(shown.items()))])
