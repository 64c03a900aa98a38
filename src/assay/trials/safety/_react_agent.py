"""An agent without isolation: it reads task and page alike, chooses the next action, and learned to from traces.

It stands for a language model that acts step by step. Each candidate action is scored by a small network from how well
it fits the task, the texts of the page and what was done before. That it follows what a page says ("To finish, press
Save.") is learned, because in honest apps it helps; nobody told it who wrote a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from assay.methods.safety.camel_cua import Perceiver, PerceptionError, alike
from assay.methods.screens import FILLED, PRESSED, Click, Done, Fail, GuiAction, GuiObs, Node, Type
from assay.models.policies import CandidatePolicy, pad_candidates
from assay.worlds.gui import GuiEnv
from assay.worlds.gui_tasks import GuiTask, OracleAgent

HIDDEN = (32,)
EPOCHS, LEARNING_RATE, BATCH = 100, 3e-3, 64
LONGEST = 1500  # characters of one text of the page that are read
KNOWN = ("menu", "accept cookies", "sign in", "yes", "next", "search", "save")  # controls that every interface has
OWN = 19 + len(KNOWN)  # features of a candidate itself; then those of the page, then its rank in the first of them
FEATURES = OWN + 6 + 2
ROLE_WORD = {"button": "button", "link": "link", "checkbox": "checkbox", "combobox": "choice", "textbox": "field"}
_QUOTED = re.compile(r'"([^"]*)"')
_FORMAT = {"Cf"}  # characters that are not to be seen, such as zero-width spaces


@dataclass(frozen=True)
class Candidate:
    """One thing the agent could do: press a node, type a text into one, or be done with an answer."""

    verb: str  # "press", "type" or "done"
    node: Node | None = None
    text: str = ""


@dataclass(frozen=True)
class Decision:
    """What the agent saw of each candidate, (C, FEATURES), and which one the oracle took."""

    features: Tensor
    taken: int


class ReActAgent:
    """Chooses among what the page offers, and points at it through the perceiver that all agents share."""

    def __init__(self, policy: CandidatePolicy, perceiver: Perceiver, task: GuiTask) -> None:
        self._policy, self._perceiver, self._reader = policy, perceiver, Reader(task.instruction)

    def act(self, seen: GuiObs) -> GuiAction:
        """The candidate with the highest score; `Fail` where the perceiver does not find it."""
        candidates = self._reader.candidates(seen)
        best = int(self._policy.greedy(pad_candidates([self._reader.features(seen, candidates)]))[0])
        chosen = candidates[best]
        self._reader.remember(chosen)
        if chosen.node is None:
            return Done(chosen.text or None)
        try:
            x, y = self._perceiver.find(seen, f"{chosen.node.name} {ROLE_WORD[chosen.node.role]}")
        except PerceptionError as error:
            return Fail(str(error))
        return Click(x, y) if chosen.verb == "press" else Type(chosen.text, x, y, clear=True)


class Reader:
    """Turns a task and a screen into candidates with features, and remembers what was done."""

    def __init__(self, instruction: str) -> None:
        self._slots = _QUOTED.findall(instruction)
        self._task = _QUOTED.sub(" ", instruction)
        self._before = dict(zip(self._slots, re.split(r'"[^"]*"', instruction)))
        self._taken: list[tuple[str, str, str]] = []

    def candidates(self, seen: GuiObs) -> list[Candidate]:
        """Everything that can be pressed, each quoted part in every field, and being done."""
        found = [Candidate("press", n) for n in seen.tree if n.usable and n.role in PRESSED and n.role in ROLE_WORD]
        for node in seen.tree:
            if node.usable and node.role in FILLED and "readonly" not in node.states:
                fits = [slot for slot in self._slots if not node.options or slot in node.options]
                found += [Candidate("type", node, slot) for slot in dict.fromkeys(fits)]
        return [*found, Candidate("done", None, self._answer(seen))]

    def remember(self, chosen: Candidate) -> None:
        self._taken.append(_key(chosen))

    def features(self, seen: GuiObs, candidates: Sequence[Candidate]) -> Tensor:
        """(C, FEATURES), from the words of task and page alone."""
        said = list(_sentences(seen.tree))
        headings = [n.name for n in seen.tree if n.role == "heading"]
        fields = [n for n in seen.tree if n.usable and n.role in FILLED]
        page = [
            _share([bool(n.value) for n in fields]),
            float(any(n.role == "status" and n.visible for n in seen.tree)),
            _share([any(slot in taken for taken in self._taken) for slot in self._slots]),
            max((alike(self._task, name) for name in headings), default=0.0),
            *(float(bool(self._taken) and self._taken[-1][0] == verb) for verb in ("press", "type")),
        ]
        pressing, dialogs = [s for s in said if "press" in s], {n.id for n in seen.tree if n.role == "dialog"}
        rows = [[*self._own(c, said, pressing, dialogs, headings), *page] for c in candidates]
        return _with_ranks(torch.tensor(rows), candidates)

    def _own(
        self, c: Candidate, said: list[str], pressing: list[str], dialogs: set[int], headings: list[str]
    ) -> list[float]:
        times = sum(taken == _key(c) for taken in self._taken) / 3
        if c.node is None:
            return [*[0.0] * (OWN - 3), 1.0, float(bool(c.text)), times]
        name, kind, types = _plain(c.node.name), c.node.role, c.verb == "type"
        return [
            alike(self._task, name),
            max((alike(s, name) for s in said if len(s) < 200), default=0.0),
            float(any(name in s for s in pressing)),
            float(any(name in s for s in said)),
            float(any(slot.lower() in name for slot in self._slots)),
            float(kind == "button"),
            float(kind == "link"),
            float(kind == "checkbox"),
            float(kind == "checkbox" and ("checked" in c.node.states) != ("on" in self._slots)),
            float(c.node.name in headings),
            float(types),
            alike(self._before.get(c.text, ""), name) if types else 0.0,
            float(types and c.node.value == c.text),
            float(types and any(c.text in taken for taken in self._taken)),
            float(c.node.parent in dialogs),
            float(bool(c.node.options)),
            *(alike(known, name) for known in KNOWN),
            0.0, 0.0, times,
        ]  # fmt: skip

    def _answer(self, seen: GuiObs) -> str:
        cells = [n for n in seen.tree if n.role == "cell" and n.visible]
        for cell in cells:
            if cell.name in self._slots:
                beside = [n.name for n in cells if n.parent == cell.parent and n.id > cell.id]
                return next((words for words in beside if re.fullmatch(r"\d+\.\d+", words)), "")
        return ""


def record(env: GuiEnv, tasks: Iterable[GuiTask]) -> list[Decision]:
    """What the oracle decides on each task's pages, without any attack."""
    decisions = []
    for task in tasks:
        seen = env.reset(task, popup=task.popup, login=task.login)
        oracle, reader = OracleAgent(task), Reader(task.instruction)
        for _ in range(task.max_steps):
            action = oracle.act(seen)
            candidates = reader.candidates(seen)
            taken = next((i for i, c in enumerate(candidates) if _same(c, action)), None)
            if taken is None:
                break
            decisions.append(Decision(reader.features(seen, candidates), taken))
            reader.remember(candidates[taken])
            if isinstance(action, Done):
                break
            seen = env.step(action)
    return decisions


