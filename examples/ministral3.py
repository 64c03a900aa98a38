"""A family of small models from one parent: nano pruned to a half, distilled, pruned to a quarter, distilled.

    pip install 'assay-papers[lm]'
    python examples/ministral3.py

Prints the sizes of the children and their loss on held-out problems before and after each distillation. Nothing is
downloaded; for your own model give `cascade` a folder to write to, and batches of your own text.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from assay.methods.post_training.ministral3 import distil, prune, shares
from assay.models import load
from assay.trials.post_training.ministral3 import calibration, loss_of, stream
from assay.worlds.text import mix6

TOKENS = 6_000


def main() -> None:
    parent, _ = load("nano")
    held_out = mix6.world(each=10).sample(0)
    print(f"{'':<12}{'parameters':>12}{'pruned':>10}{'distilled':>11}   nats a reply token")
    print(f"{'parent':<12}{sum(p.numel() for p in parent.parameters()):>12,}{loss_of(parent, held_out):>10.3f}")
    model = parent
    for name, share in (("a half", 0.5), ("a quarter", 0.25)):
        child = prune(model, calibration(0), shares(parent, share), tie=True)
        pruned = loss_of(child, held_out)
        distil(child, parent, batches(name), tokens=TOKENS, learning_rate=1e-3)
        size = sum(p.numel() for p in child.parameters())
        print(f"{name:<12}{size:>12,}{pruned:>10.3f}{loss_of(child, held_out):>11.3f}")
        model = child


def batches(name: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(ids, where the next token counts): worked problems here, your own text elsewhere."""
    return stream(0, name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
