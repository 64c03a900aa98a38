"""Writes docs/papers/ (a page a paper, an index by field) and the table of papers in README.md.

Everything is read from the catalogue, the modules' docstrings and the trials: nothing here is typed in. Run by
`make docs`; a test compares the README's table with what this would write.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from assay.cli.standing import Standing, standing
from assay.cli.use import summary
from assay.engine.registry import find, load
from assay.engine.trial import Trial
from assay.papers.catalogue.record import FIELDS, Paper
from assay.papers.catalogue.store import packaged

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "papers"
BEGIN, END = "<!-- papers: begin (written by `make docs`) -->", "<!-- papers: end -->"


def main() -> None:
    PAGES.mkdir(exist_ok=True)
    for paper in packaged():
        (PAGES / f"{paper.slug}.md").write_text(page(paper), "utf-8")
    (PAGES / "index.md").write_text(index(), "utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text("utf-8")), "utf-8")


def page(paper: Paper) -> str:
    """One paper: what it says, how it is tried here, how it is used."""
    stands = standing(paper)
    parts = [
        f"# {paper.title}",
        f"[{paper.id}]({paper.url}) · {paper.field} · report of {paper.report_date} · **{stands.word}**",
        paper.one_line,
        "## What it claims",
        "\n".join(f"- {claim.text} *({claim.kind})*" for claim in paper.claims),
    ]
    if stands.part:
        parts += ["## The part", f"`{paper.module}`", _docstring(paper.module)]
    for name in stands.trials:
        parts += _trial(name, load(find(name)))
    parts += ["## Use it", _job(paper, stands)]
    return "\n\n".join(parts) + "\n"


def _trial(name: str, trial: Trial) -> list[str]:
    bars = " and ".join(f"{bar.kind} {bar.size:g} against {bar.versus or 'a constant'}" for bar in trial.bars)
    rows = [
        "| | |",
        "|---|---|",
        f"| claim tried | {trial.claim} |",
        f"| the paper's figure | {trial.headline} |",
        f"| metric | {trial.metric.name} ({trial.metric.better} is better) |",
        f"| bar | {bars or 'none: reported, not judged'} |",
        f"| arms | {', '.join(trial.arms)} |",
        f"| world, seeds | `{trial.world}`, {trial.seeds} paired |",
        *([f"| tags | {', '.join(trial.tags)} |"] if trial.tags else []),
        *([f"| note | {trial.note} |"] if trial.note else []),
    ]
    module = next(iter(trial.arms.values())).__module__
    return [f"## Trial `{name}`", "\n".join(rows), _docstring(module), f"```\nassay run {name}\n```"]


def _job(paper: Paper, stands: Standing) -> str:
    if not stands.job:
        return stands.sentence()
    return f"{summary(paper.slug)}\n\n```\nassay use {paper.slug} --help\n```"


def _docstring(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8"))) or ""
    return f"```text\n{text}\n```"


def index() -> str:
    """All papers by field."""
    parts = ["# Papers", f"{len(packaged())} papers. *ready*: a part, a trial and a job of its own."]
    for field in FIELDS:
        papers = [p for p in packaged() if p.field == field]
        if papers:
            rows = [f"- [{p.title}]({p.slug}.md) · {standing(p).word}" for p in papers]
            parts += [f"## {field}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def table() -> str:
    """The README's table: every paper, its field, and its computed status."""
    rows = ["| paper | field | slug | status |", "|---|---|---|---|"]
    rows += [f"| [{p.title}]({p.url}) | {p.field} | `{p.slug}` | {standing(p).word} |" for p in packaged()]
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """The README with the table between its two markers replaced."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md: wanted the markers {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    main()
