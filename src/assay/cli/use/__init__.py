"""`assay use SLUG VERB`: one module per paper, named by its slug; see `find` for how a paper is named.

A module's first docstring line is its line in `assay use --list`. It defines `configure(verbs)`, which adds
one parser a verb with `set_defaults(run=function)`; `function(args)` returns the exit code and imports what
is heavy only when it runs.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import pkgutil
from pathlib import Path

from assay.cli.main import nearest
from assay.errors import AssayError, UserError


def configure(parser: argparse.ArgumentParser) -> None:
    """`assay use --list` and `assay use SLUG …`; the words after the slug belong to the paper's own parser."""
    parser.add_argument("--list", action="store_true", dest="list_jobs", help="every paper's job")
    parser.add_argument("slug", nargs="?", help="module name (skill_scan), paper id, or title fragment")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help="verb and its options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.list_jobs:
        width = max(map(len, slugs()))
        for slug in slugs():
            print(f"{slug:<{width}}  {summary(slug)}")
        return 0
    if arguments.slug is None:
        raise UserError("use wants the name of a paper; `assay use --list` shows them")
    slug = find(arguments.slug)
    module = importlib.import_module(f"{__name__}.{slug}")
    parser = argparse.ArgumentParser(prog=f"assay use {slug}", description=summary(slug), allow_abbrev=False)
    module.configure(parser.add_subparsers(title="verbs", metavar="VERB", required=True))
    job = parser.parse_args(arguments.words)
    try:
        return int(job.run(job))
    except AssayError:
        raise
    except (ValueError, TypeError, OSError) as error:  # what the library says of wrong input, as one line
        raise UserError(str(error) or repr(error)) from error


def slugs() -> list[str]:
    """The papers that have a job of their own."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def summary(slug: str) -> str:
    """First docstring line of the paper's command module, read without importing it."""
    source = (Path(__path__[0]) / f"{slug}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def find(word: str) -> str:
    """The slug that a user means: slug with - or _, paper id, or a unique fragment of the paper's title."""
    slug = word.replace("-", "_").lower()
    if slug in slugs():
        return slug
    from assay.papers.catalogue.store import packaged

    wanted = word.lower()
    hits = sorted({p.slug for p in packaged() if wanted in (p.id, p.slug) or wanted in p.title.lower()})
    if len(hits) == 1 and hits[0] in slugs():
        return hits[0]
    if len(hits) == 1:
        raise UserError(f"{hits[0]} has no job of its own yet; `assay use --list` shows the papers that have one")
    if hits:
        raise UserError(f"{word!r} fits several papers: {', '.join(hits[:5])}; name one of them")
    raise UserError(f"no paper {word!r}{nearest(slug, slugs())}; `assay use --list` shows them all")
