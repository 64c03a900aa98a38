"""OPUS: Towards Efficient and Principled Data Selection in LLM Pre-training in Every Iteration (2602.05400).

Before each step, scores candidate sequences by how far the optimiser's own update from them would move the weights
along the gradient of a trusted proxy set, and draws those to train on. Costs a forward and backward pass over all
candidates; gains where the stream is mixed and the proxy is what counts, nothing where candidates are all alike.

    selector = OPUSSelector(model, optimizer, ProxySet(proxy_ids), keep=16)
    rows = selector.select({"input_ids": ids})       # 16 of 32 rows; the update then uses ids[rows] only

Where this is our reading of the paper
- lambda = 0.1, temperature 0.9, 8 proxy rows a step, an average of the proxy direction with 0.9: the paper names
  the parts, not these figures. Utility and redundancy are each divided by their mean size over the batch, the
  redundancy anew after each pick.
- The utility <P g_z, d> = <g_z, P d> needs no sketch: it comes exactly out of the factored gradients. The sketch
  stands in for the products between candidates alone.
- A row is a sequence, its loss the mean over its tokens. Each process of a data-parallel run selects among its own
  candidates; sketches are not exchanged.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.utils.data import Sampler

from assay.methods.activations import find_layers
from assay.methods.data._opus_geometry import OptimizerGeometry
from assay.methods.data._opus_ghost import Ghosts, record
from assay.methods.data._opus_updates import UpdateSketch, exact_gram, utilities
from assay.methods.protocols import Embed

Batch = Mapping[str, Tensor]
NO_LABEL = -100


class ProxySet:
    """Sequences that stand for what the model is to become good at: `input_ids` (N, T), `attention_mask` where their
    lengths differ."""

    def __init__(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> None:
        if input_ids.dim() != 2 or not len(input_ids):
            raise ValueError(f"proxy: got shape {tuple(input_ids.shape)}, wanted at least one sequence (N, T)")
        self.rows = _checked({"input_ids": input_ids, "attention_mask": attention_mask})

    def draw(self, k: int, generator: torch.Generator) -> dict[str, Tensor]:
        """`k` different rows, or all where there are fewer."""
        order = torch.randperm(len(self.rows["input_ids"]), generator=generator)[:k]
        return {name: value[order] for name, value in self.rows.items()}


def retrieve(corpus: Sequence[str], benchmark: Sequence[str], k: int, embed: Embed) -> list[int]:
    """Places of the `k` texts of the corpus closest to any text of the benchmark (cosine)."""
    if not 1 <= k <= len(corpus):
        raise ValueError(f"k: got {k}, wanted 1 to {len(corpus)}, the size of the corpus")
    if not benchmark:
        raise ValueError("benchmark: got no texts, wanted at least one")
    closest = (embed(corpus) @ embed(benchmark).T).max(axis=1)
    return [int(i) for i in (-closest).argsort(kind="stable")[:k]]


@dataclass(frozen=True)
class Scores:
    """Of each candidate: `utility` (B,), -inf where its loss is not finite; `gram` (B, B) of the updates; `losses`."""

    utility: Tensor
    gram: Tensor
    losses: Tensor


@dataclass(frozen=True)
class Overhead:
    """Seconds spent on scoring and, between two selections, on everything else; scoring per second of the rest."""

    scoring: float
    update: float

    @property
    def share(self) -> float:
        return self.scoring / self.update if self.update else math.nan


class OPUSSelector:
    """Chooses `keep` rows of every batch of candidates.

    optimizer     whose live state gives the geometry, or several that share the parameters
    geometry      "optimizer", or "identity": as if it were plain SGD
    modules       names of the modules to score by (default: all); `last_layers(model, n)` names those of the last
    exact         products between candidates exactly, not by sketches of `sketch` numbers
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: optim.Optimizer | list[optim.Optimizer],
        proxy: ProxySet,
        keep: int = 16,
        *,
        temperature: float = 0.9,
        redundancy: float = 0.1,
        proxy_rows: int = 8,
        momentum: float = 0.9,
        geometry: Literal["optimizer", "identity"] = "optimizer",
        sketch: int = 8192,
        exact: bool = False,
        modules: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        _check_draw(keep, temperature, redundancy)
        if geometry not in ("optimizer", "identity"):
            raise ValueError(f"geometry: got {geometry!r}, wanted 'optimizer' or 'identity'")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum: got {momentum}, wanted a number in [0, 1)")
        OptimizerGeometry.from_optimizer(optimizer, model)  # refuses an optimiser of other parameters now, not later
        self.model, self.optimizer, self.proxy, self.keep = model, optimizer, proxy, keep
        self.temperature, self.redundancy, self.momentum = temperature, redundancy, momentum
        self.proxy_rows, self.geometry, self.exact, self.modules = proxy_rows, geometry, exact, modules
        self.sketches = UpdateSketch(sketch, seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.direction: dict[str, Tensor] = {}
        self.dropped = 0  # candidates whose loss was not finite
        self._scoring = self._update = 0.0
        self._left: float | None = None

    def select(self, batch: Batch) -> Tensor:
        """Places (keep,) of the chosen rows, in the order drawn; fewer where losses are not finite."""
        size = len(batch["input_ids"])
        if self.keep > size:
            raise ValueError(f"keep: got {self.keep}, wanted at most the {size} candidates of the batch")
        begun = time.perf_counter()
        if self._left is not None:
            self._update += begun - self._left
        scores = self.score(batch)
        self.dropped += int((~scores.losses.isfinite()).sum())
        chosen = boltzmann_select(
            scores.utility, self.keep, self.temperature, self.generator, gram=scores.gram, redundancy=self.redundancy
        )
        self._left = time.perf_counter()
        self._scoring += self._left - begun
        return chosen.to(batch["input_ids"].device)

    def score(self, batch: Batch) -> Scores:
        """Utilities of the candidates at the model's and the optimiser's present state; moves the proxy direction."""
        candidates = _checked(batch)
        together = _joined(candidates, self.proxy.draw(self.proxy_rows, self.generator))
        losses, ghosts = _recorded(self.model, together, self.modules)
        first = torch.arange(len(candidates["input_ids"]))
        others = torch.arange(len(first), len(losses))
        self._turn(ghosts.take(others[losses[others].isfinite().cpu()]))
        maps = (
            OptimizerGeometry.from_optimizer(self.optimizer, self.model)
            if self.geometry == "optimizer"
            else OptimizerGeometry.identity(self.model)
        )
        own = ghosts.take(first)
        utility = utilities(own, maps, self.direction)
        losses = losses[first.to(losses.device)]
        products = exact_gram(own, maps) if self.exact else self.sketches.gram(own, maps)
        return Scores(utility.masked_fill(~losses.isfinite(), -math.inf), products, losses)

    def overhead(self) -> Overhead:
        """What selection has cost so far."""
        return Overhead(self._scoring, self._update)

    def _turn(self, proxy: Ghosts) -> None:
        for name in proxy.uses:
            new = proxy.total(name)
            old = self.direction.get(name)
            self.direction[name] = new if old is None else self.momentum * old + (1 - self.momentum) * new


def boltzmann_select(
    utility: Tensor,
    keep: int,
    temperature: float = 0.9,
    generator: torch.Generator | None = None,
    *,
    gram: Tensor | None = None,
    redundancy: float = 0.1,
) -> Tensor:
    """`keep` different places (keep,), drawn one after another by softmax(score / temperature).

    The score is utility / mean |utility|, less `redundancy` times the products with what is chosen already, divided by
    their mean size. A low temperature takes the best, a high one any. Rows of utility -inf are never drawn.
    """
    _check_draw(keep, temperature, redundancy)
    if keep > len(utility):
        raise ValueError(f"keep: got {keep}, wanted at most {len(utility)}, the number of candidates")
    score = utility.detach().double().cpu()
    left = score.isfinite()
    if left.any():
        score = score / score[left].abs().mean().clamp_min(torch.finfo(torch.float64).tiny)
    products = torch.zeros_like(score)
    chosen: list[int] = []
    for _ in range(min(keep, int(left.sum()))):
        now = score
        if chosen and gram is not None and redundancy:
            products = products + gram[:, chosen[-1]].detach().double().cpu()
            size = products[left].abs().mean().clamp_min(torch.finfo(torch.float64).tiny)
            now = score - redundancy * products / size
        chance = (now / temperature).masked_fill(~left, -math.inf).softmax(dim=0)
        chosen.append(int(torch.multinomial(chance, 1, generator=generator)))
        left[chosen[-1]] = False
    return torch.tensor(chosen, dtype=torch.long)


class BoltzmannSampler(Sampler[int]):
    """A `torch.utils.data` sampler over scores that are there: `n` different places a round, drawn by
    softmax(score / mean |score| / temperature) without replacement."""

    def __init__(self, scores: Tensor, n: int, temperature: float = 0.9, seed: int = 0) -> None:
        _check_draw(n, temperature, 0.0)
        if n > len(scores):
            raise ValueError(f"n: got {n}, wanted at most {len(scores)}, the number of scores")
        self.scores, self.n, self.temperature = scores.double(), n, temperature
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        # The largest of score + Gumbel noise are a draw without replacement.
        uniform = torch.rand(len(self.scores), generator=self.generator, dtype=torch.float64)
        scaled = self.scores / self.scores.abs().mean().clamp_min(1e-300) / self.temperature
        yield from (scaled - (-uniform.log()).log()).topk(self.n).indices.tolist()


def score_offline(
    model: nn.Module,
    geometry: OptimizerGeometry,
    proxy: Sequence[Batch],
    candidates: Sequence[Batch],
    modules: Sequence[str] | None = None,
) -> tuple[list[float], list[float]]:
    """Utility (-inf without a finite loss) and loss of every candidate, at the model as it is and along the mean
    gradient of the whole proxy set. Batches are read one after the other."""
    direction: dict[str, Tensor] = {}
    for batch in proxy:
        losses, ghosts = _recorded(model, batch, modules)
        sound = ghosts.take(losses.isfinite().nonzero().flatten())
        for name in sound.uses:
            direction[name] = direction[name] + sound.total(name) if name in direction else sound.total(name)
    if not direction:
        raise ValueError("proxy: got no batches, wanted at least one")
    rows = sum(len(batch["input_ids"]) for batch in proxy)
    direction = {name: total / rows for name, total in direction.items()}
    found: tuple[list[float], list[float]] = [], []
    for batch in candidates:
        losses, ghosts = _recorded(model, batch, modules)
        utility = utilities(ghosts, geometry, direction).masked_fill(~losses.isfinite(), -math.inf)
        found[0].extend(utility.tolist())
        found[1].extend(losses.tolist())
    return found


def row_losses(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy of each row's tokens after its first, (B,) in nats. `labels` of -100 and what the mask leaves
    out do not count; a row in which nothing counts is NaN."""
    ids, mask = batch["input_ids"], batch.get("attention_mask")
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    labels = batch.get("labels", ids)[:, 1:]
    if mask is not None:
        labels = labels.masked_fill(mask[:, 1:] == 0, NO_LABEL)
    of_token = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=NO_LABEL, reduction="none")
    return of_token.sum(dim=1) / (labels != NO_LABEL).sum(dim=1)


def _recorded(model: nn.Module, batch: Batch, modules: Sequence[str] | None) -> tuple[Tensor, Ghosts]:
    whole = _checked(batch)
    return record(model, lambda: row_losses(model, whole), modules)


def last_layers(model: nn.Module, n: int) -> list[str]:
    """Names of the modules with parameters in the last `n` decoder layers: scoring by them costs less of the backward
    pass."""
    layers = find_layers(model)
    if not 1 <= n <= len(layers):
        raise ValueError(f"n: got {n}, wanted 1 to {len(layers)}, the decoder layers")
    inside = {id(module) for layer in list(layers)[-n:] for module in layer.modules()}
    return [
        name
        for name, module in model.named_modules()
        if id(module) in inside and any(p.requires_grad for p in module.parameters(recurse=False))
    ]


def _checked(batch: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    """A batch with a mask, whether it came with one or not."""
    ids = batch.get("input_ids")
    if ids is None or ids.dim() != 2:
        raise ValueError("batch: wanted `input_ids` of shape (rows, tokens)")
    mask = batch.get("attention_mask")
    mask = torch.ones_like(ids) if mask is None else mask
    labels = batch.get("labels")
    labels = ids if labels is None else labels
    for name, value in (("attention_mask", mask), ("labels", labels)):
        if value.shape != ids.shape:
            raise ValueError(f"{name}: got shape {tuple(value.shape)}, wanted {tuple(ids.shape)}, that of input_ids")
    return {"input_ids": ids, "attention_mask": mask, "labels": labels.masked_fill(mask == 0, NO_LABEL)}


def _joined(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Two batches as one, the shorter rows filled up on the right."""
    longest = max(a["input_ids"].shape[1], b["input_ids"].shape[1])
    fill = {"input_ids": 0, "attention_mask": 0, "labels": NO_LABEL}
    device = a["input_ids"].device

    def long(batch: Mapping[str, Tensor], name: str) -> Tensor:
        return F.pad(batch[name].to(device), (0, longest - batch[name].shape[1]), value=fill[name])

    return {name: torch.cat([long(a, name), long(b, name)]) for name in fill}


def _check_draw(keep: int, temperature: float, redundancy: float) -> None:
    if keep < 1:
        raise ValueError(f"keep: got {keep}, wanted at least 1")
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}, wanted a positive number")
    if not (redundancy >= 0 and math.isfinite(redundancy)):
        raise ValueError(f"redundancy: got {redundancy}, wanted a finite number, at least 0")
