"""Who says whether a constraint is met (LSRIF, 2601.06431): rules, a language model, or a trained classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from assay.methods.parsing import ask_json
from assay.methods.post_training._lsrif_tree import Constraint
from assay.methods.protocols import Complete


class ConstraintVerifier(Protocol):
    """Verdicts on all constraints of one reply, by id, each in [0, 1]; 0.5 and more is a yes for a condition."""

    async def verify(self, prompt: str, response: str, constraints: Sequence[Constraint]) -> dict[str, float]: ...


class RuleVerifier:
    """Each constraint by its own check."""

    async def verify(self, prompt: str, response: str, constraints: Sequence[Constraint]) -> dict[str, float]:
        """1 or 0 a constraint. Raises ValueError for one without a check."""
        return {one.id: _by_rule(one, prompt, response) for one in constraints}


def _by_rule(one: Constraint, prompt: str, response: str) -> float:
    if one.check is None:
        raise ValueError(f"constraint {one.id!r}: it has no check, wanted one, or a verifier that reads its text")
    return float(one.check(prompt if one.of == "prompt" else response))


class LLMVerifier:
    """A language model that says yes or no to each constraint, one call a response. What has a check is checked by it,
    and not asked for. Raises ReplyError where the model's reply stays unusable."""

    def __init__(self, complete: Complete, repairs: int = 2) -> None:
        self.ask = partial(ask_json, complete, repairs=repairs)

    async def verify(self, prompt: str, response: str, constraints: Sequence[Constraint]) -> dict[str, float]:
        verdicts = {one.id: _by_rule(one, prompt, response) for one in constraints if one.check is not None}
        asked = [one for one in constraints if one.check is None]
        if asked:
            said = await self.ask(_question(prompt, response, asked), schema=_schema(asked))
            verdicts |= {one.id: float(said[str(number)]) for number, one in enumerate(asked, 1)}
        return verdicts


def _question(prompt: str, response: str, asked: Sequence[Constraint]) -> str:
    listed = "\n".join(f"{n}. (of the {_NAME[one.of]}) {one.text}" for n, one in enumerate(asked, 1))
    return (
        f"An instruction:\n{prompt}\n\nA response to it:\n{response}\n\n"
        f"For each statement say whether it is true as it stands, by itself, whatever the others say:\n{listed}\n\n"
        'Reply with one JSON object of a true or false for each number, such as {"1": true, "2": false}.'
    )


_NAME = {"response": "response", "prompt": "instruction"}


def _schema(asked: Sequence[Constraint]) -> dict[str, Any]:
    names = [str(number) for number in range(1, 1 + len(asked))]
    return {"type": "object", "properties": {name: {"type": "boolean"} for name in names}, "required": names}


class ClassifierVerifier:
    """A sequence classifier of `transformers` with two labels, 1 for met: the paper's trained reward model.

    It reads what `train_verifier` trained it on: the instruction, the reply and one constraint a row.
    """

    def __init__(self, model: Any, tokenizer: Any, max_tokens: int = 2048) -> None:
        if model.config.num_labels != 2:
            raise ValueError(f"model: got {model.config.num_labels} labels, wanted 2")
        self.model, self.tokenizer, self.max_tokens = model, tokenizer, max_tokens

    async def verify(self, prompt: str, response: str, constraints: Sequence[Constraint]) -> dict[str, float]:
        """The probability of "met" for each constraint, all in one forward pass."""
        import torch

        texts = [_row(prompt, response, one.text) for one in constraints]
        if not texts:
            return {}
        self.model.eval()
        with torch.no_grad():
            logits = self.model(**_encoded(self.tokenizer, texts, self.max_tokens, self.model.device)).logits
        met = logits.float().softmax(-1)[:, 1].tolist()
        return {one.id: value for one, value in zip(constraints, met)}


def train_verifier(
    rows: Sequence[Mapping[str, Any]],
    model: Any,
    tokenizer: Any,
    *,
    steps: int,
    generator: np.random.Generator,
    batch: int = 32,
    learning_rate: float = 1e-5,
    max_tokens: int = 2048,
) -> list[float]:
    """Train a two-label classifier in place on rows {"prompt", "response", "constraint" (its text), "met"} by AdamW;
    returns the cross-entropy of each step. Raises ValueError for no rows, or all of one label.

    The paper has such rows judged by a strong model; rules give them for nothing (`RuleVerifier`).
    """
    import torch
    import torch.nn.functional as F

    labels = np.array([int(bool(row["met"])) for row in rows])
    if len(set(labels.tolist())) < 2:
        raise ValueError(f"rows: got {len(rows)}, wanted some that are met and some that are not")
    texts = [_row(row["prompt"], row["response"], row["constraint"]) for row in rows]
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    losses: list[float] = []
    model.train()
    for _ in range(steps):
        drawn = generator.integers(len(rows), size=batch)
        logits = model(**_encoded(tokenizer, [texts[i] for i in drawn], max_tokens, model.device)).logits
        loss = F.cross_entropy(logits.float(), torch.tensor(labels[drawn], device=logits.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    model.eval()
    return losses


def _row(prompt: str, response: str, constraint: str) -> str:
    return f"{prompt}\n\nResponse:\n{response}\n\nConstraint: {constraint}"


def _encoded(tokenizer: Any, texts: Sequence[str], max_tokens: int, device: Any) -> Any:
    """Ids and mask; too long a text loses its beginning, since the constraint stands last."""
    tokenizer.truncation_side = "left"
    coded = tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True, max_length=max_tokens)
    return {name: coded[name].to(device) for name in ("input_ids", "attention_mask")}
