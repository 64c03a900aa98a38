"""When Personalization Misleads: Understanding and Mitigating Hallucinations in Personalized LLMs (2601.11000).

A user's history in the prompt drags factual answers towards what the user once said. FPPS finds the layer where that
happens, tells from the states there whether a question is at risk, and steers the answer back only then. Costs two
passes over the prompt (with and without the history), then one addition a token.

    fpps = fit(model, tokenizer, triples)                    # triples with their right answers
    personalized_generate(model, tokenizer, history, question, fpps)

The module names (shift layer, prober, steering; hard, soft, mixed) are the paper's; every formula is our reading,
named where it stands. A triple is right when greedy decoding writes its gold answer. Questions that need the history
("personal") count as not harmed whatever the model says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import BoolTensor, Tensor

from assay.methods.activations import Intervention, find_layers, intervene
from assay.methods.interpretability._fpps_prober import FEWEST, FactualityProber, fit_prober
from assay.methods.interpretability._replies import prompt_ids, prompt_states
from assay.methods.interpretability._shift_layer import LayerReport, locate_shift_layer, right_under

Kind = Literal["factual", "personal"]
Variant = Literal["H", "S", "M"]
Floats = NDArray[np.float64]
GAMMAS, LOWS, HIGHS = (0.05, 0.1, 0.2, 0.4), (0.2, 0.3, 0.4), (0.6, 0.7, 0.8)
LOCATED = 64  # harmed triples that the layer is looked for with, at most
HELD_OUT = 0.3  # share of the triples that the strengths are tuned on


@dataclass(frozen=True)
class Triple:
    """A question, the user's history, the right answer, and the one that follows the history."""

    question: str
    history: str
    gold: str
    history_answer: str = ""
    kind: Kind = "factual"

    def __post_init__(self) -> None:
        if self.kind not in ("factual", "personal"):
            raise ValueError(f"kind: got {self.kind!r}, wanted 'factual' or 'personal'")
        if not self.question or not self.gold:
            raise ValueError("question, gold: got an empty text, wanted one each")


@dataclass(frozen=True)
class Scores:
    """Shares right: of factual and of personal questions; `hallucination` of the factual ones is right without the
    history and wrong with it. NaN where there are no questions of the kind."""

    factual: float
    personal: float
    hallucination: float

    @property
    def overall(self) -> float:
        """Harmonic mean of factual and personal (our reading; `arithmetic` is the other one)."""
        total = self.factual + self.personal
        return 2 * self.factual * self.personal / total if total else 0.0

    @property
    def arithmetic(self) -> float:
        """Mean of factual and personal."""
        return (self.factual + self.personal) / 2


@dataclass(frozen=True)
class FPPS:
    """What was fitted: the layer, the prober, the factual direction (D,), and how to steer.

    H   risk >= tau: the history's shift d = h_u - h_0 is taken out whole
    S   gamma * risk * |h_u| along the factual direction is added
    M   nothing below tau_low, S up to tau_high, H from there
    """

    layer: int
    prober: FactualityProber
    direction: Tensor
    variant: Variant = "M"
    gamma: float = 0.1
    tau: float = 0.5
    tau_low: float = 0.3
    tau_high: float = 0.7

    def __post_init__(self) -> None:
        if self.variant not in ("H", "S", "M"):
            raise ValueError(f"variant: got {self.variant!r}, wanted 'H', 'S' or 'M'")
        if not self.tau_low <= self.tau_high:
            raise ValueError(f"tau_low, tau_high: got {self.tau_low}, {self.tau_high}, wanted tau_low <= tau_high")
        if not self.gamma > 0:
            raise ValueError(f"gamma: got {self.gamma}, wanted above 0")

    def change(self, h_u: Tensor, h_0: Tensor, risk: Floats | None = None) -> Tensor:
        """What is added (N, D) to the states from the end of the prompt on, from the states there with the history
        `h_u` and without it `h_0`. `risk` (N,) takes the place of the prober's."""
        p = torch.as_tensor(self.prober.risk(h_u, h_0) if risk is None else risk, dtype=h_u.dtype).unsqueeze(1)
        soft = self.gamma * p * h_u.norm(dim=1, keepdim=True) * self.direction
        hard = h_0 - h_u
        nothing = torch.zeros_like(hard)
        if self.variant == "H":
            return torch.where(p >= self.tau, hard, nothing)
        if self.variant == "S":
            return soft
        return torch.where(p >= self.tau_high, hard, torch.where(p >= self.tau_low, soft, nothing))


def joined(history: str, question: str) -> str:
    """The prompt of a personalised question; the plain one where the history is empty."""
    return f"{history}\n{question}" if history else question


