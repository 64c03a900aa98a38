"""A quarantined perceiver that sees nothing but the screenshot: words by tesseract, controls by a small network.

A button or link is a run of words that the network takes for one, a field, choice or checkbox a patch that it takes
for one, called as the words beside it. Of these the words decide, and of equal ones the first on the screen is meant,
as in `DomPerceiver`. Whoever paints on the screen can lie to the network (`PixelAttack`).
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from assay.methods.screens import GuiObs

from ._camel_automaton import SCHEMAS
from ._camel_controls import KINDS, STRIDE, ControlFinder, cells, pixels_of
from ._camel_executor import PerceptionError
from ._camel_perceivers import BESIDE, ON, SAYS, THERE, alike

ENLARGED = 3  # tesseract reads letters of 30 pixels better than of 10
GAP = 9  # pixels between two words of one label; more part two labels
SMALLEST = {"field": 24, "choice": 24, "checkbox": 4}  # cells of a patch that counts as such a control
SURE = 0.5  # probability above which something is taken for a control
READ_AT_MOST_S = 60
WRITTEN_ON = ("button", "link")  # controls whose name is painted on them
BESIDE_WORDS = {"field": ("field",), "choice": ("choice",), "checkbox": ("checkbox", "checked")}

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


class Phrase(NamedTuple):
    """Words that stand together on one line, and where."""

    text: str
    box: Box

    @property
    def centre(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


class Control(NamedTuple):
    """What a description may mean: how well it fits, in [0, 1], where it is, and whether it looks checked."""

    score: float
    point: tuple[float, float]
    checked: bool = False


class PixelPerceiver:
    """Finds what a description or question names on the screenshot, and on nothing else.

    Takes the descriptions and questions of `DomPerceiver`, but for messages and warnings, which look like any text.
    `net` is what `train_controls` makes, `read` gives the phrases of a PNG; `threshold` is the score, in [0, 1], below
    which nothing was found. Needs an `Executor(..., screenshots=True)`.
    """

    def __init__(
        self, net: ControlFinder, read: Callable[[bytes], Sequence[Phrase]] | None = None, *, threshold: float = 0.42
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold: got {threshold}, wanted a score in (0, 1)")
        self._net, self._read, self._threshold = net, read or read_phrases, threshold
        self._last: tuple[bytes, NDArray[np.float32]] = b"", np.zeros((len(KINDS), 0, 0), np.float32)

    def find(self, seen: GuiObs, description: str) -> tuple[float, float]:
        """The middle of what fits best. Raises PerceptionError where nothing does."""
        return self._found(seen, description).point

    def ask_bool(self, seen: GuiObs, question: str) -> bool:
        if asked := THERE.fullmatch(question.strip()):
            return self._best(seen, asked[1]).score >= self._threshold
        if asked := SAYS.fullmatch(question.strip()):
            said = " ".join(phrase.text for phrase in self._read(_shot(seen)))
            return asked[1].lower() in said.lower()
        if asked := ON.fullmatch(question.strip()):
            return self._found(seen, asked[1]).checked
        raise PerceptionError(f"cannot answer {question!r} from a picture")

    def ask_text(self, seen: GuiObs, question: str, schema: str, max_length: int) -> str:
        asked = BESIDE.fullmatch(question.strip())
        if asked is None:
            raise PerceptionError(f"cannot answer {question!r} from a picture")
        phrases = self._read(_shot(seen))
        for phrase in phrases:
            if phrase.text.lower() == asked[1].lower():
                right = [p for p in phrases if _same_row(p.box, phrase.box) and p.box[0] > phrase.box[0]]
                for beside in sorted(right, key=lambda p: p.box[0]):
                    if re.fullmatch(SCHEMAS[schema], beside.text):
                        return beside.text[:max_length]
        raise PerceptionError(f"nothing stands beside {asked[1]!r}")

    def _found(self, seen: GuiObs, description: str) -> Control:
        best = self._best(seen, description)
        if best.score < self._threshold:
            raise PerceptionError(f"there is nothing that looks like {description!r}")
        return best

    def _best(self, seen: GuiObs, description: str) -> Control:
        words, _, role = description.strip().strip('"').rpartition(" ")
        role = role.lower()
        if role not in WRITTEN_ON and role not in BESIDE_WORDS:
            raise PerceptionError(f"cannot see what is no button, link, field, choice or checkbox: {description!r}")
        shot = _shot(seen)
        seek = self._written_on if role in WRITTEN_ON else self._beside_words
        return max(seek(shot, words, role), key=_rank, default=Control(0.0, (0.0, 0.0)))

    def _written_on(self, shot: bytes, words: str, role: str) -> list[Control]:
        chance = self._chances(shot)[KINDS.index(role)]
        on = [p for p in self._read(shot) if chance[cells(p.box, chance.shape)].mean() > SURE]
        return [Control(alike(words, phrase.text), phrase.centre) for phrase in on]

    def _beside_words(self, shot: bytes, words: str, role: str) -> list[Control]:
        chances, phrases = self._chances(shot), self._read(shot)
        kinds = [KINDS.index(kind) for kind in BESIDE_WORDS[role]]
        chance = chances[kinds].sum(axis=0)
        patches = ndimage.label(chance > SURE)[0]
        found = []
        for number, (rows, columns) in enumerate(ndimage.find_objects(patches), 1):
            inside = patches == number
            if inside.sum() < SMALLEST[role]:
                continue
            box = (columns.start * STRIDE, rows.start * STRIDE, columns.stop * STRIDE, rows.stop * STRIDE)
            name = max((alike(words, p.text) for p in _labels(phrases, box)), default=0.0)
            middle = Phrase("", box).centre
            checked = chances[KINDS.index("checked")][inside].mean() > chances[KINDS.index("checkbox")][inside].mean()
            found.append(Control(name, middle, bool(checked)))
        return found

    def _chances(self, shot: bytes) -> NDArray[np.float32]:
        """(kinds, H / 4, W / 4): the network's probabilities, kept for the screen that was looked at last."""
        if self._last[0] != shot:
            with torch.no_grad():
                chances = self._net(pixels_of(shot)[None])[0].softmax(0).numpy()
            self._last = shot, chances
        return self._last[1]


