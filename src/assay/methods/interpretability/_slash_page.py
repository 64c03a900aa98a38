"""A page on a model's slash heads, in one file: a map of all heads, and the strongest with their profiles."""

from __future__ import annotations

import html
from collections.abc import Sequence

from assay.methods.interpretability.slash_pattern import SlashHead, find_sdh

MOST = 12  # heads with a picture of their own
WIDTH, HEIGHT = 640, 90


def page(name: str, heads: Sequence[SlashHead], threshold: float) -> str:
    """The whole page, in HTML."""
    found = find_sdh(heads, threshold)
    pictures = "\n".join(_picture(head) for head in found[:MOST]) or "<p>None reaches the threshold.</p>"
    return PAGE.format(
        name=html.escape(name), count=len(found), threshold=f"{threshold:g}", map=_map(heads), pictures=pictures
    )


def _map(heads: Sequence[SlashHead]) -> str:
    """A row a layer, a cell a head, the darker the stronger."""
    rows: dict[int, list[str]] = {}
    for head in heads:
        title = f"layer {head.layer}, head {head.head}: {head.score:.2f} at lag {head.delta}"
        cell = f'<td style="--s:{head.score:.3f}" title="{title}">{head.delta if head.score >= 0.1 else ""}</td>'
        rows.setdefault(head.layer, [f"<th>{head.layer}</th>"]).append(cell)
    return "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows.values())


def _picture(head: SlashHead) -> str:
    """Mean attention by lag as a line, and the words for it."""
    top = max(head.profile)
    step = WIDTH / max(1, len(head.profile) - 1)
    points = " ".join(f"{i * step:.1f},{HEIGHT - HEIGHT * value / top:.1f}" for i, value in enumerate(head.profile))
    bands = ", ".join(f"{name} {share:.0%}" for name, share in head.bands.items())
    return (
        f"<h3>Layer {head.layer}, head {head.head}: {head.score:.2f} of the attention {head.delta} back</h3>\n"
        f'<svg viewBox="0 -4 {WIDTH} {HEIGHT + 8}" role="img" aria-label="attention by lag">'
        f'<polyline points="{points}"/></svg>\n'
        f"<p>On random tokens {head.ood_score:.2f}, shuffled {head.shuffled_score:.2f}. Rank-one share of queries "
        f"{head.queries.ratio:.2f}, of keys {head.keys.ratio:.2f}. RoPE alone puts the lag at {head.predicted} and "
        f"explains {head.explained:.0%} of the logits. Frequencies: {bands}.</p>"
    )


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Slash heads of {name}</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }}
table {{ border-collapse: collapse; font-size: 12px }}
th {{ color: #595959; font-weight: 400; padding-right: .5rem; text-align: right }}
td {{ min-width: 2rem; height: 1.6rem; text-align: center; border: 1px solid #ddd;
      background: rgb(20 110 180 / calc(var(--s) * 1)) }}
svg {{ width: 100%; background: #f6f6f6 }}
polyline {{ fill: none; stroke: rgb(20 110 180); stroke-width: 1.5 }}
</style>
<h1>Slash heads of {name}</h1>
<p>{count} heads give at least {threshold} of their attention to one lag. A row a layer, a cell a head, with its lag in
tokens; the bluer, the more attention.</p>
<table>
{map}
</table>
{pictures}
</html>
"""
