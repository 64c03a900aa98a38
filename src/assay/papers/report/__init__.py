"""The daily-report format: `parse` any text without loss, `render` it back, `check` what it says."""

from assay.papers.report.check import check
from assay.papers.report.model import (
    Entry,
    EntryLayout,
    Header,
    HeadingStyle,
    Problem,
    Raw,
    Report,
    ReportError,
    Section,
)
from assay.papers.report.parse import iter_entries, parse, parse_file
from assay.papers.report.render import canonical, compose, compose_failed, render, render_node
from assay.papers.report.views import Figure, Innovation

__all__ = [
    "Entry", "EntryLayout", "Figure", "Header", "HeadingStyle", "Innovation", "Problem", "Raw", "Report",
    "ReportError", "Section", "canonical", "check", "compose", "compose_failed", "iter_entries", "parse",
    "parse_file", "render", "render_node",
]  # fmt: skip
