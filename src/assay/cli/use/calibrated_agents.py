"""Say how far an agent's confidence can be taken at its word, after tools of each kind (2601.07264)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.calibrated_agents import ToolCalibration, ToolKind

ALL = "all"
MEASURES = (("ece", "ECE"), ("brier", "Brier"), ("auroc", "AUROC"), ("confidence_when_wrong", "when wrong"))


def configure(verbs: Any) -> None:
    verb = verbs.add_parser("report", help="ECE, Brier score and AUROC of a run's confidence, by kind of tool")
    verb.add_argument(
        "file", type=Path, help='JSONL: {"correct", "confidence" or "response", "tool"}; or an Inspect log'
    )
    verb.add_argument("--evidence", nargs="+", default=[], metavar="TOOL", help="names of tools that gather evidence")
    verb.add_argument("--verification", nargs="+", default=[], metavar="TOOL", help="names of tools that verify")
    verb.add_argument("--bins", type=int, default=10, help="bins of the ECE (default: 10)")
    verb.add_argument("--equal-mass", action="store_true", help="bins of equal number instead of equal width")
    verb.add_argument("--plot", type=Path, metavar="PNG", help="also draw the reliability diagram")
    verb.add_argument("--json", action="store_true", help="print the figures as JSON")
    verb.set_defaults(run=run_report)


def run_report(arguments: argparse.Namespace) -> int:
    from assay.methods.post_training.calibrated_agents import by_tool

    kinds: dict[str, ToolKind] = dict.fromkeys(arguments.evidence, "evidence")
    kinds.update(dict.fromkeys(arguments.verification, "verification"))
    confidence, correct, tool = read(arguments.file, kinds)
    said = by_tool(confidence, correct, tool, bins=arguments.bins, kind="mass" if arguments.equal_mass else "width")
    if arguments.plot is not None:
        draw(said, arguments.plot)
    if arguments.json:
        print(json.dumps({name: figures(one) for name, one in said.items()}, indent=2))
    else:
        print_table(said)
    return 0


def read(file: Path, kinds: Mapping[str, ToolKind]) -> tuple[list[float], list[bool], list[str]]:
    """Confidence, whether it is right, and the kind of tool ("all" where no row names one) of each row."""
    from assay.methods.post_training.calibrated_agents import parse_confidence, tool_kind

    confidence: list[float] = []
    correct: list[bool] = []
    tool: list[str] = []
    for number, row in enumerate(_rows(file), 1):
        where = f"{file}, row {number}"
        if row.get("correct") not in (0, 1):
            raise UserError(f"{where}: 'correct' is {row.get('correct')!r}, wanted true or false")
        stated = row.get("confidence")
        if stated is None:
            stated = parse_confidence(str(row.get("response", "")))
        if stated is None:
            raise UserError(
                f"{where}: no confidence; wanted 'confidence', or 'response' with <confidence>0.8</confidence>"
            )
        if isinstance(stated, bool) or not isinstance(stated, (int, float)) or not 0 <= stated <= 1:
            raise UserError(f"{where}: the confidence is {stated!r}, wanted a share in [0, 1]")
        if row.get("tool"):
            try:
                tool.append(tool_kind(str(row["tool"]), kinds))
            except ValueError as error:
                raise UserError(f"{where}: {error} with --evidence or --verification") from error
        else:
            tool.append(ALL)
        confidence.append(float(stated))
        correct.append(bool(row["correct"]))
    return confidence, correct, tool


def _rows(file: Path) -> list[dict[str, Any]]:
    from assay.cli.rows import read_jsonl

    if file.suffix not in (".eval", ".json"):
        return read_jsonl(file, ("correct",))
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    from assay.integrations.inspect.logs import read_log
    from assay.methods.post_training.calibrated_agents import answers_right

    return [
        {
            "correct": any(answers_right(row["prediction"], gold) for gold in row["answer"]),
            "response": row["prediction"],
        }
        for row in read_log(file)
    ]


def figures(one: ToolCalibration) -> dict[str, Any]:
    """As JSON; what is not defined is null."""
    from dataclasses import asdict

    known = {name: None if value != value else value for name, value in asdict(one.calibration).items()}
    return {**known, "intervals": dict(one.intervals), "auroc_note": one.auroc_note}


def print_table(said: Mapping[str, ToolCalibration]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for name in ("tool", "rows", "accuracy", "confidence", *(shown for _, shown in MEASURES), "MCE"):
        table.add_column(name, justify="left" if name == "tool" else "right")
    for kind, one in said.items():
        whole = one.calibration
        cells = [_cell(getattr(whole, name), one.intervals.get(name)) for name, _ in MEASURES]
        if one.auroc_note:
            cells[2] = "-"
        middle = (f"{whole.accuracy:.3f}", f"{whole.confidence:.3f}", *cells, f"{whole.mce:.3f}")
        table.add_row(kind, str(whole.n), *middle)
    Console(width=110).print(table)
    print("when wrong: mean confidence of wrong answers (MCIP); below each figure its 95 % bootstrap interval")
    for kind, one in said.items():
        if one.auroc_note:
            print(f"{kind}: no AUROC, {one.auroc_note}")


def _cell(value: float, interval: tuple[float, float] | None) -> str:
    if value != value:
        return "-"
    return f"{value:.3f}" if interval is None else f"{value:.3f}\n{interval[0]:.3f} to {interval[1]:.3f}"


def draw(said: Mapping[str, ToolCalibration], file: Path) -> None:
    """The reliability diagram: share right over confidence, a line for each kind of tool."""
    if file.suffix != ".png":
        raise UserError(f"{file}: wanted a name that ends in .png")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for kind, one in said.items():
        bins = one.calibration.bins
        sizes = [20 + 200 * each.n / one.calibration.n for each in bins]
        points = [each.confidence for each in bins], [each.accuracy for each in bins]
        line = axes.plot(*points, linewidth=1, label=f"{kind} (ECE {one.calibration.ece:.3f})")
        axes.scatter(*points, s=sizes, color=line[0].get_color(), alpha=0.6)
    axes.legend(loc="upper left", frameon=False)
    temporary = file.with_name(f".{file.stem}.tmp.png")
    try:
        figure.savefig(temporary, dpi=150)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
