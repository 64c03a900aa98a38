"""Comments of source files with labels: 433 in 67 small files of Python and JavaScript, frozen by a hash of the bytes.

They were written by hand, before the rules that are tried on them, after this guide:

gist    names an AI tool, or generated code as such, *and* admits a shortcoming of the code beside it. Its role is
        *source* (what the tool made is wrong, poor or incomplete), *catalyst* (somebody doubts it, has not checked it
        or does not understand it) or *mitigator* (the tool is to repair, test, rewrite or document it). 10 of the 140
        have two roles, the weightier first. The kind of debt is design, requirement, test, defect, documentation or
        algorithm.
ai      names a tool as author, adviser or reviewer and admits nothing, or says that the matter is settled (100)
debt    admits a shortcoming and names no tool (107)
trap    looks like the first to a search for words and is none of it (86): the constellation Gemini, a database's
        cursor, Claude Debussy; code that merely calls a model; strings that look like comments; quotations, licences
        and changelogs

30 comments were read a second time from their text alone, in another order, by the same hand (`second.jsonl`). The
agreement of the two readings tells whether the guide can be followed, not whether another reader would follow it.

`split.json` halves the files. Rules are written with the `train` half in view only. `sample(i)` is the i-th of eight
splits: its test part is four or five files of the `test` half, disjoint from the other seven, and its train part is
every other file. The parts were dealt so that each holds every role.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from assay.worlds import _frozen

ROOT = Path(__file__).parent
FILES = ROOT / "files"
SHA256 = "acb865075978cb5597759626a7d32cd323731cface1fd6b9865cffa70afbc04f"
ROLES = ("source", "catalyst", "mitigator")
NONE = "none"

Kind = Literal["gist", "ai", "debt", "trap"]
Place = tuple[str, int]  # a file's name and a line of it, counted from 1


@dataclass(frozen=True)
class LabelledComment:
    """One comment's label. `line` is where its text begins; `roles` is empty unless the kind is "gist"."""

    path: str
    line: int
    kind: Kind
    roles: tuple[str, ...]
    debt_type: str | None
    trap: str | None

    @property
    def place(self) -> Place:
        """What tells the comment from all others."""
        return self.path, self.line

    @property
    def role(self) -> str:
        """The weightier role, or "none"."""
        return self.roles[0] if self.roles else NONE


@dataclass(frozen=True)
class Split:
    """Labels to fit on and labels to be judged on; no file is in both."""

    index: int
    train: tuple[LabelledComment, ...]
    test: tuple[LabelledComment, ...]


@dataclass(frozen=True)
class Score:
    """How verdicts on a test part came out; F1 of each class, and the counts of gist or not."""

    f1: dict[str, float]
    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def macro_f1(self) -> float:
        """Mean F1 over "none" and the three roles."""
        return sum(self.f1.values()) / len(self.f1)

    @property
    def gist_f1(self) -> float:
        """F1 of gist or not, whatever the role."""
        return 2 * self.true_positives / (2 * self.true_positives + self.false_positives + self.false_negatives)


@cache
def load() -> tuple[LabelledComment, ...]:
    """All labels, sorted by place."""
    return tuple(LabelledComment(**{**row, "roles": tuple(row["roles"])}) for row in _rows("labels.jsonl"))


@cache
def second_reading() -> dict[Place, str]:
    """Place -> role as read the second time."""
    return {(row["path"], row["line"]): row["role"] for row in _rows("second.jsonl")}


@cache
def halves() -> dict[str, tuple[str, ...]]:
    """`train` and `test`: the file names of the frozen halves."""
    return {half: tuple(_split()[half]) for half in ("train", "test")}


def content_hash() -> str:
    """sha256 over the sorted paths and the bytes of everything but this module; equals `SHA256`."""
    files = sorted(p for p in ROOT.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return _frozen.content_hash(ROOT, (p.relative_to(ROOT).as_posix() for p in files if p != Path(__file__)))


class GistComments:
    """The corpus as eight splits by file whose test parts are disjoint."""

    cases = 8

    def sample(self, seed: int) -> Split:
        """Split number `seed`, 0 to 7. Raises ValueError beyond."""
        if not 0 <= seed < self.cases:
            raise ValueError(f"seed: got {seed}, wanted the number of a split, 0 to {self.cases - 1}")
        judged = set(_split()["parts"][seed])
        return Split(
            seed,
            tuple(label for label in load() if label.path not in judged),
            tuple(label for label in load() if label.path in judged),
        )

    def digest(self, sample: Split) -> str:
        """Names the split and the bytes it stands for."""
        return f"{SHA256}:{sample.index}"

    def check(self, sample: Split, verdicts: Mapping[Place, str]) -> Score:
        """Hold verdicts (place -> role or "none") on the test part against the labels.

        A comment with two roles is read rightly as either. Raises ValueError unless there is exactly one verdict for
        each comment of the test part, and each is a role or "none".
        """
        wanted = {label.place for label in sample.test}
        if verdicts.keys() != wanted:
            odd = sorted(verdicts.keys() ^ wanted)[:3]
            raise ValueError(f"verdicts: got {len(verdicts)}, wanted {len(wanted)}, one a comment; see {odd}")
        strange = set(verdicts.values()) - {NONE, *ROLES}
        if strange:
            raise ValueError(f"verdicts: got {sorted(strange)}, wanted {', '.join((NONE, *ROLES))}")
        pairs = []
        for label in sample.test:
            said = verdicts[label.place]
            pairs.append((said if said in label.roles else label.role, said))
        return Score(
            f1={name: _f1(pairs, name) for name in (NONE, *ROLES)},
            true_positives=sum(truth != NONE and said != NONE for truth, said in pairs),
            false_positives=sum(truth == NONE and said != NONE for truth, said in pairs),
            false_negatives=sum(truth != NONE and said == NONE for truth, said in pairs),
        )


def world() -> GistComments:
    """The corpus as a world: `world().sample(0)`."""
    return GistComments()


def _f1(pairs: list[tuple[str, str]], name: str) -> float:
    right = sum(truth == said == name for truth, said in pairs)
    either = sum(truth == name for truth, _ in pairs) + sum(said == name for _, said in pairs)
    return 2 * right / either if either else 1.0


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]


@cache
def _split() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "split.json").read_text(encoding="utf-8"))
    return content
