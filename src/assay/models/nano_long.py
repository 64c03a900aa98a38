"""nano-long: two layers of four heads that read thousands of tokens, for methods that look into long attention.

Trained as nano is, by a short recall phase first: without it a model of two layers guesses among the values that were
told and goes on to do so for millions of tokens. Then comes the text of `worlds/recall_text`, in rounds of growing
length; the loss is that of the next token, where values that are asked for weigh as much as all other tokens together.
`stretched` gives the same weights a longer context.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from assay.models import tokenizer as tok
from assay.models.derived import module_digest

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import LlamaForCausalLM

NAME = "nano-long"
TAUGHT, JUDGED = 10**6, 500_000  # first seeds of training and of the texts that are reported on, apart from the trials'
JUDGED_TOKENS = 16_384  # for each length


@dataclass(frozen=True)
class Round:
    """`steps` of `texts` texts of `length` tokens, with a fact or a question every `spacing` tokens."""

    length: int
    texts: int
    steps: int
    spacing: int = 16


@dataclass(frozen=True)
class LongRecipe:
    """Sizes of the model, and how it is trained: Muon for the matrices inside the blocks, AdamW for the rest."""

    hidden: int = 256
    layers: int = 2
    heads: int = 4
    mlp: int = 512
    context: int = 4096
    muon_rate: float = 0.02
    momentum: float = 0.95
    adamw_rate: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    warmup_steps: int = 50
    decayed: float = 0.4  # share of the steps, the last ones, over which the rates fall to a twentieth
    recall_steps: int = 140
    recall_rows: int = 128
    rounds: tuple[Round, ...] = (
        Round(64, 64, 60, 8),
        Round(128, 32, 100, 8),
        Round(256, 16, 100),
        Round(512, 8, 150),
        Round(1024, 4, 150),
        Round(2048, 2, 200),
        Round(4096, 1, 300),
    )

    @property
    def steps(self) -> int:
        """Steps of the recall phase and all rounds."""
        return self.recall_steps + sum(part.steps for part in self.rounds)


RECIPE = LongRecipe()


def key() -> str:
    """What the weights depend on, in a line: the recipe and the modules that make the text."""
    modules = ("assay.worlds.recall_text", "assay.worlds.delta_copy")
    return json.dumps([asdict(RECIPE), *map(module_digest, modules)], sort_keys=True)


def train(
    out: Path, *, seed: int = 0, recipe: LongRecipe = RECIPE, show: Callable[[int, int, float], None] | None = None
) -> Path:
    """Train the model on one thread and write it into the folder `out`; `show(step, steps, loss)` as it goes."""
    import torch

    from assay.models import weights
    from assay.models.nano import tiny_llama
    from assay.worlds import recall_text

    started, threads = time.perf_counter(), torch.get_num_threads()
    sizes = {name: getattr(recipe, name) for name in ("hidden", "layers", "heads", "mlp", "context")}
    model = tiny_llama(**sizes, seed=seed)
    torch.set_num_threads(1)  # more threads change the sums, and with them the weights
    try:
        losses = _fit(model, recipe, seed, show)
        model.eval()  # type: ignore[no-untyped-call]
        lengths = sorted({part.length for part in recipe.rounds})
        right = {n: share_right(model, recall_text.world(JUDGED_TOKENS // n, n).sample(JUDGED)) for n in lengths}
    finally:
        torch.set_num_threads(threads)
    report = {
        "name": NAME,
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": asdict(recipe),
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": weights.versions(),
        "loss": round(sum(losses[-20:]) / len(losses[-20:]), 4),
        "right": {str(length): round(share, 3) for length, share in right.items()},
    }
    weights.save(model, report, out)
    return out


def _fit(
    model: LlamaForCausalLM, recipe: LongRecipe, seed: int, show: Callable[[int, int, float], None] | None
) -> list[float]:
    """Each step's loss in nats."""
    import torch

    from assay.models.nano import inner_matrices

    matrices, others = inner_matrices(model)
    decay = recipe.weight_decay
    optimisers = (
        torch.optim.Muon(matrices, lr=recipe.muon_rate, momentum=recipe.momentum, weight_decay=decay),
        torch.optim.AdamW(others, lr=recipe.adamw_rate, betas=recipe.betas, weight_decay=decay),
    )
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: rate(recipe, step)) for one in optimisers]
    losses = list[float]()
    model.train()
    for loss in _losses(model, recipe, seed):
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser, schedule in zip(optimisers, schedules):
            optimiser.step()
            schedule.step()
        model.zero_grad()
        losses.append(loss.item())
        if show is not None and len(losses) % 50 == 0:
            show(len(losses), recipe.steps, losses[-1])
    return losses


