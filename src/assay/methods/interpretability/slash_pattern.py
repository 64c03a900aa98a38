"""Demystifying the Slash Pattern in Attention: The Role of RoPE (2601.08297): heads at a fixed lag, and why.

A slash head attends a fixed number of tokens back whatever the text says. It arises where a head's queries, and its
keys, nearly all point one way before RoPE turns them: scores then depend on position alone, and the middle and fast
frequencies of RoPE carve a peak at some lag. `find_sdh` finds such heads in any RoPE model of `transformers`,
`examine` says how near rank one they are and which frequencies make the peak, and the causal tests take either away.

What it costs: a forward pass and O(T^2 d) a head, in blocks of queries, so that 8k tokens need no T x T table. It
says nothing of heads that attend by content: their queries have no common direction.

Details that matter
- Thresholds, scores and bands are ours; of the paper only a summary could be read. Bands are by wavelength in tokens:
  high below 64, middle up to 2,048, low above.
- A band's share is its covariance with the whole predicted profile over the lags, so that shares sum to 1.
- Attention is computed from queries and keys: the model need not be loaded with an implementation that returns it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from assay.methods.interpretability._rope_heads import LayerHeads, attention_modules, changed_heads, visit_heads

BANDS = (64.0, 2048.0)  # wavelengths in tokens between high, middle and low
ROWS = 256  # queries at a time


@dataclass(frozen=True)
class Spectrum:
    """How near to one direction the rows of a matrix lie.

    ratio           sigma_1^2 over the sum of sigma^2: 1 for rank one
    centred         the same after the mean row is taken off
    effective_rank  exp of the entropy of sigma^2, as shares
    angle           degrees between the first direction and the mean row
    """

    ratio: float
    centred: float
    effective_rank: float
    angle: float


@dataclass(frozen=True)
class SlashHead:
    """One head: where its attention lies by lag, and what RoPE alone would make of its mean query and key.

    score, shuffled_score and ood_score are S(delta), the mean attention `delta` back, on the text, on the same tokens
    shuffled, and on random tokens. `predicted` is the lag at which the mean query and key give the highest logit,
    `strength` the softmax over lags there, `explained` the squared correlation of predicted and measured logits.
    """

    layer: int
    head: int
    delta: int
    score: float
    shuffled_score: float
    ood_score: float
    ood_peak: float
    queries: Spectrum
    keys: Spectrum
    predicted: int
    strength: float
    explained: float
    bands: Mapping[str, float]
    profile: tuple[float, ...]


def slash_score(attention: Tensor, deltas: Sequence[int]) -> Tensor:
    """S_h(delta), the mean of A_h[i, i - delta] over i >= delta: `(H, len(deltas))` from `(H, T, T)`."""
    lags = _checked(deltas, attention.shape[-1])
    return _along(attention, 0, lags) / _counts(lags, attention.shape[-1])


def slash_scores(q: Tensor, k: Tensor, deltas: Sequence[int], scale: float | None = None) -> Tensor:
    """The same from rotated `q, k (H, T, d)`, a block of queries at a time: `(H, len(deltas))`."""
    return _by_lag(q, k, deltas, scale, softmax=True)


def logits_by_lag(q: Tensor, k: Tensor, deltas: Sequence[int], scale: float | None = None) -> Tensor:
    """Mean logit at each lag, `(H, len(deltas))`."""
    return _by_lag(q, k, deltas, scale, softmax=False)


def spectrum(rows: Tensor) -> Spectrum:
    """Of `rows (T, d)`, e.g. a head's queries before RoPE."""
    if rows.dim() != 2 or not rows.isfinite().all():
        raise ValueError(f"rows: got {tuple(rows.shape)}, wanted finite numbers (T, d)")
    _, sizes, directions = torch.linalg.svd(rows.double(), full_matrices=False)
    shares = sizes.square() / sizes.square().sum().clamp(min=1e-30)
    centred = torch.linalg.svdvals((rows - rows.mean(0)).double()).square()
    mean = rows.double().mean(0)
    cosine = (directions[0] @ mean).abs() / mean.norm().clamp(min=1e-30)
    return Spectrum(
        shares[0].item(),
        (centred[0] / centred.sum().clamp(min=1e-30)).item(),
        torch.special.entr(shares).sum().exp().item(),
        math.degrees(math.acos(min(1.0, cosine.item()))),
    )


def rope_contributions(
    q_mean: Tensor, k_mean: Tensor, omega: Tensor, deltas: Sequence[int], scale: float | None = None
) -> Tensor:
    """What each frequency adds to the logit at each lag, `(r / 2, len(deltas))`.

    |q_i| |k_i| cos(omega_i delta + phi_i) * scale for the mean query and key `(d,)` before RoPE, with phi_i the angle
    between them on pair i (dimensions i and i + r/2 of the r rotated ones). Their sum is the predicted profile.
    """
    q, k = _pairs(q_mean, omega), _pairs(k_mean, omega)
    size, phi = q.abs() * k.abs(), q.angle() - k.angle()
    return predicted(size, phi, omega, deltas) * (len(q_mean) ** -0.5 if scale is None else scale)


