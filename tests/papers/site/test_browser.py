"""The site in a real browser: with and without scripts, narrow and wide, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.papers.catalogue.store import packaged
from assay.papers.search.document import documents
from assay.papers.search.index import Index
from assay.papers.search.query import parse
from assay.papers.site.build import build
from assay.papers.site.library import Library
from assay.papers.verdicts import NoVerdicts

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")

PAGES = ("index.html", "days/index.html", "days/2026-01-13.html", "papers/2503.99991.html", "fields/agents.html",
         "claims.html", "verdicts.html", "search.html", "zh/papers/2503.99991.html", "zh/index.html")  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def site(library, tmp_path) -> str:
    build(library, tmp_path / "site", ("en", "zh"))
    return f"file://{tmp_path}/site/"


@pytest.fixture(scope="module")
def edition(tmp_path_factory) -> str:
    out: Path = tmp_path_factory.mktemp("edition")
    build(Library(packaged(), {}, NoVerdicts()), out / "site")
    return f"file://{out}/site/"


@pytest.fixture
def page(browser) -> Iterator[playwright.Page]:
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: None if request.url.startswith("file:") else faults.append(request.url))
    yield page
    context.close()
    assert faults == []


def shown(page: playwright.Page, query: str) -> list[str]:
    page.fill("#q", query)
    page.press("#q", "Enter")
    while page.is_visible("#more"):
        page.click("#more")
    return [str(link.get_attribute("href")).removeprefix("papers/")[:-5] for link in page.locator("#hits h3 a").all()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_the_window(page, site, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    for path in PAGES:
        page.goto(site + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(", "))) > 380) == (scheme == "light")


def test_everything_but_the_search_can_be_read_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site + "claims.html")
    assert page.locator("#claims tbody tr").count() == 2
    assert not page.locator("form.filters").is_visible()
    page.goto(site + "search.html")
    assert page.locator("noscript p").is_visible()
    page.goto(site + "papers/2503.99991.html")
    assert page.get_by_text("快三成").is_visible()
    assert page.locator("svg.strip").count() == 1
    context.close()


def test_hostile_text_shows_literally(page, site):
    page.goto(site + "papers/2503.99991.html")
    text = page.locator("section.report").inner_text()
    for literal in ("<script>alert(1)</script>", "<think>", "<t}", "<img src=x onerror=alert(1)>", "]]> </script>"):
        assert literal in text
    assert page.locator("section.report math").count() == 2
    assert page.locator("section.report a").evaluate_all("links => links.map(a => a.href)") == [
        "https://example.org/ok", "https://example.org/c.png",
    ]  # fmt: skip


def test_the_search_page_finds_what_the_index_finds(page, edition):
    page.goto(edition + "search.html")
    with Index(None) as index:
        index.sync(documents(packaged(), {}))
        for query in ("entropy", '"flow matching"', "agent -benchmark", "speech OR music", "vari* flow", "2601.08521",
                      "reasoning models reward", "KV", "3D"):  # fmt: skip
            exact = query if query.endswith(('"', "*")) else f'{query} ""'  # the last word is no beginning then
            assert sorted(shown(page, exact)) == sorted(hit.id for hit in index.search(parse(query), 999)), query


def test_chinese_is_found_character_by_character_and_kept_in_the_address(page, site):
    page.goto(site + "search.html?q=强化学习")
    page.wait_for_selector("#hits li")
    assert page.locator("#hits h3").all_inner_texts() == ['Kettle: <b>Boiling</b> & "Steam" holds']
    assert page.locator("#hits mark").first.inner_text() == "强化学习"
    for query, count in (("学习方", 1), ("学强", 0), ("苔藓", 1), ("水壶 steam", 1), ("steam -水壶", 0),
                         ("苔藓 OR 水壶", 2), ("(", 2), ("<b>", 1), ("\\", 2), ("[a-", 1)):  # fmt: skip
        assert len(shown(page, query)) == count, query


def test_filters_of_the_search_page_compose(page, site):
    page.goto(site + "search.html?verdict=holds")
    page.wait_for_selector("#hits li")
    assert len(shown(page, "")) == 1
    page.select_option("select[name=verdict]", "untried")
    page.wait_for_timeout(200)
    assert page.locator("#hits h3").all_inner_texts() == ["苔藓地图"]
    page.fill("input[name=until]", "2026-01-13")
    page.wait_for_timeout(200)
    assert page.locator("#count").inner_text() == "No paper matches."
    assert page.url.endswith("search.html?verdict=untried&until=2026-01-13")


def test_claims_are_sorted_and_filtered(page, edition):
    page.goto(edition + "claims.html")
    rows = page.locator("#claims tbody tr")
    page.get_by_role("button", name="Figure").click()
    page.get_by_role("button", name="Figure").click()
    values = page.locator("#claims tbody td.number").evaluate_all("cells => cells.map(c => c.dataset.sort)")
    known = [float(value) for value in values if value]
    assert known == sorted(known, reverse=True)
    assert values[len(known) :] == [""] * (len(values) - len(known))  # claims without a figure stay last
    page.select_option("select[name=kind]", "negative")
    visible = rows.filter(visible=True).count()
    assert visible == sum(claim.kind == "negative" for paper in packaged() for claim in paper.claims)
    assert page.locator("output").inner_text() == f"{visible} shown"
    page.goto(page.url)
    assert rows.filter(visible=True).count() == visible


def test_the_keyboard_reaches_the_text_and_focus_is_seen(page, site):
    page.goto(site + "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["width"] > 50
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
