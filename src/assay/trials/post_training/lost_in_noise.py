"""Does paying for the citation make a small model keep its head among hard negatives? (2601.07226)

World   look-up with an optional citation: notes such as b4617 in one of four contexts, 150 test questions each; two
        distractors where there is noise. Three starts, of two seeds each: nano after 250 steps on clean contexts as
        long as the noisy ones, four in five of whose worked replies cite before they answer; 40 steps of TRL's GRPO
        follow, 32 rollouts each, on random documents and random chat. Hard negatives are never trained on.
Metric  greedy accuracy among hard negatives (HN).
Arms    baseline: paid for the answer alone. method: RARE, weight 0.5, whose hint is the asked note. placebo: RARE whose
        hint is a distractor of the prompt, drawn at random. Same prompts, start and sampling seeds.

Reported beside the verdict: accuracy in the four conditions and the share of replies that a distractor led astray,
before (on the questions of the first seed of a start) and after; whether the grid separates its conditions is read off
the figures "at the start". Starts without room among hard negatives, or without citations that RARE could pay, are
left out. The start and the world were settled on the reserved seed 1000 by what the start alone can do: after short
clean contexts it hardly ever cites rightly in longer ones.
Of the learning rates 3e-4 and 1e-3 the first left baseline and method better on that seed: all arms train at 3e-4. No
reply there quoted a distractor, so that the placebo's bonus was never paid and the placebo was the baseline.
A smaller world (--quick) gets as many fewer updates.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any, TypedDict

from assay.engine.trial import Bar, Fixture, Measures, Metric, Models, NoHeadroom, Trial
from assay.methods.post_training.lost_in_noise import RARE, HintMatch
from assay.methods.post_training.pipeline import GroupNormalised, RewardFunction
from assay.models.finetune import replies
from assay.trials.post_training import _nano_start as nano
from assay.worlds.text import cite
from assay.worlds.text.problem import Problem, digest, parse

EACH, STEPS, BATCH, LONGEST = 150, 40, 32, 12
TRAINED: tuple[cite.Condition, ...] = ("RD", "RC")
START_STEPS, START_RATE, CITED = 250, 3e-3, 0.8
SHOWN = (2, 8)  # facts in the contexts of the start, which are as long as those with noise though clean
NOISE = (2, 2)  # distractors in a noisy context
LEAST, MOST = 0.1, 0.8  # accuracy of the start among hard negatives between which a difference can show
LEAST_CITED = 0.05  # right citations in the start's sampled replies to noisy prompts; without any no bonus is paid
RATE = 3e-4


class Begun(TypedDict):
    """The start that all arms of a seed share, and what it can do."""

    weights: nano.Start
    figures: dict[str, float]


def begin(world: tuple[Problem, ...], models: Models, seed: int) -> Begun:
    """Nano after clean look-ups. Raises NoHeadroom where noise of the training split leaves it nothing to gain."""
    worked = nano.problems(partial(cite.sample, facts=SHOWN, cited=CITED), seed, 2000, "worked")
    weights = nano.start(models, [(p.prompt, p.trace) for p in worked], steps=START_STEPS, seed=seed, rate=START_RATE)
    probe = nano.problems(partial(cite.sample, condition="HN", noise=NOISE), seed, 64, "probe")
    model, tokenizer = nano.load(models, weights)
    right = nano.share_right(model, tokenizer, probe, LONGEST)
    if not LEAST <= right <= MOST:
        raise NoHeadroom(f"the start has {right:.2f} among hard negatives, wanted {LEAST} to {MOST}")
    cited = cited_rightly(model, tokenizer, seed)
    if cited < LEAST_CITED:
        raise NoHeadroom(f"the start cites the asked note in {cited:.2f} of its sampled replies, wanted {LEAST_CITED}")
    return {"weights": weights, "figures": {**measured(model, tokenizer, world), "sampled_cited": cited}}


def cited_rightly(model: Any, tokenizer: Any, seed: int, count: int = 128) -> float:
    """Share of sampled replies to prompts as they are trained on that hold the right citation: what RARE can pay."""
    drawn = [problem for condition in TRAINED for problem in noisy(condition, seed, count // 2, "cited")]
    texts = replies(model, tokenizer, [p.prompt for p in drawn], max_tokens=LONGEST, temperature=1.0, seed=seed)
    return sum(p.meta["hint"] in text for p, text in zip(drawn, texts)) / count


def noisy(condition: cite.Condition, seed: int, count: int, stream: str) -> list[Problem]:
    """Training problems in one kind of noise."""
    return nano.problems(partial(cite.sample, condition=condition, noise=NOISE), seed, count, f"{stream} {condition}")


def outcome_alone(world: tuple[Problem, ...], models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, nano.answered)


def rare(world: tuple[Problem, ...], models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, paid_for_hints())


def hint_of_a_distractor(world: tuple[Problem, ...], models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, paid_for_hints(), misled=True)


def paid_for_hints() -> RARE:
    return RARE(HintMatch(), weight=0.5, outcome=lambda text, answer: float(parse(text) == answer))


def train(
    world: tuple[Problem, ...],
    models: Models,
    seed: int,
    begun: Begun,
    reward: RewardFunction,
    misled: bool = False,
) -> Measures:
    """GRPO from the start, then accuracy in every condition; `misled` hands the reward a distractor as the hint."""
    from assay.integrations.trl import run_grpo

    model, tokenizer = nano.load(models, begun["weights"])
    run = run_grpo(
        model,
        tokenizer,
        rows(seed, misled),
        reward,
        advantage=GroupNormalised(),
        steps=max(1, STEPS * len(world) // (EACH * len(cite.CONDITIONS))),
        seed=seed,
        batch=BATCH,
        max_tokens=LONGEST,
        learning_rate=RATE,
    )
    extra = measured(run.model, tokenizer, world)
    extra.update({f"{name}_at_the_start": value for name, value in begun["figures"].items()})
    curve = tuple(step["reward"] for step in run.log if "reward" in step)
    return Measures(extra["HN"], extra=extra, curve=curve)


def rows(seed: int, misled: bool, count: int = 1000) -> list[dict[str, Any]]:
    """What TRL is given: prompt, answer, context and hint, half with random documents, half with random chat."""
    rng = random.Random(digest(seed, "hints"))
    given = []
    for condition in TRAINED:
        drawn = noisy(condition, seed, count // 2, "rollouts")
        for row, problem in zip(nano.rows(drawn), drawn):
            wrong = rng.choice(problem.meta["distractors"])
            context = problem.prompt[1:].rpartition("?")[0]
            given.append({**row, "context": context, "hint": wrong if misled else problem.meta["hint"]})
    return given


def measured(model: Any, tokenizer: Any, world: tuple[Problem, ...]) -> dict[str, float]:
    """Greedy accuracy by condition; of hard negatives also the shares led astray and with the right citation."""
    figures = {}
    for condition in cite.CONDITIONS:
        own = [problem for problem in world if problem.meta["condition"] == condition]
        texts = replies(model, tokenizer, [problem.prompt for problem in own], max_tokens=LONGEST)
        figures[condition] = sum(cite.check(p, text) for p, text in zip(own, texts)) / len(own)
        if condition == "HN":
            figures["HN_distracted"] = sum(cite.distracted(p, text) for p, text in zip(own, texts)) / len(own)
            figures["HN_cited"] = sum(p.meta["hint"] in text for p, text in zip(own, texts)) / len(own)
    return figures


trial = Trial(
    paper="2601.07226",
    claim="Rewarding reasoning that names the useful piece of a noisy context makes answers robust to hard negatives.",
    headline="relative drops of up to 80.6 % among hard negatives; RARE beats outcome-only RL in every setting",
    metric=Metric("accuracy among hard negatives", better="higher", range=(0.0, 1.0)),
    bar=Bar(relative=0.10),
    arms={"baseline": outcome_alone, "placebo": hint_of_a_distractor, "method": rare},
    world="text/cite",
    world_args={"each": EACH, "noise": [*NOISE]},
    quick_args={"each": 30},
    seeds=6,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin, distinct=3),
    extras=("trl",),
)
