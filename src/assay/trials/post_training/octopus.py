"""Does nano learn more from corrections put together than from those it writes by itself? (2602.08503)

World   128 held-out sums of two numbers with two digits, none of which carries, answered twice:
        "12+17=\\boxed{28}<sc>12+17=\\boxed{29}</sc>". Two starts, of three seeds each: nano trained on worked sums,
        then on 400 pairs of an attempt of its own and the right one.
Metric  accuracy of the second attempt, decoded greedily, after 24 updates of TRL's GRPO with GSPO's loss, 12 in each
        of the paper's two stages; 4 prompts an update, 8 rollouts sampled and 16 rows trained on for each.
Arms    baseline: every rollout twice. method: Octopus. placebo: the 8 further rows are drawn from all pairs of
        attempts without regard to what is right, with the same masks. All are paid by the paper's reward.

Sums without a carry, because with it nano hardly learnt any in the time there is. The steps of both parts of the start
were settled on the reserved seed 1000 by the start alone: 300 on worked sums gave 31 % right, 60 on pairs no form.
Of the learning rates 3e-4 and 1e-4 the second left every arm better on that seed, though none as good as the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from assay.engine.trial import Bar, Fixture, Measures, Metric, Mirror, Models, NoHeadroom, Trial
from assay.methods.parsing import boxed
from assay.methods.post_training.octopus import (
    GSPO,
    Correct,
    CorrectionLoss,
    CorrectionReward,
    Row,
    Stage,
    cold_start,
    recombine,
    split_response,
    typed_pairs,
)
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import as_prompt, finetune, replies
from assay.models.tokenizer import encode
from assay.trials.post_training import _nano_start as nano
from assay.worlds.text.problem import Problem

CASES = 128  # sums of the full world; with a smaller one there are fewer updates
OPEN, CLOSE = "<sc>", "</sc>"
WORKED, WORKED_STEPS, WORKED_RATE = 1500, 400, 3e-3
PAIRS, COLD_STEPS, COLD_RATE = 400, 150, 1e-3
LEAST, MOST = 0.2, 0.9  # of the start's sampled attempts right, between which there are pairs of all kinds
STEPS, ROLLED_OUT = 24, 1000
PROMPTS, SAMPLED, TRAINED = 4, 8, 16
LONGEST = 44  # tokens; two attempts take 39
RATE = {"baseline": 1e-4, "placebo": 1e-4, "method": 1e-4}

World = tuple[Problem, ...]
Recombine = Callable[[list[str], Correct, int], list[Row]]
REWARD = CorrectionReward(str.__eq__, OPEN, CLOSE)


def begin(world: World, models: Models, seed: int) -> nano.Start:
    """Nano that knows some sums and the form of a correction. Raises NoHeadroom where its attempts are nearly all
    wrong or nearly all right: there would be next to nothing to put together."""
    draw = nano.sums_like(world)
    worked = nano.problems(draw, seed, WORKED, "worked")
    pairs = [(p.prompt, attempt(p, p.answer)) for p in worked]
    table = nano.start(models, pairs, steps=WORKED_STEPS, seed=seed, rate=WORKED_RATE)
    model, tokenizer = nano.load(models, table)
    shown = nano.problems(draw, seed, PAIRS, "shown")
    own = replies(model, tokenizer, [p.prompt for p in shown], max_tokens=LONGEST, temperature=1.0, seed=seed)
    right = share_of([REWARD.right(first, p.answer) for p, first in zip(shown, own)])
    if not LEAST <= right <= MOST:
        raise NoHeadroom(f"the start gets {right:.0%} of its sampled attempts right, wanted {LEAST:.0%} to {MOST:.0%}")
    cold = cold_start(
        ((p.prompt, first, attempt(p, p.answer)) for p, first in zip(shown, own) if boxed(first)), OPEN, CLOSE
    )
    taught = [(row["prompt"], row["completion"]) for row in cold]
    finetune(model, taught, steps=COLD_STEPS, seed=seed, batch=32, learning_rate=COLD_RATE)
    return {name: value.clone() for name, value in model.state_dict().items()}


def attempt(problem: Problem, answer: str) -> str:
    """One attempt at a sum as nano writes it."""
    return rf"{problem.prompt[1:]}=\boxed{{{answer}}}"


def sampled_twice(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, twice, RATE["baseline"], masked=False)


def paired_at_random(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, partial(at_random, np.random.default_rng([seed, 1])), RATE["placebo"])


def octopus(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    generator = np.random.default_rng([seed, 1])
    by_kind = partial(recombine, generator=generator, min_tokens=0, open=OPEN, close=CLOSE)
    return train(world, models, seed, begun, by_kind, RATE["method"])


def twice(originals: list[str], correct: Correct, target: int) -> list[Row]:
    """Every rollout as often as it takes."""
    rows = [Row(text, (i, i), None, spliced=False) for i, text in enumerate(originals)]
    return [rows[i % len(rows)] for i in range(target)]


def at_random(generator: np.random.Generator, originals: list[str], correct: Correct, target: int) -> list[Row]:
    """The rollouts, then pairs of attempts as they come."""
    split = [split_response(text, OPEN, CLOSE) for text in originals]
    marks = [tuple(correct(part) if part and boxed(part) else None for part in parts) for parts in split]
    pairs = typed_pairs([(first, second) for first, second in marks])
    drawn = [pairs[place] for place in generator.permutation(len(pairs))[: target - len(originals)]]
    own = {i: kind for i, j, kind in pairs if i == j}
    rows = [Row(text, (i, i), own.get(i), spliced=False) for i, text in enumerate(originals)]
    rows += [Row(f"{split[i][0]}{OPEN}{split[j][1]}{CLOSE}", (i, j), kind, spliced=True) for i, j, kind in drawn]
    return rows + rows[: target - len(rows)]


def train(
    world: World,
    models: Models,
    seed: int,
    begun: nano.Start,
    recombine: Recombine,
    rate: float,
    *,
    masked: bool = True,
) -> Measures:
    from assay.integrations.trl import run_grpo
    from assay.integrations.trl_rollouts import spliced

    share = len(world) / CASES
    model, tokenizer = nano.load(models, begun)
    before = measured(model, tokenizer, world)
    problems = nano.problems(nano.sums_like(world), seed, ROLLED_OUT, "rollouts")
    gold = {as_prompt(p.prompt): p.answer for p in problems}

    def correct(prompt: str, part: str) -> bool:
        return REWARD.right(part, gold[prompt])

    curve: list[float] = []
    stages: tuple[Stage, ...] = (1, 2)
    for stage in stages:
        run = run_grpo(
            model,
            tokenizer,
            nano.rows(problems),
            REWARD,
            advantage=GroupNormalised(),
            steps=int(STEPS * share) // len(stages),
            seed=seed + stage,
            rollouts=TRAINED,
            batch=PROMPTS * TRAINED,
            max_tokens=LONGEST,
            learning_rate=rate,
            beta=1e-12 if stage == 1 else 0.0,  # loads the reference that the loss of stage 1 reads
            loss=CorrectionLoss(tag=len(encode(OPEN))) if stage == 1 else GSPO,
            rollout=spliced(recombine, correct, SAMPLED, stage if masked else None, open=OPEN, close=CLOSE),
        )
        model = run.model
        curve += [step["reward"] for step in run.log if "reward" in step]
    after = measured(model, tokenizer, world)
    return Measures(after.pop("accuracy"), extra={**after, "accuracy_at_the_start": before["accuracy"]}, curve=curve)


def measured(model: Any, tokenizer: Any, world: World) -> dict[str, float]:
    """Accuracy of what the greedy replies end in, of their first attempts, and what corrections did to these."""
    texts = replies(model, tokenizer, [p.prompt for p in world], max_tokens=LONGEST)
    marks = [attempts(text, p.answer) for text, p in zip(texts, world)]
    wrong, right = [last for first, last in marks if not first], [last for first, last in marks if first]
    return {
        "accuracy": share_of([last for _, last in marks]),
        "first_accuracy": share_of([first for first, _ in marks]),
        "wrong_to_right": share_of(wrong),
        "right_to_wrong": share_of([not last for last in right]),
        "corrected": share_of([OPEN in text for text in texts]),
    }


def attempts(text: str, gold: str) -> tuple[bool, bool]:
    """Whether the first attempt of a reply is right, and the last."""
    first, second = split_response(text, OPEN, CLOSE)
    return REWARD.right(first, gold), REWARD.right(first if second is None else second, gold)


def share_of(marks: Sequence[bool]) -> float:
    return sum(marks) / max(1, len(marks))


trial = Trial(
    paper="2602.08503",
    claim="Corrections put together from sampled attempts teach more than the sampled replies used twice.",
    headline="+1.0 point over the best RLVR (GSPO) with a quarter of the rollouts (Qwen3-VL-8B)",
    metric=Metric("accuracy of the second attempt", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", relative=0.05),
    arms={"baseline": sampled_twice, "placebo": paired_at_random, "method": octopus},
    world="text/sums",
    world_args={"each": CASES, "carry": False},
    quick_args={"each": 16, "carry": False},
    seeds=6,
    quick_seeds=1,
    timeout_s=600,
    quick_timeout_s=60,
    fixture=Fixture(begin, distinct=2),
    mirrors=(Mirror("points of accuracy gained", 0.01, ("method", "baseline"), kind="difference"),),
    extras=("trl",),
)