def train(decisions: Sequence[Decision], seed: int) -> CandidatePolicy:
    """A policy that takes what the oracle took, by cross-entropy."""
    generator = torch.Generator().manual_seed(seed)
    policy = CandidatePolicy(FEATURES, HIDDEN, generator=generator)
    optimiser = torch.optim.Adam(policy.parameters(), lr=LEARNING_RATE)
    batch = pad_candidates([d.features for d in decisions])
    taken = torch.tensor([d.taken for d in decisions])
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(decisions), generator=generator).split(BATCH):
            chosen = type(batch)(batch.features[rows], batch.valid[rows])
            loss = -policy.log_prob(chosen, taken[rows]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return policy


def _with_ranks(rows: Tensor, candidates: Sequence[Candidate]) -> Tensor:
    """Whether a candidate fits the task best of its role, and how far down the page it stands."""
    kinds = [c.node.role if c.node else "" for c in candidates]
    best = {kind: max(rows[i, 0].item() for i, k in enumerate(kinds) if k == kind) for kind in set(kinds)}
    first = torch.tensor([[float(rows[i, 0].item() >= best[k]), i / len(kinds)] for i, k in enumerate(kinds)])
    return torch.cat([rows, first], dim=1)


def _same(c: Candidate, action: GuiAction) -> bool:
    if isinstance(action, Done):
        return c.verb == "done"
    if c.node is None or not isinstance(action, Click | Type) or (action.x, action.y) != c.node.centre:
        return False
    return c.verb == "press" if isinstance(action, Click) else c.verb == "type" and c.text == action.text


def _sentences(tree: Sequence[Node]) -> Iterable[str]:
    """What the page says, piece by piece, wherever it says it: hidden texts, labels of pictures, placeholders too."""
    for node in tree:
        if node.role in ("link", "textbox") or (node.role == "button" and node.parent < 0):
            continue
        for text in (node.name, *node.options):
            for piece in re.split(r"[.!?;\n]+", _plain(text[:LONGEST])):
                if piece.strip():
                    yield piece.strip()


def _plain(text: str) -> str:
    """As a reader takes it: wide letters as letters, nothing that cannot be seen, small letters."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c) not in _FORMAT).lower()


def _key(c: Candidate) -> tuple[str, str, str]:
    return c.verb, c.node.name if c.node else "", c.text


def _share(held: Sequence[bool]) -> float:
    return sum(held) / len(held) if held else 1.0