def predicted(size: Tensor, phi: Tensor, omega: Tensor, deltas: Sequence[int]) -> Tensor:
    """size_i cos(omega_i delta + phi_i), `(r / 2, len(deltas))`."""
    lags = torch.as_tensor(list(deltas), dtype=torch.float64)
    return size[:, None] * torch.cos(omega[:, None] * lags + phi[:, None])


def band_of(omega: Tensor, bands: tuple[float, float] = BANDS) -> dict[str, Tensor]:
    """Booleans over the pairs for "high", "middle" and "low" by wavelength 2 pi / omega in tokens."""
    wavelength = 2 * math.pi / omega
    high, low = wavelength < bands[0], wavelength > bands[1]
    return {"high": high, "middle": ~high & ~low, "low": low}


@torch.no_grad()
def examine(
    model: nn.Module,
    input_ids: Tensor,
    *,
    max_delta: int | None = None,
    min_delta: int = 0,
    bands: tuple[float, float] = BANDS,
    generator: torch.Generator | None = None,
) -> list[SlashHead]:
    """Every head of a RoPE model on `input_ids (N, T)`: its lag, its rank and the frequencies behind it.

    Lags from `min_delta` to `max_delta` (default T / 2). Raises ValueError for a model without RoPE and for texts
    not longer than the largest lag. `generator` draws the random tokens and the shuffle.
    """
    length = input_ids.shape[-1]
    deltas = range(min_delta, (length // 2 if max_delta is None else max_delta) + 1)
    _checked(deltas, length)
    generator = generator or torch.Generator().manual_seed(0)
    order = torch.rand(input_ids.shape, generator=generator).argsort(1)
    vocabulary = model.get_input_embeddings().num_embeddings  # type: ignore[operator]
    others = (input_ids.gather(1, order), torch.randint(vocabulary, input_ids.shape, generator=generator))
    elsewhere: dict[int, list[Tensor]] = {}
    for other in others:
        visit_heads(
            model, other, lambda layer, heads: elsewhere.setdefault(layer, []).append(_mean_scores(heads, deltas))
        )
    found: list[SlashHead] = []

    def visit(layer: int, heads: LayerHeads) -> None:
        scores, measured = _mean_scores(heads, deltas), _mean_logits(heads, deltas)
        for h in range(len(scores)):
            others = [score[h] for score in elsewhere[layer]]
            found.append(_report((layer, h), heads, deltas, scores[h], others, measured[h], bands))

    visit_heads(model, input_ids, visit)
    return found


def find_sdh(heads: Sequence[SlashHead], threshold: float = 0.1) -> list[SlashHead]:
    """The slash-dominant heads: those whose mean attention at their lag reaches `threshold`, strongest first."""
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold: got {threshold}, wanted a share in (0, 1]")
    return sorted((head for head in heads if head.score >= threshold), key=lambda head: -head.score)


@contextmanager
def ablate_band(model: nn.Module, layer: int, head: int, pairs: Sequence[int]) -> Iterator[None]:
    """Within the block, `pairs` of one head are not rotated: their part of the score no longer depends on the lag."""

    def change(heads: LayerHeads) -> tuple[Tensor, Tensor]:
        _check_head(heads, head)
        half = heads.rope.cos.shape[-1] // 2
        if not all(0 <= pair < half for pair in pairs):
            raise ValueError(f"pairs: got {list(pairs)}, wanted numbers from 0 to {half - 1}")
        dims = [*pairs, *(pair + half for pair in pairs)]
        q, k = heads.rotated
        for rotated, plain in ((q, heads.q), (k, heads.k)):
            rotated[:, head, :, dims] = plain[:, head, :, dims]
        return q, k

    with changed_heads(model, {layer: change}):
        yield


@contextmanager
def rank_one_replace(model: nn.Module, layer: int, head: int) -> Iterator[None]:
    """Within the block, every query of one head is their mean before RoPE, and every key likewise."""

    def change(heads: LayerHeads) -> tuple[Tensor, Tensor]:
        _check_head(heads, head)
        q, k = heads.q.clone(), heads.k.clone()
        for x in (q, k):
            x[:, head] = x[:, head].mean((0, 1))
        return heads.rope.turn(q), heads.rope.turn(k)

    with changed_heads(model, {layer: change}):
        yield


@contextmanager
def swap_theta(model: nn.Module, base: float) -> Iterator[None]:
    """Within the block, all heads are rotated by RoPE of another base, theta = `base`."""
    if not base > 1:
        raise ValueError(f"base: got {base}, wanted RoPE's theta, > 1")

    def change(heads: LayerHeads) -> tuple[Tensor, Tensor]:
        width, length = heads.rope.cos.shape[-1], heads.q.shape[2]
        omega = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = (torch.arange(length)[:, None] * omega).repeat(1, 2)
        rope = type(heads.rope)(angle.cos().float(), angle.sin().float())
        return rope.turn(heads.q), rope.turn(heads.k)

    with changed_heads(model, dict.fromkeys(range(len(attention_modules(model))), change)):
        yield


def mean_query_key(heads: LayerHeads, head: int) -> tuple[Tensor, Tensor]:
    """The mean query and key of a head before RoPE, `(d,)` each in float64."""
    return heads.q[:, head].double().mean((0, 1)), heads.k[:, head].double().mean((0, 1))


def _report(
    place: tuple[int, int],
    heads: LayerHeads,
    deltas: range,
    scores: Tensor,
    elsewhere: Sequence[Tensor],
    measured: Tensor,
    bands: tuple[float, float],
) -> SlashHead:
    """From S and the mean logit by lag on the text, and S on shuffled and on random tokens."""
    h, at = place[1], int(scores.argmax())
    omega = heads.rope.omega
    parts = rope_contributions(*mean_query_key(heads, h), omega, deltas, heads.scale)
    profile = parts.sum(0)
    shares = profile.softmax(0)
    swing = profile - profile.mean()
    of_band = {
        name: ((parts[pairs].sum(0) * swing).mean() / swing.square().mean().clamp(min=1e-30)).item()
        for name, pairs in band_of(omega, bands).items()
    }
    return SlashHead(
        *place,
        deltas[at],
        scores[at].item(),
        elsewhere[0][at].item(),
        elsewhere[1][at].item(),
        elsewhere[1].max().item(),
        spectrum(heads.q[:, h].flatten(0, 1)),
        spectrum(heads.k[:, h].flatten(0, 1)),
        deltas[int(shares.argmax())],
        shares.max().item(),
        _correlation(profile, measured.double()) ** 2,
        of_band,
        tuple(scores.tolist()),
    )


def _mean_scores(heads: LayerHeads, deltas: Sequence[int]) -> Tensor:
    q, k = heads.rotated
    return torch.stack([slash_scores(a, b, deltas, heads.scale) for a, b in zip(q, k)]).mean(0)


def _mean_logits(heads: LayerHeads, deltas: Sequence[int]) -> Tensor:
    q, k = heads.rotated
    return torch.stack([logits_by_lag(a, b, deltas, heads.scale) for a, b in zip(q, k)]).mean(0)


def _by_lag(q: Tensor, k: Tensor, deltas: Sequence[int], scale: float | None, softmax: bool) -> Tensor:
    length = q.shape[1]
    lags = _checked(deltas, length)
    if not (q.isfinite().all() and k.isfinite().all()):
        raise ValueError("q, k: hold NaN or infinity, wanted finite values")
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    total = torch.zeros(len(q), len(lags))
    for start in range(0, length, ROWS):
        end = min(length, start + ROWS)
        rows = q[:, start:end].float() @ k[:, :end].float().mT * scale
        if softmax:
            seen = torch.ones(end - start, end, dtype=torch.bool).tril(start)
            rows = rows.masked_fill(~seen, float("-inf")).softmax(-1)
        total += _along(rows, start, lags)
    return total / _counts(lags, length)


def _along(rows: Tensor, start: int, lags: Tensor) -> Tensor:
    """Sum of rows[:, i, start + i - lag] over the rows in which it exists: `(H, len(lags))`."""
    at = torch.arange(start, start + rows.shape[1])[:, None] - lags
    taken = rows.gather(2, at.clamp(min=0).expand(len(rows), -1, -1))
    return (taken * (at >= 0)).sum(1)


def _counts(lags: Tensor, length: int) -> Tensor:
    return (length - lags).float()


def _checked(deltas: Sequence[int], length: int) -> Tensor:
    lags = torch.as_tensor(list(deltas))
    if not len(lags) or lags.min() < 0 or lags.max() >= length:
        span = f"{min(deltas)} to {max(deltas)}" if len(lags) else "none"
        raise ValueError(f"deltas: got {span}, wanted lags from 0 to below the text's {length} tokens")
    return lags


def _pairs(mean: Tensor, omega: Tensor) -> Tensor:
    """The rotated part of a vector as complex numbers, one for each pair."""
    half = len(omega)
    return torch.complex(mean[:half].double(), mean[half : 2 * half].double())


def _correlation(a: Tensor, b: Tensor) -> float:
    """0 where either does not vary."""
    a, b = a - a.mean(), b - b.mean()
    size = (a.norm() * b.norm()).item()
    return (a @ b).item() / size if size > 1e-12 else 0.0


def _check_head(heads: LayerHeads, head: int) -> None:
    if not 0 <= head < heads.q.shape[1]:
        raise ValueError(f"head: got {head}, wanted 0 to {heads.q.shape[1] - 1}")
