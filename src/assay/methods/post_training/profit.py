"""ProFit: Leveraging High-Value Signals in SFT via Probability-Guided Token Selection (2601.09195).

With one reference answer a prompt, fine-tuning spends its largest gradients on tokens that are only one of many ways
to say it. `ProFit` leaves those out of the loss that the model itself finds improbable (p < 0.1) and trains on the
rest, which carry the reasoning. It is a `compute_loss_func` for `transformers.Trainer` and TRL's `SFTTrainer`.

Details that matter
- What it costs: nothing beyond the cross-entropy, O(B T V). TRL 1.16 runs a second forward pass for its metrics
  whenever a loss function is given, and announces that it will take such functions no longer from 2.0.
- When it does not help: the model must already find the core of its data probable. Where it does not, the threshold
  drops the very tokens that it should learn, and its errors stay. `core_trivial_probe` shows which case yours is.
- The sum over kept tokens is divided by the number of all asked tokens, dropped ones included, as in the authors'
  code: dropping also shrinks the step. Without that number (`num_items=None`) it is the mean of the kept tokens.
- p is read anew at each step, from the model in training: what was dropped stays dropped unless it becomes probable
  by itself. `keep_rate` says how much was trained on.
- An evaluation runs through the same loss: compare `eval_loss` between runs of one threshold only.
- The bound of the gradient is exact at the logits, where gamma = 1; for parameters gamma depends on the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from assay.methods.post_training.prl import response_logprobs

Direction = Literal["higher", "lower", "middle", "random"]
Threshold = float | tuple[float, float]

# The authors' settings, by the names of `SFTConfig`; the threshold that goes with them is 0.1.
RECIPE: Mapping[str, float | int | str] = MappingProxyType(
    {
        "learning_rate": 1e-5,
        "num_train_epochs": 1,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,  # below 1 it is a share of the steps
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 4,
        "max_length": 8192,
    }
)


class ProFit:
    """The loss on probable tokens as trainers call it: `SFTTrainer(..., compute_loss_func=ProFit(0.1))`.

    threshold  tau in [0, 1]; (tau1, tau2) with direction "middle"
    direction  what is kept, see `kept_tokens`
    generator  the draws of direction "random"
    """

    def __init__(
        self,
        threshold: Threshold = 0.1,
        direction: Direction = "higher",
        *,
        ignore_index: int = -100,
        generator: torch.Generator | None = None,
    ) -> None:
        _check_threshold(threshold, direction)
        self.threshold, self.direction = threshold, direction
        self.ignore_index, self.generator = ignore_index, generator
        self._kept = self._seen = 0

    def __call__(self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """`outputs.logits` (B, T, V) and labels (B, T), not yet shifted, to a scalar."""
        return self.loss(outputs.logits, labels, num_items_in_batch)

    def loss(
        self, logits: Tensor, labels: Tensor, num_items: Tensor | int | None = None, *, shift: bool = True
    ) -> Tensor:
        """`profit_loss` with these settings, for a training loop of one's own."""
        _check_tensors(logits, labels, self.ignore_index)
        if shift:
            logits, labels = logits[..., :-1, :], labels[..., 1:]
        asked = labels != self.ignore_index
        nll = F.cross_entropy(logits[asked].float(), labels[asked], reduction="none")
        kept = kept_tokens(torch.exp(-nll.detach()), self.threshold, self.direction, self.generator)
        if nll.requires_grad:  # an evaluation trains nothing
            self._kept, self._seen = self._kept + int(kept.sum()), self._seen + len(kept)
        total = nll[kept].sum()  # not nll * kept: a dropped token may have p = 0
        if num_items is None:
            return total / kept.sum().clamp(min=1)
        if num_items < 0:
            raise ValueError(f"num_items: got {int(num_items)}, wanted the number of asked tokens")
        return total / torch.as_tensor(num_items, device=total.device).clamp(min=1)  # 0 asked: the sum is 0 as well

    @property
    def keep_rate(self) -> float:
        """Share of the tokens trained on so far; NaN before the first batch."""
        return self._kept / self._seen if self._seen else float("nan")


def profit_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    threshold: Threshold = 0.1,
    direction: Direction = "higher",
    num_items: Tensor | int | None = None,
    ignore_index: int = -100,
    generator: torch.Generator | None = None,
    shift: bool = True,
) -> Tensor:
    """Cross-entropy over the tokens that `kept_tokens` keeps: their sum / `num_items`, or their mean.

    logits     (..., T, V) floating
    labels     (..., T); with `shift`, position t of the logits predicts label t + 1
    num_items  asked tokens of the whole (accumulated) batch, dropped ones included

    Nothing kept gives 0 with a graph. Raises ValueError for labels that are neither in [0, V) nor `ignore_index`.
    """
    profit = ProFit(threshold, direction, ignore_index=ignore_index, generator=generator)
    return profit.loss(logits, labels, num_items, shift=shift)


