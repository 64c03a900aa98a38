"""Figures of RL-Text2Vis: what plotting code drew, read off its artists, and the offline judge of it."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from assay.methods.protocols import OpenSession, Ran, RunPython, Session

INSIDE = Path(__file__).with_name("_text2vis_inside.py")
Table = Mapping[str, Sequence[Any]]  # columns of one length: numbers and texts
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Series:
    """Data as drawn: `kind` is bar, barh, hist, line, scatter, pie, box or heat; x names or numbers, y numbers (shares
    of the whole for a pie, medians for a box plot), bars in reading order; contrast with the ground, 1 to 21."""

    kind: str
    label: str
    x: tuple[str | float | None, ...]
    y: tuple[float | None, ...]
    contrast: float


@dataclass(frozen=True)
class TextBox:
    """A visible text, its part in the figure, and its box in pixels (left, bottom, right, top)."""

    role: str
    text: str
    box: Box
    contrast: float


@dataclass(frozen=True)
class Axes:
    """One plot of a figure."""

    title: str
    xlabel: str
    ylabel: str
    legend: tuple[str, ...]
    series: tuple[Series, ...]
    texts: tuple[TextBox, ...]


@dataclass(frozen=True)
class FigureSpec:
    """A figure of `width` x `height` pixels, read off its artists after it was laid out."""

    width: float
    height: float
    title: str
    texts: tuple[TextBox, ...]
    axes: tuple[Axes, ...]

    @property
    def all_texts(self) -> tuple[TextBox, ...]:
        """Those of the figure and of its axes."""
        return self.texts + tuple(text for axes in self.axes for text in axes.texts)

    @property
    def has_title(self) -> bool:
        """Whether the figure or one of its axes has a title."""
        return bool(self.title.strip()) or any(axes.title.strip() for axes in self.axes)


@dataclass(frozen=True)
class PlotResult:
    """What came of plotting code. `error` says why `ok` is False; `png` is the first figure, empty unless wanted."""

    ok: bool
    error: str | None
    png: bytes
    figures: tuple[FigureSpec, ...]


def run_plot(
    code: str, table: Table, run_python: RunPython, *, timeout: float = 10, memory_mb: int = 1024, dpi: float = 50
) -> PlotResult:
    """Run plotting code once in the sandbox, the table there as the DataFrame `df`; with the figure's PNG."""
    inputs = {"plot_code": code, "columns": _columns(table), "dpi": dpi}
    source = INSIDE.read_text("utf-8") + "\nresult = apart(plot_code, columns, dpi, True)\n"
    return _result(run_python(source, inputs, timeout=timeout, memory_mb=memory_mb))


class Plotter:
    """Runs many plotting codes in one sandbox that has matplotlib loaded, each in a process of its own.

    The same code on the same table is drawn once. Close it, or use it in a `with`.
    """

    def __init__(
        self, open_session: OpenSession, *, timeout: float = 10, memory_mb: int = 1024, dpi: float = 50
    ) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout: got {timeout}, wanted a positive number of seconds")
        self.timeout, self.dpi = timeout, dpi
        self._session: Session = open_session(INSIDE.read_text("utf-8"), memory_mb=memory_mb)
        self._seen: dict[tuple[str, str], PlotResult] = {}
        self._warm = False
        self.drawn = 0

    def __call__(self, code: str, table: Table, png: bool = False) -> PlotResult:
        columns = _columns(table)
        key = (code, f"{png} {columns}")
        if key not in self._seen:
            if not self._warm:  # loading the libraries is not charged to the first code
                self._session.call("draw", "", {}, timeout=60)
                self._warm = True
            ran = self._session.call("apart", code, columns, self.dpi, png, timeout=self.timeout)
            self._warm = ran.ok  # after a kill the next call starts anew
            self._seen[key] = _result(ran)
            self.drawn += 1
        return self._seen[key]

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Plotter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _columns(table: Table) -> dict[str, list[Any]]:
    """The table as plain lists; a pandas DataFrame is a table too."""
    columns = {str(name): list(table[name]) for name in table}
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError(f"table: got columns of {sorted({len(c) for c in columns.values()})} rows, wanted one length")
    return {name: [getattr(cell, "item", lambda c=cell: c)() for cell in column] for name, column in columns.items()}


