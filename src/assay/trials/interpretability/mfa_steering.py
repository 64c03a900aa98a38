"""Does moving states to a region's centroid steer better than adding a feature does? Reported. (2602.02464)

World   tasks of `text/styles` without marks. A concept is one of the marks that operations seldom lean to: copy, terse,
        hasty, down, refuse. micro-styles has learnt what the marks mean; here it shall follow one that it is not shown.
Metric  mean over the concepts of the steering score: the share of greedy replies in that manner times their fluency,
        the perplexity of the plain model's own replies over theirs, at most 1. The plain model reads both; the paper
        has a larger model read, which the built-in ones lack for such texts.
Arms    method: h <- (1 - a) h + a mu_k of a mixture of 64 regions of rank 8. placebo: the same with regions drawn at
        random. baseline: h + s |h| d_f of a top-k autoencoder of equal dictionary, |h| the mean length of a state.
        Each takes, for a concept, of three regions or features and four strengths the pair that scores best on tasks to
        choose by; the three are those that prompts with the mark raise most over prompts with its opposite. All states
        of the layer are moved, prompt and reply alike. plain: nothing is moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.engine.trial import Fixture, Measures, Metric, Mirror, Models, Trial
from assay.methods.activations import Intervention, capture, intervene
from assay.methods.interpretability._replies import pad_of, padded, prompt_ids
from assay.methods.interpretability.mfa import MFASteerer, fit_mfa
from assay.methods.interpretability.sae import fit_sae
from assay.methods.interpretability.steering_score import SteeringScore, reply_nll, steering_score
from assay.models.derived import lesson_row
from assay.models.finetune import replies
from assay.trials.interpretability.mfa import EPOCHS, RANK, RATE, REGIONS, ROUNDS
from assay.worlds.text import styles
from assay.worlds.text.problem import Problem, digest, parse

CONCEPTS = "cthdn"
LAYER = 1  # of 0 to 4, where single concepts do most in `steer2adapt`
READ, CONTRASTED, CHOOSING = 1500, 64, 24  # lessons, prompts a side, tasks to choose by
CANDIDATES = 3
PULLS, PUSHES = (0.1, 0.2, 0.4, 0.6), (0.1, 0.2, 0.4, 0.8)
LONGEST = 8  # tokens of a reply

Problems = Sequence[Problem]
Move = Callable[[int, float], Intervention]


def read(world: Problems, models: Models, seed: int) -> Tensor:
    """States (N, D) in half precision over lessons, prompts and replies."""
    model, tokenizer = models.load("micro-styles")
    rows = [lesson_row(tokenizer, *lesson).ids for lesson in styles.lessons(seed, READ)]
    return states_of(model, tokenizer, rows).half()


def states_of(model: Any, tokenizer: Any, rows: Sequence[list[int]]) -> Tensor:
    """The states of all tokens of all rows, (N, D)."""
    ids, mask = padded(rows, pad_of(tokenizer), "right")
    return capture(model, ids, [LAYER], batch_size=64, attention_mask=mask)[LAYER][mask.bool()]


def centroids(world: Problems, models: Models, seed: int, states: Tensor) -> Measures:
    model, tokenizer = models.load("micro-styles")
    mfa = fit_mfa(states.float(), REGIONS, RANK, "em", ROUNDS, seed=seed).mfa
    ranked = {mark: raised(model, tokenizer, mfa.responsibilities, mark, seed) for mark in CONCEPTS}
    return steered(world, model, tokenizer, seed, ranked, MFASteerer(model, mfa, LAYER).centroid, PULLS)


def random_regions(world: Problems, models: Models, seed: int, states: Tensor) -> Measures:
    model, tokenizer = models.load("micro-styles")
    mfa = fit_mfa(states.float(), REGIONS, RANK, "em", ROUNDS, seed=seed).mfa
    drawn = torch.Generator().manual_seed(seed)
    ranked = {mark: torch.randperm(REGIONS, generator=drawn)[:CANDIDATES].tolist() for mark in CONCEPTS}
    return steered(world, model, tokenizer, seed, ranked, MFASteerer(model, mfa, LAYER).centroid, PULLS)


def features(world: Problems, models: Models, seed: int, states: Tensor) -> Measures:
    model, tokenizer = models.load("micro-styles")
    sae = fit_sae(states.float(), REGIONS * (1 + RANK), 1 + RANK, epochs=EPOCHS, lr=RATE, seed=seed)
    ranked = {mark: raised(model, tokenizer, sae.encode, mark, seed) for mark in CONCEPTS}
    length = states.float().norm(dim=1).mean()

    def push(feature: int, strength: float) -> Intervention:
        shift = strength * length * sae.dictionary[:, feature]
        return Intervention(LAYER, lambda h, mask: h + shift)

    return steered(world, model, tokenizer, seed, ranked, push, PUSHES)


def plain(world: Problems, models: Models, seed: int, states: Tensor) -> Measures:
    model, tokenizer = models.load("micro-styles")
    texts = written(model, tokenizer, world, [])
    nll = reply_nll(model, tokenizer, texts)
    return measures({mark: steering_score(showing(world, texts, mark), nll, nll) for mark in CONCEPTS})


def raised(model: Any, tokenizer: Any, encode: Callable[[Tensor], Tensor], mark: str, seed: int) -> list[int]:
    """The `CANDIDATES` coefficients that prompts with the mark raise most over prompts with its opposite."""
    kind = next(kind for kind, pair in styles.MANNERS.items() if mark in pair)
    sides = styles.contrast(kind, digest(seed, "contrast", kind) >> 8, CONTRASTED)
    with_it, without = sides if styles.MANNERS[kind][0] == mark else sides[::-1]
    means = [
        encode(states_of(model, tokenizer, [prompt_ids(tokenizer, prompt) for prompt in side]).float()).mean(0)
        for side in (with_it, without)
    ]
    found: list[int] = (means[0] - means[1]).topk(CANDIDATES).indices.tolist()
    return found


def steered(
    world: Problems,
    model: Any,
    tokenizer: Any,
    seed: int,
    ranked: dict[str, list[int]],
    move: Move,
    strengths: Sequence[float],
) -> Measures:
    """For each concept the best candidate and strength on tasks to choose by, scored on the world's."""
    choosing = [styles.sample(digest(seed, "choosing", i), "train") for i in range(CHOOSING)]
    own = [reply_nll(model, tokenizer, written(model, tokenizer, side, [])) for side in (choosing, world)]
    scores = {}
    for mark, candidates in ranked.items():

        def score(problems: Problems, plain_nll: Any, which: int, strength: float, mark: str = mark) -> SteeringScore:
            texts = written(model, tokenizer, problems, [move(which, strength)])
            return steering_score(showing(problems, texts, mark), reply_nll(model, tokenizer, texts), plain_nll)

        best = max(product(candidates, strengths), key=lambda pair: score(choosing, own[0], *pair).value)
        scores[mark] = score(world, own[1], *best)
    return measures(scores)


