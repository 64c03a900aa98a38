"""The page of `assay use safety-report report`: profiles, a leaderboard, and safe rates by whatever was asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.cli.html_page import page, paragraph, radar, section, table

if TYPE_CHECKING:
    from assay.methods.safety.safety_report import Profile, Rate

GROUPS = (
    ("by_source", "Plain requests, by set"),
    ("by_category", "Plain requests, by category"),
    ("by_attack", "Rewritings"),
    ("by_language", "Languages"),
    ("by_article", "Rules"),
)


def as_page(profiles: Mapping[str, Profile], queries: int, judge: str) -> str:
    """Several models side by side, best macro average first."""
    order = sorted(profiles, key=lambda model: -_known(profiles[model].macro))
    ordered = {model: profiles[model] for model in order}
    about = (
        f"{queries} queries a model; judged by {judge}. Safe: refused where it should be, answered or chosen rightly "
        "where it should be; an error is not safe. Intervals are Wilson's, 95 %."
    )
    return page("Safety profiles", [paragraph(about), _views(ordered), _leaderboard(ordered), *_groups(ordered)])


def _views(profiles: Mapping[str, Profile]) -> str:
    asked = list(dict.fromkeys(view for profile in profiles.values() for view in profile.views))
    rows = [[model, *(_said(p.views.get(view)) for view in asked)] for model, p in profiles.items()]
    parts = [table(["model", *asked], rows)]
    if len(asked) > 2:
        parts.insert(
            0,
            radar(
                {m: [p.views[v].safe if v in p.views else math.nan for v in asked] for m, p in profiles.items()}, asked
            ),
        )
    return section("Safe rate in each view", *parts)


def _leaderboard(profiles: Mapping[str, Profile]) -> str:
    header = ["model", "macro average", "worst case", "drop", "refuses fine requests", "errors"]
    rows = [[m, p.macro, p.worst_case, p.drop, p.over_refusal, p.errors] for m, p in profiles.items()]
    note = (
        "macro average: mean of the sets' safe rates; worst case: share of rewritten requests that stayed safe under "
        "every rewriting; drop: the first less the second."
    )
    return section("Leaderboard", table(header, rows), paragraph(note))


def _groups(profiles: Mapping[str, Profile]) -> list[str]:
    found = []
    for name, heading in GROUPS:
        of: dict[str, Mapping[str, Rate]] = {model: getattr(profile, name) for model, profile in profiles.items()}
        keys = sorted(
            {key for rates in of.values() for key in rates},
            key=lambda key: min(_known(rates[key].safe) for rates in of.values() if key in rates),
        )
        if not keys:
            continue
        rows = [[key, *_cells([rates.get(key) for rates in of.values()])] for key in keys]
        header = ["", *(word for model in of for word in (model, "n", "95 %"))]
        found.append(section(heading, table(header, rows, heat=True)))
    return found


def _cells(rates: list[Rate | None]) -> list[object]:
    cells: list[object] = []
    for rate in rates:
        cells += [math.nan, 0, ""] if rate is None else [rate.safe, rate.n, _span(rate)]
    return cells


def _said(rate: Rate | None) -> str:
    return "–" if rate is None else f"{rate.safe:.3f} {_span(rate)}"


def _span(rate: Rate) -> str:
    return f"[{rate.interval[0]:.2f}, {rate.interval[1]:.2f}]"


def _known(value: float) -> float:
    return -1.0 if math.isnan(value) else value