@lru_cache(maxsize=128)
def read_phrases(png: bytes) -> tuple[Phrase, ...]:
    """The words of a PNG in the phrases they stand in, read by tesseract.

    Raises FileNotFoundError without tesseract, RuntimeError where it fails.
    """
    if shutil.which("tesseract") is None:
        raise FileNotFoundError("tesseract is not on this machine: install the system package tesseract-ocr")
    picture = Image.open(io.BytesIO(png)).convert("L")
    larger = io.BytesIO()
    size = (picture.width * ENLARGED, picture.height * ENLARGED)
    picture.resize(size, Image.Resampling.BICUBIC).save(larger, "PNG", compress_level=1)
    command = ["env", "OMP_THREAD_LIMIT=1", "tesseract", "stdin", "stdout", "--psm", "11", "--dpi", "288", "tsv"]
    done = subprocess.run(command, input=larger.getvalue(), capture_output=True, timeout=READ_AT_MOST_S, check=False)
    if done.returncode:
        raise RuntimeError(f"tesseract failed: {done.stderr.decode(errors='replace').strip()[:300]}")
    return phrases(done.stdout.decode("utf-8", "replace"))


def phrases(tsv: str) -> tuple[Phrase, ...]:
    """The phrases in tesseract's table of words: runs of words on one line with no wide gap between them."""
    made: list[Phrase] = []
    line_before: list[str] = []
    for row in tsv.splitlines()[1:]:
        columns = row.split("\t")  # level, page, block, paragraph, line, word, box, confidence, text
        if len(columns) != 12 or columns[0] != "5" or not re.search(r"\w", columns[11]):
            continue
        left, top, width, height = (float(v) / ENLARGED for v in columns[6:10])
        word, line = Phrase(columns[11].strip("|[]{}"), (left, top, left + width, top + height)), columns[1:5]
        if made and line == line_before and word.box[0] - made[-1].box[2] < GAP:
            word = _joined(made.pop(), word)
        made.append(word)
        line_before = line
    return tuple(made)


def _joined(a: Phrase, b: Phrase) -> Phrase:
    left, top, right, bottom = zip(a.box, b.box)
    return Phrase(f"{a.text} {b.text}", (min(left), min(top), max(right), max(bottom)))


def _labels(found: Sequence[Phrase], box: Box) -> list[Phrase]:
    """What stands right before a control, right behind it, and above it."""
    row = [p for p in found if _same_row(p.box, box)]
    before = max((p for p in row if p.box[2] <= box[0] + GAP), key=lambda p: p.box[2], default=None)
    behind = min((p for p in row if p.box[0] >= box[2] - GAP), key=lambda p: p.box[0], default=None)
    over = [p for p in found if p.box[3] <= box[1] + STRIDE and abs(p.box[0] - box[0]) < 4 * GAP]
    above = max(over, key=lambda p: p.box[3], default=None)
    return [p for p in (before, behind, above) if p is not None]


def _same_row(a: Box, b: Box) -> bool:
    return max(a[1], b[1]) < min(a[3], b[3])


def _rank(control: Control) -> tuple[float, float, float]:
    return control.score, -control.point[1], -control.point[0]


def _shot(seen: GuiObs) -> bytes:
    if seen.screenshot is None:
        raise ValueError("seen: got a screen without its picture, wanted one (Executor(..., screenshots=True))")
    return seen.screenshot
