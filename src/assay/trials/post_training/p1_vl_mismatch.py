"""What does leaving out whole sequences do to a gradient learned from an int8 engine's rollouts? Reported beside
`p1_vl`, no bar. (2602.09443)

World   48 training sums. The trainer is nano in 32-bit numbers, trained on worked sums as in `p1_vl`; the engine is a
        copy of it whose linear layers are quantised to int8 by PyTorch. Both sample at temperature 1.
Metric  squared distance of the gradient from that of 64 rollouts a prompt of the trainer's own, over the squared
        length of the latter.
Arms    16 rollouts a prompt of the engine's, the same in all arms. baseline: learned from as if the trainer had sampled
        them. method: Seq-MIS with the threshold 1.01. placebo: as many rows left out at random. token_tis: every token
        weighted by its own ratio, at most 2.

The error holds both the bias of the mismatch and the noise of 16 rollouts, which a method that leaves rows out raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from assay.engine.trial import Fixture, Measures, Metric, Models, Trial
from assay.methods.policy_gradient import group_advantages
from assay.methods.post_training.p1_vl import GSPOLoss, SeqMIS, sequence_importance
from assay.models.decoding import Request, decode
from assay.models.local_sampler import BATCH_ROWS, prompt_ids
from assay.models.train_data import Row
from assay.models.train_forward import reply_logits
from assay.trials.post_training import _nano_start as nano
from assay.trials.post_training.p1_vl import REPLY, worked_start
from assay.worlds.text.problem import Problem, parse

OWN, SAMPLED = 64, 16  # rollouts a prompt of the trainer's and of the engine's
MOST = 2.0  # that a token weighs under truncated importance sampling

World = tuple[Problem, ...]


class Rolled(TypedDict):
    """B rollouts, prompt by prompt: ids of prompt and reply, how many are the prompt's, what the sampler gave each
    token of the reply, and the advantage."""

    ids: list[list[int]]
    prompt: list[int]
    logprobs: list[list[float]]
    advantages: Tensor


class Begun(TypedDict):
    weights: nano.Start
    wanted: Tensor  # the gradient of the trainer's own rollouts, all weights in a row
    rolled: Rolled  # the engine's


def begin(world: World, models: Models, seed: int) -> Begun:
    """The trainer, the gradient it would have from its own rollouts, and the rollouts of its int8 copy."""
    weights = worked_start(world, models, seed)
    model, tokenizer = nano.load(models, weights)
    own = rolled_out(model, tokenizer, world, OWN, seed + 1)
    wanted = gradient(model, own, torch.ones(len(own["ids"]), 1))
    engine = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    return Begun(weights=weights, wanted=wanted, rolled=rolled_out(engine, tokenizer, world, SAMPLED, seed))


def rolled_out(model: Any, tokenizer: Any, world: World, rollouts: int, seed: int) -> Rolled:
    requests = [
        Request(prompt_ids(tokenizer, problem.prompt), REPLY, top_logprobs=0, seed=seed, choice=choice)
        for problem in world
        for choice in range(rollouts)
    ]
    written = [
        reply
        for at in range(0, len(requests), BATCH_ROWS)
        for reply in decode(model, tokenizer, requests[at : at + BATCH_ROWS])
    ]
    golds = [problem.answer for problem in world for _ in range(rollouts)]
    rewards = torch.tensor([float(parse(reply.text) == gold) for reply, gold in zip(written, golds)])
    return Rolled(
        ids=[[*request.prompt, *reply.ids] for request, reply in zip(requests, written)],
        prompt=[len(request.prompt) for request in requests],
        logprobs=[[logprob for _, logprob, _ in reply.logprobs] for reply in written],
        advantages=group_advantages(rewards, torch.arange(len(world)).repeat_interleave(rollouts)),
    )


def gradient(model: Any, rolled: Rolled, coefficient: Tensor) -> Tensor:
    """Of GSPO's loss at the policy itself; `coefficient` weighs rows, (B, 1), or tokens, (B, T)."""
    model.zero_grad()
    weighted = rolled["advantages"].unsqueeze(1) * coefficient
    for at in range(0, len(rolled["ids"]), BATCH_ROWS):
        part = slice(at, at + BATCH_ROWS)
        logprobs, mask = trainer_logprobs(model, rolled, part)
        own = weighted[part, : mask.shape[1]]
        loss, _ = GSPOLoss()(logprobs, logprobs.detach(), own, mask)
        (loss * len(mask) / len(rolled["ids"])).backward()
    return torch.cat([weight.grad.flatten().clone() for weight in model.parameters()])


