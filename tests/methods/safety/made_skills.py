"""Small skills made on the spot."""

from __future__ import annotations

from pathlib import Path

from assay.methods.safety._skill_files import Skill, load_skill
from assay.methods.safety._skill_rules import find_evidence

FRONT = "---\nname: demo\ndescription: Tidies notes in one folder.\n---\n"


def make(folder: Path, files: dict[str, str | bytes], front: str = FRONT) -> Skill:
    """A skill with these files; a `SKILL.md` without front matter is given one."""
    for name, content in {"SKILL.md": "# Demo\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(
                front + content if name == "SKILL.md" and not content.startswith("---") else content, encoding="utf-8"
            )
    return load_skill(folder)


def weights(skill: Skill, least: float = 0.0) -> dict[str, float]:
    """The largest weight of each rule that fires."""
    found: dict[str, float] = {}
    for e in find_evidence(skill):
        if e.weight >= least:
            found[e.rule_id] = max(found.get(e.rule_id, 0.0), e.weight)
    return found
