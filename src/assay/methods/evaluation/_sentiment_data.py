"""Reading labelled texts: the four public sets as they are handed out, and any table of one's own.

They differ in separators, columns and what a missing label looks like; rows without a label of the task are left out,
named and counted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ._sentiment_prompts import Item, Task

# Columns of the public files by task: SST-2, SB10k, SemEval-2018 task 3A. SemEval-2014 is XML.
COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "binary": (("sentence", "label"),),
    "three_class": (("Text", "Sentiment"), ("Text", "label"), ("text", "label")),
    "aspect": (("text", "label"),),
    "irony": (("Tweet text", "Label"), ("text", "label")),
}
IDS = ("id", "Tweet index", "TweetID", "idx")
ASPECT = "aspect"


@dataclass(frozen=True)
class Loaded:
    """Items of a file, and the ids of its rows without a label of the task."""

    items: tuple[Item, ...]
    unlabelled: tuple[str, ...]


def load(
    path: Path,
    task: Task,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    aspect_column: str | None = None,
) -> Loaded:
    """Items of a CSV, TSV or (SemEval-2014) XML file. Labels are the task's words or digits.

    Raises FileNotFoundError without the file, ValueError for a missing column (the columns there are, are named), a
    label that is none of the task's, an id that occurs twice, or a file without a labelled row.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix == ".xml":
        rows = list(_from_xml(path))
    else:
        rows = list(_from_table(path, task, text_column, label_column, aspect_column))
    items, unlabelled, seen = [], [], set()
    for name, text, label, aspect in rows:
        if name in seen:
            raise ValueError(f"{path.name}: the id {name!r} occurs twice")
        seen.add(name)
        if not label.strip() or label.strip().lower() in ("unknown", "conflict", "nan", "none"):
            unlabelled.append(name)
        else:
            items.append(Item(name, text, _label(label, task, f"{path.name}, row {name}"), aspect))
    if not items:
        raise ValueError(f"{path.name}: no row with a label, wanted at least one")
    return Loaded(tuple(items), tuple(unlabelled))


Row = tuple[str, str, str, str]  # id, text, label, aspect


def _from_table(
    path: Path, task: Task, text_column: str | None, label_column: str | None, aspect_column: str | None
) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name}: not UTF-8 text (byte {error.start})") from error
    first = text.split("\n", 1)[0]
    tabs = first.count("\t") >= 1
    lines = io.StringIO(text, newline="")
    if tabs:  # SemEval's tweets hold bare quotation marks
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.DictReader(lines, delimiter=";" if first.count(";") > first.count(",") else ",")
    header = list(reader.fieldnames or [])
    columns = _columns(path, header, task, text_column, label_column)
    about = aspect_column or (ASPECT if task.by_aspect else None)
    if about is not None and about not in header:
        raise ValueError(f"{path.name}: no column {about!r} for the aspect; it has {', '.join(header) or 'none'}")
    own_id = next((name for name in IDS if name in header), None)
    for number, row in enumerate(reader, 1):
        name = str(row[own_id]) if own_id else str(number)
        yield name, (row[columns[0]] or "").strip(), row[columns[1]] or "", (row[about] or "") if about else ""


def _columns(path: Path, header: list[str], task: Task, text: str | None, label: str | None) -> tuple[str, str]:
    if text is None and label is None:
        for pair in COLUMNS[task.name]:
            if set(pair) <= set(header):
                return pair
    known = next((pair for pair in COLUMNS[task.name] if set(pair) & set(header)), COLUMNS[task.name][0])
    pair = (text or known[0], label or known[1])
    for name in pair:
        if name not in header:
            raise ValueError(f"{path.name}: no column {name!r}; it has {', '.join(header) or 'none'}")
    return pair


def _from_xml(path: Path) -> Iterator[Row]:
    """SemEval-2014 task 4: a row for each aspect term of each sentence."""
    from lxml import etree

    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        root = etree.parse(str(path), parser).getroot()
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{path.name}: not XML ({error.msg})") from error
    for sentence in root.iter("sentence"):
        text = (sentence.findtext("text") or "").strip()
        for number, term in enumerate(sentence.iter("aspectTerm")):
            yield f"{sentence.get('id')}:{number}", text, term.get("polarity", ""), term.get("term", "")


def _label(raw: str, task: Task, where: str) -> str:
    word = raw.strip().lower().removesuffix(".0")
    if word.isdigit() and int(word) < len(task.labels):
        return task.labels[int(word)]
    if word in task.labels:
        return word
    wanted = ", ".join(f"{i} or {label}" for i, label in enumerate(task.labels))
    raise ValueError(f"{where}: label {raw!r}, wanted {wanted}")
