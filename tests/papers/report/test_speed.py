"""A year of reports is read in seconds and in little memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.papers.report import parse, render

SAMPLE = Path(__file__).with_name("every_style.md").read_bytes().decode()
HEAD = SAMPLE[: SAMPLE.index("\n## 📄")]


def large(size: int = 125_000) -> str:
    """A report of about `size` bytes with the papers of the sample over and over."""
    papers = SAMPLE[len(HEAD) :]
    return HEAD + papers * (size // len(papers.encode()) + 1)


def test_a_report_of_125_kilobytes_takes_less_than_60_ms():
    text = large()
    start = time.process_time()
    for _ in range(5):
        assert render(parse(text)) == text
    assert (time.process_time() - start) / 5 < 0.060


@pytest.mark.slow
def test_a_thousand_reports_take_less_than_30_s_and_100_mb(tmp_path):
    path = tmp_path / "report.md"
    path.write_text(large(), "utf-8")
    code = f"""
import psutil, time
from pathlib import Path
from assay.papers.report import parse_file, render
path, start, most = Path({str(path)!r}), time.process_time(), 0
for _ in range(1000):
    assert render(parse_file(path)).encode() == path.read_bytes()
    most = max(most, psutil.Process().memory_info().rss)
print(time.process_time() - start, most / 2**20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < 30
    assert megabytes < 100