def rate(recipe: LongRecipe, step: int) -> float:
    """Factor on both learning rates at a step counted from 0."""
    rising = (step + 1) / recipe.warmup_steps
    falling = 0.05 + (recipe.steps - step) / (recipe.decayed * recipe.steps)
    return min(1.0, rising, falling)


def _losses(model: LlamaForCausalLM, recipe: LongRecipe, seed: int) -> Iterator[Tensor]:
    """The loss of each step, made when it is asked for: the recall phase, then the rounds."""
    import torch

    from assay.models.train_data import recall_pairs, recall_row
    from assay.models.train_forward import reply_loss
    from assay.worlds import recall_text

    # a cache of casts would keep the weights of the step before
    half = partial(torch.autocast, "cpu", dtype=torch.bfloat16, cache_enabled=False)
    start = TAUGHT * (seed + 1)
    for step in range(recipe.recall_steps):
        pairs = recall_pairs(step, recipe.recall_steps)
        rows = [recall_row((start + step) * recipe.recall_rows + i, pairs) for i in range(recipe.recall_rows)]
        with half():
            loss = reply_loss(model, rows)
        yield loss
    lengths = [part for part in recipe.rounds for _ in range(part.steps)]
    for step, part in enumerate(lengths, start=recipe.recall_steps):
        texts = recall_text.world(part.texts, part.length, part.spacing).sample(start + step)
        with half():
            cost, wanted = next_token_losses(model, texts)
        yield (cost[wanted].mean() + cost[~wanted].mean()) / 2


def encoded(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids of texts of one length, and where the values stand that are asked for, (N, L) each."""
    import torch

    ids = torch.tensor([tok.encode(text) for text in texts])
    wanted = torch.zeros(ids.shape, dtype=torch.bool)
    wanted[:, 2:] = ids[:, :-2] == tok.ID["?"]
    return ids, wanted


def next_token_losses(model: LlamaForCausalLM, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Nats of each token but the first, (N, L - 1), and which of them are values that are asked for."""
    import torch

    ids, wanted = encoded(texts)
    logits = model(input_ids=ids).logits[:, :-1].float()
    cost = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return cost, wanted[:, 1:]


def share_right(model: LlamaForCausalLM, texts: Sequence[str]) -> float:
    """Share of the values asked for that the model would say, one text at a time."""
    import torch

    right: list[Tensor] = []
    with torch.inference_mode():
        for text in texts:
            ids, wanted = encoded([text])
            said = model(input_ids=ids, use_cache=False).logits[:, :-1].argmax(-1)
            right.append((said == ids[:, 1:])[wanted[:, 1:]].float())
    return torch.cat(right).mean().item()


def stretched(model: LlamaForCausalLM, length: int) -> LlamaForCausalLM:
    """The model with a context of `length` tokens; the model itself where it is long enough.

    RoPE's slow pairs turn slower in proportion and its fast ones stay, as in Llama 3.1 (`rope_type="llama3"`). Raising
    the base for all pairs alike costs this model most of its recall.
    """
    from transformers import LlamaForCausalLM

    old = model.config.max_position_embeddings
    if length <= old:
        return model
    config = copy.deepcopy(model.config)
    config.rope_parameters = {
        "rope_type": "llama3",
        "rope_theta": (config.rope_parameters or {})["rope_theta"],
        "factor": length / old,
        "original_max_position_embeddings": old,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    }
    config.max_position_embeddings = length
    longer = LlamaForCausalLM(config)
    longer.load_state_dict(model.state_dict())
    longer.eval()  # type: ignore[no-untyped-call]
    return longer
