"""Writes the site: only files that changed, each whole or not at all; what an earlier build left over goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from assay.errors import UserError
from assay.papers.catalogue.record import to_json
from assay.papers.site.library import Card, Library
from assay.papers.site.pages import Pages
from assay.papers.site.rss import Item, feed, paper_items, verdict_items
from assay.papers.site.words import WORDS, Lang

MANIFEST = ".assay-site.json"  # what a build wrote, so that the next one knows what is its own
PER_PART = 500  # papers in one file of the search index
_ASSETS = ("style.css", "search.js", "table.js", "mark.svg")
_LONGEST = 420  # characters of claims and of innovations in the search index


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did: files of the site, those written because they changed, those removed, and bytes in all."""

    files: int
    written: int
    removed: int
    size: int


def build(library: Library, out: Path, langs: tuple[Lang, ...] = ("en",), base_url: str = "") -> Built:
    """Write the site of a library below `out`; the first language stands at the top, others in their own folder.

    Without `base_url` the feeds link to the papers on Hugging Face and there is no sitemap. Raises UserError for a
    folder that holds something else, or a base URL that is none.
    """
    base = _checked(base_url)
    written = size = 0
    paths = []
    try:
        known = _manifest(out)
        for path, content in contents(library, langs, base):
            data = content.encode()
            paths.append(path)
            size += len(data)
            written += _write(out / path, data)
        gone = [path for path in known if path not in set(paths)]
        for path in gone:
            _remove(out, path)
        _write(out / MANIFEST, (json.dumps(sorted(paths), indent=0) + "\n").encode())
    except OSError as error:
        raise UserError(f"{error.filename or out} cannot be written: {error.strerror or error}") from error
    return Built(len(paths), written, len(gone), size)


def contents(library: Library, langs: tuple[Lang, ...], base_url: str) -> Iterator[tuple[str, str]]:
    """Every file of the site as path and text, the same for the same library."""
    homes: dict[Lang, str] = {lang: "" if i == 0 else f"{lang}/" for i, lang in enumerate(langs)}
    assets = files("assay.papers.site") / "assets"
    for name in _ASSETS:
        yield f"assets/{name}", (assets / name).read_text("utf-8")
    parts: list[str] = []
    for start in range(0, len(library.cards), PER_PART):
        parts.append(f"search/part-{len(parts)}.js")
        yield parts[-1], search_part(library.cards[start : start + PER_PART])
    yield "papers.json", papers_json(library)
    addresses = []
    for lang, home in homes.items():
        top = "../" * home.count("/")
        for path, html in Pages(library, lang, homes, base_url).all([top + part for part in parts]):
            addresses.append(home + path)
            yield home + path, html
        for path, xml in _feeds(library, lang, home, base_url):
            yield home + path, xml
    if base_url:
        yield "sitemap.xml", _sitemap(base_url, addresses)
    told = f"Sitemap: {base_url}sitemap.xml\n" if base_url else ""
    yield "robots.txt", f"User-agent: *\nAllow: /\n{told}"


def search_part(cards: list[Card]) -> str:
    """Rows of the search index as a script, which a page opened from disk may load too."""
    rows = [
        [
            card.paper.id,
            card.paper.title,
            card.paper.one_line,
            _cut(" ".join(claim.text for claim in card.paper.claims)),
            card.entry.contribution if card.entry else "",
            _cut("; ".join((*card.entry.fields, *(i.name for i in card.entry.innovations)))) if card.entry else "",
            card.paper.field,
            [day.isoformat() for day in (card.paper.report_date, *card.paper.also_on)],
            list(card.outcomes),
        ]
        for card in cards
    ]
    return f"assayPapers({json.dumps(rows, ensure_ascii=False, separators=(',', ':'))});\n"


def papers_json(library: Library) -> str:
    """The catalogue as the site shows it, with the outcome of every trial, for other programs."""
    rows = [
        {**to_json(card.paper), "url": card.paper.url,
         "verdicts": {view.trial: view.outcome for view in card.views}}
        for card in library.cards
    ]  # fmt: skip
    return json.dumps(rows, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _feeds(library: Library, lang: Lang, home: str, base_url: str) -> Iterator[tuple[str, str]]:
    words = WORDS[lang]
    link = f"{base_url}{home}papers/{{}}.html" if base_url else "https://huggingface.co/papers/{}"
    index = f"{base_url}{home}" or "https://huggingface.co/papers"

    def made(path: str, title: str, items: list[Item]) -> tuple[str, str]:
        own = f"{base_url}{home}{path}" if base_url else ""
        return path, feed(title, index, own, words.html_lang, words.tagline, items)

    yield made("feed.xml", words.feed_title, paper_items(library.cards, words, link))
    yield made("feed/verdicts.xml", words.feed_verdicts, verdict_items(library, words, link))
    for field, _ in library.fields:
        items = paper_items(library.of_field(field), words, link)
        yield made(f"feed/{field}.xml", words.feed_field.format(field=words.fields[field]), items)


def _sitemap(base_url: str, paths: list[str]) -> str:
    rows = "".join(f"<url><loc>{escape(base_url + p.removesuffix('index.html'))}</loc></url>\n" for p in sorted(paths))
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{rows}</urlset>\n"
    )


def _checked(base_url: str) -> str:
    parts = urlsplit(base_url)
    if base_url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise UserError(f"bad base URL {base_url!r}: wanted the site's address, such as https://example.org/papers/")
    return base_url if not base_url or base_url.endswith("/") else base_url + "/"


def _manifest(out: Path) -> list[str]:
    """The files of an earlier build; UserError where the folder holds what no build wrote."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder to write the site to")
    try:
        return [str(path) for path in json.loads((out / MANIFEST).read_text("utf-8"))]
    except FileNotFoundError:
        others = [p.name for p in out.iterdir() if p.name != ".git"] if out.exists() else []
        if others:
            raise UserError(
                f"{out} holds {others[0]!r}, which no build of a site wrote: name an empty folder"
            ) from None
        return []
    except ValueError as error:
        raise UserError(f"{out / MANIFEST} is damaged: remove {out} and build again") from error


def _write(path: Path, data: bytes) -> bool:
    """Whether the file had to be written."""
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
    return True


def _remove(out: Path, path: str) -> None:
    target = out / path
    if not target.resolve().is_relative_to(out.resolve()):  # a manifest that somebody wrote by hand
        raise UserError(f"{out / MANIFEST} names {path!r}, which lies outside: remove {out} and build again")
    target.unlink(missing_ok=True)
    folder = target.parent
    while folder != out and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