def fit(
    model: Any,
    tokenizer: Any,
    triples: Sequence[Triple],
    *,
    layer: int | None = None,
    variant: Variant = "M",
    single_pass: bool = False,
    seed: int = 0,
) -> FPPS:
    """Layer, prober and direction from 70 % of the triples, strength and thresholds from the rest.

    Raises ValueError where the history does the model no harm, or harms fewer than 20 of the triples it learns from.
    """
    if layer is not None and not 0 <= layer < len(find_layers(model)):
        raise ValueError(f"layer: got {layer}, wanted 0 to {len(find_layers(model)) - 1}")
    harmed = harm(model, tokenizer, triples)
    if not harmed.any():
        raise ValueError(
            f"triples: the model shows no personalisation-induced errors on these {len(triples)} items; nothing to fit"
        )
    order = np.random.default_rng(seed).permutation(len(triples))
    cut = round((1 - HELD_OUT) * len(triples))
    learned, held = order[:cut], order[cut:]
    if harmed[learned].sum() < FEWEST:
        raise ValueError(f"triples: got {harmed[learned].sum()} harmed ones to learn from, wanted at least {FEWEST}")
    if layer is None:
        looked_at = [triples[i] for i in learned if harmed[i]][:LOCATED]
        layer = locate(model, tokenizer, looked_at).best
    h_u, h_0 = states(model, tokenizer, triples, layer)
    prober = fit_prober(h_u[learned], h_0[learned], harmed[learned], single_pass=single_pass, seed=seed)
    away = (h_0 - h_u)[learned][torch.as_tensor(harmed[learned])].mean(dim=0)
    start = FPPS(layer, prober, away / away.norm().clamp(min=1e-12), variant)
    return tune(model, tokenizer, start, [triples[i] for i in held], h_u[held], h_0[held])


def harm(model: Any, tokenizer: Any, triples: Sequence[Triple]) -> NDArray[np.bool_]:
    """Which triples (N,) the history harms: factual, right without it, wrong with it."""
    if not triples:
        raise ValueError("triples: got none, wanted at least one")
    plain = right_under(model, tokenizer, [(t.question, t.gold) for t in triples])
    personal = right_under(model, tokenizer, [(joined(t.history, t.question), t.gold) for t in triples])
    factual = np.array([triple.kind == "factual" for triple in triples])
    return factual & plain & ~personal


def locate(
    model: Any, tokenizer: Any, triples: Sequence[Triple], mode: Literal["patch", "norm"] = "patch"
) -> LayerReport:
    """The layer at which the history pulls the answer away, found on triples that it harms."""
    rows = [(t.question, joined(t.history, t.question), t.gold, t.history_answer or t.gold) for t in triples]
    return locate_shift_layer(model, tokenizer, rows, mode=mode)


def states(model: Any, tokenizer: Any, triples: Sequence[Triple], layer: int) -> tuple[Tensor, Tensor]:
    """(N, D) each: the states at the end of the prompt with the history and without it."""
    with_history = [joined(t.history, t.question) for t in triples]
    both = prompt_states(model, tokenizer, [*with_history, *(t.question for t in triples)], [layer])[layer]
    return both[: len(triples)], both[len(triples) :]


def tune(model: Any, tokenizer: Any, fpps: FPPS, triples: Sequence[Triple], h_u: Tensor, h_0: Tensor) -> FPPS:
    """The strength and thresholds of the best overall score on `triples`; the first of those that are equal."""
    if fpps.variant == "H":
        choices = [replace(fpps, tau=tau) for tau in (0.3, 0.5, 0.7)]
    elif fpps.variant == "S":
        choices = [replace(fpps, gamma=gamma) for gamma in GAMMAS]
    else:
        choices = [replace(fpps, gamma=g, tau_low=low, tau_high=high) for g, low, high in product(GAMMAS, LOWS, HIGHS)]
    plain = right_under(model, tokenizer, [(t.question, t.gold) for t in triples])  # the same for every choice

    def overall(choice: FPPS) -> float:
        return score(model, tokenizer, triples, fpps.layer, choice.change(h_u, h_0), plain).overall

    return max(choices, key=overall)


def score(
    model: Any,
    tokenizer: Any,
    triples: Sequence[Triple],
    layer: int,
    change: Tensor | None = None,
    plain: NDArray[np.bool_] | None = None,
) -> Scores:
    """How the triples are answered with their history, steered by `change` (N, D) at a layer where it is given.

    `plain` (N,) is which are right without the history, where that is known already.
    """
    rows = [(joined(t.history, t.question), t.gold) for t in triples]
    right = right_under(model, tokenizer, rows, layer, change)
    factual = np.array([t.kind == "factual" for t in triples])
    if plain is None:
        plain = right_under(model, tokenizer, [(t.question, t.gold) for t in triples])
    harmed = plain & ~right

    def share(hits: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
        return float(hits[of].mean()) if of.any() else float("nan")

    return Scores(share(right, factual), share(right, ~factual), share(harmed, factual))


@torch.no_grad()
def personalized_generate(
    model: Any, tokenizer: Any, history: str, question: str, fpps: FPPS, *, max_new_tokens: int = 64
) -> tuple[str, float]:
    """The answer to a question with the user's history, steered where it is at risk; and the risk.

    Without a history it is the plain answer, at risk 0.
    """
    ids = torch.tensor([prompt_ids(tokenizer, joined(history, question))])
    asked = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": max_new_tokens}
    settings = {"do_sample": False, "pad_token_id": tokenizer.pad_token_id}
    if not history:
        return _said(tokenizer, model.generate(**asked, **settings), ids), 0.0
    h_u, h_0 = states(model, tokenizer, [Triple(question, history, " ")], fpps.layer)
    risk = fpps.prober.risk(h_u, h_0)
    change = fpps.change(h_u, h_0, risk)

    def add(h: Tensor, mask: BoolTensor) -> Tensor:
        steered = h.clone()
        steered[:, -1] += change.to(h)
        return steered

    with intervene(model, [Intervention(fpps.layer, add)]):
        return _said(tokenizer, model.generate(**asked, **settings), ids), float(risk[0])


def _said(tokenizer: Any, out: Tensor, ids: Tensor) -> str:
    text: str = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
    return text