def _result(ran: Ran) -> PlotResult:
    """The sandbox's answer; what stands in it is the code's own word, so its form is checked."""
    if not ran.ok:
        return PlotResult(False, ran.error, b"", ())
    try:
        found = ran.value
        if found["error"] is not None:
            return PlotResult(False, str(found["error"]), b"", ())
        figures = tuple(_figure(one) for one in found["figures"])
        return PlotResult(bool(figures), None if figures else "no figure", base64.b64decode(found["png"]), figures)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return PlotResult(False, "the code's figure cannot be read", b"", ())


def _figure(one: Mapping[str, Any]) -> FigureSpec:
    axes = tuple(
        Axes(
            str(ax["title"]),
            str(ax["xlabel"]),
            str(ax["ylabel"]),
            tuple(map(str, ax["legend"])),
            tuple(
                Series(str(s["kind"]), str(s["label"]), tuple(s["x"]), tuple(s["y"]), float(s["contrast"]))
                for s in ax["series"]
            ),
            _texts(ax["texts"]),
        )
        for ax in one["axes"]
    )
    return FigureSpec(float(one["width"]), float(one["height"]), str(one["title"]), _texts(one["texts"]), axes)


def _texts(given: Sequence[Mapping[str, Any]]) -> tuple[TextBox, ...]:
    found = []
    for one in given:
        left, bottom, right, top = map(float, one["box"])
        found.append(TextBox(str(one["role"]), str(one["text"]), (left, bottom, right, top), float(one["contrast"])))
    return tuple(found)


@dataclass(frozen=True)
class Expected:
    """What a figure should show: the values `y` of the entries `x`, in a chart of one of the `kinds`, and whether the
    entries should stand in this very order."""

    x: tuple[str | float, ...]
    y: tuple[float, ...]
    kinds: frozenset[str]
    ordered: bool = False


@dataclass(frozen=True)
class Marks:
    """What a judge says of a picture, each from 1 to 5."""

    readability: int
    correctness: int
    reasons: tuple[str, ...] = ()


class VisJudge(Protocol):
    """Marks what a question's code drew; `expected` is None where nobody knows."""

    async def __call__(
        self, question: str, code: str, result: PlotResult, expected: Expected | None = None
    ) -> Marks: ...


NO_MATCH, HALF_MATCH = 0.01, 0.99  # shares of the expected values below and above which nothing or all is there
LOW_CONTRAST = 1.5  # of a series or text with its ground
MOST_SLICES, MOST_BARS = 8, 40
COUNTED = ("pie", "bar", "barh")


class ArtistJudge:
    """Marks a figure by what its artists say, offline. Deductions from 5, never below 1:

    correctness   values: 4 for none there, 2 for some missing or wrong; 1 order; 1 chart family; 1 values not asked for
    readability   2 tick labels overlap; 1 each: other overlaps, clipped text, no title, an axis without a label,
                  several series without a legend, faint series or text, too many slices or bars

    Of several figures the worst counts. Without `expected` correctness is 3: it cannot be known.
    """

    async def __call__(self, question: str, code: str, result: PlotResult, expected: Expected | None = None) -> Marks:
        if not result.ok:
            return Marks(1, 1, (result.error or "no figure",))
        marks = [self.of_figure(figure, expected) for figure in result.figures]
        worst = min(marks, key=lambda one: one.readability + one.correctness)
        if len(marks) == 1:
            return worst
        return Marks(worst.readability, worst.correctness, (*worst.reasons, f"the worst of {len(marks)} figures"))

    def of_figure(self, figure: FigureSpec, expected: Expected | None) -> Marks:
        reading = unreadable(figure)
        faults = {"what it should show is not known": 2} if expected is None else incorrect(figure, expected)
        return Marks(max(1, 5 - sum(reading.values())), max(1, 5 - sum(faults.values())), (*faults, *reading))


