"""The page and the plots: what a reader sees, from made-up units of a made-up trial."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.cli.words import verdict_lines
from assay.engine.estimation import complete_seeds, differences, estimates, judged_arms
from assay.engine.page import forest_row, report
from assay.engine.plots import estimation_plot
from assay.engine.section import Section
from assay.engine.sequential import RULE as SEQUENTIAL
from assay.engine.stats import three_tests
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
VERDICT = Verdict("holds", "clears both", (CONTRAST, PLACEBO), p=0.001, p_holm=0.01, n=8, flags=("skewed",), rule="1")


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

    VOID = frozenset({"meta", "wbr", "line", "circle", "polyline", "polygon"})

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


HOSTILE = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from(list("<>&\"'/\\`=;(){}\u2028\u2029\x00")))
) | st.sampled_from(
    ["</script><script>alert(1)</script>", "<!--", "]]>",
     "\"onload=alert(1) x=\"", "<svg/onload=alert(1)>", "&lt;b&gt;",
     "</title></style>", "javascript:alert(1)", "\\u003cscript>"]
)  # fmt: skip


class Allowed(HTMLParser):
    """The elements and attributes of a page, so that a text that became markup shows."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, str]] = set()

    def handle_starttag(self, tag, attrs):
        self.seen |= {(tag, name) for name, _ in attrs} | {(tag, "")}
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "href" or value.startswith(("#", "https://arxiv.org/abs/")), value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(HOSTILE, min_size=12, max_size=12))
def test_no_text_of_a_trial_becomes_markup(texts):
    name, title, claim, headline, metric, unit, note, arm, reason, machine, command, tag = texts
    arm = arm or "x"
    hostile = section(
        name=name,
        title=title,
        trial=replace(
            TRIAL,
            claim=claim[:200] or "x",
            headline=headline[:200] or "x",
            metric=Metric(metric, better="lower", unit=unit),
            note=note,
            tags=(tag,),
            world=note,
            world_args={tag: note},
            arms={**TRIAL.arms, arm: _arm},
        ),
        verdict=replace(VERDICT, reason=reason, contrasts=(replace(CONTRAST, name=metric), PLACEBO), flags=(tag,)),
        values={**values(), arm: {0: 1.0}},
        arms={arm: note},
        mirrors=[headline],
        failed=[reason],
        machine=machine,
        versions=machine,
        command=command,
    )
    page = report([hostile, hostile])
    seen, plain = Allowed(), Allowed()
    seen.feed(page)
    plain.feed(
        report([section(arms={"a": "b"}, mirrors=["m"], failed=["f"], trial=replace(TRIAL, note="n", tags=("t",)))])
    )
    assert seen.seen <= plain.seen
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert [one["name"] for one in json.loads(data[1])] == [name, name]
    anchors = re.findall(r'<section id="([^"]*)"', page)
    assert len(set(anchors)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]*", anchor) for anchor in anchors)


def test_the_policy_lets_only_the_pages_own_script_run():
    page = report([section()])
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_a_section_says_all_that_is_known_of_a_trial():
    page = report(
        [
            section(
                arms={"method": "ha_dw: weighs by history"},
                mirrors=["rollouts: paper 2x, here 1.5x [1.4, 1.6]"],
                failed=["method, seed 3: timeout"],
                verdict=replace(VERDICT, rule=SEQUENTIAL, p_holm=0.04),
                trial=replace(TRIAL, tags=("stand-in",), world_args={"size": 3}),
            )
        ]
    )
    said = re.sub("<[^>]*>", "", page)
    for text in (
        "The paper's figure. a figure", "Ours beside it. rollouts: paper 2x, here 1.5x", "Clears both.",
        "p = 0.001, after Holm 0.04", "stand-in: with a stand-in model", "error, in m; lower is better",
        "nowhere (size=3)", "ha_dw: weighs by history", "95 % confidence sequence", "8 paired seeds",
        "method, seed 3: timeout", "Measured on a box; assay 0", "assay run x",
    ):  # fmt: skip
        assert text in html.unescape(said), text


def test_the_plot_of_the_page_shows_what_was_measured():
    page = report([section()])
    assert page.count("<polyline class=") == 8
    assert page.count('<polygon class="density"') == 2
    assert page.count(">bar</text>") == 2
    one_worse = values()
    one_worse["method"][3] = one_worse["baseline"][3] + 0.1  # lower is better
    assert report([section(values=one_worse)]).count('<polyline class="worse"') == 1


def test_estimates_agree_with_the_tests_of_the_verdict():
    table = values()
    (against_baseline, _) = estimates(TRIAL, table, list(range(8)))
    c = against_baseline.difference.per_seed
    tests = three_tests([c], 0)
    assert (against_baseline.mean, against_baseline.low, against_baseline.high) == pytest.approx(
        (tests.estimate[0], tests.low[0], tests.high[0]), rel=1e-9
    )
    same = {arm: dict.fromkeys(range(8), v) for arm, v in (("baseline", 1.0), ("placebo", 0.9), ("method", 0.4))}
    constant = estimates(TRIAL, same, list(range(8)))[0]
    assert (constant.mean, constant.low, constant.high) == pytest.approx((-0.6, -0.6, -0.6))
    assert constant.density == ()
    assert "<polygon" not in report([section(values=same)])


def test_outcomes_are_ordered_and_counted():
    page = report([section(name="a/z", verdict=replace(VERDICT, outcome="fails")), section(name="b/y")])
    assert page.index('id="b-y"') < page.index('id="a-z"')
    assert "2 trials: 1 holds, 1 fails." in re.sub("<[^>]*>", "", page)


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


def test_a_reported_trial_is_shown_without_a_p_value():
    reported = section(trial=replace(TRIAL, bar=None), verdict=replace(VERDICT, outcome="reported", p_holm=None))
    row = re.search('<tr id="row-.*?</tr>', report([reported]))
    assert row is not None and row[0].endswith("<td></td><td></td><td>8</td></tr>")
    assert "8 seeds, p" in "\n".join(verdict_lines("x", TRIAL, VERDICT))
    assert "8 seeds, p" not in "\n".join(verdict_lines("x", reported.trial, reported.verdict))


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
