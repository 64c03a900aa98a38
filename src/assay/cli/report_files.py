"""A daily report that a user names on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.papers.report import Report


def read_report(path: Path) -> Report:
    """The report at `path`; UserError where it cannot be read or is not UTF-8."""
    from assay.papers.report import parse_file

    try:
        return parse_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): convert it first") from error
