"""Concept vectors of a small model, and the mix of them that makes a handful of examples come out right.

    pip install 'assay-papers[interpretability]'
    python examples/steer2adapt.py

Nano is first taught manners of working (half a minute): to refuse or comply, to be terse or long. Asked without a word
on manners it answers in its own; the task wants it to refuse. Prints the mix that is found from 16 examples, and what
it does to others. For your own model: pairs of prompts that differ in one concept, some 24 examples of which about
half are right, and `SteeredModel(model, basis, recipe).generate(...)`.
"""

from __future__ import annotations

import torch

from assay.methods.interpretability._steer_report import change, sign_stability
from assay.methods.interpretability.steer2adapt import Item, build_basis, margins, search
from assay.models import load
from assay.models.finetune import finetune
from assay.worlds.text import styles

STEPS, WANTED = 150, "n"


def main() -> None:
    model, tokenizer = load("nano")
    finetune(model, styles.lessons(0, STEPS * 32), steps=STEPS, seed=0, batch=32)
    model.eval()
    concepts = {kind: styles.contrast(kind, 0, 32) for kind in ("long", "comply")}
    basis = build_basis(model, tokenizer, concepts, layers=[1])
    drawn = [styles.sample(i, "train", wanted=WANTED) for i in range(160)]
    items = [Item(problem.prompt, problem.trace) for problem in drawn]
    right = margins(model, tokenizer, items) > 0
    halves = [[item for item, hit in zip(items, right) if hit == side][:8] for side in (True, False)]
    recipe = search(model, tokenizer, basis, halves[0] + halves[1], backend="optuna", n_iter=16)
    kept = sign_stability(recipe)
    for name, weight in zip(recipe.names, recipe.alpha):
        print(f"{weight:+.2f} {name:<8} sign kept in {kept[name]:.0%} of resamples")
    others = [item for item in items if item not in halves[0] + halves[1]]
    told = change(model, tokenizer, basis, recipe, others)
    print(f"{len(others)} other items: right {told.before:.0%} before, {told.after:.0%} after")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
