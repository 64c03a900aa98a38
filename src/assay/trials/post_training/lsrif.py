"""Does a reward that follows the logic of an instruction teach more than the mean of its constraints? (2601.06431)

World   instructions of two to four parts that are all to be written in any order, one after another, or in one of two
        branches that a condition selects; 300 held-out ones. Nano starts from a short training on worked replies, then
        60 steps of TRL's GRPO, 64 rollouts each, on 600 instructions.
Metric  strict success: the greedy reply is what an interpreter of the prompt makes of it, right branch alone, steps in
        their order. Neither arm is paid by it.
Reward  each part is a constraint: in the reply at all, or at its place where an order is asked for. baseline: the mean
        of all constraints, those of both branches alike. method: LSRIF. placebo: LSRIF with the tree of another
        instruction that has as many constraints. `start` is not trained further.

Reported beside the verdict: success by structure, replies that begin in the wrong branch, and how far each kind of
projection moved.

The start is trained in rounds of 50 steps until it carries out 30 % of other instructions strictly: how many it takes
depends on the seed (350 to 500 steps on 1000 to 1002), and with a fixed number of steps a first run began at 91 % on
half of its seeds and was given up as without headroom. Rates were chosen on the reserved seeds 1000 and 1001, per arm,
after all 60 steps: 1e-4 leaves every arm where the start was (0.37 and 0.42) or a little above, 3e-4 leads below it,
and after 20 steps of 1e-3 it is 0.18 to 0.27. Seeds share two starts.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from assay.engine.trial import Bar, Fixture, Measures, Metric, Mirror, Models, NoHeadroom, Trial
from assay.methods.post_training.lsrif import (
    Conditional,
    Constraint,
    LSRIFReward,
    Node,
    Parallel,
    Rule,
    RuleVerifier,
    Sequential,
    flat_reward,
    parameter_shift,
    to_dict,
)
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import as_prompt, finetune, replies
from assay.trials.post_training import _nano_start as nano
from assay.worlds.text import instruct
from assay.worlds.text.problem import Problem, digest

CASES = 300  # instructions of the full world; for a smaller one everything is trained in proportion
WORKED, WORKED_STEPS, WORKED_RATE = 4500, 50, 3e-3  # steps of a round of the start's training
ROUNDS, ENOUGH = 14, 0.3  # at most so many rounds, until so much strict success
TRAINED, STEPS = 600, 60
PROBED, LEAST, MOST = 90, 0.15, 0.7  # strict success of the start between which a difference can show
RATE = {"baseline": 1e-4, "placebo": 1e-4, "method": 1e-4}

World = tuple[Problem, ...]
Trees = Callable[[Sequence[Problem], int], list[Node]]


def begin(world: World, models: Models, seed: int) -> nano.Start:
    """Nano after some worked replies. Raises NoHeadroom where they taught it too little or too much."""
    share = len(world) / CASES
    pairs = [(problem.prompt, problem.trace) for problem in drawn(seed, int(WORKED * share), "worked")]
    probe = drawn(seed, PROBED, "probe")
    model, tokenizer = models.load("nano")
    for number in range(max(1, int(ROUNDS * share))):
        finetune(model, pairs, steps=WORKED_STEPS, seed=seed + number, batch=32, learning_rate=WORKED_RATE)
        texts = replies(model, tokenizer, [problem.prompt for problem in probe], max_tokens=instruct.LONGEST)
        strict = sum(map(instruct.check, probe, texts)) / PROBED
        if strict >= ENOUGH:
            break
    if share == 1 and not LEAST <= strict <= MOST:
        raise NoHeadroom(f"the start carries out {strict:.2f} of the instructions, wanted {LEAST} to {MOST}")
    return {name: value.clone() for name, value in model.state_dict().items()}


def drawn(seed: int, count: int, stream: str) -> list[Problem]:
    """Training instructions, as many of each structure."""
    return [
        problem
        for structure in instruct.STRUCTURES
        for problem in nano.problems(
            partial(instruct.sample, structure=structure), seed, count // len(instruct.STRUCTURES), stream
        )
    ]


def untrained(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    measured = strictly(*nano.load(models, begun), world)
    return Measures(measured.pop("strict"), extra=measured)


def flat(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    reward = LSRIFReward(RuleVerifier(), aggregate=flat_reward)
    return train(world, models, seed, begun, reward, own_trees, RATE["baseline"])


def anothers_tree(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, LSRIFReward(RuleVerifier()), trees_of_others, RATE["placebo"])


def lsrif(world: World, models: Models, seed: int, begun: nano.Start) -> Measures:
    return train(world, models, seed, begun, LSRIFReward(RuleVerifier()), own_trees, RATE["method"])


def own_trees(problems: Sequence[Problem], seed: int) -> list[Node]:
    return [tree(problem, problem) for problem in problems]


def trees_of_others(problems: Sequence[Problem], seed: int) -> list[Node]:
    """Each instruction's constraints in the tree of another one, drawn among those with as many."""
    rng = random.Random(digest(seed, "others"))
    alike: dict[int, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(len(problem.meta["parts"]), []).append(problem)
    others = {count: list(same) for count, same in alike.items()}
    for same in others.values():
        rng.shuffle(same)
    return [tree(problem, others[len(problem.meta["parts"])].pop()) for problem in problems]


def tree(problem: Problem, like: Problem) -> Node:
    """The constraints of `problem` in the logic of `like`."""
    own = constraints_of(problem)
    structure = like.meta["structure"]
    if structure == "parallel":
        return Parallel(own)
    if structure == "sequential":
        return Sequential(own)
    branches = own[: like.meta["then"]], own[like.meta["then"] :]
    then, otherwise = (branch[0] if len(branch) == 1 else Sequential(branch) for branch in branches)
    return Conditional(bool(like.meta["holds"]), then, otherwise)


def constraints_of(problem: Problem) -> list[Constraint]:
    """One constraint a part: that it is written at all, or at its place in the order or in its branch."""
    found = []
    for i, part in enumerate(problem.meta["parts"]):
        place = i - problem.meta["then"] if i >= problem.meta.get("then", len(problem.meta["parts"])) else i
        anywhere = problem.meta["structure"] == "parallel"
        before = "(^| )" if anywhere else rf"^(\S+ ){{{place}}}"
        where = "somewhere" if anywhere else f"at place {place + 1}"
        found.append(Constraint(f"c{i}", f"{part} {where}", Rule("matches", f"{before}{re.escape(part)}( |$)")))
    return found


def train(
    world: World,
    models: Models,
    seed: int,
    begun: nano.Start,
    reward: LSRIFReward,
    trees: Trees,
    rate: float,
) -> Measures:
    from assay.integrations.trl import run_grpo

    share = len(world) / CASES
    model, tokenizer = nano.load(models, begun)
    problems = drawn(seed, int(TRAINED * share), "rollouts")
    rows = [
        {"prompt": as_prompt(problem.prompt), "structure": json.dumps(to_dict(node))}
        for problem, node in zip(problems, trees(problems, seed))
    ]
    run = run_grpo(
        model,
        tokenizer,
        rows,
        reward,
        advantage=GroupNormalised(),
        steps=int(STEPS * share),
        seed=seed,
        max_tokens=instruct.LONGEST,
        learning_rate=rate,
    )
    measured = strictly(run.model, tokenizer, world)
    shift = parameter_shift(begun, run.model.state_dict())
    extra = {**measured, **{f"shift_{kind}": value for kind, value in shift.items()}}
    curve = tuple(step["reward"] for step in run.log if "reward" in step)
    return Measures(extra.pop("strict"), extra=extra, curve=curve)


def strictly(model: Any, tokenizer: Any, world: World) -> dict[str, float]:
    """Strict success of greedy replies, in all and by structure, and the share of conditional instructions whose
    reply begins with a part of the wrong branch."""
    texts = replies(model, tokenizer, [problem.prompt for problem in world], max_tokens=instruct.LONGEST)
    right = [instruct.check(problem, text) for problem, text in zip(world, texts)]
    figures = {"strict": sum(right) / len(right)}
    for structure in instruct.STRUCTURES:
        own = [ok for ok, problem in zip(right, world) if problem.meta["structure"] == structure]
        figures[structure] = sum(own) / len(own)
    conditional = [(p, text) for p, text in zip(world, texts) if p.meta["structure"] == "conditional"]
    figures["wrong_branch"] = sum(wrong_branch(p, text) for p, text in conditional) / len(conditional)
    return figures


def wrong_branch(problem: Problem, text: str) -> bool:
    """Whether the reply begins with a part of the branch that does not apply."""
    then = problem.meta["then"]
    closed = problem.meta["parts"][then:] if problem.meta["holds"] else problem.meta["parts"][:then]
    return text.split(" ")[0] in closed


trial = Trial(
    paper="2601.06431",
    claim="A reward that follows the logic of instructions has more of them carried out than the mean of constraints.",
    headline="IFEval 90.2 with Qwen3-8B (GPT-4o: 84.8); +25.2 points with Qwen2.5-1.5B",
    metric=Metric("strict success", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", relative=0.10),
    arms={"baseline": flat, "placebo": anothers_tree, "method": lsrif, "start": untrained},
    world="text/instruct",
    world_args={"each": CASES // 3},
    quick_args={"each": 8},
    seeds=6,
    quick_seeds=1,
    quick_timeout_s=60,
    fixture=Fixture(begin, distinct=2),
    mirrors=(Mirror("points of IFEval gained, Qwen2.5-1.5B", 0.252, ("method", "start"), kind="difference"),),
    extras=("trl",),
)
