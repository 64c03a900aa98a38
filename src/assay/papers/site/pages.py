"""Library to HTML: one function a kind of page, all words and links in the templates."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from assay.papers.catalogue.record import FIELDS, Kind
from assay.papers.site.library import OUTCOMES, Card, Day, Library
from assay.papers.site.markdown import to_html
from assay.papers.site.words import WORDS, Lang
from assay.papers.verdicts import Interval

DAYS_ON_FIRST_PAGE, NEWEST_SHOWN, OTHERS_SHOWN = 5, 20, 6
TRIED_ON_FIRST_PAGE = 6


class Pages:
    """Renders the pages of one language. `homes` maps the site's languages to their folders ("" or "zh/")."""

    def __init__(self, library: Library, lang: Lang, homes: dict[Lang, str], base_url: str) -> None:
        self.library, self.lang, self.homes, self.base_url = library, lang, homes, base_url
        self.words = WORDS[lang]

    def all(self, parts: list[str]) -> Iterator[tuple[str, str]]:
        """Every page as path (below the language's folder) and HTML; `parts` are the files of the search index."""
        library = self.library
        counts, fields = library.counts(), library.fields
        yield "index.html", self._render(
            "index.html", "index.html", counts=counts, fields=fields, days=library.days[::-1][:DAYS_ON_FIRST_PAGE],
            tried=library.views[:TRIED_ON_FIRST_PAGE], newest_shown=NEWEST_SHOWN, others_shown=OTHERS_SHOWN,
        )  # fmt: skip
        yield "days/index.html", self._render("days.html", "days/index.html", days=library.days[::-1])
        for before, day, after in _neighbours(library.days):
            path = f"days/{day.date}.html"
            yield path, self._render("day.html", path, day=day, before=_date(before), after=_date(after))
            for previous, card, following in _neighbours(day.cards):
                if card.paper.report_date == day.date:  # the page of a paper stands once, under its first date
                    yield self._paper(card, previous, following)
        for field, _ in fields:
            path = f"fields/{field}.html"
            yield path, self._render("field.html", path, field=field, cards=library.of_field(field))
        yield (
            "claims.html",
            self._render("claims.html", "claims.html", rows=library.claims, fields=fields, kinds=get_args(Kind)),
        )
        views = [(outcome, [v for v in library.views if v.outcome == outcome]) for outcome in OUTCOMES]
        yield (
            "verdicts.html",
            self._render(
                "verdicts.html", "verdicts.html", views=[(outcome, group) for outcome, group in views if group]
            ),
        )
        yield "search.html", self._render(
            "search.html", "search.html", parts=parts, fields=fields, words_json=_data(self._script_words()),
            first=library.days[0].date if library.days else "", last=library.days[-1].date if library.days else "",
        )  # fmt: skip

    def _paper(self, card: Card, before: Card | None, after: Card | None) -> tuple[str, str]:
        paper = card.paper
        path = f"papers/{paper.id}.html"
        code = paper.code_url or ""
        sections = [
            {"name": section.name, "lang": "zh-Hans" if card.entry.lang == "zh" else card.entry.lang,
             "html": to_html(section.text)}
            for section in card.entry.sections
        ] if card.entry else []  # fmt: skip
        claims = self.library.claims_of(paper.id)
        return path, self._render(
            "paper.html", path, card=card, claims=claims, views=card.views, sections=sections,
            code_url=code if code.startswith(("https://", "http://")) else "",
            steps=self.library.steps.get(paper.id, ()),
            before=before.paper if before else None, after=after.paper if after else None,
        )  # fmt: skip

    def _render(self, template: str, path: str, **values: Any) -> str:
        root = "../" * path.count("/")
        home = self.homes[self.lang]
        top = root + "../" * home.count("/")
        others = [
            {"href": f"{top}{folder}{path}", "html_lang": WORDS[lang].html_lang, "own_name": WORDS[lang].own_name}
            for lang, folder in self.homes.items()
            if lang != self.lang
        ]
        return _environment().get_template(template).render(
            t=self.words, root=root, top=top, here=path, others=others,
            canonical=f"{self.base_url}{home}{path.removesuffix('index.html')}" if self.base_url else "", **values,
        )  # fmt: skip

    def _script_words(self) -> dict[str, object]:
        spoken = {name: self.words.text[name] for name in ("found", "none", "loading", "broken")}
        fields = {name: self.words.fields[name] for name in FIELDS}
        return {**spoken, "outcomes": dict(self.words.outcomes), "fields": fields}


def strip(row: Interval) -> Markup:
    """An interval as a line with a dot, on a scale of its own around zero."""
    reach = max(abs(row.low), abs(row.high), abs(row.estimate)) * 1.12 or 1.0

    def x(value: float) -> str:  # a share of the width, so that the dot stays round on every screen
        return f"{50 * (1 + value / reach):.1f}%"

    kind = "clears" if row.low > 0 else "misses" if row.high < 0 else "open"
    return Markup(
        f'<svg class="strip {kind}" aria-hidden="true">'
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="100%"/>'
        f'<line class="range" x1="{x(row.low)}" x2="{x(row.high)}" y1="50%" y2="50%"/>'
        f'<circle class="dot" cx="{x(row.estimate)}" cy="50%" r="5"/></svg>'
    )


def slug(text: str) -> str:
    """A name as an anchor and a class: `post_training/hadw` is `post_training-hadw`."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower())


def number(value: float) -> str:
    """A figure as a reader writes it: 31,132 and 0.87, never 3.1e+04."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.10g}"


def signed(value: float) -> str:
    """Three digits with a sign, the minus as wide as the plus."""
    return f"{value:+.3g}".replace("-", "−", 1) if value < 0 else f"{value:+.3g}"


def unit(text: str) -> str:
    """A unit as it stands behind its number: `%` and `×` close by, words after a blank."""
    short = {"x": "×"}.get(text, text)
    return short if short in ("", "×") else f"\u00a0{short}"


def shorten(title: str) -> str:
    """A title for a link among others."""
    return textwrap.shorten(title, 48, placeholder=" …") if " " in title else title


def safe_svg(picture: str) -> Markup:
    """A picture of the verdict source, which is ours; ValueError for anything but plain SVG."""
    from lxml import etree

    allowed = set(_SVG_ATTRIBUTES.split())
    root = etree.fromstring(picture, etree.XMLParser(resolve_entities=False, no_network=True))
    for node in root.iter():
        if node.tag not in _SVG_ELEMENTS or set(map(str, node.attrib)) - allowed:
            raise ValueError(f"picture: got <{node.tag} {' '.join(node.attrib)}>, wanted plain SVG with classes")
    return Markup(picture)


_SVG_ELEMENTS = frozenset({"svg", "g", "line", "polyline", "polygon", "path", "circle", "rect", "text", "title"})
_SVG_ATTRIBUTES = """
class viewBox role aria-label x y x1 x2 y1 y2 cx cy r d points width height text-anchor
"""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("assay.papers.site"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {f.__name__: f for f in (strip, slug, number, signed, unit, shorten, safe_svg)}
    return found


def _data(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")


def _date(day: Day | None) -> Any:
    return day.date if day else None


def _neighbours(items: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Each item with the one before and the one after it."""
    yield from zip([None, *items[:-1]], items, [*items[1:], None])
