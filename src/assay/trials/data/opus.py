"""Do candidates chosen by the optimiser's own update train a language model with fewer tokens? (2602.05400)

World   a stream of real text of four kinds, a quarter of it spoilt; one kind is the target. A small Llama (0.13 M
        parameters, 512 byte-BPE tokens) sees 32 candidates of 64 tokens a step and trains on 16 of them, 200 steps of
        AdamW. The proxy is 320 pieces of the target, validation 256 others, all of documents the stream has not.
Metric  tokens after which the validation loss is down to random selection's last one, as a share of random's tokens;
        1.25 where that is never reached.
Arms    baseline: 16 at random. method: OPUS, AdamW's geometry. placebo: the same with plain SGD's geometry, so that
        everything but the optimiser's own view of the gradients is left in.

The learning rate (20 steps of warm-up, then constant) is the best of 2e-3, 4e-3, 8e-3 and 1.6e-2 for random choice on
seed 1000, the same in all arms; the method's constants are its defaults. Sizes are below those of a usual nano run (a
million parameters, 400 steps of 128 tokens), so that six seeds of three arms take five minutes.

`opus_variants` reports, without a verdict: greedy choice, no redundancy, a static filter by a bigram model of the
proxy, and random and OPUS with Muon.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from assay.engine.trial import Bar, Cost, Measures, Metric, Mirror, Models, Trial
from assay.methods.data.opus import OPUSSelector, ProxySet, row_losses
from assay.models.nano import inner_matrices, tiny_llama
from assay.worlds.text_pool import KINDS, TextPool

KEEP, EVERY = 16, 10
RATE, WARM_UP, MUON_RATE = 4e-3, 20, 0.02
NEVER = 1.25

Optimizers = list[optim.Optimizer]
Choose = Callable[[Tensor], Tensor]  # candidates (C, T) -> rows (KEEP,)
Make = Callable[[TextPool, int, nn.Module, Optimizers], Choose]
Kind = Literal["adamw", "muon"]


@dataclass(frozen=True)
class Run:
    """The validation loss (nats a token) after every tenth step, the rows chosen (steps, KEEP), and how many seconds
    choosing took for each second of training."""

    curve: tuple[float, ...]
    chosen: NDArray[np.intp]
    overhead: float


def at_random(world: TextPool, models: Models, seed: int) -> Measures:
    return measured(world, trained(world, seed, random_rows), None)


def opus(world: TextPool, models: Models, seed: int, earlier: Measures) -> Measures:
    return measured(world, trained(world, seed, by_opus()), earlier)


def sgd_geometry(world: TextPool, models: Models, seed: int, earlier: Measures) -> Measures:
    return measured(world, trained(world, seed, by_opus(geometry="identity")), earlier)


def greedy(world: TextPool, models: Models, seed: int, earlier: Measures) -> Measures:
    return measured(world, trained(world, seed, by_opus(temperature=1e-9)), earlier)


def no_redundancy(world: TextPool, models: Models, seed: int, earlier: Measures) -> Measures:
    return measured(world, trained(world, seed, by_opus(redundancy=0.0)), earlier)


def static_filter(world: TextPool, models: Models, seed: int, earlier: Measures) -> Measures:
    return measured(world, trained(world, seed, by_bigrams), earlier)


def at_random_muon(world: TextPool, models: Models, seed: int, earlier: Measures) -> Measures:
    return measured(world, trained(world, seed, random_rows, "muon"), earlier)


def opus_muon(world: TextPool, models: Models, seed: int, earlier: Measures) -> Measures:
    return measured(world, trained(world, seed, by_opus(), "muon"), earlier)


def random_rows(world: TextPool, seed: int, model: nn.Module, optimizers: Optimizers) -> Choose:
    generator = torch.Generator().manual_seed(seed)
    return lambda ids: torch.randperm(len(ids), generator=generator)[:KEEP]


def by_opus(
    geometry: Literal["optimizer", "identity"] = "optimizer", temperature: float = 0.9, redundancy: float = 0.1
) -> Make:
    def make(world: TextPool, seed: int, model: nn.Module, optimizers: Optimizers) -> Choose:
        selector = OPUSSelector(
            model,
            optimizers,
            ProxySet(torch.from_numpy(world.proxy).long()),
            KEEP,
            temperature=temperature,
            redundancy=redundancy,
            geometry=geometry,
            seed=seed,
        )
        return lambda ids: selector.select({"input_ids": ids})

    return make


def by_bigrams(world: TextPool, seed: int, model: nn.Module, optimizers: Optimizers) -> Choose:
    """The 16 of lowest perplexity under a bigram model of the proxy, whatever the network has learned."""
    counts = np.full((world.vocabulary, world.vocabulary), 0.1)
    np.add.at(counts, (world.proxy[:, :-1].ravel(), world.proxy[:, 1:].ravel()), 1)
    logs = torch.from_numpy(np.log(counts / counts.sum(axis=1, keepdims=True)))
    return lambda ids: logs[ids[:, :-1], ids[:, 1:]].mean(dim=1).argsort(descending=True, stable=True)[:KEEP]


def trained(world: TextPool, seed: int, make: Make, kind: Kind = "adamw", rate: float = RATE) -> Run:
    """One run over the stream."""
    model = tiny_llama(hidden=64, layers=2, heads=4, mlp=168, vocabulary=world.vocabulary, context=64, seed=seed)
    optimizers = made_optimizers(model, kind, rate)
    choose = make(world, seed, model, optimizers)
    warm = [optim.lr_scheduler.LambdaLR(one, lambda step: min(1.0, (step + 1) / WARM_UP)) for one in optimizers]
    curve, chosen, choosing, training = list[float](), [], 0.0, 0.0
    for step, candidates in enumerate(world.stream, 1):
        ids, begun = torch.from_numpy(candidates).long(), time.perf_counter()
        rows = choose(ids)
        chose = time.perf_counter()
        row_losses(model, {"input_ids": ids[rows]}).mean().backward()
        for one, schedule in zip(optimizers, warm):
            one.step()
            schedule.step()
            one.zero_grad()
        choosing, training = choosing + chose - begun, training + time.perf_counter() - chose
        chosen.append(rows.numpy())
        if step % EVERY == 0:
            curve.append(validation_loss(model, world))
    return Run(tuple(curve), np.array(chosen), choosing / training)


@torch.no_grad()
def validation_loss(model: nn.Module, world: TextPool) -> float:
    parts = torch.from_numpy(world.validation).long().split(64)
    return float(torch.cat([row_losses(model, {"input_ids": part}) for part in parts]).mean())


def made_optimizers(model: nn.Module, kind: Kind, rate: float) -> Optimizers:
    """AdamW, or Muon for the matrices inside the blocks and AdamW for the rest."""
    if kind == "adamw":
        return [optim.AdamW(model.parameters(), lr=rate)]
    matrices, others = inner_matrices(model)
    return [optim.Muon(matrices, lr=MUON_RATE), optim.AdamW(others, lr=rate)]


def measured(world: TextPool, run: Run, baseline: Measures | None) -> Measures:
    """The share of random's tokens; without a baseline this is random itself, whose share is 1."""
    kinds = np.take_along_axis(world.kinds, run.chosen, axis=1)
    tokens = np.take_along_axis(world.stream, run.chosen[:, :, None], axis=1)
    extra = {
        "final_loss": run.curve[-1],
        "target_share": float((kinds == KINDS.index(world.target)).mean()),
        "spoilt_share": float((kinds >= len(KINDS)).mean()),
        "distinct_4_grams": distinct(tokens.reshape(-1, tokens.shape[-1])),
    }
    share = 1.0 if baseline is None else reached(run.curve, baseline.extra["final_loss"])
    notes = {"target": world.target, "seconds of choosing a second of training": f"{run.overhead:.2f}"}
    return Measures(share, cost=Cost(tokens_in=int(tokens.size)), extra=extra, notes=notes, curve=run.curve)


