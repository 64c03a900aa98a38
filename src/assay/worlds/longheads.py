"""Long attention heads of known structure: queries, keys and values under RoPE, thousands of tokens long.

A head is a sum of parts on separate frequencies. *Slash*: one vector that all queries and keys share, on middle and
high frequencies, so that a query attends a fixed `lag` back (0: to itself and its neighbours). *Topic*: on the lowest
frequencies, one of 96 vectors for each span of 256 to 1,024 tokens, so that spans on one topic attend to each other
however far apart. *Sink*: every query is drawn to the first key. Noise N(0, 0.3^2) lies over queries and keys; values
are N(0, 1). Each part is scaled to the peak of its logit, q k / sqrt(d).

`mixed` has the six heads that a sparse method must serve at once (three local, a slash, a slash under semantic load, a
retrieval head), `loaded` eight slashes under semantic load. A seed redraws phases, topics, spans and lags; further
parts of a draw keep the heads and redraw the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

HEAD_DIM = 64
PAIRS = HEAD_DIM // 2  # frequencies; pair i rotates dimensions i and i + PAIRS
TOPICS, TOPIC_PAIRS = 96, (22, 30)
SPAN = (256, 1024)  # tokens
NOISE = 0.3
LAGS = (64, 2000)  # tokens
SINK_PAIR, SINK_QUERY = 31, 4.0


@dataclass(frozen=True)
class Head:
    """Peak logits of its parts, the slash's lag in tokens and its first and last pair of dimensions."""

    kind: str
    lag: int
    slash: float
    topic: float
    sink: float
    pairs: tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """What a seed fixes; `draw` makes the tensors, so that a sample stays small."""

    heads: tuple[Head, ...]
    lengths: tuple[int, ...]
    theta: float
    seed: int

    def draw(self, length: int, part: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values, each `(H, length, 64)` in float32."""
        if length < 1:
            raise ValueError(f"length: got {length}, wanted at least 1 token")
        drawn = [self._head(i, length, part) for i in range(len(self.heads))]
        q, k, v = (torch.stack(tensors) for tensors in zip(*drawn))
        return rotate(q, self.theta), rotate(k, self.theta), v

    def _head(self, number: int, length: int, part: int) -> tuple[Tensor, Tensor, Tensor]:
        head = self.heads[number]
        fixed, text = _generator(self.seed, number), _generator(self.seed, number, part, length)
        q, k = (NOISE * torch.randn(length, HEAD_DIM, generator=text) for _ in range(2))
        v = torch.randn(length, HEAD_DIM, generator=text)
        slash = _slash_vector(head, fixed)
        q += slash
        k += rotate(slash[None], self.theta, torch.tensor([float(head.lag)]))
        vectors = _topic_vectors(head, fixed)
        topics = vectors[_topics(length, text)]
        q += topics
        k += topics
        q[:, SINK_PAIR] += SINK_QUERY
        k[0, SINK_PAIR] += head.sink * math.sqrt(HEAD_DIM) / SINK_QUERY
        return q, k, v


@dataclass(frozen=True)
class LongHeads:
    """The world: `kind` is "mixed" or "loaded"; `lengths` are what a trial wants drawn, in tokens."""

    kind: str = "mixed"
    lengths: tuple[int, ...] = (8192, 16384, 32768)
    theta: float = 10_000.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"kind: got {self.kind!r}, wanted one of {sorted(_KINDS)}")
        if not self.lengths or min(self.lengths) < 1:
            raise ValueError(f"lengths: got {self.lengths}, wanted token counts of at least 1")
        if not self.theta > 1:
            raise ValueError(f"theta: got {self.theta}, wanted RoPE's base, > 1")

    def sample(self, seed: int) -> Recipe:
        """The heads of this seed."""
        return Recipe(_KINDS[self.kind](_generator(seed)), self.lengths, self.theta, seed)

    def check(self, drawn: tuple[Tensor, Tensor, Tensor], output: Tensor) -> Tensor:
        """Error of an attention's output `(H, L, 64)` on a draw, for each head, as in `output_error`."""
        q, k, v = drawn
        exact = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        return output_error(output, exact, v)


def world(kind: str = "mixed", lengths: Sequence[int] = (8192, 16384, 32768), theta: float = 10_000.0) -> LongHeads:
    """The world for trials: `world="longheads"` with `world_args={"kind": ..., "lengths": [...]}`."""
    return LongHeads(kind, tuple(lengths), theta)


def rotate(x: Tensor, theta: float, positions: Tensor | None = None) -> Tensor:
    """RoPE on `x (..., L, d)`, pair i = dimensions i and i + d/2; `positions (L,)` default to 0, 1, 2, ..."""
    length, dim = x.shape[-2:]
    if positions is None:
        positions = torch.arange(length, dtype=torch.float64)
    omega = theta ** (-torch.arange(dim // 2, dtype=torch.float64) * 2 / dim)
    angle = positions.double()[:, None] * omega
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def output_error(output: Tensor, exact: Tensor, v: Tensor) -> Tensor:
    """Root mean square of `output - exact` over that of the values, for each head: `(H,)` from `(H, L, d)`."""
    return (output - exact).square().mean((-2, -1)).sqrt() / v.square().mean((-2, -1)).sqrt()


def _mixed(generator: torch.Generator) -> tuple[Head, ...]:
    return (
        Head("local", 0, 11, 1, 11, (0, 24)),
        Head("local", 0, 9, 1, 12, (0, 24)),
        Head("local", 0, 13, 2, 11, (4, 24)),
        Head("slash", _lag(generator), 14, 2, 11, (4, 20)),
        Head("loaded slash", _lag(generator), 14, 4, 11, (4, 20)),
        Head("retrieval", 0, 5, 13, 11, (0, 20)),
    )


def _loaded(generator: torch.Generator) -> tuple[Head, ...]:
    """The topic's peak grows evenly from 4 to 8."""
    peaks = torch.linspace(4, 8, 8).tolist()
    return tuple(Head("loaded slash", _lag(generator), 14, peak, 11, (4, 20)) for peak in peaks)


_KINDS = {"mixed": _mixed, "loaded": _loaded}


def _lag(generator: torch.Generator) -> int:
    return int(torch.randint(LAGS[0], LAGS[1] + 1, (), generator=generator))


def _slash_vector(head: Head, generator: torch.Generator) -> Tensor:
    """Equal size and a random phase on each of the head's pairs; its square is sqrt(d) times the peak logit."""
    first, last = head.pairs
    phase = 2 * math.pi * torch.rand(PAIRS, generator=generator)
    size = torch.zeros(PAIRS)
    size[first : last + 1] = math.sqrt(math.sqrt(HEAD_DIM) * head.slash / (last + 1 - first))
    return torch.cat([size * phase.cos(), size * phase.sin()])


def _topic_vectors(head: Head, generator: torch.Generator) -> Tensor:
    """`(96, 64)`, the squared length of each sqrt(d) times the peak logit."""
    first, last = TOPIC_PAIRS
    vectors = torch.zeros(TOPICS, HEAD_DIM)
    drawn = torch.randn(TOPICS, 2 * (last + 1 - first), generator=generator)
    drawn *= math.sqrt(math.sqrt(HEAD_DIM) * head.topic) / drawn.norm(dim=1, keepdim=True)
    vectors[:, first : last + 1], vectors[:, PAIRS + first : PAIRS + last + 1] = drawn.chunk(2, dim=1)
    return vectors


def _topics(length: int, generator: torch.Generator) -> Tensor:
    """The topic of each token, `(length,)`."""
    count = length // SPAN[0] + 1
    spans = torch.randint(SPAN[0], SPAN[1] + 1, (count,), generator=generator)
    topics = torch.randint(TOPICS, (count,), generator=generator)
    return topics.repeat_interleave(spans)[:length]


def _generator(*entropy: int) -> torch.Generator:
    """One stream for each combination of numbers."""
    import numpy as np

    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))
