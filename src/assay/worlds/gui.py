"""The web apps in a real Chromium: an environment that shows its page as a tree and takes clicks, text and keys.

    with open_browser() as browser, GuiEnv(browser) as env:
        seen = env.reset(task)                 # a GuiTask of assay.worlds.gui_tasks
        seen = env.step(Click(*seen.tree[3].centre))
        env.state(), env.events(), env.settle()

One browser serves a process; an episode is a page loaded afresh (the apps keep nothing in the browser). The apps are
handed to the browser from memory under addresses such as http://bank.test/, each its own origin; any other address is
refused.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit

from assay.methods.screens import (
    Click,
    Done,
    Down,
    Drag,
    Fail,
    Goto,
    GuiAction,
    GuiObs,
    Key,
    Move,
    Node,
    Scroll,
    Type,
    Up,
    Wait,
    tree_hash,
)
from assay.worlds.webapps import APPS, FOLDER, LAYOUTS, SKINS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

__all__ = [
    "Click", "Done", "Down", "Drag", "Fail", "Goto", "GuiAction", "GuiEnv", "GuiError", "GuiObs", "Key", "Move", "Node",
    "Scroll", "Type", "Up", "Wait", "close_browser", "launch_browser", "open_browser", "tree_hash", "tree_jaccard",
]  # fmt: skip

_CHOOSE = """([x, y, text]) => {
  const box = document.elementFromPoint(x, y);
  box.selectedIndex = [...box.options].findIndex((option) => option.text.trim() === text);
  for (const kind of ["input", "change"]) box.dispatchEvent(new Event(kind, { bubbles: true }));
}"""
PATIENCE_MS, LOADING_MS = 5000, 60_000  # for an action; for a page, on a machine that is busy
LANDING_MS = 150  # until a click on a real page has begun to lead elsewhere


class GuiError(RuntimeError):
    """A page threw an error, or an element could not be acted on."""


class Episode(Protocol):
    """What an environment is reset to; `GuiTask` of assay.worlds.gui_tasks is one."""

    @property
    def app(self) -> str: ...

    @property
    def layout(self) -> int: ...

    @property
    def skin(self) -> int: ...

    @property
    def seed(self) -> int: ...


def launch_browser() -> tuple[Playwright, Browser]:
    """A started Chromium without a window. Hand both to `close_browser`, or use `open_browser`.

    Raises ImportError without Playwright, RuntimeError without a Chromium ($ASSAY_CHROMIUM, the PATH, Playwright's).
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError as error:
        raise ImportError("Playwright is missing: pip install 'assay-papers[gui]'") from error
    found = os.environ.get("ASSAY_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    started = sync_playwright().start()
    try:
        arguments = ["--no-sandbox", "--disable-gpu"]
        return started, started.chromium.launch(executable_path=found, args=arguments)
    except Error as error:
        started.stop()
        raise RuntimeError("no Chromium found: apt install chromium, or set ASSAY_CHROMIUM") from error


def close_browser(opened: tuple[Playwright, Browser]) -> None:
    opened[1].close()
    opened[0].stop()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A Chromium for as long as the block lasts."""
    opened = launch_browser()
    try:
        yield opened[1]
    finally:
        close_browser(opened)


class GuiEnv:
    """A window on one app at a time. `reset` opens an episode; `close`, or leaving the block, ends it."""

    def __init__(self, browser: Browser, *, viewport: tuple[int, int] = (640, 480)) -> None:
        self._browser, self._viewport = browser, viewport
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        self._faults: list[str] = []
        self._elsewhere = False  # on a page that is none of the apps', where a click may lead to another one
        self.steps = 0

    @property
    def viewport(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        return self._viewport

    @property
    def page(self) -> Page:
        """Playwright's page. Raises GuiError before `reset`."""
        if self._page is None:
            raise GuiError("no episode is open: call reset first")
        return self._page

    def __enter__(self) -> GuiEnv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the episode."""
        if self._context is not None:
            self._context.close()
        self._context = self._page = None

    def reset(self, task: Episode, *, popup: bool = False, login: bool = False) -> GuiObs:
        """Open the app as the task's seed and look make it; `popup` with a cookie banner, `login` signed out."""
        if task.app not in APPS:
            raise ValueError(f"app: got {task.app!r}, wanted one of {', '.join(APPS)}")
        if task.layout not in LAYOUTS or task.skin not in SKINS:
            raise ValueError(f"layout, skin: got {task.layout}, {task.skin}, wanted 0 to 3 each")
        asked = {"seed": task.seed, "layout": task.layout, "skin": task.skin, "popup": int(popup), "login": int(login)}
        self.open(f"http://{task.app}.test/{task.app}.html?{urlencode(asked)}")
        return self.observe()

    def open(self, url: str, *, apps_only: bool = True) -> None:
        """Load an address afresh. `apps_only=False` lets the browser reach other addresses than the apps'."""
        self.steps = 0
        if self._context is None or not apps_only:
            self.close()
            width, height = self._viewport
            self._context = self._browser.new_context(viewport={"width": width, "height": height})
            self._context.set_default_timeout(PATIENCE_MS)
            self._context.set_default_navigation_timeout(LOADING_MS)
            if apps_only:
                self._context.route("**/*", _serve)
            self._page = self._context.new_page()
            self._page.on("pageerror", lambda error: self._faults.append(str(error)))
            self._elsewhere = not apps_only
        self.page.goto(url)
        self._complain()

    def observe(self, screenshot: bool = False) -> GuiObs:
        """What is shown now."""
        seen = self._look()
        shot = self.page.screenshot() if screenshot else None
        return GuiObs(tuple(_node(row) for row in seen["tree"]), seen["url"], seen["text"], shot)

    def node_at(self, x: float, y: float) -> Node | None:
        """The listed element that a click at this point would reach."""
        self._check(x, y)
        row = self.page.evaluate(_tree_script(), [x, y])
        return None if row is None else _node(row)

    def step(self, action: GuiAction) -> GuiObs:
        """Do it and see what is shown then. `Done`, `Fail` and `Wait(0)` change nothing.

        Raises ValueError for a point outside the viewport, GuiError where the page throws an error.
        """
        self.steps += 1
        self._act(action)
        if self._elsewhere:
            self.page.wait_for_timeout(LANDING_MS)
            self.page.wait_for_load_state()
        self._complain()
        return self.observe()

    def state(self) -> dict[str, Any]:
        """The app's whole state, as plain data."""
        found: dict[str, Any] = self.page.evaluate("__state()")
        return found

    def events(self) -> list[dict[str, Any]]:
        """What the app handled so far, in order; those of type "effect" changed something that counts."""
        found: list[dict[str, Any]] = self.page.evaluate("__events")
        return found

    def settle(self) -> dict[str, Any]:
        """Let everything that is still to come happen now; the state after it."""
        self.page.evaluate("__settle()")
        return self.state()

    def snapshot(self) -> dict[str, Any]:
        """What `restore` brings back."""
        return self.state()

    def restore(self, snap: dict[str, Any]) -> GuiObs:
        """The app as it was at a snapshot; the log of events goes on."""
        self.page.evaluate("state => __load(state)", snap)
        return self.observe()

    def inject(self, kind: str, text: str, where: str) -> GuiObs:
        """Let a stranger leave text in a place of theirs (`data-slot`); see PLANTS in base.js for the kinds."""
        self.page.evaluate("([kind, text, where]) => __inject(kind, text, where)", [kind, text, where])
        self._complain()
        return self.observe()

    def _look(self) -> dict[str, Any]:
        """The page as the script tells it; asked again where the page left while it was asked."""
        from playwright.sync_api import Error

        try:
            seen: dict[str, Any] = self.page.evaluate(_tree_script())
        except Error as error:
            if "context was destroyed" not in str(error):
                raise
            self.page.wait_for_load_state()
            seen = self.page.evaluate(_tree_script())
        return seen

    def _act(self, action: GuiAction) -> None:
        page = self.page
        if isinstance(action, Click):
            self._check(action.x, action.y)
            page.mouse.click(action.x, action.y, button=action.button, click_count=action.clicks)  # type: ignore[arg-type]
        elif isinstance(action, Type):
            self._type(action)
        elif isinstance(action, Key):
            page.keyboard.press(action.keys)
        elif isinstance(action, Scroll):
            self._check(action.x, action.y)
            page.mouse.move(action.x, action.y)
            page.mouse.wheel(0, action.dy)
            page.wait_for_timeout(50)  # the browser scrolls after it has answered
        elif isinstance(action, Drag):
            self._drag(action)
        elif isinstance(action, Down | Move | Up):
            self._check(action.x, action.y)
            page.mouse.move(action.x, action.y)
            if isinstance(action, Down):
                page.mouse.down()
            elif isinstance(action, Up):
                page.mouse.up()
        elif isinstance(action, Goto):
            page.goto(action.url)
        elif isinstance(action, Wait):
            page.wait_for_timeout(action.ms)
        elif not isinstance(action, Done | Fail):
            raise TypeError(f"action: got {type(action).__name__}, wanted a GuiAction")

    def _type(self, action: Type) -> None:
        page = self.page
        if action.x is not None and action.y is not None:
            node = self.node_at(action.x, action.y)
            if node is not None and node.options:
                self._choose(action.x, action.y, node, action.text)
                return
            page.mouse.click(action.x, action.y)
        if action.clear:
            page.keyboard.press("ControlOrMeta+a")
            page.keyboard.press("Delete")
        page.keyboard.insert_text(action.text)

    def _choose(self, x: float, y: float, node: Node, text: str) -> None:
        """A select's choice is made by its value: the list it opens is not part of the page."""
        if text not in node.options:
            return  # as when one types what none of the choices begins with
        self.page.evaluate(_CHOOSE, [x, y, text])

    def _drag(self, action: Drag) -> None:
        for x, y in action.points:
            self._check(x, y)
        first, *rest = action.points
        self.page.mouse.move(*first)
        self.page.mouse.down(button=action.button)  # type: ignore[arg-type]
        for point in rest:
            self.page.mouse.move(*point)
        self.page.mouse.up(button=action.button)  # type: ignore[arg-type]

    def _check(self, x: float, y: float) -> None:
        width, height = self._viewport
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"x, y: got {x}, {y}, wanted a point inside {width} x {height}")

    def _complain(self) -> None:
        if self._faults:
            fault, self._faults = self._faults[0], []
            raise GuiError(f"{self.page.url.split('?')[0]}: {fault}")


def tree_jaccard(a: GuiObs, b: GuiObs) -> float:
    """Shared (role, name) pairs of two screens over all of them; 1 for two empty ones."""
    one, other = ({(n.role, n.name) for n in seen.tree if n.visible} for seen in (a, b))
    return len(one & other) / len(one | other) if one | other else 1.0


def _node(row: dict[str, Any]) -> Node:
    lists = {key: tuple(row[key]) for key in ("states", "bbox", "options")}
    return Node(**{**row, **lists})


@cache
def _tree_script() -> str:
    return (FOLDER / "tree.js").read_text("utf-8").split("\n", 2)[2]


def _serve(route: Route) -> None:
    """The app whose host it is, its files in one; nothing from anywhere else."""
    where = urlsplit(route.request.url)
    app = (where.hostname or "").removesuffix(".test")
    if where.scheme == "data":
        route.continue_()
    elif app in APPS and where.path == f"/{app}.html":
        route.fulfill(body=_page(app), content_type="text/html")
    elif where.path == "/favicon.ico":
        route.fulfill(status=204)
    else:
        route.abort()


@cache
def _page(app: str) -> str:
    """An app's page with its style and scripts inside: one answer instead of five."""
    page = (FOLDER / f"{app}.html").read_text("utf-8")
    style = (FOLDER / "base.css").read_text("utf-8")
    page = page.replace('<link rel="stylesheet" href="base.css">', f"<style>{style}</style>")
    for name in ("words.js", "base.js", f"{app}.js"):
        script = (FOLDER / name).read_text("utf-8")
        page = page.replace(f'<script src="{name}"></script>', f"<script>{script}</script>")
    return page
