"""A page as Chromium once showed it, to be acted on without a browser: what is done to it is only written down."""

import json
from dataclasses import replace
from pathlib import Path

from assay.methods.screens import GuiObs, Node

LISTS = ("states", "bbox", "options")


def recorded() -> GuiObs:
    page = json.loads((Path(__file__).parent / "recorded_transfer.json").read_text())
    tree = tuple(Node(**{**row, **{key: tuple(row[key]) for key in LISTS}}) for row in page["tree"])
    return GuiObs(tree, page["url"], page["text"])


def with_text(seen: GuiObs, at: int, text: str, role: str | None = None) -> GuiObs:
    """The page with a stranger's text in the place of one element's name, and maybe another role."""
    node = seen.tree[at % len(seen.tree)]
    tree = list(seen.tree)
    tree[node.id] = replace(node, name=text, role=role or node.role)
    return replace(seen, tree=tuple(tree), text=seen.text + text)


class RecordedPage:
    """An environment that always shows the same page and remembers what was done to it."""

    viewport = (640, 480)

    def __init__(self, seen: GuiObs) -> None:
        self.seen, self.done = seen, []

    def observe(self, screenshot=False):
        return self.seen

    def step(self, action):
        self.done.append(action)
        return self.seen

    def node_at(self, x, y):
        found = [n for n in self.seen.tree if n.visible and _inside(n.bbox, x, y)]
        return found[-1] if found else None


def _inside(box, x, y):
    return box[0] <= x < box[0] + box[2] and box[1] <= y < box[1] + box[3]