def trainer_logprobs(model: Any, rolled: Rolled, part: slice) -> tuple[Tensor, Tensor]:
    """log pi of the trainer, (B, T), 0 past a reply's end, and the mask of the replies."""
    rows = [
        Row(ids, [False] * begins + [True] * (len(ids) - begins))
        for ids, begins in zip(rolled["ids"][part], rolled["prompt"][part])
    ]
    logits, asked = reply_logits(model, rows)
    lengths = torch.tensor([sum(row.asked) for row in rows])
    mask = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    return torch.zeros(mask.shape).masked_scatter(mask, -F.cross_entropy(logits, asked, reduction="none")), mask


def uncorrected(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return error(models, begun, lambda trainer, engine, mask: torch.ones(len(mask), 1))


def seq_mis(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return error(models, begun, lambda trainer, engine, mask: of_rows(trainer, engine, mask))


def of_rows(trainer: Tensor, engine: Tensor, mask: Tensor) -> Tensor:
    return SeqMIS()(trainer, engine, mask)[0].unsqueeze(1)


def left_out_at_random(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    """The coefficients of Seq-MIS dealt to other rows: as many are left out, and the others weigh as much."""
    order = torch.from_numpy(np.random.default_rng([seed, 1]).permutation(len(begun["rolled"]["ids"])))
    return error(models, begun, lambda trainer, engine, mask: of_rows(trainer, engine, mask)[order])


def token_tis(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return error(models, begun, lambda trainer, engine, mask: (trainer - engine).exp().clamp(max=MOST))


def error(models: Models, begun: Begun, weigh: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Measures:
    """`weigh` makes coefficients, (B, 1) or (B, T), of the log-probabilities of trainer and engine and their mask."""
    model, _ = nano.load(models, begun["weights"])
    rolled, wanted = begun["rolled"], begun["wanted"]
    trainer, engine, mask = both_logprobs(model, rolled)
    coefficient = weigh(trainer, engine, mask)
    got = gradient(model, rolled, coefficient)
    log_rho, geo = sequence_importance(trainer, engine, mask)
    extra = {
        "kept": float((coefficient > 0).any(dim=1).double().mean()),
        "mean_log_rho": float(log_rho.mean()),
        "mean_geo_off_one": float((geo - 1).abs().mean()),
        "cosine": float(F.cosine_similarity(got, wanted, dim=0)),
    }
    return Measures(float((got - wanted).square().sum() / wanted.square().sum()), extra=extra)


@torch.no_grad()
def both_logprobs(model: Any, rolled: Rolled) -> tuple[Tensor, Tensor, Tensor]:
    """What trainer and engine give the tokens of all replies, (B, T), and the mask."""
    parts = [
        trainer_logprobs(model, rolled, slice(at, at + BATCH_ROWS)) for at in range(0, len(rolled["ids"]), BATCH_ROWS)
    ]
    longest = max(mask.shape[1] for _, mask in parts)
    trainer, mask = (
        torch.cat([F.pad(pair[which], (0, longest - pair[which].shape[1])) for pair in parts]) for which in (0, 1)
    )
    told = [logprob for own in rolled["logprobs"] for logprob in own]
    return trainer, torch.zeros(mask.shape).masked_scatter(mask, torch.tensor(told)), mask


trial = Trial(
    paper="2602.09443",
    name="p1_vl_mismatch",
    claim="Leaving out sequences that trainer and engine disagree on brings the gradient nearer to the on-policy one.",
    headline="the paper gives no figure for it; it keeps sequences whose geometric mean ratio is at most a threshold",
    metric=Metric("relative squared error of the gradient", better="lower"),
    bar=None,
    arms={"baseline": uncorrected, "placebo": left_out_at_random, "method": seq_mis, "token_tis": token_tis},
    world="text/sums",
    world_args={"each": 48, "split": "train", "digits": [1, 2]},
    quick_args={"each": 12},
    seeds=6,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin),
    extras=("lm",),
    note="Reported, not judged: int8 weights of a model with a million of them are further off than an engine's bf16.",
)
