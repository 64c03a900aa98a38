"""`assay report`: the scoreboard as one self-contained HTML page."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.cli.files import replacing
from assay.cli.provenance import machine_words, version_words
from assay.cli.stores import add_store, open_store
from assay.cli.words import mirror_line
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.engine.scoreboard import Judged
    from assay.engine.section import Section
    from assay.engine.store import Store
    from assay.engine.trial import Mirrored, UnitResult


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these trials (default: all that were run)")
    parser.add_argument("--field", help="only one field of work")
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.engine import registry
    from assay.engine.scoreboard import scoreboard

    names = [registry.find(name).name for name in arguments.names] or None
    store = open_store(arguments)
    board, notes = scoreboard(store, names=names)
    board = [j for j in board if arguments.field in (None, j.name.split("/")[0])]
    if not board:
        raise UserError("none of these trials has a full run in the store: assay run NAME")
    page = page_of(board, store, notes)
    with replacing(arguments.out) as part:
        part.write_text(page, "utf-8")
    for note in notes:
        print(f"note: {note}")
    trials = "1 trial" if len(board) == 1 else f"{len(board)} trials"
    print(f"wrote {arguments.out} ({trials}, {len(page.encode()) / 1e6:.2f} MB)")
    return 0


def page_of(board: Sequence[Judged], store: Store, notes: Sequence[str] = ()) -> str:
    """The page of these trials, with the machines and the versions that their figures were measured with."""
    from assay.engine.page import report

    machines = {row["machine_id"]: machine_words(row) for row in store.rows("machines")}
    versions = {row["env_id"]: version_words(row) for row in store.rows("envs")}
    return report([_section(judged, machines, versions) for judged in board], notes)


def _section(judged: Judged, machines: Mapping[str, str], versions: Mapping[str, str]) -> Section:
    from assay.engine.cards import described
    from assay.engine.section import Section

    last = max(judged.units, key=lambda u: (u.started, u.unit_key))
    return Section(
        name=judged.name,
        title=judged.title,
        trial=judged.trial,
        verdict=judged.verdict,
        values=judged.values(),
        seconds=judged.seconds(),
        machine=machines.get(last.machine_id, "an unknown machine"),
        versions=versions.get(last.env_id, "unknown versions"),
        command=f"assay run {judged.name}",
        arms=dict(described(judged.trial)),
        mirrors=[mirror_line(mirror) for mirror in _mirrors(judged)],
        failed=[_reason(unit) for unit in judged.units if unit.status != "ok"],
    )


def _mirrors(judged: Judged) -> Sequence[Mirrored]:
    """The paper's figures as measured here; a verdict that was read from the store comes without them."""
    from assay.engine.mirrors import mirrored
    from assay.engine.pairing import pair

    if judged.verdict.mirrors or not judged.trial.mirrors:
        return judged.verdict.mirrors
    pairs = pair(judged.trial, judged.units)
    return [mirrored(judged.trial, mirror, pairs) for mirror in judged.trial.mirrors]


def _reason(unit: UnitResult) -> str:
    last = (unit.error.strip().splitlines() or [""])[-1]
    return f"{unit.arm}, seed {unit.seed}: {unit.status}" + (f": {last[:200]}" if last else "")
