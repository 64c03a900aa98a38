"""The site as files: complete, the same at every build, and only ever whole."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from lxml import etree

from assay.errors import UserError
from assay.papers.catalogue.store import packaged
from assay.papers.report import parse
from assay.papers.search.document import entry_of
from assay.papers.site.build import MANIFEST, build, contents, search_part
from assay.papers.site.library import Library
from assay.papers.site.pages import number, safe_svg, signed, strip, unit
from assay.papers.site.words import WORDS
from assay.papers.verdicts import Interval, NoVerdicts

BASE = "https://example.org/papers/"
FEEDS = {"content": "http://purl.org/rss/1.0/modules/content/", "atom": "http://www.w3.org/2005/Atom"}


class Page(HTMLParser):
    """What a browser would look at: links, anchors, languages, nesting."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.anchors += [found["id"]] if "id" in found else []


def files(library: Library, langs=("en", "zh"), base=BASE) -> dict[str, str]:
    return dict(contents(library, langs, base))


def test_every_link_inside_the_site_leads_somewhere(library):
    site = files(library)
    pages = {path: Page(text) for path, text in site.items() if path.endswith(".html")}
    assert len(pages) == 2 * (1 + 1 + 3 + 2 + 1 + 3)  # per language: index, days, 3 days, 2 papers, field, three lists
    for path, page in pages.items():
        assert len(page.anchors) == len(set(page.anchors)), path
        for link in page.links:
            parts = urlsplit(urljoin(f"http://site/{path}", link))
            if parts.netloc != "site":
                assert parts.scheme == "https", (path, link)
                continue
            target = unquote(parts.path).lstrip("/")
            assert target in site, (path, link)
            if parts.fragment:
                assert parts.fragment in pages[target].anchors, (path, link)


def test_pages_load_nothing_from_elsewhere_and_forbid_it(library):
    for path, text in files(library).items():
        if path.endswith(".html"):
            page = Page(text)
            policy = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
            assert policy and "default-src 'none'" in policy[0] and "unsafe" not in policy[0]
            loaded = [a.get("src") or a.get("href") for tag, a in page.tags if tag in ("script", "img", "iframe") or
                      (tag == "link" and a.get("rel") in ("stylesheet", "icon"))]  # fmt: skip
            assert not [link for link in loaded if link and "//" in link], path
            assert not [a for _, a in page.tags if "style" in a or any(name.startswith("on") for name in a)], path


def test_what_reports_and_records_say_never_reaches_a_page_alive(library):
    for path, text in files(library).items():
        if path.endswith(".html"):
            page = Page(text)
            assert not [a for tag, a in page.tags if tag == "img" and "mark.svg" not in a["src"]], path
            assert not [link for link in page.links if link.lower().startswith("javascript")], path
            assert not [tag for tag, _ in page.tags if tag in ("b", "i")], path
            scripts = [a for tag, a in page.tags if tag == "script"]
            assert all("src" in a or a.get("type") == "application/json" for a in scripts)
    page = files(library)["papers/2503.99991.html"]
    assert "&lt;think&gt;" in page
    assert "&lt;t}" in page
    assert "&lt;b&gt;Boiling&lt;/b&gt; &amp; " in page


def test_a_papers_page_shows_claim_badge_interval_machine_date_and_picture(library):
    page = files(library)["papers/2503.99991.html"]
    for told in ("It boils &lt; 3 % faster &amp; better.", "31,132", "a pot: 40,000", "holds", "[+0.25, +0.75]",
                 "Toaster 9000, 2 cores, 4 GB", "2026-01-20", '<svg class="pairs"', "assay run agents/kettle",
                 "bar-not-blind", "not tried", "提出水壶强化学习方法", "快三成", "A. Uthor"):  # fmt: skip
        assert told in page, told
    assert page.count('<div lang="zh-Hans">') == 5


def test_a_paper_without_report_or_trial_has_a_page_that_says_so(library):
    page = files(library, ("zh", "en"))["papers/2503.99992.html"]
    assert '<html lang="zh-Hans">' in page
    assert '<h1 lang="zh-Hans">苔藓地图</h1>' in page
    assert WORDS["zh"].not_tried in page
    assert 'id="claims"' not in page
    assert "每日报告" not in page


def test_both_languages_have_the_same_words_and_say_which_they_are(library):
    assert WORDS["en"].text.keys() == WORDS["zh"].text.keys()
    for name in ("outcomes", "kinds", "fields", "read_from"):
        assert getattr(WORDS["en"], name).keys() == getattr(WORDS["zh"], name).keys()
    site = files(library)
    assert '<html lang="en">' in site["papers/2503.99991.html"]
    assert '<html lang="zh-Hans">' in site["zh/papers/2503.99991.html"]
    assert 'hreflang="zh-Hans" href="../zh/papers/2503.99991.html"' in site["papers/2503.99991.html"]
    assert 'hreflang="en" href="../../papers/2503.99991.html"' in site["zh/papers/2503.99991.html"]