def kept_tokens(
    p: Tensor,
    threshold: Threshold = 0.1,
    direction: Direction = "higher",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Which tokens are trained on, given their probabilities `p` (n,): a mask (n,).

    Dropped is what has p < tau ("higher"), p > tau ("lower"), p < tau1 or p > tau2 ("middle"), or any token with
    probability tau ("random"). Strictly: tau = 0 is plain fine-tuning in "higher".
    """
    _check_threshold(threshold, direction)
    if isinstance(threshold, tuple):
        return (p >= threshold[0]) & (p <= threshold[1])
    if direction == "random":
        draws = torch.rand(p.shape, generator=generator, device=generator.device if generator else p.device)
        return draws.to(p.device) >= threshold
    return p >= threshold if direction == "higher" else p <= threshold


def _check_threshold(threshold: Threshold, direction: Direction) -> None:
    if direction not in get_args(Direction):
        raise ValueError(f"direction: got {direction!r}, wanted one of {', '.join(get_args(Direction))}")
    pair = isinstance(threshold, tuple)
    for one in threshold if isinstance(threshold, tuple) else (threshold,):
        if not isinstance(one, (int, float)) or isinstance(one, bool):
            raise TypeError(f"threshold: got {one!r}, wanted a number in [0, 1]")
        if not 0 <= one <= 1:
            raise ValueError(f"threshold: got {one}, wanted a number in [0, 1]")
    if pair != (direction == "middle"):
        wanted = "two numbers (tau1, tau2)" if direction == "middle" else "one number"
        raise ValueError(f"threshold: got {threshold}, wanted {wanted} with direction {direction!r}")
    if isinstance(threshold, tuple) and not (len(threshold) == 2 and threshold[0] < threshold[1]):
        raise ValueError(f"threshold: got {threshold}, wanted (tau1, tau2) with tau1 < tau2")


def _check_tensors(logits: Tensor, labels: Tensor, ignore_index: int) -> None:
    if not logits.is_floating_point():
        raise TypeError(f"logits: got {logits.dtype}, wanted floating-point numbers")
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"labels: got shape {tuple(labels.shape)}, wanted {tuple(logits.shape[:-1])} for logits of shape "
            f"{tuple(logits.shape)}"
        )
    wrong = (labels != ignore_index) & ((labels < 0) | (labels >= logits.shape[-1]))
    if wrong.any():
        found = int(labels[wrong][0])
        raise ValueError(f"labels: got {found}, wanted token ids in [0, {logits.shape[-1]}) or {ignore_index}")


# What the method rests on: improbable tokens have large gradients, and the core of an answer is probable.


def gradient_lower_bound(p: Tensor, gamma: float = 1.0) -> Tensor:
    """gamma * (1 - p): no token's gradient norm is below it. gamma = 1 holds exactly for the logits."""
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p: got a value outside [0, 1], wanted probabilities")
    if not gamma > 0:
        raise ValueError(f"gamma: got {gamma}, wanted > 0")
    return gamma * (1 - p)


def token_gradient_norms(
    model: Any, batch: Mapping[str, Tensor], at: Literal["logits", "parameters"] = "logits"
) -> tuple[Tensor, Tensor]:
    """p (n,) and the 2-norm (n,) of each asked token's own gradient, of its logits or of all trained parameters.

    `batch` holds what the causal model takes, `labels` (B, T) among it (-100: not asked). "parameters" runs one
    backward pass a token: take a small batch.
    """
    if at not in ("logits", "parameters"):
        raise ValueError(f"at: got {at!r}, wanted 'logits' or 'parameters'")
    labels = batch["labels"][..., 1:]
    asked = labels != -100
    logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits[..., :-1, :]
    logits, labels = logits[asked].float(), labels[asked]
    nll = F.cross_entropy(logits, labels, reduction="none")
    p = torch.exp(-nll.detach())
    if at == "logits":
        return p, torch.autograd.grad(nll.sum(), logits)[0].norm(dim=1)  # a row's loss reads its own logits only
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    norms = []
    for one in nll:
        gradients = torch.autograd.grad(one, trained, retain_graph=True)
        norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm())
    return p, torch.stack(norms) if norms else p.new_zeros(0)


@torch.no_grad()
def token_probabilities(model: Any, tokenizer: Any, prompt: str, completion: str) -> tuple[list[str], Tensor]:
    """The tokens of `completion` as text, and the probability (n,) of each after all that stands before it.

    An empty prompt is the tokenizer's start token; where it has none, the completion's first token is left out.
    """
    before = tokenizer(prompt, return_tensors="pt")["input_ids"][0].long()
    ids = tokenizer(completion, add_special_tokens=False, return_tensors="pt")["input_ids"][0].long()
    if len(before) == 0 and tokenizer.bos_token_id is not None:
        before = torch.tensor([tokenizer.bos_token_id])
    elif len(before) == 0:
        before, ids = ids[:1], ids[1:]
    if len(ids) == 0:
        raise ValueError(f"completion: got {completion!r}, which holds no token to score")
    p = response_logprobs(model, before.to(model.device), ids.to(model.device)).exp().cpu()
    return [tokenizer.decode([token]) for token in ids.tolist()], p


@dataclass(frozen=True)
class ProbeReport:
    """How probable the model finds core and trivial tokens. `p_value`: one-sided Mann-Whitney test of core > trivial;
    the paper found means of 0.768 and 0.485."""

    core: float
    trivial: float
    core_tokens: int
    trivial_tokens: int
    p_value: float


def core_trivial_probe(
    model: Any, tokenizer: Any, texts: Sequence[tuple[str, str]], is_core: Callable[[str], bool]
) -> ProbeReport:
    """Mean probability of the core and of the other tokens of (prompt, completion) texts.

    `is_core` is asked about each token as text. Raises ValueError where one of the two kinds does not occur.
    """
    from scipy.stats import mannwhitneyu

    core, trivial = list[float](), list[float]()
    for prompt, completion in texts:
        for token, p in zip(*token_probabilities(model, tokenizer, prompt, completion)):
            (core if is_core(token) else trivial).append(float(p))
    if not core or not trivial:
        missing = "core" if not core else "trivial"
        raise ValueError(f"is_core: found no {missing} token in {len(texts)} texts, wanted both kinds")
    p_value = float(mannwhitneyu(core, trivial, alternative="greater").pvalue)
    return ProbeReport(sum(core) / len(core), sum(trivial) / len(trivial), len(core), len(trivial), p_value)
