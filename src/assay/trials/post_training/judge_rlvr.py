"""Does a model that first learns to judge sums write shorter right ones? (2601.08468)

World   128 held-out sums of two numbers with two digits, none of which carries. Two starts, of three seeds each: nano
        trained at once on worked sums, on sums with none to three wrong tries before the right line ("12+19=30 no"),
        and on worked replies to judge.
Metric  tokens per correct answer: the length of all replies, sampled at temperature 1, over the number of right ones.
Arms    30 updates of TRL's GRPO, 64 rollouts each, by the right answer alone. baseline: all of them on sums. method:
        12 on judging the start's own solutions, then 18 on sums. placebo: the same with the labels permuted.

Sums with a carry took too long to learn, and a start taught to judge after it could add judged at chance: the kind of
sums and the one mixture for all were settled on the reserved seed 1000 by the start alone. It judges replies written
for it a little better than a coin, its own about as well as one (49 and 53 %): stage 1 has to find the judging by
itself. A first version left such seeds out, which left none; no arm had been run then. A start that hardly takes
anything back has nothing to shorten, and its seeds are left out. Of the learning rates 3e-4 and 1e-4 the second was the
better for baseline and method on that seed: all arms train at it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

import numpy as np

from assay.engine.trial import Bar, Fixture, Measures, Metric, Mirror, Models, NoHeadroom, Trial
from assay.methods.post_training.judge_rlvr import JudgeRLVR, backtracking_rate, build_judge_set
from assay.methods.post_training.pipeline import GroupNormalised, RewardFunction
from assay.models.finetune import as_prompt, replies
from assay.models.tokenizer import encode
from assay.trials.post_training import _nano_start as nano
from assay.worlds.text import sums
from assay.worlds.text.problem import Problem, parse

CASES = 128  # sums of the full world; for a smaller one everything is trained in proportion
WORKED, TRIED, SHOWN_VERDICTS, START_STEPS, START_RATE = 750, 1000, 1500, 600, 3e-3
PROBLEMS, SOLUTIONS = 96, 8  # judged in stage 1
STEPS, JUDGING = 30, 12
MOST_TRIES = 3
LONGEST = 48  # tokens; three tries and the answer take 36
FEWEST_TRIES = 0.25  # taken back in a reply of the start, on average
LEAST_VERDICTS = 0.9  # of the start's replies to its own solutions that are verdicts at all
ROLLED_OUT = 1000  # problems of an arm
SLIPS = (-10, -2, -1, 1, 2, 10)  # what a wrong reply to judge is away from the sum
DOUBT = (sums.TAKEN_BACK.strip(),)
RATE = {"baseline": 1e-4, "placebo": 1e-4, "method": 1e-4}

World = tuple[Problem, ...]
Row = dict[str, Any]


class Begun(TypedDict):
    weights: nano.Start
    judged: list[Row]


def begin(world: World, models: Models, seed: int) -> Begun:
    """The start, and what it is to judge: its own solutions of training problems. Raises NoHeadroom where it gives no
    verdicts on them, so that there is nothing to reward."""
    draw, share = nano.sums_like(world), len(world) / CASES
    tried = partial(draw, tries=(0, MOST_TRIES))
    lessons = [(p.prompt, p.trace) for p in nano.problems(draw, seed, WORKED, "worked")]
    lessons += [(p.prompt, p.trace) for p in nano.problems(tried, seed, TRIED, "tried")]
    lessons += verdicts(nano.problems(tried, seed, SHOWN_VERDICTS, "shown"), seed)
    weights = nano.start(models, lessons, steps=int(START_STEPS * share), seed=seed, rate=START_RATE)
    model, tokenizer = nano.load(models, weights)
    judged = own_solutions(model, tokenizer, draw, seed, int(PROBLEMS * share))
    given = replies(model, tokenizer, [to_judge(row["problem"], row["solution"]) for row in judged], max_tokens=4)
    verdicts_given = float(np.mean([text in ("#0", "#1") for text in given]))
    if verdicts_given < LEAST_VERDICTS:
        raise NoHeadroom(f"{verdicts_given:.0%} of the start's judgements are verdicts, wanted {LEAST_VERDICTS:.0%}")
    return Begun(weights=weights, judged=judged)


def own_solutions(model: Any, tokenizer: Any, draw: nano.Draw, seed: int, count: int) -> list[Row]:
    """Judging data from what the model itself writes. Raises NoHeadroom where it hardly takes anything back, or
    gets no problem both right and wrong."""
    answers = {p.prompt: p.answer for p in nano.problems(draw, seed, count, "judged")}
    ask = partial(replies, model, tokenizer, list(answers), max_tokens=LONGEST, temperature=1.0, seed=seed)
    bank = dict(zip(answers, zip(*(ask(choice=choice) for choice in range(SOLUTIONS)))))
    tries = sum(text.count(sums.TAKEN_BACK) for own in bank.values() for text in own) / (count * SOLUTIONS)
    if tries < FEWEST_TRIES:
        raise NoHeadroom(f"the start takes back {tries:.2f} tries a reply, wanted at least {FEWEST_TRIES}")
    return build_judge_set(
        answers,
        lambda problem, n: bank[problem],
        lambda problem, solution: parse(solution) == answers[problem],
        per_problem=SOLUTIONS,
        generator=np.random.default_rng(seed),
        prompt=lambda problem, solution: as_prompt(to_judge(problem, solution)),
    ).rows


def to_judge(problem: str, solution: str) -> str:
    """The judge's task as nano reads it."""
    return f"J{problem}\n{solution}"