def test_feeds_are_rss_with_stable_ids_dates_and_the_whole_text(library):
    site = files(library)
    channel = etree.fromstring(site["feed.xml"].encode())[0]
    assert channel.find("atom:link", FEEDS).get("href") == BASE + "feed.xml"
    items = channel.findall("item")
    assert [item.findtext("guid") for item in items] == [
        "arxiv:2503.99992@2026-01-15", "arxiv:2503.99992@2026-01-14", "arxiv:2503.99991@2026-01-13",
    ]  # fmt: skip
    assert all(item.find("guid").get("isPermaLink") == "false" for item in items)
    assert items[2].findtext("pubDate") == "Tue, 13 Jan 2026 00:00:00 +0000"
    assert items[2].findtext("title") == 'Kettle: <b>Boiling</b> & "Steam"'
    assert items[2].findtext("description") == f"提出水壶强化学习方法 ]]> 与 <b>。 {BASE}papers/2503.99991.html"
    content = items[2].findtext("content:encoded", namespaces=FEEDS)
    assert "]]&gt;" in content
    assert "快三成" in content
    assert "<script" not in content
    verdicts = etree.fromstring(site["feed/verdicts.xml"].encode())[0].findall("item")
    assert [item.findtext("title") for item in verdicts] == [
        "agents/kettle: inconclusive → holds", "agents/kettle: inconclusive",
    ]  # fmt: skip
    assert "feed/agents.xml" in site


def test_a_feed_holds_the_newest_hundred():
    site = dict(contents(Library(packaged(), {}, NoVerdicts()), ("en",), ""))
    items = etree.fromstring(site["feed.xml"].encode())[0].findall("item")
    assert len(items) == 100
    assert items[0].findtext("guid").endswith("@2026-02-11")
    assert items[0].findtext("link").startswith("https://huggingface.co/papers/")
    assert "sitemap.xml" not in site
    assert "Sitemap" not in site["robots.txt"]


def test_characters_that_xml_does_not_know_are_left_out(library):
    paper = replace(packaged()[0], one_line="a\x00b\x0bc\ud800\uffff")
    site = dict(contents(Library([paper], {}, NoVerdicts()), ("en",), BASE))
    assert etree.fromstring(site["feed.xml"].encode())[0].findtext("item/description").startswith("abc ")


def test_sitemap_and_json_name_every_paper(library):
    site = files(library)
    locations = re.findall("<loc>(.*?)</loc>", site["sitemap.xml"])
    assert BASE in locations
    assert BASE + "zh/papers/2503.99992.html" in locations
    assert f"Sitemap: {BASE}sitemap.xml" in site["robots.txt"]
    rows = json.loads(site["papers.json"])
    assert [(row["id"], row["verdicts"]) for row in rows] == [
        ("2503.99991", {"agents/kettle": "holds"}), ("2503.99992", {}),
    ]  # fmt: skip


def test_the_index_and_the_scripts_stay_small():
    text = "提出一种强化学习方法并以奖励约束其行为。" * 5
    entry = "\n## 📄 T\n\n- **链接**: https://huggingface.co/papers/2503.00001\n- **阅读来源**: HTML\n\n" + "\n\n".join(
        f"### {n}. {name}\n" + (f"1.  **创新点**：{text}\n" * 3 if n == 4 else text)
        for n, name in enumerate(("应用领域", "一句话核心贡献", "使用指南", "主要创新点", "实验效果"), 1)
    )
    papers = [replace(paper, id=f"2503.{i:05d}", claims=()) for i in range(10) for paper in packaged()][:1000]
    papers = [replace(paper, id=f"2503.{i:05d}") for i, paper in enumerate(papers)]
    library = Library(papers, {paper.id: entry_of(entry) for paper in papers}, NoVerdicts())
    parts = [text for path, text in contents(library, ("en",), "") if path.startswith("search/")]
    assert len(parts) == 2
    assert sum(len(part.encode()) for part in parts) <= 1.2e6
    site = dict(contents(Library([], {}, NoVerdicts()), ("en",), ""))
    assert len(site["assets/search.js"].encode()) < 15_000
    assert len(site["assets/table.js"].encode()) < 15_000


