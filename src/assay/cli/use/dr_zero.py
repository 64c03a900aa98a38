"""Let a model make search questions from your documents, hard ones that it can solve now and then (2601.07055)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.dr_zero import Document, Judged
    from assay.methods.text_index import Passage, TextIndex

SUFFIXES = (".txt", ".md", ".jsonl")


def configure(verbs: Any) -> None:
    verb = verbs.add_parser("evolve", help="questions with answer, hops, right of n attempts, source; as JSONL")
    verb.add_argument("corpus", type=Path, help="folder of .txt, .md and .jsonl (a line a document, with `text`)")
    verb.add_argument("--model", required=True, metavar="MODEL", help="proposer, an Inspect model: openai/gpt-5")
    verb.add_argument("--solver", metavar="MODEL", help="who answers (default: the same model)")
    verb.add_argument("--iterations", type=int, default=3, metavar="N", help="of two batches each (default 3)")
    verb.add_argument("--questions", type=int, default=32, metavar="N", help="proposals a batch (default 32)")
    verb.add_argument("--attempts", type=int, default=5, metavar="N", help="of the solver at each (default 5)")
    verb.add_argument("--piece", type=int, default=2000, metavar="CHARS", help="longer documents are cut (2000)")
    verb.add_argument("--concurrency", type=int, default=8, metavar="N")
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    verb.set_defaults(run=run_evolve)


def run_evolve(arguments: argparse.Namespace) -> int:
    from assay.methods.concurrency import run_sync
    from assay.methods.post_training.dr_zero import ModelProposer, ModelSolver, SelfEvolution
    from assay.methods.text_index import TextIndex

    if arguments.out.suffix != ".jsonl":
        raise UserError(f"--out: got {arguments.out.name}, wanted a name that ends in .jsonl")
    if not arguments.out.absolute().parent.is_dir():
        raise UserError(f"--out: there is no folder {arguments.out.parent}")
    read = documents(arguments.corpus, arguments.piece)
    cut = sum(one.id.endswith("#1") for one in read)
    print(f"{len(read)} texts to ask from" + (f"; {cut} documents were longer than {arguments.piece}" if cut else ""))

    from inspect_ai.model import get_model

    from assay.integrations.inspect.models import complete

    proposing = complete(get_model(arguments.model))
    solving = proposing if arguments.solver is None else complete(get_model(arguments.solver))
    search = partial(found, TextIndex({one.id: one.text for one in read}))
    evolution = SelfEvolution(
        ModelProposer(proposing, search, concurrency=arguments.concurrency),
        ModelSolver(solving, search, concurrency=arguments.concurrency),
        read,
        iterations=arguments.iterations,
        proposals=arguments.questions,
        solver_n=arguments.attempts,
        out=arguments.out,
        seed=arguments.seed,
        report=say,
    )
    run_sync(evolution.run)
    kept = sum(row["kept"] for row in evolution.rows)
    print(f"{arguments.out}: {len(evolution.rows)} questions, {kept} answered now and then (`kept`)")
    return 0


def say(iteration: int, judged: Sequence[Judged]) -> None:
    """A line an iteration."""
    formed = [one for one in judged if one.proposal.form > 0]
    tried = sum(len(one.correct) for one in formed)
    right = sum(sum(one.correct) for one in formed) / tried if tried else 0.0
    print(
        f"iteration {iteration + 1}: {len(judged)} proposals, {len(formed)} in form, solver right {right:.2f}, "
        f"kept {sum(one.teaches for one in judged)}, mean reward {sum(one.reward for one in judged) / len(judged):.3f}"
    )


def documents(folder: Path, piece: int) -> list[Document]:
    """The texts of a folder, in the order of their names, long ones cut. Raises UserError for a folder without any."""
    from assay.cli.rows import read_jsonl, read_text
    from assay.methods.post_training.dr_zero import Document, pieces

    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    read: list[Document] = []
    for file in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()):
        name = file.relative_to(folder).as_posix()
        if file.suffix == ".jsonl":
            rows = enumerate(read_jsonl(file, ("text",)), start=1)
            texts = [(str(row.get("id", f"{name}:{number}")), str(row["text"])) for number, row in rows]
        else:
            texts = [(name, read_text(file))]
        read += [part for title, text in texts for part in pieces(Document(title, text), piece)]
    if not read:
        raise UserError(f"{folder}: no text in it, wanted {', '.join(SUFFIXES)} files that are not empty")
    names = [one.id for one in read]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise UserError(f"{folder}: two documents are called {twice!r}")
    return read


async def found(index: TextIndex, query: str, k: int) -> list[Passage]:
    """The best passages, as models are given them."""
    return index.search(query, k)
