"""The page and the plots: what a reader sees, from made-up units of a made-up trial."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from assay.engine.page import Section, forest_row, report
from assay.engine.plots import complete_seeds, differences, estimation_plot, judged_arms
from assay.engine.trial import Bar, Contrast, Metric, Trial, Verdict
from assay.errors import UserError


def _arm(world, models, seed):
    raise AssertionError("the page runs nothing")


TRIAL = Trial(
    paper="2601.08521",
    claim="A claim with <b>markup</b> & an ampersand.",
    headline="a figure",
    metric=Metric("error", better="lower", unit="m"),
    bar=Bar(relative=0.20),
    arms=dict.fromkeys(("baseline", "placebo", "method"), _arm),
    world="nowhere",
)
CONTRAST = Contrast("method vs baseline", "baseline", 0.1, 0.05, 0.15, 0.001, 1.0, 0.04, 0.16, 0.0, 8, (0.1,) * 8)
PLACEBO = Contrast("method vs placebo", "placebo", 0.3, 0.25, 0.35, 0.001, 1.0, 0.24, 0.36, 0.0, 8, (0.3,) * 8)
VERDICT = Verdict("holds", "clears both", (CONTRAST, PLACEBO), 0.001, 0.01, 8, 0, None, ("skewed",), "1")


def values(seed: int = 0) -> dict[str, dict[int, float]]:
    rng = np.random.default_rng(seed)
    base = rng.normal(1.0, 0.05, 8)
    columns = {"baseline": base, "placebo": base - 0.02, "method": base - 0.35 + rng.normal(0, 0.02, 8)}
    return {arm: dict(enumerate(map(float, column))) for arm, column in columns.items()}


def section(**changes) -> Section:
    plain = Section(
        "post_training/example", "A Title", TRIAL, VERDICT, values(), {"method": 1.5}, "a box", "assay 0", "assay run x"
    )
    return replace(plain, **changes)


class Balanced(HTMLParser):
    """Fails on a tag that is closed out of turn."""

    VOID = frozenset({"meta", "input", "br", "line", "circle", "path", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def test_the_page_is_well_formed_self_contained_and_the_same_for_the_same_data():
    page = report([section(), section(name="safety/other", verdict=replace(VERDICT, outcome="fails"))])
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r"(src|href)=[\"']https?://(?!arxiv\.org/abs/)", page)
    assert page == report([section(), section(name="safety/other", verdict=replace(VERDICT, outcome="fails"))])


def test_the_page_escapes_what_trials_say():
    page = report([section()])
    assert "<b>markup</b>" not in page
    assert "&lt;b&gt;markup&lt;/b&gt; &amp; an ampersand" in page


def test_the_page_holds_its_data_as_json_that_no_text_can_close():
    nasty = section(name="x/</script><script>alert(1)</script>")
    page = report([nasty])
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])[0]["name"] == nasty.name


def test_outcomes_are_ordered_and_counted():
    page = report([section(name="a/z", verdict=replace(VERDICT, outcome="fails")), section(name="b/y")])
    assert page.index('id="b-y"') < page.index('id="a-z"')
    assert "2 trials: 1 holds, 1 fails." in page


def test_a_page_without_trials_says_so():
    assert "No trial has been run yet" in report([])


def test_the_forest_is_in_units_of_the_bar():
    row = forest_row(section())
    unit = 0.20 * np.mean(list(values()["baseline"].values()))
    assert row is not None
    assert (row.estimate, row.low) == (pytest.approx(0.1 / unit), pytest.approx(0.05 / unit))


def test_a_reported_trial_has_no_row_in_the_forest():
    reported = section(trial=replace(TRIAL, bar=None), verdict=Verdict("reported", "no bar"))
    assert forest_row(reported) is None
    assert "reported" in report([reported])


def test_differences_are_method_minus_the_other_and_the_bar_stands_on_the_better_side():
    table = values()
    found = {d.versus: d for d in differences(TRIAL, table, complete_seeds(table, judged_arms(TRIAL)))}
    assert found["baseline"].per_seed == pytest.approx([table["method"][i] - table["baseline"][i] for i in range(8)])
    assert found["baseline"].bar == pytest.approx(-0.20 * np.mean(list(table["baseline"].values())))
    assert found["placebo"].bar == 0.0


def test_only_seeds_with_every_arm_are_drawn():
    table = values()
    del table["placebo"][3]
    assert complete_seeds(table, judged_arms(TRIAL)) == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_the_plot_is_written_whole_and_repeats(tmp_path, ending):
    path = estimation_plot("field/example", TRIAL, values(), VERDICT, tmp_path / f"plot{ending}")
    again = estimation_plot("field/example", TRIAL, values(), VERDICT, tmp_path / f"again{ending}")
    assert path.read_bytes() == again.read_bytes()
    assert path.stat().st_size > 5_000
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, again.name])


def test_the_plot_refuses_other_endings_and_too_few_seeds(tmp_path):
    with pytest.raises(UserError, match=r"\.png, \.svg"):
        estimation_plot("field/example", TRIAL, values(), VERDICT, tmp_path / "plot.gif")
    with pytest.raises(UserError, match="assay run field/example"):
        estimation_plot("field/example", TRIAL, {"baseline": {0: 1.0}}, VERDICT, tmp_path / "plot.png")


def test_importing_the_page_does_not_import_matplotlib():
    code = "import sys, assay.engine.page; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
