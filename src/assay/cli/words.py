"""A verdict in words for the terminal: the answer first, then what it rests on, then the next step."""

from __future__ import annotations

from collections.abc import Sequence

from assay.engine.trial import Contrast, Mirrored, Trial, Verdict
from assay.errors import UserError

PAINT = {"holds": "\033[1;32m", "fails": "\033[1;31m", "inconclusive": "\033[1;33m"}
PLAIN = "\033[0m"
RULES = {"sign-e-process/1": "looked at after every seed; intervals are confidence sequences, valid at every look"}


def verdict_lines(name: str, trial: Trial, verdict: Verdict, *, quick: bool = False, colour: bool = False) -> list[str]:
    """The verdict's block; a quick run is called a preview, because it never counts."""
    outcome = verdict.outcome.upper() if verdict.outcome in PAINT else verdict.outcome
    if colour and verdict.outcome in PAINT:
        outcome = f"{PAINT[verdict.outcome]}{outcome}{PLAIN}"
    preview = " (preview of a quick run; a verdict needs the full one)" if quick else ""
    lines = [f"{name}: {outcome}{preview}", f"  claim    {trial.claim}", f"  because  {verdict.reason}"]
    if verdict.contrasts:
        seeds = f"{verdict.n} seeds" + (f", {verdict.incomplete} incomplete" if verdict.incomplete else "")
        holm = f", p (Holm) = {verdict.p_holm:.2g}" if verdict.p_holm is not None else ""
        judged = f", p = {verdict.p:.2g}{holm}" if trial.bar is not None else ""
        lines.append(f"  tests    {seeds}{judged}")
        lines += [f"           {contrast_line(c)}" for c in verdict.contrasts]
    if verdict.rule in RULES:
        lines.append(f"  rule     {verdict.rule}: {RULES[verdict.rule]}")
    lines += [f"  mirror   {mirror_line(m)}" for m in verdict.mirrors]
    if verdict.seeds_needed:
        from assay.engine.power import MOST_SEEDS

        needed = verdict.seeds_needed
        about = f"≈ {needed.value} seeds ({needed.low}–{needed.high})"
        lines.append(f"  seeds    {about if needed.value < MOST_SEEDS else f'more than {MOST_SEEDS}'} would settle it")
    if verdict.flags:
        lines.append(f"  flags    {'; '.join(verdict.flags)}")
    if trial.tags:
        lines.append(f"  tags     {', '.join(trial.tags)}")
    return lines


def contrast_line(contrast: Contrast) -> str:
    """`method vs baseline …  +0.013 [+0.009, +0.017], p = 0.001`; above zero clears."""
    return (
        f"{contrast.name}: {contrast.estimate:+.4g} [{contrast.low:+.4g}, {contrast.high:+.4g}], "
        f"p = {contrast.p_holds:.2g}"
    )


def mirror_line(mirrored: Mirrored) -> str:
    """The paper's own figure beside ours."""
    mirror = mirrored.mirror
    sign = "x" if mirror.kind == "ratio" else ""
    if mirrored.estimate is None:
        return f"{mirror.figure}: paper {mirror.paper_ratio:.3g}{sign}, here not measurable"
    here = f"{mirrored.estimate:.3g}{sign} [{mirrored.low:.3g}, {mirrored.high:.3g}]"
    return f"{mirror.figure}: paper {mirror.paper_ratio:.3g}{sign}, here {here}"


def parse_seeds(text: str) -> int | range:
    """`16` or `8-23`; a UserError says what was wanted."""
    first, dash, last = text.partition("-")
    try:
        numbers = [int(first), *([int(last)] if dash else [])]
    except ValueError:
        raise UserError(f"bad --seeds {text!r}: wanted a count such as 16 or a span such as 8-23") from None
    if any(n < 0 for n in numbers) or (not dash and numbers[0] < 1) or (dash and numbers[0] > numbers[1]):
        raise UserError(f"bad --seeds {text!r}: wanted a count such as 16 or a span such as 8-23")
    return range(numbers[0], numbers[1] + 1) if dash else numbers[0]


def rows(table: Sequence[Sequence[str]]) -> str:
    """Columns aligned by their widest cell."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in table)
