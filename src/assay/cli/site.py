"""`assay site build`: papers, claims, verdicts and feeds as static pages."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.cli.standing import Standing
    from assay.papers.site.library import Library
    from assay.papers.site.words import Lang

LANGS: dict[str, tuple[Lang, ...]] = {"en": ("en",), "zh": ("zh",), "both": ("en", "zh")}


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    building = verbs.add_parser("build", help="write the site into a folder; only what changed is written again")
    building.add_argument("out", type=Path, metavar="OUT", help="a folder of the site's own")
    building.add_argument(
        "--base-url", default="", metavar="URL", help="where it will stand; feeds and sitemap need it"
    )
    building.add_argument("--lang", choices=tuple(LANGS), default="en", help="both: English, with Chinese under zh/")
    building.add_argument(
        "--results",
        dest="store",
        type=Path,
        metavar="DB",
        help="results file (default: $ASSAY_STORE or your data folder)",
    )
    building.set_defaults(run=run_build)


def run_build(arguments: argparse.Namespace) -> int:
    from assay.papers.site.build import build

    library = library_of(arguments)
    built = build(library, arguments.out, LANGS[arguments.lang], arguments.base_url)
    counts = library.counts()
    tried = sum(counts[outcome] for outcome in ("holds", "fails", "inconclusive"))
    print(f"{arguments.out}: {counts['papers']} papers, {counts['claims']} claims, {tried} verdicts")
    print(f"{built.files} files, {built.size / 1e6:.1f} MB; {built.written} written, {built.removed} removed")
    if not arguments.base_url:
        print("no --base-url: feeds link to the papers on Hugging Face, and there is no sitemap.xml")
    return 0


def library_of(arguments: argparse.Namespace) -> Library:
    """The catalogue with the reports' entries, what is built of each paper, and the verdicts of the results store."""
    from assay.cli.papers_catalogue import catalogue
    from assay.cli.papers_verdicts import StoreVerdicts
    from assay.cli.standing import standing
    from assay.papers.catalogue.user import UserCatalogue
    from assay.papers.search.document import entry_of
    from assay.papers.site.library import Library
    from assay.places import default_catalogue

    papers = catalogue()
    entries = {paper: entry for paper, text in UserCatalogue(default_catalogue()).entries().items()
               if (entry := entry_of(text))}  # fmt: skip
    return Library(papers, entries, StoreVerdicts(arguments, papers), {p.id: _commands(standing(p)) for p in papers})


def _commands(stands: Standing) -> list[str]:
    """What a reader of the paper's page may type next."""
    run = [f"assay run {stands.slug}"] if stands.trials else []
    return run + ([f"assay use {stands.slug} --help"] if stands.job else [])
