"""What runs beside the plotting code, in its sandbox: it draws, then reads the figures off their artists.

This file is sent into the sandbox as text, so it imports nothing of Assay. `apart(code, columns)` draws in a process
of its own, so that code after code meets the same untouched libraries, and gives plain data:
{"error": None or text, "figures": [...], "png": base64 or ""}.
"""

from __future__ import annotations

import base64
import builtins
import contextlib
import gc
import io
import json
import math
import os
import signal
import traceback
from itertools import pairwise
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.container import BarContainer
from matplotlib.patches import Wedge

MOST_POINTS, MOST_FIGURES = 2000, 8
MOST_BYTES = 3_000_000  # of a description; a session hands on 4 MB


def apart(code: str, columns: dict[str, list[Any]], dpi: float = 50, png: bool = False) -> dict[str, Any]:
    """`draw` in a forked process that is gone afterwards with whatever the code started."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            gc.disable()  # what the fork inherited stays shared, and nobody lives long enough to collect
            os.setsid()
            os.close(read)
            with os.fdopen(write, "wb") as pipe:
                pipe.write(json.dumps(draw(code, columns, dpi, png)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read(MOST_BYTES + 1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if len(said) > MOST_BYTES:
        return _nothing("the figure's description is too large")
    try:
        found = json.loads(said)
    except ValueError:
        return _nothing("the code ended its own process")
    return found if isinstance(found, dict) else _nothing("the code wrote where it should not")


def _nothing(error: str) -> dict[str, Any]:
    return {"error": error, "figures": [], "png": ""}


def draw(code: str, columns: dict[str, list[Any]], dpi: float = 50, png: bool = False) -> dict[str, Any]:
    """Run plotting code with the table as `df`, and describe every figure it leaves open."""
    plt.close("all")
    plt.rcdefaults()
    matplotlib.rcParams["figure.dpi"] = dpi
    plt.show = lambda *args, **kwargs: None
    builtins.input = lambda prompt="": ""
    try:
        exec(compile(code, "plot.py", "exec"), {"__name__": "__main__", "df": pd.DataFrame(columns)})
        figures = [plt.figure(number) for number in plt.get_fignums()]
        if not figures:
            return _nothing("the code left no figure open")
        return {"error": None, "figures": [_figure(f) for f in figures[:MOST_FIGURES]], "png": _png(figures, png)}
    except BaseException as error:  # noqa: BLE001 - whatever the code raises, SystemExit too, is its own failure
        frames = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "plot.py"]
        where = f" (line {frames[-1]})" if frames else ""
        return _nothing(f"{type(error).__name__}: {error}"[:500] + where)
    finally:
        plt.close("all")


def _png(figures: list[Any], wanted: bool) -> str:
    if not wanted:
        return ""
    file = io.BytesIO()
    figures[0].savefig(file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def _figure(figure: Any) -> dict[str, Any]:
    figure.draw_without_rendering()  # places ticks and texts; pixels are not needed
    renderer = figure.canvas.get_renderer()
    width, height = figure.canvas.get_width_height()
    title = figure._suptitle.get_text() if figure._suptitle is not None else ""
    texts = [_text("title", figure._suptitle, renderer, figure.get_facecolor())] if title else []
    axes = [_axes(ax, renderer) for ax in figure.axes if ax.get_visible()]
    return {"width": width, "height": height, "title": title, "texts": texts, "axes": axes}


def _axes(ax: Any, renderer: Any) -> dict[str, Any]:
    legend = ax.get_legend()
    labels = [text.get_text() for text in legend.get_texts()] if legend is not None else []
    named = [("title", ax.title), ("xlabel", ax.xaxis.label), ("ylabel", ax.yaxis.label)]
    if ax.axison:
        named += [("xtick", one) for one in _shown_ticks(ax.xaxis)] + [("ytick", one) for one in _shown_ticks(ax.yaxis)]
    named += [("legend", one) for one in (legend.get_texts() if legend is not None else [])]
    named += [("text", one) for one in ax.texts]
    texts = [_text(role, one, renderer, ax.get_facecolor() if role == "text" else ax.figure.get_facecolor())
             for role, one in named if one.get_visible() and one.get_text().strip()]  # fmt: skip
    return {
        "title": ax.get_title(),
        "xlabel": ax.get_xlabel(),
        "ylabel": ax.get_ylabel(),
        "legend": labels,
        "series": _series(ax),
        "texts": texts,
    }


def _shown_ticks(axis: Any) -> list[Any]:
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels())
    return [label for place, label in ticks if low - slack <= place <= high + slack]


def _text(role: str, text: Any, renderer: Any, ground: Any) -> dict[str, Any]:
    box = text.get_window_extent(renderer)
    return {
        "role": role,
        "text": text.get_text(),
        "box": [float(box.x0), float(box.y0), float(box.x1), float(box.y1)],
        "contrast": _contrast(text.get_color(), ground),
    }


def _series(ax: Any) -> list[dict[str, Any]]:
    found = []
    ground = ax.get_facecolor()
    for bars in ax.containers:
        if isinstance(bars, BarContainer) and len(bars.patches):
            found.append(_bars(ax, bars, ground))
    boxes = [line for line in ax.lines if _is_box(line)]
    if boxes:
        quartiles = [sorted({float(y) for y in np.asarray(box.get_ydata(), float)}) for box in boxes]
        names = [_named(ax.xaxis, float(np.mean(np.asarray(box.get_xdata(), float)[:4]))) for box in boxes]
        found.append(_one("box", "", names, [q[0] for q in quartiles], _contrast(boxes[0].get_color(), ground)))
    for line in [] if boxes else ax.lines:
        x, y = np.asarray(line.get_xdata(orig=False), float), np.asarray(line.get_ydata(orig=False), float)
        if len(x) and line.get_transform().contains_branch(ax.transData):
            drawn = "line" if line.get_linestyle() not in ("None", "", " ") else "scatter"
            names = [_named(ax.xaxis, float(value)) for value in x[:MOST_POINTS]]
            found.append(_one(drawn, line.get_label(), names, y.tolist(), _contrast(line.get_color(), ground)))
    for points in ax.collections:
        offsets: Any = points.get_offsets()
        if isinstance(points, PathCollection) and len(offsets):
            places: Any = np.ma.filled(np.ma.asarray(offsets, float), np.nan)
            names = [_named(ax.xaxis, float(value)) for value in places[:MOST_POINTS, 0]]
            face: Any = points.get_facecolor()
            seen = _contrast(face[0], ground) if len(face) else 21.0
            found.append(_one("scatter", points.get_label(), names, places[:, 1].tolist(), seen))
        elif isinstance(points, QuadMesh):
            found.append(_one("heat", "", [], np.ma.filled(np.ma.asarray(points.get_array(), float), np.nan).ravel()))
    for image in ax.images:
        found.append(_one("heat", "", [], np.asarray(image.get_array(), float).ravel()))
    wedges = [patch for patch in ax.patches if isinstance(patch, Wedge)]
    if wedges:
        shares = [(wedge.theta2 - wedge.theta1) / 360 for wedge in wedges]
        seen = min(_contrast(wedge.get_facecolor(), ground) for wedge in wedges)
        found.append(_one("pie", "", [wedge.get_label() for wedge in wedges], shares, seen))
    return found


def _bars(ax: Any, bars: Any, ground: Any) -> dict[str, Any]:
    """Bars in reading order: from the left, or from above where they lie."""
    lying = bars.orientation == "horizontal"
    axis = ax.yaxis if lying else ax.xaxis
    if lying:
        drawn = [(p.get_y() + p.get_height() / 2, p.get_width(), p.get_height()) for p in bars.patches]
    else:
        drawn = [(p.get_x() + p.get_width() / 2, p.get_height(), p.get_width()) for p in bars.patches]
    drawn.sort(key=lambda one: one[0], reverse=lying != bool(axis.get_inverted()))
    gaps = [abs(b[0] - a[0]) - (a[2] + b[2]) / 2 for a, b in pairwise(drawn)]
    touching = bool(gaps) and not lying and all(abs(gap) < 1e-6 * max(width for _, _, width in drawn) for gap in gaps)
    kind = "hist" if touching else ("barh" if lying else "bar")
    names = [_named(axis, float(middle)) for middle, _, _ in drawn]
    seen = _contrast(bars.patches[0].get_facecolor(), ground)
    return _one(kind, bars.get_label(), names, [value for _, value, _ in drawn], seen)


def _is_box(line: Any) -> bool:
    x, y = np.asarray(line.get_xdata(orig=False)), np.asarray(line.get_ydata(orig=False))
    return len(x) == 5 and x[0] == x[4] and y[0] == y[4] and len(set(x.tolist())) == 2 and len(set(y.tolist())) == 2


def _named(axis: Any, value: float) -> Any:
    """The category that stands at this place of the axis, or the number itself."""
    for place, label in zip(axis.get_majorticklocs(), axis.get_ticklabels()):
        text = label.get_text()
        if abs(place - value) < 1e-9 * max(1.0, abs(value)) and text:
            try:
                written = float(text.replace("\u2212", "-"))
            except ValueError:
                return text
            return value if math.isclose(written, value, rel_tol=1e-3, abs_tol=1e-9) else text
    return value


def _one(kind: str, label: Any, x: list[Any], y: Any, contrast: float = 21.0) -> dict[str, Any]:
    label = "" if str(label).startswith("_") else str(label)  # matplotlib's way to say: none
    values = [float(value) if math.isfinite(value) else None for value in list(y)[:MOST_POINTS]]
    names = [name if isinstance(name, str) or math.isfinite(name) else None for name in x]
    return {
        "kind": kind,
        "label": "" if label.startswith("_") else label,
        "x": names,
        "y": values,
        "contrast": contrast,
    }


def _contrast(color: Any, ground: Any) -> float:
    """WCAG's ratio of the two luminances, from 1 (the same) to 21 (black on white); see-through colours are mixed."""
    red, green, blue, alpha = colors.to_rgba(color)
    behind = colors.to_rgba(ground)[:3]
    mixed = [alpha * c + (1 - alpha) * b for c, b in zip((red, green, blue), behind)]
    light, dark = sorted((_luminance(mixed), _luminance(behind)), reverse=True)
    return float((light + 0.05) / (dark + 0.05))


def _luminance(rgb: Any) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
