"""A small policy that writes plotting code by filling twelve slots, for trials of rewards for figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from assay.worlds.table_questions import AGGREGATES, ASKS, KINDS, Question

CHARTS = ("bar", "barh", "line", "pie")
SORTS = ("", ".sort_values(ascending=False)", ".sort_index()")
ANGLES = (0, 45, 90)
SIZES = ((3, 2), (6, 4), (9, 5))
QUOTING = ("json", "triple", "bare")  # the last is no valid reply
# chart, x, y, aggregate, sort, title, axis labels, angle of tick labels, legend, size, what the answer says, quoting
HEADS = (len(CHARTS), 2, 2, len(AGGREGATES), len(SORTS), 2, 2, len(ANGLES), 2, len(SIZES), len(ASKS), len(QUOTING))
FEATURES = len(KINDS) + 2 + 2 + len(AGGREGATES) + len(ASKS) + 2


def observed(question: Question, table: dict[str, list[Any]]) -> Tensor:
    """What a policy sees of a question, (FEATURES,): what it asks for, how many entries, and how long their names."""
    columns = list(table)
    names = [str(name) for name, _ in question.expected]
    return torch.tensor(
        [
            *(float(question.kind == kind) for kind in KINDS),
            *(float(question.x == name) for name in columns[:2]),
            *(float(question.y == name) for name in columns[2:]),
            *(float(question.aggregate == one) for one in AGGREGATES),
            *(float(question.ask == one) for one in ASKS),
            len(names) / 10,
            sum(map(len, names)) / len(names) / 20,
        ]
    )


def written(actions: Sequence[int], table: dict[str, list[Any]]) -> str:
    """The reply that the slots make."""
    chart, x, y, aggregate, sort, title, labels, angle, legend, size, ask, quoting = actions
    names = list(table)
    columns, wide, high = (names[x], names[2 + y]), *SIZES[size]
    lines = [
        "import matplotlib.pyplot as plt",
        f'data = df.groupby("{columns[0]}", sort=False)["{columns[1]}"].{AGGREGATES[aggregate]}(){SORTS[sort]}',
        f"fig, ax = plt.subplots(figsize=({wide}, {high}))",
        *_drawn(CHARTS[chart], columns),
    ]
    if title:
        lines.append(f'ax.set_title("{columns[1].capitalize()} by {columns[0]}")')
    if labels and CHARTS[chart] != "pie":
        across = columns[::-1] if CHARTS[chart] == "barh" else columns
        lines.append(f'ax.set_xlabel("{across[0]}"); ax.set_ylabel("{across[1]}")')
    if ANGLES[angle]:
        lines.append(f'ax.tick_params(axis="x", rotation={ANGLES[angle]})')
    if legend:
        lines.append("ax.legend()")
    lines += ["fig.tight_layout()", "plt.show()"]
    return _quoted(_answer(columns, AGGREGATES[aggregate], ASKS[ask], table), "\n".join(lines), QUOTING[quoting])


def _drawn(chart: str, columns: tuple[str, str]) -> list[str]:
    if chart == "pie":
        return ["ax.pie(data.values, labels=data.index)"]
    if chart == "line":
        return [f'ax.plot(data.index, data.values, marker="o", label="{columns[1]}")']
    drawn = f'ax.{chart}(data.index.astype(str), data.values, label="{columns[1]}")'
    return [drawn, "ax.invert_yaxis()"] if chart == "barh" else [drawn]


def _answer(columns: tuple[str, str], aggregate: Any, ask: str, table: dict[str, list[Any]]) -> str:
    """What someone would answer who looked at the values that the code draws."""
    from assay.worlds.table_questions import aggregated

    values = aggregated(table, *columns, aggregate)
    if ask == "total":
        return f"{sum(values.values()):.1f}"
    pick = max if ask == "most" else min
    return str(pick(values, key=lambda name: values[name]))


def _quoted(answer: str, code: str, quoting: str) -> str:
    if quoting == "json":
        return json.dumps({"answer": answer, "code": code})
    quotes = '"""' if quoting == "triple" else '"'
    return f'{{"answer": "{answer}", "code": {quotes}{code}{quotes}}}'


def means_to(question: Question, code: str) -> bool:
    """Whether code groups and draws what a question asks for, by its text: the intent judge without a model."""
    grouped = f'groupby("{question.x}", sort=False)["{question.y}"].{question.aggregate}()'
    calls = {"bar": "ax.bar(", "barh": "ax.barh(", "line": "ax.plot(", "pie": "ax.pie("}
    return grouped in code and any(calls[chart] in code for chart in question.charts)