def written(model: Any, tokenizer: Any, problems: Problems, moves: list[Intervention]) -> list[tuple[str, str]]:
    """Prompts and what the model answers greedily under the moves."""
    prompts = [problem.prompt for problem in problems]
    with intervene(model, moves):
        texts = replies(model, tokenizer, prompts, max_tokens=LONGEST)
    return list(zip(prompts, texts, strict=True))


def showing(problems: Problems, texts: Sequence[tuple[str, str]], mark: str) -> list[bool]:
    """Whether each reply is in the manner of the mark, whatever the other manners, and could not be in its opposite."""
    against = next(pair.replace(mark, "") for pair in styles.MANNERS.values() if mark in pair)
    found = []
    for problem, (prompt, text) in zip(problems, texts, strict=True):
        word, operation, answer = prompt[-styles.LETTERS :], problem.meta["operation"], parse(text)
        found.append(answer in answers(word, operation, mark) and answer not in answers(word, operation, against))
    return found


@cache
def answers(word: str, operation: str, mark: str) -> frozenset[str]:
    """The right answers in the manner of the mark, the other manners being any."""
    others = product(*(pair for pair in styles.MANNERS.values() if mark not in pair))
    return frozenset(styles.manner(word, operation, mark + "".join(rest)) for rest in others)


def measures(scores: dict[str, SteeringScore]) -> Measures:
    extra = {
        "concept": float(np.mean([one.concept for one in scores.values()])),
        "fluency": float(np.mean([one.fluency for one in scores.values()])),
    }
    by_mark = {f"score_{mark}": one.value for mark, one in scores.items()}
    return Measures(float(np.mean(list(by_mark.values()))), extra=extra | by_mark)


trial = Trial(
    paper="2602.02464",
    name="mfa_steering",
    claim="Moving states to a region's centroid steers a model better than adding a feature of an autoencoder.",
    headline="steering by centroids scores about twice what steering by features does",
    metric=Metric("steering score", better="higher", range=(0.0, 1.0)),
    bar=None,
    arms={"baseline": features, "placebo": random_regions, "method": centroids, "plain": plain},
    mirrors=(Mirror("about twice the score of features", 2.0, ("method", "baseline")),),
    floor="plain",
    world="text/styles",
    world_args={"each": 100},
    quick_args={"each": 20},
    seeds=3,
    quick_seeds=1,
    quick_timeout_s=120,
    fixture=Fixture(read),
    prepare=("micro-styles",),
    extras=("interpretability",),
    note="Reported without a bar: the paper's steering score is judged by a large model.",
)
