"""A small library with everything that a page can show; all papers and verdicts in it are invented."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from assay.papers.catalogue.record import Claim, Figure, Paper
from assay.papers.report import parse
from assay.papers.site.library import Library
from assay.papers.verdicts import Interval, VerdictChange, VerdictView

HOSTILE = """*   **<script>alert(1)</script>**：`<think>` 与 <t} 以及 $y^{*}_{<t}$ 和 $x \\mid z$。
    *   <img src=x onerror=alert(1)> [a](javascript:alert(1)) [b](https://example.org/ok) ![c](https://example.org/c.png)
    *   $\\href{javascript:alert(1)}{x}$ $\\text{<img src=x onerror=alert(1)>}$ $\\frac{$ ]]> </script> &lt;b&gt;"""
ENTRY = f"""
## 📄 Kettle

- **链接**: https://huggingface.co/papers/2503.99991
- **阅读来源**: HTML

### 1. 应用领域
家用电器

### 2. 一句话核心贡献
提出水壶强化学习方法 ]]> 与 <b>。

### 3. 使用指南
输入水。

### 4. 主要创新点
{HOSTILE}

### 5. 实验效果
快三成。


============================================================
"""
KETTLE = Paper(
    "2503.99991", "Kettle: <b>Boiling</b> & \"Steam\"", date(2026, 1, 13), 1, "html", "agents", "kettle",
    "Boils water with fewer tokens.",
    (Claim("2503.99991#1", "It boils < 3 % faster & better.", "efficiency",
           Figure("time", 31132.0, "s", "a pot", 40000.0, "at home"), ("agents/kettle",)),
     Claim("2503.99991#2", "Steam rises.", "mechanism")),
    code_url="javascript:alert(1)", authors=("A. Uthor", "B. <i>Other</i>"),
)  # fmt: skip
MOSS = Paper(
    "2503.99992", "苔藓地图", date(2026, 1, 14), 1, "abs", "", "moss", "用苔藓给机器人指路。", (), origin="user",
    also_on=(date(2026, 1, 15),),
)  # fmt: skip
VIEW = VerdictView(
    "agents/kettle", "2503.99991", "holds", "The kettle boils faster than a pot.", "31 132 s", "clears the bar",
    "seconds", "lower", (Interval("seconds better than pot", 0.5, 0.25, 0.75, 0.01),), 8, "Toaster 9000, 2 cores, 4 GB",
    "assay 0.1", datetime(2026, 1, 20, 12, tzinfo=UTC), "assay run agents/kettle", ("bar-not-blind",),
    ('<svg class="pairs" viewBox="0 0 9 9"><line class="mean" x1="0" x2="9" y1="1" y2="2"/></svg>',),
)  # fmt: skip


class Verdicts:
    """What a results store would answer."""

    def latest(self, claim_id: str) -> VerdictView | None:
        return VIEW if claim_id == "2503.99991#1" else None

    def of_paper(self, paper_id: str) -> list[VerdictView]:
        return [VIEW] if paper_id == VIEW.paper else []

    def changes(self) -> list[VerdictChange]:
        first = VerdictChange(VIEW.trial, VIEW.paper, "inconclusive", None, "too few seeds", VIEW.measured)
        return [first, VerdictChange(VIEW.trial, VIEW.paper, "holds", "inconclusive", VIEW.reason,
                                     VIEW.measured.replace(day=21))]  # fmt: skip


@pytest.fixture
def library() -> Library:
    entry = parse(ENTRY).entries[0]
    return Library([MOSS, KETTLE], {KETTLE.id: entry}, Verdicts(), {KETTLE.id: ["assay run kettle"]})
