"""SkillScan beside code scanners on the held-out half of the labelled skills: `python benchmarks/skill_scan.py`.

Prints precision and recall with 95 % Wilson intervals over the 64 skills of the eight test parts (judge, classifier and
the tools' severities are fitted on the other families each time), which of bandit, semgrep and SkillScan flag the same
skills and lines, and with `--thousand` the time that 1,000 skills take on two processes. Needs semgrep and shellcheck.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from assay.engine.trial import Measures, Models
from assay.methods.metrics import BinaryReport
from assay.methods.safety.skill_scan import scan
from assay.trials.safety._code_scanners import flagged, tuned_levels
from assay.trials.safety.skill_scan import Scanned, code_alone, code_scanners, measured, scan_corpus, skill_scan
from assay.worlds.skillcorpus import SkillCorpus, Split, load

COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")
LINES = ("lines_only_ours", "lines_only_theirs", "lines_both")
NO_MODELS: Models = None  # type: ignore[assignment]
Wrong = set[str]  # ids of the skills that were judged wrongly


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thousand", action="store_true", help="also time a scan of 1,000 skills")
    arguments = parser.parse_args()
    world = SkillCorpus()
    scanned = scan_corpus(world.sample(0), NO_MODELS, 0)
    splits = [world.sample(i) for i in range(world.cases)]
    found = {
        "SkillScan": [skill_scan(s, NO_MODELS, 0, scanned) for s in splits],
        "SkillScan on code alone": [code_alone(s, NO_MODELS, 0, scanned) for s in splits],
        "four scanners together": [code_scanners(s, NO_MODELS, 0, scanned) for s in splits],
        **{tool: [alone(s, tool, scanned) for s in splits] for tool in ("bandit", "semgrep", "shellcheck")},
    }
    print("| | precision [95 %] | recall [95 %] | F1 |\n|---|---|---|---|")
    for name, parts in found.items():
        print(row(name, parts))
    print(f"\n{overlap(splits, {name: found[name] for name in ('SkillScan', 'bandit', 'semgrep')})}")
    lines = {key: int(sum(m.extra[key] for m in found["SkillScan"])) for key in LINES}
    print(
        f"\nMarked lines: {lines['lines_only_ours']} by SkillScan alone, {lines['lines_only_theirs']} by bandit or "
        f"semgrep alone, {lines['lines_both']} by both."
    )
    if arguments.thousand:
        print(f"\n{thousand()}")


def alone(split: Split, tool: str, scanned: Scanned) -> Measures:
    """One tool by itself, at the severity that is best on the fitted families."""
    own = {name: [f for f in findings if f.tool == tool] for name, findings in scanned.tools.items()}
    levels = tuned_levels(own, {s.id: s.vulnerable for s in split.train})
    return measured(split, {s.id: flagged(own[s.id], levels) for s in split.test})


def row(name: str, parts: list[Measures]) -> str:
    """A line of the table: counts of all parts together."""
    r = BinaryReport(*(int(sum(m.extra[key] for m in parts)) for key in COUNTS))
    shares = (
        f"{share:.3f} [{low:.3f}, {high:.3f}]"
        for share, (low, high) in ((r.precision, r.precision_interval), (r.recall, r.recall_interval))
    )
    return f"| {name} | {' | '.join(shares)} | {r.f1:.3f} |"


def overlap(splits: list[Split], found: Mapping[str, list[Measures]]) -> str:
    """Which of the tools flag the flawed skills, and which the sound ones."""
    names = list(found)
    together: Counter[tuple[bool, tuple[str, ...]]] = Counter()
    for i, split in enumerate(splits):
        wrong: dict[str, Wrong] = {n: set(found[n][i].notes["wrong"].split(", ")) for n in names}
        for s in split.test:
            who = tuple(n for n in names if s.vulnerable != (s.id in wrong[n]))
            together[s.vulnerable, who] += 1
    lines = [f"| flagged by | flawed skills | sound skills |\n|{'---|' * 3}"]
    for who in sorted({who for _, who in together}, key=lambda who: (-len(who), who)):
        lines.append(f"| {', '.join(who) or 'none of the three'} | {together[True, who]} | {together[False, who]} |")
    return "\n".join(lines)


def thousand() -> str:
    """The time of a scan of 1,000 skills: the labelled ones over and over, each with a line of its own."""
    labels = load()
    with TemporaryDirectory() as folder:
        for i in range(1000):
            copy = Path(folder) / f"skill{i:04d}"
            shutil.copytree(labels[i % len(labels)].path, copy)
            with (copy / "SKILL.md").open("a", encoding="utf-8") as stream:
                stream.write(f"\nCopy number {i}.\n")
        size = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())
        started = time.perf_counter()
        report = scan(Path(folder), jobs=2)
        seconds = time.perf_counter() - started
    return f"{len(report.skills)} skills, {size / 1e6:.1f} MB: {seconds:.0f} s on two processes."


if __name__ == "__main__":
    main()
