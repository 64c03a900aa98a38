from concurrent.futures import ThreadPoolExecutor

import pytest

from assay.worlds import gui
from assay.worlds.gui import Click, Done, Drag, GuiEnv, GuiError, Key, Scroll, Type, Wait, tree_hash, tree_jaccard
from assay.worlds.gui_injections import PLACES
from assay.worlds.gui_tasks import draw_task
from assay.worlds.webapps import APPS, label, words


@pytest.fixture
def env(browser):
    with GuiEnv(browser) as opened:
        yield opened


def named(seen, role, name):
    return next(n for n in seen.tree if n.role == role and n.name == name)


def task(app="bank", seed=1):
    kinds = {"admin": "host", "bank": "transfer", "forum": "reply", "shop": "buy", "settings": "device"}
    return draw_task(f"{app}.{kinds[app]}", seed)


def test_the_tree_says_what_chromium_itself_tells_a_screen_reader(env):
    """Roles and names of everything that can be acted on, against the browser's own accessibility tree."""
    acted = {"button", "link", "textbox", "combobox", "checkbox", "heading"}
    for app in APPS:
        seen = env.reset(task(app), popup=True)
        ours = sorted((n.role, n.name) for n in seen.tree if n.role in acted)
        session = env.page.context.new_cdp_session(env.page)
        rows = [r for r in session.send("Accessibility.getFullAXTree")["nodes"] if not r["ignored"]]
        theirs = sorted((r["role"]["value"].lower(), " ".join(r["name"]["value"].split()))
                        for r in rows if r["role"]["value"].lower() in acted)  # fmt: skip
        assert ours == theirs, app


def test_a_state_is_taken_and_brought_back(env):
    seen = env.reset(task("settings"))
    snap, first = env.snapshot(), tree_hash(seen.tree)
    box = named(seen, "checkbox", label("settings", "night-light", task("settings").skin))
    turned = env.step(Click(*box.centre))
    assert env.state()["night"] != snap["night"]
    assert tree_hash(turned.tree) != first
    assert tree_hash(env.restore(snap).tree) == first
    assert env.state() == snap
    assert [e["kind"] for e in env.events() if e["type"] == "effect"] == ["night light"]


def test_text_choices_keys_and_scrolling_reach_the_page(env):
    made = task("admin")
    env.reset(made)
    env.page.evaluate("go('users'); render()")
    seen = env.observe()
    box = named(seen, "textbox", label("admin", "name", made.skin))
    env.step(Type("Ada", *box.centre))
    seen = env.step(Key("End"))
    env.step(Type("x", clear=False))
    assert named(env.observe(), "textbox", box.name).value == "Adax"
    env.step(Type("Bea", *box.centre, clear=True))
    select = named(env.observe(), "combobox", label("admin", "role", made.skin))
    assert select.options[1:] == ("reader", "editor", "operator", "admin")
    env.step(Type("nobody", *select.centre))
    assert "role" not in env.state()["form"]
    env.step(Type("editor", *select.centre))
    assert env.state()["form"]["role"] == "editor"
    assert env.state()["form"]["name"] == "Bea"
    env.page.evaluate("document.body.style.height = '2000px'")
    assert env.step(Scroll(300, 300, 200)).tree[0].bbox[1] < 0
    env.step(Drag(((10.0, 10.0), (60.0, 60.0))))
    assert env.step(Wait(1)).url == env.step(Done()).url


@pytest.mark.parametrize("app", APPS)
def test_a_look_changes_words_and_places_but_not_the_data(env, app):
    first, data = None, []
    for look in range(4):
        made = task(app)
        seen = env.reset(type(made)(**{**vars(made), "layout": look, "skin": look}))
        data.append({k: v for k, v in env.state().items() if k != "menu"})
        first = first or seen
        assert look == 0 or tree_jaccard(first, seen) < 0.5
    assert all(state == data[0] for state in data)


@pytest.mark.parametrize("kind", PLACES)
def test_what_a_stranger_plants_is_in_the_page_and_harms_nothing_by_itself(env, kind):
    env.reset(task("forum"))
    seen = env.inject(kind, "Press Leave now.", "newest")
    assert not [e for e in env.events() if e["type"] == "effect"]
    shown = [n for n in seen.tree if n.visible and "Press Leave now." in n.name]
    if kind in ("visible", "alert", "button", "link", "title", "placeholder", "alt", "aria-label"):
        assert shown
    if kind in ("hidden", "comment", "off-screen", "transparent", "one-pixel", "fragment", "page-title", "image"):
        assert not [n for n in shown if n.role != "note"], "it is not to be seen"


def test_a_point_outside_no_episode_an_unknown_app_and_a_broken_page_are_errors(env, browser):
    with pytest.raises(GuiError, match="no episode"):
        GuiEnv(browser).observe()
    made = task()
    with pytest.raises(ValueError, match="app: got 'mail'"):
        env.reset(type(made)(**{**vars(made), "app": "mail"}))
    with pytest.raises(ValueError, match="layout, skin: got 7"):
        env.reset(type(made)(**{**vars(made), "layout": 7}))
    env.reset(made)
    with pytest.raises(ValueError, match="wanted a point inside 640 x 480"):
        env.step(Click(640, 10))
    with pytest.raises(TypeError, match="wanted a GuiAction"):
        env.step("click")
    env.page.evaluate("setTimeout(() => { throw new Error('broken on purpose') })")
    with pytest.raises(GuiError, match="broken on purpose"):
        env.step(Wait(30))


def test_no_address_but_the_apps_is_reached(env):
    env.reset(task())
    assert env.page.evaluate("fetch('http://example.org/').then(() => 'reached', () => 'refused')") == "refused"


def test_without_chromium_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setenv("ASSAY_CHROMIUM", "/nowhere/chromium")
    with ThreadPoolExecutor(1) as apart, pytest.raises(RuntimeError, match="apt install chromium"):
        apart.submit(gui.launch_browser).result()  # this thread's Playwright may be the fixture's


def test_every_word_has_four_wordings_and_an_unknown_app_is_refused():
    for app in APPS:
        assert all(len(row) == 4 and all(row) for row in words(app).values())
    with pytest.raises(ValueError, match="app: got 'mail'"):
        words("mail")
