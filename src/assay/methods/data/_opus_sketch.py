"""CountSketch: vectors made short so that their inner products stay right on average.

Every coordinate is added, with a random sign, to one of m places. E <Sx, Sy> = <x, y>, and the variance is at most
(|x|^2 |y|^2 + <x, y>^2) / m.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class CountSketch:
    """A fixed random sketch from `dim_in` to `dim_out` numbers; the same seed gives the same one."""

    def __init__(self, dim_in: int, dim_out: int, seed: int) -> None:
        if dim_in < 1 or dim_out < 1:
            raise ValueError(f"dim_in, dim_out: got {dim_in}, {dim_out}, wanted at least 1 each")
        generator = torch.Generator().manual_seed(seed)
        self.dim_in, self.dim_out = dim_in, dim_out
        self.place = torch.randint(dim_out, (dim_in,), generator=generator)
        self.sign = torch.randint(2, (dim_in,), generator=generator).float() * 2 - 1

    def __call__(self, x: Tensor) -> Tensor:
        """(..., dim_in) to (..., dim_out)."""
        if x.shape[-1] != self.dim_in:
            raise ValueError(f"x: got a last axis of {x.shape[-1]}, wanted {self.dim_in}")
        flat = (x * self.sign.to(x)).reshape(-1, self.dim_in)
        short = x.new_zeros(self.dim_out, len(flat)).index_add_(0, self.place.to(x.device), flat.T)
        return short.T.reshape(*x.shape[:-1], self.dim_out)


class OuterSketch:
    """Sketches sum_t b_t a_t^T, flattened, without forming it: the circular convolution of two short sketches.

    The places of (o, i) are (h(o) + g(i)) mod m. Unbiased as well; pairs of entries share places a little more often
    than under a sketch of the whole, so that the variance can be up to about three times its bound.
    """

    def __init__(self, out: int, inner: int, dim_out: int, seed: int) -> None:
        self.left, self.right = CountSketch(out, dim_out, seed), CountSketch(inner, dim_out, seed + 1)

    def __call__(self, b: Tensor, a: Tensor) -> Tensor:
        """(B, T, out), (B, T, in) to (B, dim_out)."""
        spectrum = torch.fft.rfft(self.left(b)) * torch.fft.rfft(self.right(a))
        return torch.fft.irfft(spectrum.sum(dim=1), n=self.left.dim_out)

    @staticmethod
    def pays(out: int, inner: int, dim_out: int) -> bool:
        """Whether this costs less than forming the outer products: for each place about 30 m log m multiplications,
        as the ones of a Fourier transform are slower than those of a matrix product."""
        return out * inner > 30 * dim_out * math.log2(dim_out + 1)


def shares(sizes: dict[str, int], total: int, least: int = 64) -> dict[str, int]:
    """How many of `total` places each parameter gets: by its share of all numbers, at least `least`, and never more
    than it has numbers."""
    if total < 1 or least < 1:
        raise ValueError(f"total, least: got {total}, {least}, wanted at least 1 each")
    whole = sum(sizes.values())
    return {name: min(size, max(least, round(total * size / whole))) for name, size in sizes.items()}
