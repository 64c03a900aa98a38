"""Which code here do its own authors call generated and doubtful? `python examples/gist_miner.py [FOLDER]`"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from assay.methods.evaluation.gist_miner import mine

SHOWN = """
def total(lines):
    # Written by ChatGPT. I am not sure that it rounds the way our ledger does; nobody has tested it.
    return round(sum(line["net"] for line in lines) * 1.19, 2)


def close(batch):
    # Copilot forgot the open items here, TODO
    batch.clear()


def cursor_rows(connection):
    # TODO close the cursor
    return connection.cursor().fetchall()
"""

with TemporaryDirectory() as own:
    (Path(own) / "ledger.py").write_text(SHOWN, encoding="utf-8")
    report = mine(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(own))

for found in report.findings:
    print(f"{found.comment.path}:{found.comment.start_line}  {found.role}, {found.debt_type}: {found.comment.text}")
summary = report.summary()
print(f"\n{summary['gist']} in {summary['lines']} lines, {summary['uncertainty_driven']} of them out of doubt")
