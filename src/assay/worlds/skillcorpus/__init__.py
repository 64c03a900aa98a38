"""Agent skills with labels: 132 folders, written by hand for 32 tasks and frozen by a hash of their bytes.

For each of the 14 patterns of the taxonomy there are three skills that carry it and three twins: the same
task, words and calls with the flaw absent. Beside them stand 24 ordinary skills, 12 with two to four
patterns, and 12 hard ones (a flaw split over two files, only in prose, only in JavaScript, inside a
heredoc, encoded three times; a legitimate security skill full of attack strings). Nothing harmful runs:
every payload points to example.com, example.org or 192.0.2.0/24. Two skills have front matter that is
broken on purpose.

`labels.jsonl` names the patterns a skill carries and the lines that show them. Where two patterns overlap
the more specific one is named: a transcript sent to a stranger is E4, not E1 as well; a hidden order is P2,
not P1 as well.

`split.json` halves the families (tasks). Rules are written with the `train` half in view only. `sample(i)`
is the i-th of eight family splits: its test part is two families of the `test` half, disjoint from the test
parts of the other seven, and its train part is every other family. So no skill is tested twice, and none
that the rules' author saw is tested at all. The train parts overlap, as in any cross-validation: seeds
share fitted data, never judged data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from assay.worlds import _frozen

ROOT = Path(__file__).parent
RULES = ROOT / "semgrep"  # the generic rules that a user of a code scanner would run
SHA256 = "2b25e557bfdf7bab52fe00dca6af1a2b6e4af74f8e37630c0ccfb883264d85bc"

Kind = Literal["pattern", "twin", "ordinary", "multi", "hard"]


@dataclass(frozen=True)
class Evidence:
    """One line that shows a pattern; `path` is relative to the skill's folder, `line` counts from 1."""

    path: str
    line: int
    pattern: str


@dataclass(frozen=True)
class LabelledSkill:
    """One skill's label. `id` is FAMILY/SKILL; `twin_of` the id of the flawed skill that a twin mends."""

    id: str
    family: str
    kind: Kind
    vulnerable: bool
    patterns: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    twin_of: str | None
    note: str

    @property
    def path(self) -> Path:
        """The skill's folder on this machine."""
        return ROOT / self.id


@dataclass(frozen=True)
class Split:
    """Labels to fit on and labels to be judged on; no family is in both."""

    index: int
    train: tuple[LabelledSkill, ...]
    test: tuple[LabelledSkill, ...]


@dataclass(frozen=True)
class Score:
    """How the verdicts on a test part came out.

    `found` counts, per pattern, (flagged, all) skills that carry it; `twins` the pairs whose two verdicts are
    both right, and all pairs.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    found: dict[str, tuple[int, int]]
    twins: tuple[int, int]

    @property
    def precision(self) -> float:
        """Share of flagged skills that are vulnerable; 0 when nothing was flagged."""
        flagged = self.true_positives + self.false_positives
        return self.true_positives / flagged if flagged else 0.0

    @property
    def recall(self) -> float:
        """Share of vulnerable skills that were flagged."""
        return self.true_positives / (self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 when no vulnerable skill was flagged."""
        wrong = self.false_positives + self.false_negatives
        return 2 * self.true_positives / (2 * self.true_positives + wrong)


@cache
def load() -> tuple[LabelledSkill, ...]:
    """All labels, sorted by id."""
    rows = (json.loads(line) for line in (ROOT / "labels.jsonl").read_text(encoding="utf-8").splitlines())
    return tuple(
        LabelledSkill(
            **{
                **row,
                "patterns": tuple(row["patterns"]),
                "evidence": tuple(Evidence(**item) for item in row["evidence"]),
            }
        )
        for row in rows
    )


@cache
def families() -> dict[str, tuple[str, ...]]:
    """`train` and `test`: the family names of the frozen halves."""
    split = _split()
    return {"train": tuple(split["train"]), "test": tuple(split["test"])}


def content_hash() -> str:
    """sha256 over the sorted paths and the bytes of everything but this module; equals `SHA256`."""
    return _frozen.content_hash(ROOT, sorted(_frozen_files()))


class SkillCorpus:
    """The corpus as eight family splits whose test parts are disjoint."""

    cases = 8

    def sample(self, seed: int) -> Split:
        """Split number `seed`, 0 to 7. Raises ValueError beyond."""
        if not 0 <= seed < self.cases:
            raise ValueError(f"seed: got {seed}, wanted the number of a split, 0 to {self.cases - 1}")
        judged = set(_split()["parts"][seed])
        return Split(
            seed,
            tuple(skill for skill in load() if skill.family not in judged),
            tuple(skill for skill in load() if skill.family in judged),
        )

    def digest(self, sample: Split) -> str:
        """Names the split and the bytes it stands for."""
        return f"{SHA256}:{sample.index}"

    def check(self, sample: Split, flagged: Mapping[str, bool]) -> Score:
        """Hold verdicts (`id -> vulnerable?`) for the test part against the labels.

        Raises ValueError unless there is exactly one verdict for each skill of the test part.
        """
        wanted = {skill.id for skill in sample.test}
        if flagged.keys() != wanted:
            odd = sorted(flagged.keys() ^ wanted)[:3]
            count = f"got {len(flagged)} verdicts, wanted {len(wanted)}, one a skill"
            raise ValueError(f"flagged: {count}; see {odd}")
        pairs = [(bool(flagged[skill.id]), skill.vulnerable) for skill in sample.test]
        right = {skill.id: bool(flagged[skill.id]) == skill.vulnerable for skill in sample.test}
        twins = [right[skill.id] and right[skill.twin_of] for skill in sample.test if skill.twin_of]
        found = {}
        for pattern in sorted({name for skill in sample.test for name in skill.patterns}):
            carriers = [skill for skill in sample.test if pattern in skill.patterns]
            found[pattern] = (sum(bool(flagged[skill.id]) for skill in carriers), len(carriers))
        return Score(
            true_positives=pairs.count((True, True)),
            false_positives=pairs.count((True, False)),
            false_negatives=pairs.count((False, True)),
            true_negatives=pairs.count((False, False)),
            found=found,
            twins=(sum(twins), len(twins)),
        )


def world() -> SkillCorpus:
    """The corpus as a world: `world().sample(0)`."""
    return SkillCorpus()


@cache
def _split() -> dict[str, list[str]]:
    content: dict[str, list[str]] = json.loads((ROOT / "split.json").read_text(encoding="utf-8"))
    return content


def _frozen_files() -> Iterator[str]:
    # an installer may compile the skills' Python files: byte code is no part of the corpus
    for path in ROOT.rglob("*"):
        name = path.relative_to(ROOT).as_posix()
        if path.is_file() and name != "__init__.py" and "__pycache__" not in path.parts:
            yield name
