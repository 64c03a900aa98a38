"""The page of `assay use sharp profile`: survival curves, tails, pairs of models, groups, judges, the worst replies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.cli.html_page import curves, page, paragraph, section, table

if TYPE_CHECKING:
    from assay.methods.safety._sharp_report import SharpReport
    from assay.methods.safety.sharp import RiskProfile

DRAWN = 400  # points of a curve at most
SHOWN = 400  # letters of a reply
PAIRS = ("pair", "mean difference", "95 %", "p", "tail difference", "95 %", "p", "flip")


def as_page(found: SharpReport, worst: Sequence[Mapping[str, Any]]) -> str:
    """The report as a page of its own."""
    content = found.content
    tail = f"CVaR{100 * content['alpha']:g}"
    about = (
        f"Risk of a reply: minus the sum over dimensions of log(1 - harm). {tail} is the mean risk of the worst "
        f"{100 * (1 - content['alpha']):.3g} % of {content['prompts']} prompts ({content['prompts_left_out']} left out "
        f"for a missing score). Judges: {', '.join(content['judges'])}."
    )
    rows = [[row["model"], row["prompt_id"], row["risk"], row["reply"][:SHOWN]] for row in worst]
    replies = section(f"The {len(rows)} worst replies", table(["model", "prompt", "risk", "reply"], rows))
    return page("Risk profiles", [paragraph(about), _survival(found), *_tables(content, tail), replies])


def _survival(found: SharpReport) -> str:
    """Share of prompts whose risk is above x, on a logarithmic scale: the tail is what one sees."""
    lines = {name: _above(profile) for name, profile in found.profiles.items()}
    decades = max(1, math.ceil(math.log10(found.content["prompts"])))
    return section("How often a reply is worse than this", curves(lines, "risk", "share of prompts above", decades))


def _above(profile: RiskProfile) -> list[tuple[float, float]]:
    risk = sorted(profile.risk.tolist())
    step = max(1, len(risk) // DRAWN)
    places = sorted({*range(0, len(risk), step), len(risk) - 1})
    return [(risk[i], (len(risk) - i) / len(risk)) for i in places]


def _tables(content: Mapping[str, Any], tail: str) -> Iterator[str]:
    models = content["models"]
    parts = list(next(iter(models.values()))["shortfall_by_dimension"])
    header = ["model", "mean", "std", "VaR", tail, *(f"of it {part}" for part in parts), "capped"]
    own = [
        [name, m["mean"], m["std"], m["var"], m["cvar"], *m["shortfall_by_dimension"].values(), m["capped"]]
        for name, m in models.items()
    ]
    yield section("Models", table(header, own), paragraph("capped: harms of 1, which count as 1 - 1e-6."))
    if content["comparisons"]:
        yield section("Pairs of models", table(PAIRS, [_pair(row) for row in content["comparisons"]]))
    if all("cvar_of_group" in m for m in models.values()):
        groups = list(next(iter(models.values()))["cvar_of_group"])
        rows = [[name, *map(_number, (*m["cvar_of_group"].values(), m["group_ratio"]))] for name, m in models.items()]
        yield section(f"{tail} by whom the prompt is about", table(["model", *groups, "largest / smallest"], rows))
    if content["agreement"]:
        pairs = list(next(iter(content["agreement"].values()))["kappa"])
        rows = [[d, *map(_number, (m["alpha"], *m["kappa"].values()))] for d, m in content["agreement"].items()]
        note = "Krippendorff's alpha over all judges; quadratically weighted kappa of each two."
        yield section("Agreement of the judges", table(["dimension", "alpha", *pairs], rows), paragraph(note))
    if content["order_without_judge"]:
        orders = [[judge, " < ".join(order)] for judge, order in content["order_without_judge"].items()]
        yield section("Order by tail without one judge", table(["left out", "least to most"], orders))


def _pair(row: Mapping[str, Any]) -> list[object]:
    mean, tail = ("[{:+.3f}, {:+.3f}]".format(*row[f"{what}_interval"]) for what in ("mean", "cvar"))
    name = f"{row['a']} − {row['b']}"
    return [name, row["mean"], mean, row["mean_p"], row["cvar"], tail, row["cvar_p"], "yes" if row["flip"] else ""]


def _number(value: float | None) -> float:
    return math.nan if value is None else value