def reached(curve: Sequence[float], aim: float) -> float:
    """Share of the steps after which the loss is first down to `aim`, read between two measurements."""
    before = math.inf
    for i, loss in enumerate(curve):
        if loss <= aim:
            inside = (before - aim) / (before - loss) if math.isfinite(before) else 1.0
            return (i + inside) / len(curve)
        before = loss
    return NEVER


def distinct(rows: NDArray[np.int16]) -> float:
    """Share of different ones among the runs of four tokens."""
    runs = np.lib.stride_tricks.sliding_window_view(rows, 4, axis=1).reshape(-1, 4)
    return len(np.unique(runs, axis=0)) / len(runs)


PAPER = "2602.05400"
HEADLINE = "17 B tokens reach the loss of 60 B randomly chosen ones (0.28), at 4.7 % more compute"
METRIC = Metric("tokens to random's final loss, as a share of random's", better="lower", range=(0.0, NEVER))
LATER = ("placebo", "method", "greedy", "no_redundancy", "static_filter", "random_muon", "opus_muon")

trials = (
    Trial(
        paper=PAPER,
        claim="Choosing candidates by the optimiser's own update reaches random choice's loss with far fewer tokens.",
        headline=HEADLINE,
        metric=METRIC,
        bar=Bar(versus="baseline", relative=0.35),
        arms={"baseline": at_random, "placebo": sgd_geometry, "method": opus},
        after={"placebo": "baseline", "method": "baseline"},
        world="text_pool",
        quick_args={"steps": 60},
        quick_seeds=2,
        quick_timeout_s=60,
        seeds=6,
        timeout_s=900,  # an arm takes half a minute on a core of its own
        mirrors=(Mirror("tokens for random's loss", 0.28, ("method", "baseline")),),
        extras=("lm",),
    ),
    Trial(
        name="opus_variants",
        paper=PAPER,
        claim="Greedy choice, no redundancy, a static filter, and Muon in place of AdamW, beside OPUS as it is.",
        headline=HEADLINE,
        metric=METRIC,
        bar=None,
        arms={
            "baseline": at_random,
            "placebo": sgd_geometry,
            "method": opus,
            "greedy": greedy,
            "no_redundancy": no_redundancy,
            "static_filter": static_filter,
            "random_muon": at_random_muon,
            "opus_muon": opus_muon,
        },
        after=dict.fromkeys(LATER, "baseline"),
        world="text_pool",
        quick_args={"steps": 60},
        quick_seeds=1,
        quick_timeout_s=60,
        seeds=2,
        timeout_s=900,
        extras=("lm",),
    ),
)
