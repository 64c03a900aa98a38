"""What a world model predicted and what happened: how right it was, what to show it, what to train another on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ._safepred_models import STATEMENTS, ActionText, CompactState, Element, Prediction, world_prompt
from ._safepred_policies import Policy, PolicyMatcher


class TrajectoryStore:
    """What was predicted and what happened, a line of JSON each, only ever appended."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(self, state: CompactState, action: ActionText, predicted: Prediction, after: CompactState) -> None:
        """Keep one step."""
        happened = sorted(set(after.key_elements) - set(state.key_elements))
        row = {"state": asdict(state), "action": asdict(action), "predicted": asdict(predicted), "happened": happened,
               "after": after.key_elements}  # fmt: skip
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text("utf-8").splitlines()] if self._file.exists() else []

    def prediction_accuracy(self) -> float:
        """Mean share of what newly appeared that had been predicted, over steps on which something did."""
        shares = []
        for row in self.rows():
            happened = {tuple(e) for e in row["happened"]}
            said = {tuple(e) for e in row["predicted"]["new_elements"]}
            if happened:
                shares.append(len(happened & said) / len(happened))
        if not shares:
            raise ValueError(f"{self._file}: no step on which anything appeared")
        return sum(shares) / len(shares)

    def mistakes(self, most: int = 3) -> list[str]:
        """The last predictions that were wrong, in words: nothing of what newly appeared had been predicted.

        Raises ValueError for fewer than one.
        """
        if most < 1:
            raise ValueError(f"most: got {most}, wanted at least 1")
        told = []
        for row in self.rows():
            happened = {tuple(e) for e in row["happened"]}
            said = row["predicted"]["semantic_delta"] or "nothing"
            if happened and not happened & {tuple(e) for e in row["predicted"]["new_elements"]}:
                seen = "; ".join(sorted(name for _, name in happened))
                done = f"{row['action']['verb']} {row['action']['name']}"
                told.append(f"{done} on {row['state']['page_type']}: predicted {said}; it showed {seen}")
        return told[-most:]

    def distil_dataset(self, policies: Sequence[Policy], horizon: int = 4, goal: str = "") -> list[tuple[str, str]]:
        """(prompt, JSON) pairs of what really happened, to train a small guard on (the paper's 1.5 K samples).

        They are in the form in which `LLMWorldModel` asks and reads. Long-term are the warnings of the next `horizon`
        steps, as long as each begins on the screen that the one before ended on; they are told of every step before
        them. Raises ValueError for a horizon below 1.
        """
        if horizon < 1:
            raise ValueError(f"horizon: got {horizon}, wanted at least 1")
        rows, matcher, pairs = self.rows(), PolicyMatcher(policies), []
        for place, row in enumerate(rows):
            state = CompactState(**{**row["state"], "key_elements": _elements(row["state"]["key_elements"])})
            action, after = ActionText(**row["action"]), _elements(row["after"])
            soon = [name for _, name in _elements(row["happened"])]
            late = dict.fromkeys(
                name
                for step in _following(rows, place, horizon)
                for role, name in _elements(step["after"])
                if role == "alert" and (role, name) not in {*state.key_elements, *after}
            )
            said = [name for role, name in _elements(row["happened"]) if role in STATEMENTS] + list(late)
            harm = [name for name in said if matcher.touched([name])]
            answer = {
                "semantic_delta": f"appears: {'; '.join(soon)}",
                "long_term_impact": "; ".join(late),
                "risk_explanation": "; ".join(harm),
                "violated_policy_ids": list(matcher.touched(said)),
                "optimization_guidance": f"do not {action}" if harm else "",
            }
            asked = world_prompt(state, action, goal, (), policies, horizon)
            pairs.append((asked, f"```json\n{json.dumps(answer, ensure_ascii=False)}\n```"))
        return pairs


def _elements(rows: Sequence[Sequence[str]]) -> tuple[Element, ...]:
    return tuple((role, name) for role, name in rows)


def _following(rows: Sequence[dict[str, Any]], place: int, horizon: int) -> list[dict[str, Any]]:
    """The rows of the same episode after this one."""
    found: list[dict[str, Any]] = []
    for before, row in zip(rows[place : place + horizon], rows[place + 1 : place + 1 + horizon]):
        if row["state"]["key_elements"] != before["after"]:
            break
        found.append(row)
    return found
