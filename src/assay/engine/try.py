"""`python -m assay.engine.try MODULE:trial [--seeds N] [--quick] [--arms a,b]`: a trial in this process, unstored.

For writing a trial: no workers, no limits, tracebacks at once. What counts is `assay run`.
"""

from __future__ import annotations

import argparse
import sys

from assay.engine.progress import PlainLines
from assay.engine.runner import run
from assay.errors import AssayError


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m assay.engine.try", description=__doc__.splitlines()[0])
    parser.add_argument("trial", help="MODULE:attribute, or a name as in `assay run`")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--arms", type=lambda text: text.split(","))
    given = parser.parse_args(words)
    try:
        result = run(
            given.trial,
            seeds=given.seeds,
            arms=given.arms,
            quick=given.quick,
            isolation="inline",
            progress=PlainLines(),
        )
    except AssayError as error:
        print(f"try: {error}", file=sys.stderr)
        return error.exit_code
    print(result.table())
    print(f"{result.verdict.outcome}: {result.verdict.reason}" if result.verdict else "no verdict: quick or one arm")
    for unit in result.failed:
        print(f"\nseed {unit.seed}, {unit.arm}: {unit.status}\n{unit.error}", file=sys.stderr)
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
