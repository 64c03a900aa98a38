"""The page of `assay use sentiment_prompting run`: strategies beside one another, confusions, and what was said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from assay.cli.html_page import page, paragraph, section, table

if TYPE_CHECKING:
    from assay.methods.evaluation.sentiment_prompting import Answer, Item

SHOWN = 40  # rationales a model, wrong ones first
HEADER = (
    "strategy",
    "F1",
    "95 %",
    "F1 without invalid",
    "accuracy",
    "macro F1",
    "invalid",
    "tokens",
    "gain over base",
    "p (Holm)",
)
ABOUT = (
    "F1 is weighted by the labels' frequency, and a reply without a label counts as wrong; beside it the figure that "
    "leaves such replies out. Gains are on the texts that both ways of asking have a label for (bootstrap, 95 %); p is "
    "McNemar's, corrected over the ways of asking."
)


def as_page(
    summaries: Mapping[str, Mapping[str, Any]], answers: Mapping[str, Sequence[Answer]], items: Mapping[str, Item]
) -> str:
    """The report as a page of its own."""
    parts = [paragraph(ABOUT)]
    for model, summary in summaries.items():
        rows = [_row(name, row) for name, row in summary["strategies"].items()]
        confusions = [_confusion(name, row, summary["labels"]) for name, row in summary["strategies"].items()]
        parts.append(section(f"{model}: {summary['task']}, {summary['items']} texts", table(HEADER, rows), *confusions))
        reasons = [a for a in answers[model] if any("{" in reply for reply in a.replies)]
        reasons.sort(key=lambda a: a.label == items[a.item].label)
        if reasons:
            shown = [_rationale(a, items[a.item]) for a in reasons[:SHOWN]]
            parts.append(section(f"{model}: reasons, wrong answers first ({len(shown)} of {len(reasons)})", *shown))
    return page("Ways of asking", parts)


def _row(name: str, row: Mapping[str, Any]) -> list[object]:
    wrong, dropped, versus, interval = row["wrong"], row["dropped"], row["versus_base"], row["f1_interval"]
    return [
        name,
        wrong["f1"],
        "{:.3f} to {:.3f}".format(*interval) if interval else "",
        dropped["f1"] if dropped else math.nan,
        wrong["accuracy"],
        wrong["macro_f1"],
        f"{wrong['invalid']:.1%}",
        row["tokens_in"] + row["tokens_out"],
        f"{versus['f1']:+.3f} [{versus['low']:+.3f}, {versus['high']:+.3f}]" if versus else "",
        versus["p_holm"] if versus else math.nan,
    ]


def _confusion(name: str, row: Mapping[str, Any], labels: Sequence[str]) -> str:
    counts = [[f"is {label}", *line] for label, line in zip(labels, row["wrong"]["confusion"], strict=True)]
    said = table([name, *(f"said {label}" for label in labels), "no label"], counts)
    return f"<details><summary>{escape(name)}: truth by answer</summary>{said}</details>"


def _rationale(answer: Answer, item: Item) -> str:
    verdict = "right" if answer.label == item.label else "wrong"
    about = f" ({item.aspect})" if item.aspect else ""
    said = f"{answer.strategy}: {answer.label or 'no label'}, {verdict}; it is {item.label}"
    replies = "".join(f'<p class="small note">{escape(reply)}</p>' for reply in answer.replies)
    return f"<details><summary>{escape(item.text + about)}<br>{escape(said)}</summary>{replies}</details>"