def unreadable(figure: FigureSpec) -> dict[str, int]:
    """What makes a figure hard to read, and what each thing costs."""
    faults: dict[str, int] = {}
    pairs = overlaps(figure.all_texts)
    ticks = [pair for pair in pairs if {one.role for one in pair} <= {"xtick", "ytick"}]
    series = [one for axes in figure.axes for one in axes.series]
    if ticks:
        faults["tick labels overlap"] = 2
    if len(pairs) > len(ticks):
        faults["texts overlap"] = 1
    if any(clipped(text.box, figure) for text in figure.all_texts):
        faults["text is clipped"] = 1
    if not figure.has_title:
        faults["no title"] = 1
    bare = [axes for axes in figure.axes if any(one.kind != "pie" for one in axes.series)]
    if any(not (axes.xlabel.strip() and axes.ylabel.strip()) for axes in bare):
        faults["an axis has no label"] = 1
    if any(len(axes.series) > 1 and not axes.legend for axes in figure.axes):
        faults["several series and no legend"] = 1
    contrasts = [one.contrast for one in series] + [text.contrast for text in figure.all_texts]
    if min(contrasts, default=LOW_CONTRAST) < LOW_CONTRAST:
        faults["too faint"] = 1
    if any(len(one.y) > (MOST_SLICES if one.kind == "pie" else MOST_BARS) for one in series if one.kind in COUNTED):
        faults["too many slices or bars"] = 1
    return faults


def incorrect(figure: FigureSpec, expected: Expected) -> dict[str, int]:
    """Where a figure does not show what it should, and what each thing costs."""
    series = [one for axes in figure.axes for one in axes.series]
    if not series:
        return {"no data is drawn": 4}
    best = max(series, key=lambda one: matched(one, expected))
    share, faults = matched(best, expected), dict[str, int]()
    if share < NO_MATCH:
        faults["none of the values is there"] = 4
    elif share < HALF_MATCH:
        faults["some values are missing or wrong"] = 2
    if expected.ordered and share >= NO_MATCH and not in_order(best, expected):
        faults["the order is another"] = 1
    if best.kind not in expected.kinds:
        faults["another kind of chart"] = 1
    if len(best.y) > len(expected.y) or len(series) > 1:
        faults["shows more than was asked"] = 1
    return faults


def matched(series: Series, expected: Expected) -> float:
    """Share of the expected entries that the series shows with their values, to a hundredth."""
    wanted = shares(expected.y) if series.kind == "pie" else expected.y
    shown: dict[str, list[float]] = {}
    for name, value in zip(series.x, series.y):
        if name is not None and value is not None:
            shown.setdefault(_key(name), []).append(value)
    right = 0
    for name, value in zip(expected.x, wanted):
        right += any(math.isclose(one, value, rel_tol=0.01, abs_tol=1e-9) for one in shown.get(_key(name), ()))
    return right / len(expected.x)


def in_order(series: Series, expected: Expected) -> bool:
    """Whether the expected entries that are there stand in their order."""
    names = [_key(name) for name in series.x if name is not None]
    places = [names.index(_key(name)) for name in expected.x if _key(name) in names]
    return places == sorted(places)


def shares(values: Sequence[float]) -> tuple[float, ...]:
    """Values as parts of their sum."""
    total = sum(values)
    return tuple(value / total for value in values) if total else tuple(values)


def overlaps(texts: Sequence[TextBox], slack: float = 1.0) -> list[tuple[TextBox, TextBox]]:
    """Pairs of texts whose boxes share more than `slack` pixels in both directions."""
    found = []
    for i, one in enumerate(texts):
        for other in texts[i + 1 :]:
            wide = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
            high = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
            if wide > slack and high > slack:
                found.append((one, other))
    return found


def clipped(box: Box, figure: FigureSpec, slack: float = 1.0) -> bool:
    """Whether a box leaves the figure, or lies nowhere."""
    left, bottom, right, top = box
    inside = left >= -slack and bottom >= -slack and right <= figure.width + slack and top <= figure.height + slack
    return not inside


def _key(name: str | float) -> str:
    try:
        return f"{float(name):.9g}"
    except ValueError:
        return " ".join(name.lower().split()) if isinstance(name, str) else str(name)