def test_the_packaged_edition_fits_the_index_too():
    library = Library(packaged(), {}, NoVerdicts())
    assert len(search_part(library.cards).encode()) / len(library.cards) <= 1200


def test_a_second_build_writes_nothing_and_what_is_gone_is_removed(library, tmp_path):
    out = tmp_path / "site"
    first = build(library, out, ("en", "zh"), BASE)
    assert first.written == first.files
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    times = {p: p.stat().st_mtime_ns for p in before}
    again = build(library, out, ("en", "zh"), BASE)
    assert (again.written, again.removed) == (0, 0)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert {p: p.stat().st_mtime_ns for p in before} == times
    (out / "CNAME").write_text("example.org")
    fewer = build(library, out, ("en",), BASE)
    assert fewer.removed > 0
    assert not (out / "zh").exists()
    assert (out / "CNAME").exists()
    assert not list(out.rglob("*.part"))


def test_the_order_in_which_papers_come_does_not_matter(library):
    papers = [card.paper for card in library.cards]
    entries = {card.paper.id: card.entry for card in library.cards if card.entry}
    turned = Library(papers[::-1], entries, library.verdicts, library.steps)
    assert files(turned) == files(library)


@pytest.mark.parametrize("base", ["ftp://x.y", "example.org", "https://", "https://x.y/?a=b", "https://x.y/#z"])
def test_a_base_url_that_is_none_is_refused(library, tmp_path, base):
    with pytest.raises(UserError, match="bad base URL"):
        build(library, tmp_path / "site", ("en",), base)
    assert not (tmp_path / "site").exists()


def test_a_folder_of_something_else_is_left_alone(library, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        build(library, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        build(library, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        build(library, tmp_path / "file" / "site")


def test_a_manifest_cannot_remove_what_lies_outside(library, tmp_path):
    out = tmp_path / "site"
    build(library, out)
    victim = tmp_path / "victim"
    victim.write_text("")
    (out / MANIFEST).write_text('["../victim"]')
    with pytest.raises(UserError, match="lies outside"):
        build(library, out)
    assert victim.exists()
    (out / MANIFEST).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        build(library, out)


def test_an_empty_catalogue_is_a_site_too():
    site = dict(contents(Library([], {}, NoVerdicts()), ("en",), ""))
    assert "index.html" in site
    assert WORDS["en"].nothing_tried in site["verdicts.html"]


def test_figures_and_units_are_written_as_readers_write_them():
    assert (number(31132.0), number(0.87), number(1e-5), number(-2.5)) == ("31,132", "0.87", "1e-05", "-2.5")
    assert (signed(0.25), signed(-1.5), signed(-1e-5), signed(2e-7)) == ("+0.25", "−1.5", "−1e-05", "+2e-07")
    assert (unit("%"), unit("x"), unit(""), unit("steps")) == ("\u00a0%", "×", "", "\u00a0steps")


def test_an_interval_is_drawn_around_zero_and_coloured_by_its_side():
    drawn = str(strip(Interval("n", 0.5, 0.0, 1.12, 0.1)))
    assert 'x1="50.0%" x2="50.0%"' in drawn  # zero in the middle
    assert 'class="strip open"' in drawn
    assert 'class="strip clears"' in str(strip(Interval("n", 1, 0.5, 2, 0.1)))
    assert 'class="strip misses"' in str(strip(Interval("n", -1, -2, -0.5, 0.1)))
    assert "nan" not in str(strip(Interval("n", 0, 0, 0, 1)))


@pytest.mark.parametrize("picture", [
    "<svg><script>alert(1)</script></svg>", '<svg onload="x"/>', '<svg><a href="javascript:x"/></svg>',
    '<svg><line style="fill:url(https://x.y)"/></svg>',
])  # fmt: skip
def test_a_picture_may_only_be_a_picture(picture):
    with pytest.raises(ValueError, match="wanted plain SVG"):
        safe_svg(picture)


def test_colours_have_the_contrast_of_aa_on_every_background_they_stand_on():
    css = (Path(__file__).parents[3] / "src/assay/papers/site/assets/style.css").read_text("utf-8")
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    assert len(themes) == 2
    for theme in themes:
        for ink in ("ink", "soft", "link", "accent", "holds", "fails", "open", "none"):
            for ground in ("page", "sheet", "wash"):
                assert _contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
        assert _contrast(theme["page"], theme["link"]) >= 4.5  # the button
        for line in ("better", "worse"):
            assert _contrast(theme[line], theme["sheet"]) >= 3  # graphical objects


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_entry_of_a_report_is_read_as_it_was_written(library):
    assert parse("no report").entries == []
    assert library.by_id["2503.99991"].entry.contribution.startswith("提出水壶")
