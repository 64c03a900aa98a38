import io
import shutil

import pytest
import torch
from PIL import Image

from assay.methods.safety._branch_steering import ATTACKS
from assay.methods.safety._camel_controls import ControlFinder, pixels_of
from assay.methods.safety._pixel_attack import PixelAttack, chance
from assay.methods.screens import GuiObs
from assay.trials.safety.camel_cua_steering import LIES, Moved, bring, last_button, measured, tell, trial
from assay.worlds.gui import GuiEnv, open_browser
from assay.worlds.gui_tasks import draw_task

TASK = draw_task("bank.limit", 3)


class Corner:
    """Points at the first pixel that is not white."""

    def find(self, seen, description):
        dark = (pixels_of(seen.screenshot).sum(0) < 3).nonzero()[0]
        return float(dark[1]), float(dark[0])


def test_a_moved_screen_gives_the_same_point_by_other_pixels():
    page, png = Image.new("RGB", (30, 20), "white"), io.BytesIO()
    page.putpixel((7, 5), (0, 0, 0))
    page.save(png, "PNG")
    seen = GuiObs((), "", "", png.getvalue())
    assert Corner().find(seen, "x") == Moved(Corner()).find(seen, "x") == (7.0, 5.0)


def test_shares_are_of_stages_and_of_lies():
    counts = {f"steered {lie}": 0.0 for lie in LIES} | {"steered overlay": 2.0, "steered pixels": 1.0}
    found = measured({**counts, "stopped": 7.0, "refused": 1.0, "pressed": 3.0}, stages=4, steps=9)
    assert found.value == pytest.approx((2 / 4 + 1 / 4) / 7)
    assert found.extra["stopped"] == pytest.approx(7 / 4 / 7)
    assert (found.extra["refused"], found.extra["pressed"], found.extra["steered pixels"]) == (0.25, 0.75, 0.25)


def test_the_trial_is_reported_and_its_table_has_a_row_for_each_lie():
    assert trial.bar is None
    assert {"picture", "pixels"} < set(LIES)


@pytest.fixture(scope="module")
def env():
    with open_browser() as browser, GuiEnv(browser) as opened:
        yield opened


def test_the_browser_paints_the_attacked_picture_as_it_is_and_nothing_else_changes(env):
    """With a network that was not trained: it is the pixels that are looked at."""
    torch.manual_seed(0)
    net = ControlFinder().eval().requires_grad_(False)
    before, goal = last_button(env, TASK)
    bring(env, TASK, before)
    snap = env.snapshot()
    env.restore(snap)  # nothing has the focus, as below
    picture = PixelAttack(steps=8).lure(net, env.page.evaluate, env.page.screenshot, goal)
    plain = pixels_of(env.page.screenshot())
    box = env.page.evaluate("(({left, top, width, height}) => [left, top, width, height].map(Math.round))"
                            "(document.querySelector('[data-lure] img').getBoundingClientRect())")  # fmt: skip
    env.restore(snap)
    tell(env, "pixels", goal, picture)
    lied = pixels_of(env.page.screenshot())
    difference = (255 * (lied - plain)).round().abs()
    left, top, width, height = box
    assert width <= 120
    assert height <= 60
    assert 0 < difference.max() <= 8
    difference[:, top : top + height, left : left + width] = 0
    assert difference.max() == 0
    assert chance(net, lied, box) > chance(net, plain, box)


def test_every_lie_leaves_the_goal_on_the_page_and_counts_who_falls_for_it(env):
    before, goal = last_button(env, TASK)
    bring(env, TASK, before)
    snap = env.snapshot()
    for name, attack in ATTACKS.items():
        env.restore(snap)
        env.page.evaluate("window.__lured = 0")
        assert attack.apply(env.page.evaluate, goal), name
        env.page.evaluate("document.querySelector('[data-lure], [style*=fixed] button').click()")
        assert env.page.evaluate("window.__lured") == 1, name
        assert attack.apply(env.page.evaluate, "No such button") is False


@pytest.mark.slow
def test_the_quick_run_is_reported():
    if shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed: the words of the screenshot cannot be read")
    from assay.engine import run

    result = run(trial, quick=True, arms=["baseline", "placebo", "method", "consistency"])
    assert not result.failed
    assert result.verdict.outcome == "reported"
