"""Scan a folder of agent skills and read the report in code: `python examples/skill_scan.py [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

from assay.methods.safety.skill_scan import scan

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "skills"
report = scan(folder)

for skill in report.skills:
    print(f"{skill.verdict:<10} {skill.name}")
    for finding in skill.findings:
        strongest = max(finding.evidence, key=lambda e: e.weight, default=None)
        place = f"{strongest.path}:{strongest.start_line}  {strongest.snippet}" if strongest else ""
        print(f"           {finding.id:<4} {finding.severity:<9} {place}")

share = report.prevalence()["vulnerable"]
print(f"\n{share:.0%} of {len(report.skills)} skills are flawed")
