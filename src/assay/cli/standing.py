"""How a paper stands in this installation: computed from what is there, never typed in."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache

from assay.papers.catalogue.record import Paper


@dataclass(frozen=True)
class Standing:
    """What of a paper is built: `part` importable, names of its registered `trials`, `job` under `assay use`."""

    part: bool
    trials: tuple[str, ...]
    job: bool
    slug: str

    @property
    def word(self) -> str:
        """`ready` when a user can import, try and use it; `part` when only some of that holds; else `planned`."""
        if self.part and self.trials and self.job:
            return "ready"
        return "part" if self.part or self.trials or self.job else "planned"

    def sentence(self) -> str:
        """The next step, in words a reader can type."""
        if self.word == "planned":
            return "Planned: in the catalogue, nothing of it is built yet."
        steps = []
        if self.trials:
            steps.append(f"try it: assay run {self.slug}")
        if self.job:
            steps.append(f"use it: assay use {self.slug} --help")
        return "Built. " + "; ".join(steps)

    def as_dict(self) -> dict[str, object]:
        return {"status": self.word, "part": self.part, "trials": list(self.trials), "job": self.job}


def standing(paper: Paper) -> Standing:
    """Looks for the part's module, the registered trials and the job's command, importing none of them."""
    return Standing(
        part=_exists(paper.module),
        trials=tuple(_trials_by_paper().get(paper.id, ())),
        job=_exists(f"assay.cli.use.{paper.slug}"),
        slug=paper.slug,
    )


@lru_cache(maxsize=1)
def _trials_by_paper() -> dict[str, list[str]]:
    from assay.engine.registry import list_trials

    by_paper: dict[str, list[str]] = {}
    for entry in list_trials():
        by_paper.setdefault(entry.paper, []).append(entry.name)
    return by_paper


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the field's folder is not there yet
        return False
