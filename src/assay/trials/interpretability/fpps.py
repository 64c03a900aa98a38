"""Does steering where the history misleads bring answers back, and leave those alone that need it? (2601.11000)

World   questions after a user's sessions (`knowledge/histories`): half ask for a fact of the country, most of their
        histories hold a wrong statement of it; half ask for the user's own affairs, which only the history tells.
        Micro has learnt the country by heart, and to answer after histories that mislead nobody.
Metric  overall score on test questions: harmonic mean of the shares of factual and of personal ones right. Factual
        questions count only where micro is right without the history.
Arms    all answer with the three sessions that BM25 retrieves; layer, prober and strengths are fitted on questions
        about other entities and users.
        baseline   nothing is steered
        placebo    FPPS-M with the risks of the test questions dealt out anew
        method     FPPS-M
        hard, soft FPPS-H and FPPS-S (reported)
        plain      no history at all (reported: what facts alone can score)

Of the spec's bench, two-hop questions are left out: micro does not answer them without a history. Two sets of weights,
by seed modulo 2; weights that do not know the facts, or that histories do not mislead, are taught anew from another
start, twice at most. Two full runs, with seven passes through the facts, ended with "no headroom" on half the seeds
(one of the two sets knew 88 % of the facts, wanted 90); the nine passes were chosen on the reserved seeds 1002 and
1004 before any arm ran there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from assay.engine.trial import Bar, Bars, Fixture, Measures, Metric, Models, NoHeadroom, Trial
from assay.methods.interpretability import fpps
from assay.methods.interpretability._shift_layer import right_under
from assay.methods.interpretability.fpps import FPPS, Floats, Scores, Triple, Variant
from assay.trials.interpretability import _taught
from assay.trials.interpretability._taught import Taught
from assay.worlds.knowledge import attributes, histories
from assay.worlds.knowledge.attributes import Sides
from assay.worlds.text.problem import digest, start_seed

FITTED, TESTED, PROBED = 600, 400, 120
PASSES, HISTORIES = 9, 3600  # through the facts; questions after histories
LEAST_PLAIN, MOST_MISLED = 0.90, 0.75
TRIES = 3


class Ready(NamedTuple):
    model: Any
    tokenizer: Any
    fitted: list[Triple]
    tested: list[Triple]


def begin(world: Sides, models: Models, seed: int) -> Taught:
    """Micro after the lessons, from another start where it does not know the facts or is not misled. Raises NoHeadroom
    after the last of `TRIES`."""
    for attempt in range(TRIES):
        taught, plain, misled = attempted(world, models, start_seed(seed, attempt))
        if plain >= LEAST_PLAIN and misled <= MOST_MISLED:
            return taught
    raise NoHeadroom(f"facts right {plain:.0%} plain, {misled:.0%} after a history; wanted >= 90 % and <= 75 %")


def attempted(world: Sides, models: Models, seed: int) -> tuple[Taught, float, float]:
    """Micro after the lessons, and how many facts it has right without a history and after one."""
    everyone = attributes.subjects()
    lessons = attributes.lessons(everyone) * PASSES + histories.lessons(
        everyone, digest(seed, "lessons") >> 33, HISTORIES
    )
    taught = _taught.teach_lessons(models, lessons, histories.WORDS, seed)
    model, tokenizer = _taught.load(models, taught, histories.WORDS)
    probed = [t for t in triples(world.train, seed, PROBED) if t.kind == "factual"]
    plain = right_under(model, tokenizer, [(t.question, t.gold) for t in probed]).mean()
    misled = right_under(model, tokenizer, [(fpps.joined(t.history, t.question), t.gold) for t in probed]).mean()
    return taught, float(plain), float(misled)


def triples(entities: Sequence[int], seed: int, n: int) -> list[Triple]:
    """Questions with the sessions retrieved for them."""
    asked = histories.build(entities, digest(seed, "questions") >> 33, n)
    return [Triple(one.question, one.history, one.gold, one.misled, one.kind) for one in asked]


def ready(world: Sides, models: Models, seed: int, taught: Taught) -> Ready:
    """The model, questions to fit on, and questions to be judged by; factual ones that it has right without history."""
    model, tokenizer = _taught.load(models, taught, histories.WORDS)
    fitted = triples([*world.train, *world.valid], seed, FITTED)
    tested = triples(world.test, digest(seed, "test"), TESTED)
    known = right_under(model, tokenizer, [(t.question, t.gold) for t in tested])
    return Ready(model, tokenizer, fitted, [t for t, k in zip(tested, known) if k or t.kind == "personal"])


def unsteered(world: Sides, models: Models, seed: int, taught: Taught) -> Measures:
    start = ready(world, models, seed, taught)
    return told(fpps.score(start.model, start.tokenizer, start.tested, 0))


def without_history(world: Sides, models: Models, seed: int, taught: Taught) -> Measures:
    start = ready(world, models, seed, taught)
    bare = [Triple(t.question, "", t.gold, t.history_answer, t.kind) for t in start.tested]
    return told(fpps.score(start.model, start.tokenizer, bare, 0))


def mixed(world: Sides, models: Models, seed: int, taught: Taught) -> Measures:
    return steered(ready(world, models, seed, taught), "M", seed)


def hard(world: Sides, models: Models, seed: int, taught: Taught) -> Measures:
    return steered(ready(world, models, seed, taught), "H", seed)


def soft(world: Sides, models: Models, seed: int, taught: Taught) -> Measures:
    return steered(ready(world, models, seed, taught), "S", seed)


def others_risk(world: Sides, models: Models, seed: int, taught: Taught) -> Measures:
    return steered(ready(world, models, seed, taught), "M", seed, np.random.default_rng(seed))


def steered(start: Ready, variant: Variant, seed: int, dealt: np.random.Generator | None = None) -> Measures:
    """Fit, then answer the test questions; with `dealt`, each with the risk of another one."""
    model, tokenizer, fitted, tested = start
    found = fpps.fit(model, tokenizer, fitted, variant=variant, seed=seed)
    h_u, h_0 = fpps.states(model, tokenizer, tested, found.layer)
    risk = found.prober.risk(h_u, h_0)
    if dealt is not None:
        risk = dealt.permutation(risk)
    scores = fpps.score(model, tokenizer, tested, found.layer, found.change(h_u, h_0, risk))
    return told(scores, found, risk)


def told(scores: Scores, found: FPPS | None = None, risk: Floats | None = None) -> Measures:
    extra = {
        "factual": scores.factual,
        "personal": scores.personal,
        "hallucination": scores.hallucination,
        "arithmetic": scores.arithmetic,
    }
    if found is not None and risk is not None:
        extra |= {"layer": float(found.layer), "auroc": found.prober.auroc, "mean_risk": float(risk.mean())}
        extra |= {"gamma": found.gamma, "tau_low": found.tau_low, "tau_high": found.tau_high}
    return Measures(scores.overall, extra=extra)


trial = Trial(
    paper="2601.11000",
    claim="Steering only where the user's history misleads brings facts back and keeps what needs the history.",
    headline="FPPS-M has the best overall score for every backbone and way of personalising",
    metric=Metric("overall score", better="higher", range=(0.0, 1.0)),
    bar=Bars(Bar(absolute=0.05), Bar(within=0.02, metric="personal", better="higher")),
    arms={
        "baseline": unsteered,
        "placebo": others_risk,
        "method": mixed,
        "hard": hard,
        "soft": soft,
        "plain": without_history,
    },
    world="knowledge/attributes",
    seeds=8,
    quick_seeds=1,
    quick_timeout_s=120,
    fixture=Fixture(begin, distinct=2),
    extras=("lm",),
)
