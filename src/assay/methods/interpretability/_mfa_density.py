"""The density of a mixture of factor analysers: log-likelihood, posterior, codes. No D x D matrix is formed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 1024  # regions at a time


@dataclass(frozen=True)
class Encoded:
    """States (B, D) in terms of regions and places within them.

    coeffs      (B, K(1+q)): of each region its responsibility, then responsibility times place
    alpha, z    (B, K) responsibilities, (B, K, q) expected places
    dictionary  (D, K(1+q)): of each region its centroid, then its q loadings; `recon = coeffs @ dictionary.T`
    index_map   (K(1+q), 2): region and coordinate of each coefficient, coordinate -1 being the centroid
    """

    coeffs: Tensor
    alpha: Tensor
    z: Tensor
    dictionary: Tensor
    recon: Tensor
    index_map: Tensor


class MFA(nn.Module):
    """K regions, each a Gaussian about a centroid with q directions of its own and noise in every dimension.

    centroids          (K, D)
    rank               q, from 1 to D - 1
    psi_init           variance of the noise at the start, a number or (D,)
    psi_per_component  a noise of its own for each region
    scale_init         length of the loadings at the start; their directions are drawn from torch's global generator
    eps                floor of the noise

    Loadings are unit directions times softplus scales, the noise is a softplus above the floor.
    """

    def __init__(
        self,
        centroids: Tensor,
        rank: int,
        psi_init: float | Tensor = 1.0,
        psi_per_component: bool = False,
        scale_init: float = 1.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if centroids.ndim != 2 or not centroids.isfinite().all():
            raise ValueError(f"centroids: got shape {tuple(centroids.shape)}, wanted finite (K, D)")
        regions, dim = centroids.shape
        if not 1 <= rank < dim:
            raise ValueError(f"rank: got {rank}, wanted 1 to {dim - 1}, fewer than the dimensions")
        centroids = centroids.float() if centroids.dtype not in (torch.float32, torch.float64) else centroids
        psi = torch.as_tensor(psi_init, dtype=centroids.dtype).expand(dim).clamp(min=2 * eps)
        self.rank, self.eps = rank, eps
        self.centroids = nn.Parameter(centroids.clone())
        self.directions = nn.Parameter(torch.randn(regions, dim, rank, dtype=centroids.dtype))
        self.raw_scales = nn.Parameter(
            _inverse_softplus(torch.full((regions, rank), scale_init, dtype=centroids.dtype))
        )
        self.raw_psi = nn.Parameter(_inverse_softplus(psi - eps).repeat(regions if psi_per_component else 1, 1))
        self.logits = nn.Parameter(torch.zeros(regions, dtype=centroids.dtype))

    @classmethod
    def from_parts(cls, centroids: Tensor, loadings: Tensor, psi: Tensor, weights: Tensor, eps: float = 1e-5) -> MFA:
        """The mixture with these centroids (K, D), loadings (K, D, q), noise (D,) or (K, D) and weights (K,)."""
        with torch.random.fork_rng():
            mfa = cls(centroids, loadings.shape[-1], psi_per_component=psi.ndim == 2, eps=eps)
        lengths = loadings.norm(dim=1)
        with torch.no_grad():
            mfa.directions.copy_(loadings / lengths.clamp(min=1e-12).unsqueeze(1))
            mfa.raw_scales.copy_(_inverse_softplus(lengths))
            mfa.raw_psi.copy_(_inverse_softplus((psi if psi.ndim == 2 else psi.unsqueeze(0)) - eps))
            mfa.logits.copy_(weights.log())
        return mfa.requires_grad_(False)

    @property
    def loadings(self) -> Tensor:
        """W (K, D, q)."""
        return F.normalize(self.directions, dim=1) * F.softplus(self.raw_scales).unsqueeze(1)

    @property
    def psi(self) -> Tensor:
        """Variances of the noise, (1, D) where all regions share it, else (K, D)."""
        return F.softplus(self.raw_psi) + self.eps

    @property
    def weights(self) -> Tensor:
        """(K,), summing to 1."""
        return self.logits.softmax(0)

    @property
    def regions(self) -> int:
        """K."""
        return len(self.centroids)

    @property
    def stored(self) -> int:
        """Numbers that the mixture consists of: centroids, loadings, noise and weights."""
        return self.centroids.numel() + self.directions.numel() + self.raw_psi.numel() + self.logits.numel()

    def log_prob_components(self, x: Tensor) -> Tensor:
        """log N(x; mu_k, W_k W_k' + Psi), (B, K), by Woodbury and the determinant lemma."""
        x = self._checked(x)
        return torch.cat([self._block(x, part)[0] for part in self._parts()], dim=1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log density of each row, (B,)."""
        return (self.log_prob_components(x) + self.logits.log_softmax(0)).logsumexp(1)

    def nll(self, x: Tensor) -> Tensor:
        """Mean negative log density, nats a row."""
        return -self.log_prob(x).mean()

    def responsibilities(self, x: Tensor, tau: float = 1.0) -> Tensor:
        """Posterior of the region, (B, K); `tau` > 1 flattens it."""
        if tau <= 0:
            raise ValueError(f"tau: got {tau}, wanted > 0")
        return ((self.log_prob_components(x) + self.logits.log_softmax(0)) / tau).softmax(1)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, K, q) and covariance (K, q, q) of the place within each region."""
        return self._both(x)[1:]

    def reconstruct(self, x: Tensor) -> Tensor:
        """sum_k r_k (mu_k + W_k E z_k), (B, D)."""
        return self.encode(x).recon

    def encode(self, x: Tensor) -> Encoded:
        """The states as coefficients of the dictionary of centroids and loadings."""
        log_prob, z, _ = self._both(x)
        alpha = (log_prob + self.logits.log_softmax(0)).softmax(1)
        ones = torch.ones_like(alpha).unsqueeze(2)
        coeffs = (alpha.unsqueeze(2) * torch.cat([ones, z], 2)).flatten(1)
        dictionary = torch.cat([self.centroids.unsqueeze(2), self.loadings], 2).permute(1, 0, 2).flatten(1)
        region = torch.arange(self.regions).repeat_interleave(1 + self.rank)
        index_map = torch.stack([region, torch.arange(-1, self.rank).repeat(self.regions)], dim=1)
        return Encoded(coeffs, alpha, z, dictionary, coeffs @ dictionary.T, index_map)

    @torch.no_grad()
    def varimax(self, gamma: float = 1.0, max_iter: int = 100, tol: float = 1e-6, kaiser: bool = True) -> MFA:
        """The same density with each region's loadings turned so that every one touches few dimensions.

        `kaiser` weighs all dimensions alike while turning. gamma 1 is varimax, 0 quartimax. It ends
        where no turn of two loadings is wider than `tol`, in radians.
        """
        turned = _varimax(self.loadings.double(), gamma, max_iter, tol, kaiser)
        psi = self.psi.detach() if len(self.psi) > 1 else self.psi.detach()[0]
        return MFA.from_parts(self.centroids.detach(), turned.to(self.centroids.dtype), psi, self.weights, self.eps)

    def save(self, path: Path, metadata: dict[str, str] | None = None) -> None:
        """Write a safetensors file."""
        from safetensors.torch import save_file

        state = {name: tensor.detach().contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, path, metadata={"eps": str(self.eps), **(metadata or {})})

    @classmethod
    def load(cls, path: Path) -> tuple[MFA, dict[str, str]]:
        """A saved mixture and its metadata. Raises ValueError for a file that is none."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                metadata = dict(file.metadata() or {})
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{path}: not a safetensors file ({error})") from error
        if not {"centroids", "directions", "raw_scales", "raw_psi", "logits"} <= state.keys():
            raise ValueError(f"{path}: holds {', '.join(sorted(state)) or 'nothing'}, wanted a mixture of analysers")
        with torch.random.fork_rng():
            mfa = cls(
                state["centroids"],
                state["directions"].shape[-1],
                psi_per_component=len(state["raw_psi"]) > 1,
                eps=float(metadata.pop("eps", 1e-5)),
            )
        mfa.load_state_dict(state)
        return mfa.requires_grad_(False), metadata

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.centroids.shape[1]:
            raise ValueError(f"x: got shape {tuple(x.shape)}, wanted (B, {self.centroids.shape[1]})")
        return x.to(self.centroids.dtype)

    def _parts(self) -> list[slice]:
        return [slice(k, k + BLOCK) for k in range(0, self.regions, BLOCK)]

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-likelihoods (B, K), means (B, K, q) and covariances (K, q, q) of the places."""
        x = self._checked(x)
        found = [self._block(x, part) for part in self._parts()]
        log_prob, half, factor = (torch.cat(parts, dim) for parts, dim in zip(zip(*found), (1, 0, 0)))
        z = torch.linalg.solve_triangular(factor.mT, half, upper=True)  # M^-1 v = L'^-1 (L^-1 v)
        return log_prob, z.permute(2, 0, 1), torch.cholesky_inverse(factor)

    def _block(self, x: Tensor, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Of some regions: log-likelihoods (B, k), L^-1 v (k, q, B) and L (k, q, q), where LL' = M = I + W' Psi^-1 W
        and v = W' Psi^-1 (x - mu)."""
        middle = self.centroids.detach().mean(0)  # squares of far numbers would lose their digits
        x, mu, loadings = x - middle, self.centroids[part] - middle, self.loadings[part]
        psi = self.psi[part] if len(self.psi) > 1 else self.psi
        precision = 1 / psi
        weighted = loadings * precision.unsqueeze(2)  # Psi^-1 W
        inner = loadings.mT @ weighted
        factor = torch.linalg.cholesky(inner + torch.eye(self.rank, dtype=inner.dtype))
        offset = (weighted.mT @ mu.unsqueeze(2)).squeeze(2)  # (k, q)
        flat = weighted.permute(1, 0, 2).flatten(1)
        v = (x @ flat).unflatten(1, offset.shape) - offset
        half = torch.linalg.solve_triangular(factor, v.permute(1, 2, 0), upper=False)
        plain = x.square() @ precision.T - 2 * x @ (precision * mu).T + (precision * mu.square()).sum(1)
        quad = plain - half.square().sum(1).T
        logdet = psi.log().sum(1) + 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        return -0.5 * (x.shape[1] * math.log(2 * math.pi) + logdet + quad), half, factor


def _inverse_softplus(y: Tensor) -> Tensor:
    y = y.clamp(min=1e-12)
    return y + (-torch.expm1(-y)).log()


def _varimax(w: Tensor, gamma: float, max_iter: int, tol: float, kaiser: bool) -> Tensor:
    """Kaiser's rotation of loadings (K, D, q) by turns of two columns at a time, for all regions at once."""
    lengths = w.norm(dim=2, keepdim=True).clamp(min=1e-12) if kaiser else torch.ones((), dtype=w.dtype)
    turned = w / lengths
    pairs = [(a, b) for a in range(w.shape[2]) for b in range(a + 1, w.shape[2])]
    for _ in range(max_iter):
        most = torch.zeros((), dtype=w.dtype)
        for a, b in pairs:
            x, y = turned[..., a], turned[..., b]
            u, v = x.square() - y.square(), 2 * x * y
            across = 2 * (u * v).sum(1) - 2 * gamma * u.sum(1) * v.sum(1) / w.shape[1]
            along = (u.square() - v.square()).sum(1) - gamma * (u.sum(1).square() - v.sum(1).square()) / w.shape[1]
            angle = torch.atan2(across, along).unsqueeze(1) / 4
            turned[..., a], turned[..., b] = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
            most = torch.maximum(most, angle.abs().max())
        if most < tol:
            break
    return turned * lengths
