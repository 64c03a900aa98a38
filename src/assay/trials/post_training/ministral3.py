"""Is a quarter-sized child better when it is pruned and distilled step by step than trained from scratch? (2601.08584)

World   problems of `text/mix6`, held out. The parent is micro (4 M parameters); children have about a half and a
        quarter of its parameters.
Metric  excess loss: nats a reply token of the quarter-sized child less the parent's.
Arms    baseline: the same quarter-sized architecture from a random start on next tokens, for the FLOPs of the method
        (its two students, and the parent's forward passes that they learn from). method: micro pruned to a half,
        distilled, pruned to a quarter, distilled. placebo: the same with the layers, neurons and directions to keep
        drawn at random (first and last layer kept). Shown: `one_step`, micro pruned to a quarter at once, for the same
        FLOPs; `previous`, the half-sized child as the second teacher.

FLOPs are counted as 6 a parameter and token that is trained on, 2 a parameter and token that a teacher reads. Learning
rates were chosen among 1e-3, 3e-3 and 1e-2 on the reserved seed 1000, arm by arm.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from assay.engine.trial import Bar, Cost, Measures, Metric, Models, Trial
from assay.methods.post_training._distillation import distill_loss
from assay.methods.post_training._pruning import least_changing, narrowed, prune_ffn, prune_layers
from assay.methods.post_training.ministral3 import Batch, StageSpec, distil, prune, shares, train_once
from assay.models.recipe import RECIPES
from assay.models.tokenizer import PAD
from assay.models.train_data import Row, pair_row, problem_row
from assay.worlds.text.problem import Problem, digest

ROWS = 32
TOKENS = 20_000  # of each distillation, padding included
RATE = {"baseline": 3e-3, "method": 1e-3, "placebo": 1e-3}
Problems = Sequence[Problem]


def from_scratch(world: Problems, models: Models, seed: int) -> Measures:
    parent, _ = models.load("micro")
    half, quarter = sizes(parent)
    budget = flops(size(parent), size(made(parent, half))) + flops(size(parent), size(made(parent, quarter)))
    child = made(parent, quarter, seed)
    tokens = round(budget * TOKENS / (6 * size(child)))

    def next_token(ids: Tensor, mask: Tensor) -> Tensor:
        logits = child(input_ids=ids).logits
        return distill_loss(logits, logits.detach(), mask, alpha=0.0, labels=ids)

    train_once(child, next_token, stream(seed, "scratch"), tokens=tokens, learning_rate=RATE["baseline"])
    return measured(parent, child, world, budget * TOKENS)


def cascaded(world: Problems, models: Models, seed: int) -> Measures:
    return stepwise(world, models, seed, RATE["method"])


def previous_teacher(world: Problems, models: Models, seed: int) -> Measures:
    return stepwise(world, models, seed, RATE["method"], previous=True)


def at_random(world: Problems, models: Models, seed: int) -> Measures:
    return stepwise(world, models, seed, RATE["placebo"], random=torch.Generator().manual_seed(seed))


def one_step(world: Problems, models: Models, seed: int) -> Measures:
    """Straight to a quarter; the tokens are as many as the method's FLOPs allow."""
    parent, _ = models.load("micro")
    half, quarter = sizes(parent)
    child = prune(parent, calibration(seed), quarter, tie=True)
    budget = TOKENS * (flops(size(parent), size(made(parent, half))) + flops(size(parent), size(child)))
    tokens = round(budget / flops(size(parent), size(child)))
    distil(child, parent, stream(seed, "one"), tokens=tokens, learning_rate=RATE["method"])
    return measured(parent, child, world, budget)


def stepwise(
    world: Problems,
    models: Models,
    seed: int,
    rate: float,
    *,
    previous: bool = False,
    random: torch.Generator | None = None,
) -> Measures:
    parent, _ = models.load("micro")
    model, spent = parent, 0.0
    for i, spec in enumerate(sizes(parent)):
        if random is None:
            child = prune(model, calibration(seed), spec, tie=True)
        else:
            child = prune_at_random(model, spec, random)
        teacher = model if previous else parent
        distil(child, teacher, stream(seed, f"stage {i}"), tokens=TOKENS, learning_rate=rate)
        spent += flops(size(teacher), size(child)) * TOKENS
        model = child
    return measured(parent, model, world, spent)