def verdicts(shown: Sequence[Problem], seed: int) -> list[tuple[str, str]]:
    """Worked replies as tasks for the judge with the verdict; about every other one ends in a wrong sum."""
    rng, pairs = random.Random(seed), []
    for problem in shown:
        label, wrong = rng.randrange(2), str(int(problem.answer) + rng.choice(SLIPS))
        worked = problem.trace if label else sums_up_to(problem, wrong)
        pairs.append((to_judge(problem.prompt, worked), f"#{label}"))
    return pairs


def sums_up_to(problem: Problem, answer: str) -> str:
    """The worked reply with another answer in its last two lines."""
    *before, line, _ = problem.trace.split("\n")
    return "\n".join([*before, line.split("=")[0] + f"={answer}", f"#{answer}"])


def plain(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, 0, begun["judged"], RATE["baseline"])


def permuted(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, JUDGING, with_labels_permuted(begun["judged"], seed), RATE["placebo"])


def judge_first(world: World, models: Models, seed: int, begun: Begun) -> Measures:
    return train(world, models, seed, begun, JUDGING, begun["judged"], RATE["method"])


def with_labels_permuted(judged: Sequence[Row], seed: int) -> list[Row]:
    """The same rows with each other's labels: a verdict is paid at random, as often as before."""
    order = np.random.default_rng([seed, 1]).permutation(len(judged))
    return [{**row, "label": judged[other]["label"]} for row, other in zip(judged, order)]


def train(
    world: World, models: Models, seed: int, begun: Begun, judging: int, judged: Sequence[Row], rate: float
) -> Measures:
    from assay.integrations.trl import run_grpo

    draw, share = nano.sums_like(world), len(world) / CASES
    model, tokenizer = nano.load(models, begun["weights"])

    def stage(model: Any, rows: Sequence[Mapping[str, Any]], reward: RewardFunction, steps: int) -> Any:
        run = run_grpo(
            model,
            tokenizer,
            rows,
            reward,
            advantage=GroupNormalised(),
            steps=steps,
            seed=seed,
            max_tokens=LONGEST,
            learning_rate=rate,
        )
        return run.model

    problems = nano.rows(nano.problems(draw, seed, int(ROLLED_OUT * share), "rollouts"))
    first, steps = round(judging * share), round(STEPS * share)
    run = JudgeRLVR(first, steps - first, stage, DOUBT)(model, judged, problems, nano.answered)
    before = measured(model, tokenizer, world, seed)
    extra = {f"{name}_at_the_start": before[name] for name in ("accuracy", "tokens", "judging")}
    after = measured(run.model, tokenizer, world, seed)
    curve = tuple(step["accuracy"] for step in run.judging + run.solving)
    return Measures(after.pop("tokens_per_correct"), extra={**after, **extra}, curve=curve)


def measured(model: Any, tokenizer: Any, world: World, seed: int) -> dict[str, float]:
    """What the model makes of the world's sums, one sample each; `judging` is the share of right verdicts on worked
    replies to them. Without a right reply the tokens per correct answer are those of all replies."""
    texts = replies(model, tokenizer, [p.prompt for p in world], max_tokens=LONGEST, temperature=1.0, seed=seed)
    right = sum(parse(text) == p.answer for text, p in zip(texts, world))
    length = sum(len(encode(text)) + 1 for text in texts)  # the end of the reply is a token
    tasks = verdicts(world, seed)
    given = replies(model, tokenizer, [task for task, _ in tasks], max_tokens=4)
    return {
        "tokens_per_correct": length / max(1, right),
        "accuracy": right / len(world),
        "tokens": length / len(world),
        "backtracking": float(np.mean([backtracking_rate(text, DOUBT) for text in texts])),
        "judging": float(np.mean([text == verdict for text, (_, verdict) in zip(given, tasks)])),
    }


trial = Trial(
    paper="2601.08468",
    claim="Judging solutions first, then solving, gives shorter replies for each right one than solving all along.",
    headline="about 42 % shorter at higher accuracy than plain RLVR of the same steps (Qwen3-30B-A3B, AIME 24 and 25)",
    metric=Metric("tokens per correct answer", better="lower", unit="tokens"),
    bar=Bar(versus="baseline", relative=0.10),
    arms={"baseline": plain, "placebo": permuted, "method": judge_first},
    world="text/sums",
    world_args={"each": CASES, "carry": False},
    quick_args={"each": 32, "carry": False},
    seeds=6,
    quick_seeds=1,
    timeout_s=600,
    quick_timeout_s=60,
    fixture=Fixture(begin, distinct=2),
    mirrors=(Mirror("tokens a reply", 0.58, ("method", "baseline"), metric="tokens"),),
    extras=("trl",),
)
