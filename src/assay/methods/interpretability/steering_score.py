"""How well states that were moved steer what a model writes: how often the concept shows, times how fluent the texts
stay (the steering score of 2602.02464, and of work on sparse autoencoders before it).

    with intervene(model, [MFASteerer(model, mfa, layer).centroid(17, 0.3)]):
        written = [(prompt, write(prompt)) for prompt in prompts]
    nll = reply_nll(model, tokenizer, written)                 # read by the model as it is, or by another
    score = steering_score(shows(written), nll, reply_nll(model, tokenizer, written_before))

Fluency is the perplexity of what the plain model writes over that of the steered texts, at most 1: a text no stranger
than the model's own is as fluent as can be. The mean of log-probabilities is taken over all tokens, long texts and
short ones alike. Which reader and which bound is our reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.methods.interpretability._replies import BATCH_ROWS, reply_log_probs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SteeringScore:
    """The share of texts that show the concept, and their fluency, 0 to 1."""

    concept: float
    fluency: float

    @property
    def value(self) -> float:
        """Their product."""
        return self.concept * self.fluency


def steering_score(shown: ArrayLike, nll: ArrayLike, plain_nll: ArrayLike) -> SteeringScore:
    """The score of steered texts.

    shown      (N,) whether each shows the concept
    nll        (N,) their nats a token
    plain_nll  (M,) nats a token of texts that the model writes without steering
    """
    shows = np.asarray(shown, dtype=np.float64)
    if shows.ndim != 1 or not len(shows) or not np.isin(shows, (0, 1)).all():
        raise ValueError(f"shown: got {shows.shape}, wanted (N,) of yes and no, N >= 1")
    steered, plain = (_nats(name, values) for name, values in (("nll", nll), ("plain_nll", plain_nll)))
    if len(steered) != len(shows):
        raise ValueError(f"nll: got {len(steered)} texts, wanted {len(shows)} as in shown")
    return SteeringScore(float(shows.mean()), float(min(1.0, np.exp(plain.mean() - steered.mean()))))


def reply_nll(model: Any, tokenizer: Any, rows: Sequence[tuple[str, str]]) -> Floats:
    """Nats a token of each reply to its prompt, its end counted, as the model reads them, (N,)."""
    if not rows:
        raise ValueError("rows: got none, wanted at least one (prompt, reply)")
    found: list[float] = []
    for at in range(0, len(rows), BATCH_ROWS):
        for gold, _, asked in reply_log_probs(model, tokenizer, rows[at : at + BATCH_ROWS]):
            found.append(-float(gold[asked].mean()))
    return np.array(found)


def _nats(name: str, values: ArrayLike) -> Floats:
    nats = np.asarray(values, dtype=np.float64)
    if nats.ndim != 1 or not len(nats) or not np.isfinite(nats).all() or (nats < 0).any():
        raise ValueError(f"{name}: got shape {nats.shape}, wanted (N,) finite nats of 0 or more, N >= 1")
    return nats
