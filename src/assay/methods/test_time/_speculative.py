"""Token-level speculative sampling: a small model drafts, a large one verifies, the output is the large one's.

Leviathan et al. 2023 (arXiv 2211.17192), algorithm 1. GlimpRouter's steps for the large model can be written
this way with the small model as draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class LocalModel(Protocol):
    """Next-token distributions: ids (T,) long -> probabilities (T, V); row t belongs to the token after t."""

    def __call__(self, ids: torch.Tensor) -> torch.Tensor: ...


def speculative_step(
    draft: LocalModel, target: LocalModel, prefix: Sequence[int], gamma: int = 4, *, generator: torch.Generator
) -> list[int]:
    """Between 1 and `gamma + 1` new tokens after `prefix`, distributed exactly as the target's own.

    The draft proposes `gamma` tokens; token x is accepted with probability min(1, p(x)/q(x)); at the first
    rejection one token is drawn from (p - q)+, and if all are accepted one more from p. `prefix` holds at least
    one token. Raises ValueError for gamma < 1, an empty prefix, or vocabularies that differ.
    """
    import torch

    if gamma < 1:
        raise ValueError(f"gamma: got {gamma}, wanted >= 1")
    if not len(prefix):
        raise ValueError("prefix: got no token, wanted at least one")
    ids = torch.tensor(list(prefix), dtype=torch.long)
    start = len(ids)
    proposals = []
    for _ in range(gamma):
        q = draft(ids)[-1]
        token = torch.multinomial(q, 1, generator=generator)
        proposals.append(q)
        ids = torch.cat([ids, token])
    p = target(ids)[start - 1 :]
    if p.shape[-1] != proposals[0].shape[-1]:
        raise ValueError(f"draft and target: vocabularies of {proposals[0].shape[-1]} and {p.shape[-1]} differ")
    for i, q in enumerate(proposals):
        token_id = int(ids[start + i])
        accept = torch.rand((), generator=generator, dtype=torch.float64)
        if accept * q[token_id] >= p[i, token_id]:
            residual = (p[i] - q).clamp_min(0)
            # p == q up to rounding leaves no residual: then the target's own distribution is the right one.
            rest = residual if float(residual.sum()) > 0 else p[i]
            return [*ids[start : start + i].tolist(), int(torch.multinomial(rest, 1, generator=generator))]
    return [*ids[start:].tolist(), int(torch.multinomial(p[gamma], 1, generator=generator))]
