"""Regions of a model's states: find them, look at them, and move a reply towards one.

    pip install 'assay-papers[lm]'
    python examples/mfa_regions.py

The built-in nano reads lists, sums and look-ups; its middle layer falls into regions, each with a few directions of
its own. Any causal model of transformers goes in the same way. Nothing is downloaded.
"""

from __future__ import annotations

import torch

from assay.methods.activations import capture, intervene
from assay.methods.interpretability.mfa import MFASteerer, describe, fit_mfa
from assay.models.finetune import as_prompt, replies
from assay.models.nano import load
from assay.worlds.text import mix6

LAYER = 2


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = load("nano")
    problems = mix6.world(each=20).sample(0)
    rows = [tokenizer.encode(as_prompt(p.prompt) + p.trace, add_special_tokens=False) for p in problems]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows]).bool()
    states = capture(model, ids, [LAYER], attention_mask=mask)[LAYER][mask]

    fit = fit_mfa(states, regions=16, rank=4, method="em", epochs=8)
    print(f"{len(states)} states, {fit.validation[0]:.0f} nats each held out after one round, {fit.validation[-1]:.0f}")
    tokens = [tokenizer.decode([i]) for i in ids[mask].tolist()]
    told = describe(fit.mfa, states, tokens, tokens)
    for region in told[:5]:
        print(f"region {region.number}: {region.weight:.0%} of the states, {region.kind}, {region.label}")

    prompt = problems[0].prompt
    print("plain:  ", repr(replies(model, tokenizer, [prompt], max_tokens=12)[0]))
    with intervene(model, [MFASteerer(model, fit.mfa, LAYER).centroid(told[0].number, alpha=0.5)]):
        print("steered:", repr(replies(model, tokenizer, [prompt], max_tokens=12)[0]))


if __name__ == "__main__":
    main()
