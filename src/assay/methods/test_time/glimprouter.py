"""GlimpRouter: Efficient Collaborative Inference by Glimpsing One Token of Thoughts (arXiv 2601.05110).

Before each reasoning step a small model produces one token. If the entropy of that token's distribution is
high, the large model writes the whole step, otherwise the small one does; no step is written and thrown away.
Cost: one probe token a step, and one prefill at each change of writer (paid once per model with a prefix cache).
It does not help where the first token of a step says nothing about the step, e.g. when steps begin with copied
text; `step_difficulty` measures that on your own problems before you route.

Details that matter
- The entropy is taken over the returned top tokens only, renormalised, in nats (released code); so it depends
  on `top_logprobs`, and a threshold calibrated with 20 does not carry over to 5.
- The probe is greedy and its token is not kept: the step is sampled anew at `temperature`.
- A step goes to the large model at `entropy >= threshold` (released code), the answer always to `final_by`.
- Ours, not the paper's: probe tokens do not count to `token_budget`; `calibrate_threshold` by quantile;
  `bimodality` by Sarle's coefficient (the paper shows the two modes by histogram).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from assay.methods.protocols import Sample
from assay.methods.test_time._step_loop import Draft, Routed, Step, StepRouter, Writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "GlimpRouter", "Routed", "Step", "bimodality", "calibrate_threshold", "initial_entropy", "route",
    "step_difficulty",
]  # fmt: skip


def initial_entropy(top_logprobs: Sequence[float], *, base: Literal["e", "2"] = "e") -> float:
    """Entropy of the returned head of a token distribution, H = -Σ p ln p with p renormalised over the head.

    `top_logprobs` are natural log-probabilities; -inf entries are dropped, a single entry gives 0. Raises
    ValueError for an empty list, a positive value or NaN. In bits with `base="2"`.
    """
    if base not in ("e", "2"):
        raise ValueError(f"base: got {base!r}, wanted 'e' or '2'")
    wrong = [value for value in top_logprobs if not value <= 1e-6]
    if wrong:
        raise ValueError(f"top_logprobs: got {wrong[0]}, wanted log-probabilities <= 0")
    finite = [value for value in top_logprobs if value != -math.inf]
    if not finite:
        raise ValueError("top_logprobs: got no finite entry, wanted at least one log-probability")
    highest = max(finite)
    weights = [math.exp(value - highest) for value in finite]
    total = math.fsum(weights)
    entropy = -math.fsum(w / total * math.log(w / total) for w in weights if w > 0)
    return max(0.0, entropy) / (math.log(2) if base == "2" else 1.0)


def route(entropy: float, threshold: float) -> Writer:
    """Who writes the step: the large model where the small one is unsure, `entropy >= threshold`."""
    return "large" if entropy >= threshold else "small"


@dataclass(kw_only=True)
class GlimpRouter(StepRouter):
    """Route each step by the entropy of the small model's first token.

    `threshold` in nats, `top_logprobs` alternatives asked of the probe. The other arguments are those of the
    loop (`StepRouter`) with the released defaults. `await router.solve(question)` returns a `Routed`.
    Raises ValueError for a threshold that is NaN or negative, and when the small model gives no log-probabilities.
    """

    threshold: float = 1.0
    top_logprobs: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.threshold >= 0:
            raise ValueError(f"threshold: got {self.threshold}, wanted an entropy >= 0 (nats)")
        if self.top_logprobs < 1:
            raise ValueError(f"top_logprobs: got {self.top_logprobs}, wanted >= 1")

    async def write_step(self, draft: Draft, seed: int | None) -> Step:
        entropy = await self.glimpse(draft, seed)
        return await self.ask(draft, route(entropy, self.threshold), seed, entropy=entropy)

    async def glimpse(self, draft: Draft, seed: int | None) -> float:
        """Entropy of the small model's next token; its one token is booked as a probe and not kept."""
        messages = draft.messages()
        (probe,) = await self.small(
            messages,
            max_tokens=1,
            temperature=0.0,
            top_logprobs=self.top_logprobs,
            continue_assistant=messages[-1].role == "assistant",
            seed=seed,
        )
        draft.ledgers["small"].charge(probe, probe=True)
        return initial_entropy(first_top_logprobs(probe, self.small))


def first_top_logprobs(reply: Sample, sampler: object) -> list[float]:
    """Log-probabilities of the alternatives of a reply's first token; ValueError if the model gives none."""
    if not reply.logprobs or not reply.logprobs[0].top:
        name = getattr(sampler, "name", type(sampler).__name__)
        raise ValueError(
            f"model {name} returned no top_logprobs; GlimpRouter needs them (vllm, hf, openai, assay/nano do)"
        )
    return [logprob for _, logprob in reply.logprobs[0].top]


def calibrate_threshold(entropies: ArrayLike, large_share: float) -> float:
    """The threshold that sends `large_share` of steps with these initial entropies (n,) to the large model."""
    import numpy as np

    if not 0 < large_share < 1:
        raise ValueError(f"large_share: got {large_share}, wanted a share between 0 and 1, both excluded")
    return float(np.quantile(_entropies(entropies), 1 - large_share))


def bimodality(entropies: ArrayLike) -> tuple[float, float, float]:
    """Sarle's bimodality coefficient of (n,) entropies and the two modes, low then high.

    The coefficient is (skew² + 1) / (kurtosis + 3(n-1)²/((n-2)(n-3))) with sample skewness and excess kurtosis;
    above 5/9 means bimodal (a uniform distribution has 5/9). Modes are the means of a two-component Gaussian
    mixture. Raises ValueError for fewer than 4 values or constant ones.
    """
    from scipy import stats
    from sklearn.mixture import GaussianMixture

    values = _entropies(entropies)
    n = len(values)
    if n < 4 or float(values.std()) == 0:
        raise ValueError(f"entropies: got {n} values with spread {values.std():g}, wanted at least 4 that differ")
    skew = float(stats.skew(values, bias=False))
    kurtosis = float(stats.kurtosis(values, bias=False))
    coefficient = (skew**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))
    modes = GaussianMixture(2, random_state=0).fit(values[:, None]).means_.ravel()
    return coefficient, float(modes.min()), float(modes.max())


def step_difficulty(signals: Mapping[str, ArrayLike], correct: ArrayLike) -> dict[str, float]:
    """AUROC of each signal, one value a step, against "the small model's step is wrong" (the paper's comparison
    of first-token entropy with mean step entropy, step perplexity and first-token probability).

    `correct` is (n,) bool. 0.5 means the signal says nothing; below 0.5 it points the other way.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    wrong = ~np.asarray(correct, dtype=bool)
    if wrong.all() or not wrong.any():
        raise ValueError(f"correct: got {len(wrong)} steps that are all alike, wanted right and wrong ones")
    return {name: float(roc_auc_score(wrong, np.asarray(values))) for name, values in signals.items()}


def _entropies(values: ArrayLike) -> NDArray[np.float64]:
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"entropies: got shape {array.shape}, wanted a non-empty list of numbers")
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError("entropies: got negative or non-finite values, wanted entropies >= 0")
    return array