def prune_at_random(model: Any, spec: StageSpec, generator: torch.Generator) -> Any:
    """What `prune` does, with everything that is kept drawn at random."""
    config = model.config
    if spec.n_layers not in (None, config.num_hidden_layers):
        model = prune_layers(
            model, least_changing(torch.rand(config.num_hidden_layers, generator=generator), spec.n_layers)
        )
    layers = range(model.config.num_hidden_layers)
    model = prune_ffn(model, spec.d_ff, [torch.rand(config.intermediate_size, generator=generator) for _ in layers])
    square = torch.randn(config.hidden_size, config.hidden_size, generator=generator, dtype=torch.float64)
    return narrowed(model, torch.linalg.qr(square).Q, spec.d_model, tie=True)


def sizes(parent: Any) -> tuple[StageSpec, StageSpec]:
    """The half- and the quarter-sized child."""
    return shares(parent, 0.5), shares(parent, 0.25)


def made(parent: Any, spec: StageSpec, seed: int = 0) -> Any:
    """The architecture of a child, freshly drawn; heads are as wide as in the pruned one."""
    config = copy.deepcopy(parent.config)
    config.head_dim = config.hidden_size // config.num_attention_heads
    config.num_hidden_layers, config.hidden_size, config.intermediate_size = spec.n_layers, spec.d_model, spec.d_ff
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return type(parent)(config)


def size(model: Any) -> int:
    """Parameters that a token goes through; the tied table counts once, as the head."""
    return sum(p.numel() for p in model.parameters())


def flops(teacher: int, student: int) -> float:
    """A token of distillation: the student's forward and backward pass, the teacher's forward pass."""
    return 6.0 * student + 2.0 * teacher


def stream(seed: int, name: str) -> Iterator[Batch]:
    """Batches of worked problems of the training split, none twice."""
    start = digest(seed, name) >> 20
    for i in count():
        yield padded([lesson(start + i * ROWS + j) for j in range(ROWS)])


def lesson(number: int) -> Row:
    return problem_row(number, RECIPES["micro"].late, False)


def padded(rows: Sequence[Row]) -> Batch:
    """Ids padded on the right, and where the next token is one that is asked."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + [PAD] * (longest - len(row.ids)) for row in rows])
    asked = torch.tensor([row.asked[1:] + [False] * (longest + 1 - len(row.ids)) for row in rows])
    return ids, asked


def calibration(seed: int) -> list[Tensor]:
    """Rows to prune by, cut to one length so that there is no padding."""
    rows = [lesson((digest(seed, "calibration") >> 20) + j).ids for j in range(256)]
    long = [row[:32] for row in rows if len(row) >= 32]
    return [torch.tensor(long)]


@torch.no_grad()
def loss_of(model: Any, world: Problems) -> float:
    """Nats a reply token on the held-out problems."""
    total, counted = 0.0, 0
    rows = [pair_row(problem.prompt, problem.trace) for problem in world]
    for start in range(0, len(rows), 64):
        ids, mask = padded(rows[start : start + 64])
        logits = model(input_ids=ids).logits[:, :-1][mask[:, :-1]]
        total += float(F.cross_entropy(logits, ids[:, 1:][mask[:, :-1]], reduction="sum"))
        counted += int(mask.sum())
    return total / counted


def measured(parent: Any, child: Any, world: Problems, spent: float) -> Measures:
    own, parents = loss_of(child, world), loss_of(parent, world)
    extra = {"loss": own, "parent_loss": parents, "parameters": float(size(child))}
    return Measures(own - parents, cost=Cost(flops=spent), extra=extra)


trial = Trial(
    paper="2601.08584",
    claim="A child pruned and distilled step by step is better than one trained from scratch for as much compute.",
    headline="24 B to 14 B, 8 B and 3 B; the 14 B base beats its rivals of that size",
    metric=Metric("excess loss of the quarter-sized child", better="lower", unit="nats"),
    bar=Bar(relative=0.20),
    arms={
        "baseline": from_scratch,
        "placebo": at_random,
        "method": cascaded,
        "one_step": one_step,
        "previous": previous_teacher,
    },
    world="text/mix6",
    world_args={"each": 60},
    quick_args={"each": 20},
    seeds=6,
    quick_seeds=1,
    quick_timeout_s=120,
    extras=("lm",),
)
