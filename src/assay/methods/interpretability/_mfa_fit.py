"""Fitting a mixture of factor analysers: centroids by k-means, then gradient steps or exact EM."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.methods.interpretability._mfa_density import MFA

CHUNK = 8192  # rows at a time where all are gone through
MANY = 20_000  # rows from which k-means goes by small batches
LOOKED_AT = 100_000  # rows from which the spread of the data is told

States = Tensor | NDArray[np.floating]


@dataclass(frozen=True)
class Fit:
    """The mixture, and the mean negative log density (nats a row) of fitted and of held-out rows after each epoch."""

    mfa: MFA
    train: tuple[float, ...]
    validation: tuple[float, ...]


def init_projected_kmeans(
    x: States,
    regions: int,
    proj_dim: int = 64,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    restarts: int = 2,
    n_iter: int = 20,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Centroids (K, D) and labels (N,): k-means++ and k-means in a random orthonormal projection, the centroids being
    the means of the clusters in the full space, for both metrics. A cluster left empty gets a row of its own."""
    from sklearn.cluster import KMeans, MiniBatchKMeans

    x = checked(x, regions)
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"metric: got {metric!r}, wanted 'euclidean' or 'cosine'")
    generator = torch.Generator().manual_seed(seed)
    low = x.float()
    if metric == "cosine":
        low = torch.nn.functional.normalize(low, dim=1)
    if x.shape[1] > proj_dim:
        basis, _ = torch.linalg.qr(torch.randn(x.shape[1], proj_dim, generator=generator))
        low = low @ basis
    if len(x) > MANY:
        means = MiniBatchKMeans(regions, n_init=restarts, max_iter=n_iter, batch_size=CHUNK // 2, random_state=seed)
    else:
        means = KMeans(regions, n_init=restarts, max_iter=n_iter, random_state=seed)
    labels = torch.from_numpy(means.fit_predict(low.numpy())).long()
    sums = torch.zeros(regions, x.shape[1], dtype=torch.float64).index_add_(0, labels, x.double())
    counts = torch.bincount(labels, minlength=regions)
    centroids = sums / counts.clamp(min=1).unsqueeze(1)
    empty = (counts == 0).nonzero().flatten()
    centroids[empty] = x[torch.randperm(len(x), generator=generator)[: len(empty)]].double()
    return centroids.to(torch.float64 if x.dtype == torch.float64 else torch.float32), labels


def fit_mfa(
    x: States,
    regions: int,
    rank: int,
    method: Literal["sgd", "em"] = "sgd",
    epochs: int = 5,
    lr: float = 1e-3,
    batch: int = 512,
    grad_clip: float | None = None,
    val: float = 0.1,
    *,
    psi_per_component: bool = False,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    seed: int = 0,
) -> Fit:
    """Fit K = `regions` analysers of `rank` q to states (N, D); the state that is best on held-out rows is kept.

    method   "sgd": Adam on the negative log density, `epochs` times through; "em": that many rounds of exact EM
    val      share of the rows held out; 0 keeps the last state
    metric   of the k-means that the centroids start from

    The data are centred and brought to unit spread inside, so that `lr` does not depend on their units. Half-precision
    rows are read as float32, a numpy memory map is read batch by batch. Raises ValueError for rows that are not finite
    (their number is told), more regions than rows, or a rank outside 1 to D - 1; warns of columns that never change.
    """
    x = checked(x, regions)
    if not 1 <= rank < x.shape[1]:
        raise ValueError(f"rank: got {rank}, wanted 1 to {x.shape[1] - 1}, fewer than the dimensions")
    if method not in ("sgd", "em"):
        raise ValueError(f"method: got {method!r}, wanted 'sgd' or 'em'")
    if epochs < 1 or batch < 1 or not 0 <= val < 1:
        raise ValueError(f"epochs, batch, val: got {epochs}, {batch}, {val}, wanted >= 1, >= 1 and a share in [0, 1)")
    data = _Rows(x, val, seed)
    if len(data.train) < regions:
        raise ValueError(f"regions: got {regions}, wanted at most {len(data.train)}, the rows that are not held out")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        begun = _start(data, regions, rank, psi_per_component, metric, seed)
        if method == "em":
            fit = _by_em(begun, data, epochs)
        else:
            fit = _by_gradient(begun, data, epochs, lr, batch, grad_clip)
    mfa = fit.mfa
    psi = mfa.psi * data.spread**2
    restored = MFA.from_parts(
        mfa.centroids * data.spread + data.middle,
        mfa.loadings * data.spread,
        psi if psi_per_component else psi[0],
        mfa.weights,
    )
    units = x.shape[1] * float(data.spread.log())
    return Fit(restored, tuple(v + units for v in fit.train), tuple(v + units for v in fit.validation))


def checked(x: States, regions: int) -> Tensor:
    """States (N, D), finite, at least as many as regions."""
    if isinstance(x, np.ndarray):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a memory map is not writable; nothing here writes
            x = torch.from_numpy(x)
    if not isinstance(x, Tensor) or x.ndim != 2:
        raise ValueError(f"X: got shape {tuple(getattr(x, 'shape', ()))}, wanted states (N, D)")
    if not x.is_floating_point():
        raise TypeError(f"X: got {x.dtype}, wanted floating point")
    wrong = sum(int((~chunk.isfinite().all(1)).sum()) for chunk in x.split(CHUNK))
    if wrong:
        raise ValueError(f"X: {wrong} of {len(x)} rows are not finite")
    if not 1 <= regions <= len(x):
        raise ValueError(f"regions: got {regions}, wanted 1 to {len(x)}, the number of rows")
    return x


class _Rows:
    """The rows, centred and scaled where they are asked for, in two parts."""

    def __init__(self, x: Tensor, val: float, seed: int) -> None:
        self.x = x
        self.dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        held = round(val * len(x))
        self.train, self.validation = order[held:], order[:held]
        some = x[self.train[:LOOKED_AT]].double()
        self.middle = some.mean(0).to(self.dtype)
        spread = some.std(0, correction=0)
        flat = int((spread == 0).sum())
        if flat:
            warnings.warn(f"X: {flat} columns never change; their noise stays at its floor", stacklevel=3)
        self.spread = spread.square().mean().sqrt().clamp(min=1e-12).to(self.dtype)

    def at(self, rows: Tensor) -> Tensor:
        return (self.x[rows].to(self.dtype) - self.middle) / self.spread

    @torch.no_grad()
    def nll(self, mfa: MFA, rows: Tensor) -> float:
        return -sum(float(mfa.log_prob(self.at(part)).sum()) for part in rows.split(CHUNK)) / len(rows)


def _start(
    data: _Rows, regions: int, rank: int, own_psi: bool, metric: Literal["euclidean", "cosine"], seed: int
) -> MFA:
    """Centroids by k-means; noise and loadings share the spread that is left within the clusters."""
    rows = data.train[: max(LOOKED_AT, regions)]
    x = data.at(rows)
    centroids, labels = init_projected_kmeans(x, regions, metric=metric, seed=seed)
    within = (x - centroids[labels]).square().mean(0)
    scale = float((within.sum() / (2 * rank)).sqrt().clamp(min=1e-3))
    return MFA(centroids, rank, psi_init=within / 2, psi_per_component=own_psi, scale_init=scale)


def _by_gradient(mfa: MFA, data: _Rows, epochs: int, lr: float, batch: int, grad_clip: float | None) -> Fit:
    optimiser = torch.optim.Adam(mfa.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(1)
    best, kept = float("inf"), mfa.state_dict()
    train, validation = [], []
    for _ in range(epochs):
        total = 0.0
        for places in torch.randperm(len(data.train), generator=generator).split(batch):
            rows = data.train[places]
            loss = mfa.nll(data.at(rows))
            loss.backward()
            if grad_clip is not None:
                torch.nn.utils.clip_grad_norm_(mfa.parameters(), grad_clip)
            optimiser.step()
            optimiser.zero_grad()
            total += loss.item() * len(rows)
        train.append(total / len(data.train))
        if len(data.validation):
            validation.append(data.nll(mfa, data.validation))
        if (now := (validation or [-len(train)])[-1]) < best:
            best, kept = now, {name: value.clone() for name, value in mfa.state_dict().items()}
    mfa.load_state_dict(kept)
    return Fit(mfa.requires_grad_(False), tuple(train), tuple(validation))


@torch.no_grad()
def _by_em(mfa: MFA, data: _Rows, rounds: int) -> Fit:
    """Exact EM (Ghahramani and Hinton 1996); the likelihood never falls but where an empty region is put elsewhere."""
    best, kept = float("inf"), mfa
    train, validation = [], []
    for _ in range(rounds):
        nll, mfa = _em_round(mfa, data)
        train.append(nll)
        if len(data.validation):
            validation.append(data.nll(mfa, data.validation))
        if (now := (validation or [-len(train)])[-1]) < best:
            best, kept = now, mfa
    return Fit(kept.requires_grad_(False), tuple(train), tuple(validation))


def _em_round(mfa: MFA, data: _Rows) -> tuple[float, MFA]:
    """The negative log density before the round, and the mixture after it. Places carry a 1 for the centroid."""
    regions, dim, rank = mfa.directions.shape
    own = len(mfa.psi) > 1
    heavy = {"dtype": torch.float64}
    counts, squares = torch.zeros(regions, **heavy), torch.zeros(regions if own else 1, dim, **heavy)
    xz, zz = torch.zeros(regions, dim, rank + 1, **heavy), torch.zeros(regions, rank + 1, rank + 1, **heavy)
    total, worst, worst_row = 0.0, torch.tensor(float("inf")), data.at(data.train[:1])[0]
    for rows in data.train.split(CHUNK):
        x = data.at(rows)
        log_prob, z, covariance = mfa._both(x)
        joint = log_prob + mfa.logits.log_softmax(0)
        density = joint.logsumexp(1)
        r = (joint - density.unsqueeze(1)).exp()
        total += float(density.sum())
        if density.min() < worst:
            worst, worst_row = density.min(), x[density.argmin()]
        z = torch.cat([z, torch.ones_like(r).unsqueeze(2)], 2)
        weighted = r.unsqueeze(2) * z
        counts += r.sum(0).double()
        xz += (x.T @ weighted.flatten(1)).unflatten(1, z.shape[1:]).permute(1, 0, 2).double()
        zz += (weighted.permute(1, 2, 0) @ z.permute(1, 0, 2)).double()
        squares += (r.T @ x.square() if own else x.square().sum(0, keepdim=True)).double()
    zz[:, :rank, :rank] += counts.view(-1, 1, 1) * covariance.double()
    empty = counts < 1
    zz[empty] += torch.eye(rank + 1, **heavy)
    both = torch.linalg.solve(zz, xz.mT).mT  # (K, D, q+1): loadings and centroid
    explained = (both * xz).sum(2)
    psi = (
        (squares - explained) / counts.clamp(min=1).unsqueeze(1)
        if own
        else (squares - explained.sum(0)) / len(data.train)
    )
    psi = psi.clamp(min=2 * mfa.eps).to(mfa.psi.dtype)
    loadings, centroids = both[..., :rank].to(mfa.psi.dtype), both[..., rank].to(mfa.psi.dtype)
    if empty.any():
        centroids[empty], loadings[empty] = worst_row, loadings[counts.argmax()].clone()
        psi[empty if own else slice(0, 0)] = psi.mean(0)
    weights = (counts.clamp(min=1) / counts.clamp(min=1).sum()).to(mfa.psi.dtype)
    return -total / len(data.train), MFA.from_parts(centroids, loadings, psi if own else psi[0], weights, mfa.eps)
