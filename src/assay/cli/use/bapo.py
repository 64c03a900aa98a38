"""Say how far one may rely on a model that can refuse: accuracy, precision, answer rate, reliability (2601.11037)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.errors import UserError

COLUMNS = ("question", "answer", "prediction")


def configure(verbs: Any) -> None:
    verb = verbs.add_parser("reliability", help="reliability of a run, and which of its refusals were due")
    verb.add_argument("file", type=Path, help=f"JSONL or Parquet with {', '.join(COLUMNS)}, or an Inspect log")
    verb.add_argument("--reference", type=Path, metavar="FILE", help="the same questions by the model before training")
    verb.add_argument(
        "--f1", type=float, default=1.0, metavar="F", help="F1 from which an answer is right (default: 1)"
    )
    verb.add_argument("--json", action="store_true", help="print the figures as JSON")
    verb.set_defaults(run=run_reliability)


def run_reliability(arguments: argparse.Namespace) -> int:
    from assay.methods.post_training.bapo import reliability

    run = _judged(arguments.file, arguments.f1)
    shares = reliability([right for right, _ in run.values()], [answered for _, answered in run.values()])
    figures: dict[str, Any] = {
        "questions": len(run),
        "accuracy": shares.accuracy,
        "precision": shares.precision,
        "answer_rate": shares.answer_rate,
        "reliability": shares.reliability,
    }
    if arguments.reference is not None:
        figures["refusals"] = _refusals(run, _judged(arguments.reference, arguments.f1))
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures)
    return 0


def _judged(path: Path, at_least: float) -> dict[str, tuple[bool, bool]]:
    """Each question with whether the run's prediction is right and whether it is an answer."""
    from assay.methods.post_training.bapo import judge_prediction

    judged: dict[str, tuple[bool, bool]] = {}
    for number, row in enumerate(_rows(path), 1):
        missing = [name for name in COLUMNS if row.get(name) is None]
        if missing:
            raise UserError(f"{path}, row {number}: no {missing[0]!r}; it has {', '.join(row) or 'nothing'}")
        question, gold = str(row["question"]), row["answer"]
        golds = [str(one) for one in gold] if isinstance(gold, (list, tuple)) else [str(gold)]
        if question in judged:
            raise UserError(f"{path}, row {number}: the question {question[:60]!r} stands there twice")
        judged[question] = judge_prediction(str(row["prediction"]), golds, at_least)
    if not judged:
        raise UserError(f"{path}: no rows")
    return judged


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix in (".eval", ".json"):
        from assay.integrations.inspect.logs import read_log

        return read_log(path)
    from assay.methods.data.stages import read_rows

    return read_rows(path)


def _refusals(run: Mapping[str, tuple[bool, bool]], reference: Mapping[str, tuple[bool, bool]]) -> dict[str, int]:
    """The run's refusals by whether the reference answered the question rightly."""
    refused = [question for question, (_, answered) in run.items() if not answered]
    known = [reference[question][0] for question in refused if question in reference]
    return {
        "all": len(refused),
        "solvable": sum(known),
        "not_solvable": len(known) - sum(known),
        "not_in_reference": len(refused) - len(known),
    }


def _print(figures: Mapping[str, Any]) -> None:
    from assay.cli.words import rows

    shown = [[name.replace("_", " "), f"{figures[name]:.3f}"] for name in list(figures)[1:5]]
    print(rows([["questions", str(figures["questions"])], *shown]))
    if refusals := figures.get("refusals"):
        print(f"refusals: {refusals['all']}, of which the reference had {refusals['solvable']} right", end="")
        print(f" and {refusals['not_solvable']} not; {refusals['not_in_reference']} are not in it")
