"""One trial on the page: its claim, how it was tried, the estimation plot, every seed, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from assay.engine.estimation import complete_seeds, estimates, is_worse, judged_arms
from assay.engine.sequential import RULE as SEQUENTIAL
from assay.engine.svg import effects, pairs
from assay.engine.trial import Contrast, Trial, Verdict
from assay.engine.verdicts import badge

SAID = {  # of tags and flags
    "stale": "the code has changed since",
    "skewed": "the differences have a long tail",
    "stand-in": "with a stand-in model: this tries the machinery under stated error rates, not a language model",
    "bar-not-blind": "the bar was settled after a prototype had been seen",
}


@dataclass(frozen=True)
class Section:
    """What the page shows of one trial.

    values           arm -> seed -> value of finished units
    seconds          mean time of an arm
    machine          where the figures were measured, with `versions` of what; `command` repeats them
    arms             what each arm is, in a line
    mirrors          the paper's own figures beside ours, a line each
    failed           the units that went wrong, a line each
    anchor           its id on the page; set by `report`
    """

    name: str
    title: str
    trial: Trial
    verdict: Verdict
    values: Mapping[str, Mapping[int, float]]
    seconds: Mapping[str, float]
    machine: str
    versions: str
    command: str
    arms: Mapping[str, str] = field(default_factory=dict)
    mirrors: Sequence[str] = ()
    failed: Sequence[str] = ()
    anchor: str = ""


def section_of(section: Section, judged: int) -> str:
    """The section as HTML; `judged` is the number of judged trials on the page."""
    trial, verdict = section.trial, section.verdict
    marks = "".join(
        f'<li><span class="flag">{escape(mark)}</span>{": " + SAID[mark] if mark in SAID else ""}</li>'
        for mark in (*verdict.flags, *trial.tags)
    )
    paper = f'<a href="https://arxiv.org/abs/{trial.paper}">{escape(section.title or trial.paper)}</a>'
    parts = [
        f'<section id="{section.anchor}"><h2>{_breakable(section.name)} ',
        f'<span class="badge {css(verdict.outcome)}">{escape(badge(verdict, judged))}</span></h2>',
        f"<p>{paper} ({trial.paper})</p><p><b>Claim.</b> {escape(trial.claim)}</p>",
        f"<p><b>The paper's figure.</b> {escape(trial.headline)}</p>",
        *(f"<p><b>Ours beside it.</b> {escape(line)}</p>" for line in section.mirrors),
        f"<p><b>Here.</b> {escape(verdict.reason[:1].upper() + verdict.reason[1:])}.{_holm(verdict)}</p>",
        f'<ul class="flags">{marks}</ul>' if marks else "",
        _how(section),
        _picture(section),
        _contrasts(verdict),
        _seeds(section),
        _failed(section.failed),
        f'<p class="small">Measured on {escape(section.machine)}; {escape(section.versions)}. ',
        f"Repeat with <code>{escape(section.command)}</code></p></section>",
    ]
    return "".join(parts)


def _breakable(name: str) -> str:
    """The name, which may be broken after a slash or an underscore."""
    return escape(name).replace("/", "/<wbr>").replace("_", "_<wbr>")


def css(outcome: str) -> str:
    """The CSS class of an outcome."""
    return outcome.replace(" ", "-")


def number(value: float) -> str:
    """Four digits, with a minus sign that is as wide as a plus."""
    return f"{value:.4g}".replace("-", "−") if abs(value) >= 1e-4 or value == 0 else f"{value:.3g}"


def _holm(verdict: Verdict) -> str:
    if verdict.p_holm is None:
        return ""
    return f" p = {verdict.p:.2g}, after Holm {verdict.p_holm:.2g}."


def _how(section: Section) -> str:
    trial, metric = section.trial, section.trial.metric
    unit = f", in {metric.unit}" if metric.unit else ""
    arguments = ", ".join(f"{name}={value!r}" for name, value in trial.world_args.items())
    roles = {trial.method: "method", trial.baseline: "baseline", trial.placebo: "placebo"}
    arms = [
        f"<dt>{escape(arm)}{_role(roles.get(arm, 'shown, not judged'), arm)}</dt><dd>{escape(said)}</dd>"
        for arm, said in section.arms.items()
    ]
    facts = [
        ("metric", f"{metric.name}{unit}; {metric.better} is better"),
        ("world", trial.world + (f" ({arguments})" if arguments else "")),
        *([("note", trial.note)] if trial.note else []),
    ]
    shown = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    return f"<details><summary>How it was tried</summary><dl>{shown}{''.join(arms)}</dl></details>"


def _role(role: str, arm: str) -> str:
    return "" if role == arm else f" <i>({role})</i>"


def _picture(section: Section) -> str:
    trial = section.trial
    arms = judged_arms(trial)
    seeds = complete_seeds(section.values, arms)
    if len(seeds) < 2:
        return ""
    arrow = "↑" if trial.metric.better == "higher" else "↓"
    left = pairs(section.values, arms, seeds, lambda seed: is_worse(trial, section.values, seed), trial.metric.name)
    return (
        f'<div class="plot"><figure>{left}<figcaption>{escape(trial.metric.name)} ({arrow} is better), a line a seed; '
        "dashed where the method did worse than the baseline</figcaption></figure>"
        f"<figure>{effects(estimates(trial, section.values, seeds), trial.method)}<figcaption>mean paired difference "
        f"({arrow} is better), its 95 % interval and bootstrap density</figcaption></figure></div>"
    )


def _contrasts(verdict: Verdict) -> str:
    if not verdict.contrasts:
        return ""
    interval = "95 % confidence sequence" if verdict.rule == SEQUENTIAL else "95 % interval"
    head = f"<tr><th>must be above zero</th><th>mean</th><th>{interval}</th><th>p</th></tr>"
    note = "Stopped as soon as the answer was known; the confidence sequence covers at all looks together."
    return (
        f'<div class="scroll"><table><thead>{head}</thead><tbody>{"".join(map(_contrast, verdict.contrasts))}</tbody>'
        f"</table></div>{f'<p class=small>{note}</p>' if verdict.rule == SEQUENTIAL else ''}"
    )


def _contrast(contrast: Contrast) -> str:
    return (
        f"<tr><td>{escape(contrast.name)}</td><td>{_signed(contrast.estimate)}</td>"
        f"<td>[{_signed(contrast.low)}, {_signed(contrast.high)}]</td><td>{contrast.p_holds:.2g}</td></tr>"
    )


def _signed(value: float) -> str:
    return f"{value:+.4g}".replace("-", "−", 1) if abs(value) >= 1e-4 or value == 0 else f"{value:+.3g}"


def _seeds(section: Section) -> str:
    """Every seed of every arm, the judged ones first; empty where an arm has no value."""
    judged = judged_arms(section.trial)
    arms = [*judged, *(arm for arm in section.values if arm not in judged and section.values[arm])]
    seeds = sorted(set().union(*(section.values.get(arm, {}) for arm in arms)))
    if not seeds:
        return ""
    head = "".join(f"<th>{escape(arm)}</th>" for arm in arms)
    rows = "".join(
        f"<tr><td>{seed}</td>{''.join(_cell(section.values, arm, seed) for arm in arms)}</tr>" for seed in seeds
    )
    times = "".join(f"<td>{section.seconds[arm]:.2g} s</td>" if arm in section.seconds else "<td></td>" for arm in arms)
    return (
        f"<details><summary>{len(seeds)} paired seeds</summary><div class='scroll'><table><thead><tr><th>seed</th>"
        f"{head}</tr></thead><tbody>{rows}<tr><td>time</td>{times}</tr></tbody></table></div></details>"
    )


def _cell(values: Mapping[str, Mapping[int, float]], arm: str, seed: int) -> str:
    value = values.get(arm, {}).get(seed)
    return f"<td>{number(value)}</td>" if value is not None else "<td></td>"


def _failed(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>{len(lines)} units without a value</summary><ul>{shown}</ul></details>"
