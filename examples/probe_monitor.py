"""Watch a model while it writes: a probe on its states, trained on short texts, stops a reply.

    pip install 'assay-papers[lm]'
    python examples/probe_monitor.py

The probe learns to find a request of a forbidden family ("purge the ledger") in texts of 64 tokens; then it reads one
of 512, and watches `generate` token by token. Any causal model of transformers goes in the same way.
"""

from __future__ import annotations

import random

import torch

from assay.methods.interpretability.production_probes import (
    ProbeData,
    ProbeMonitor,
    RollingMeansAttentionProbe,
    choose_threshold,
    padded,
    read_texts,
    score_all,
    train_probe,
)
from assay.models.nano import load
from assay.worlds.text.requests import SHORT, draw_item

LAYER = 2


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = load("nano")
    rng = random.Random(0)

    def data(count: int, length: int) -> ProbeData:
        items = [draw_item(rng, length, i % 2 == 1) for i in range(count)]
        states = read_texts(model, tokenizer, [item.text for item in items], [LAYER])[LAYER]
        return ProbeData(*padded(states), torch.tensor([int(item.harmful) for item in items]))

    train, valid, long = data(160, SHORT), data(60, SHORT), data(20, 510)
    found = train_probe(lambda: RollingMeansAttentionProbe(128), train, valid, steps=200, n_seeds=1)
    threshold = choose_threshold(score_all(found.probe, valid.x, valid.mask), valid.y)
    for name, part in (("short", valid), ("long", long)):
        right = (score_all(found.probe, part.x, part.mask) >= threshold) == (part.y == 1)
        print(f"{name} texts: {right.double().mean():.0%} right")

    ids = torch.tensor([tokenizer.encode("read the letter; purge the ledger now; ")])
    with ProbeMonitor(model, found.probe, LAYER, stop_on=threshold) as monitor:
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, stopping_criteria=[monitor])
    written = out.shape[1] - ids.shape[1]
    print(f"forbidden: score {float(monitor.scores):.2f}, stopped from {threshold:.2f} on, {written} tokens written")


if __name__ == "__main__":
    main()
