"""Inspect's logs as rows: what was asked, what was wanted, what the model said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SUFFIXES = (".eval", ".json")


def read_log(path: Path) -> list[dict[str, Any]]:
    """One row a sample: "question", "answer" (a list of the targets) and "prediction" (the completion).

    Raises ValueError for a file that is no Inspect log, a run that did not end well, or a log without samples.
    """
    from inspect_ai.log import read_eval_log

    try:
        log = read_eval_log(str(path))
    except Exception as error:  # whatever its readers for zip and JSON raise
        raise ValueError(f"{path}: not an Inspect log ({type(error).__name__})") from error
    if log.status != "success":
        raise ValueError(f"{path}: the run ended as {log.status!r}, wanted a log of a whole run")
    if not log.samples:
        raise ValueError(f"{path}: the log holds no samples")
    return [
        {
            "question": sample.input if isinstance(sample.input, str) else "\n".join(m.text for m in sample.input),
            "answer": [sample.target] if isinstance(sample.target, str) else list(sample.target),
            "prediction": sample.output.completion,
        }
        for sample in log.samples
    ]
