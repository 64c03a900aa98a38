"""Training a probe from several starts, choosing its threshold, and keeping it in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import BoolTensor, Tensor

from assay.methods.interpretability._probe_models import (
    AttentionProbe,
    LinearProbe,
    MultiMaxProbe,
    Probe,
    RollingMeansAttentionProbe,
    check_states,
)

BATCH = 256  # rows that are scored side by side

MAKE: dict[str, Callable[[int], Probe]] = {
    "mean": lambda dim: LinearProbe(dim, "mean"),
    "last": lambda dim: LinearProbe(dim, "last"),
    "ema": lambda dim: LinearProbe(dim, "ema"),
    "attention": AttentionProbe,
    "multimax": MultiMaxProbe,
    "rolling": RollingMeansAttentionProbe,
}


@dataclass(frozen=True)
class ProbeData:
    """States x (N, T, D), mask (N, T) with True = real token, labels y (N,) of 0 and 1."""

    x: Tensor
    mask: BoolTensor
    y: Tensor

    def __post_init__(self) -> None:
        check_states(self.x, self.mask, self.x.shape[-1])
        if self.y.shape != self.x.shape[:1] or not torch.isin(self.y, torch.tensor([0, 1])).all():
            raise ValueError(f"y: got shape {tuple(self.y.shape)}, wanted {len(self.x)} values of 0 and 1")
        if self.y.min() == self.y.max():
            raise ValueError(f"y: all {len(self.y)} labels are {int(self.y[0])}, wanted both classes")


@dataclass(frozen=True)
class Trained:
    """The probe that was best on the validation set, the number of its start, and the validation loss of each start."""

    probe: Probe
    chosen: int
    losses: tuple[float, ...]

    @property
    def seed_variance(self) -> float:
        """Variance of the validation loss over the starts."""
        return float(np.var(self.losses))


def train_probe(
    make: Callable[[], Probe],
    train: ProbeData,
    valid: ProbeData,
    *,
    steps: int = 1000,
    lr: float = 1e-3,
    weight_decay: float = 3e-3,
    batch: int = 64,
    class_weight: float | None = None,
    n_seeds: int = 8,
    seed: int = 0,
) -> Trained:
    """Train `n_seeds` probes that `make()` gives by AdamW on the binary cross-entropy; keep the best on `valid`.

    class_weight   weight of a positive; None: negatives over positives, so that both classes weigh alike
    """
    if steps < 1 or batch < 1 or n_seeds < 1:
        raise ValueError(f"steps, batch, n_seeds: got {steps}, {batch}, {n_seeds}, wanted at least 1 each")
    positives = float(train.y.double().mean())
    weight = torch.tensor((1 - positives) / positives if class_weight is None else class_weight)
    best, chosen, losses = None, 0, []
    for start in range(n_seeds):
        with torch.random.fork_rng():
            torch.manual_seed(seed * n_seeds + start)
            probe = make()
        generator = torch.Generator().manual_seed(seed * n_seeds + start)
        optimiser = torch.optim.AdamW(probe.parameters(), lr=lr, weight_decay=weight_decay)
        probe.train()
        for _ in range(steps):
            rows = torch.randint(len(train.x), (min(batch, len(train.x)),), generator=generator)
            longest = int(train.mask[rows].sum(1).max()) if _at_the_front(train.mask[rows]) else train.x.shape[1]
            logits = probe(train.x[rows, :longest].float(), train.mask[rows, :longest])
            F.binary_cross_entropy_with_logits(logits, train.y[rows].float(), pos_weight=weight).backward()
            optimiser.step()
            optimiser.zero_grad()
        logits = score_all(probe, valid.x, valid.mask)
        losses.append(float(F.binary_cross_entropy_with_logits(logits, valid.y.float(), pos_weight=weight)))
        if best is None or losses[-1] < losses[chosen]:
            best, chosen = probe, start
    assert best is not None
    return Trained(best.eval().requires_grad_(False), chosen, tuple(losses))


@torch.no_grad()
def score_all(probe: Probe, x: Tensor, mask: BoolTensor) -> Tensor:
    """Logits (N,) of states (N, T, D), some rows at a time, by the form for inference."""
    probe.eval()
    return torch.cat([probe(a.float(), m) for a, m in zip(x.split(BATCH), mask.split(BATCH))])


def choose_threshold(
    scores: ArrayLike, labels: ArrayLike, w_fp: float = 1.0, w_fn: float = 1.0, weights: ArrayLike | None = None
) -> float:
    """The score from which to say yes that makes w_fp FPR + w_fn FNR least; midway between two scores.

    weights   (n,) of the items within their class; long benign ones usually weigh 2. None: all alike.
    """
    said, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    share = np.ones_like(said) if weights is None else np.asarray(weights, dtype=np.float64)
    if said.ndim != 1 or not said.shape == truth.shape == share.shape or not np.isfinite(said).all():
        raise ValueError(
            f"scores, labels, weights: got shapes {said.shape}, {truth.shape}, {share.shape}, wanted one (n,)"
        )
    if not np.isin(truth, (0, 1)).all() or truth.min() == truth.max():
        raise ValueError("labels: wanted 0 and 1, both of them there")
    order = np.argsort(said, kind="stable")
    said, truth, share = said[order], truth[order], share[order]
    fnr = np.concatenate([[0], np.cumsum(share * truth)]) / (share * truth).sum()
    fpr = 1 - np.concatenate([[0], np.cumsum(share * (1 - truth))]) / (share * (1 - truth)).sum()
    ends = np.concatenate([[said[0] - 1], (said[1:] + said[:-1]) / 2, [said[-1] + 1]])
    possible = np.concatenate([[True], said[1:] > said[:-1], [True]])  # no threshold splits equal scores
    error = np.where(possible, w_fp * fpr + w_fn * fnr, np.inf)
    return float(ends[error.argmin()])


def weighted_error(
    scores: ArrayLike, labels: ArrayLike, threshold: float, w_fp: float = 1.0, w_fn: float = 1.0
) -> float:
    """w_fp FPR + w_fn FNR of saying yes from `threshold` on."""
    said, truth = np.asarray(scores) >= threshold, np.asarray(labels) == 1
    if not 0 < truth.sum() < len(truth):
        raise ValueError("labels: wanted both classes")
    return float(w_fp * said[~truth].mean() + w_fn * (~said[truth]).mean())


def save_probe(probe: Probe, arch: str, path: Path, metadata: dict[str, Any]) -> None:
    """Write a probe that `MAKE[arch](dim)` gives, with what else is to be known of it, as safetensors."""
    from safetensors.torch import save_file

    state = {name: tensor.contiguous() for name, tensor in probe.state_dict().items()}
    save_file(state, path, metadata={"probe": json.dumps({"arch": arch, "dim": probe.dim, **metadata})})


def load_probe(path: Path) -> tuple[Probe, dict[str, Any]]:
    """A saved probe and what was written of it. Raises ValueError for a file that is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("probe", "null"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from error
    if not isinstance(about, dict) or about.get("arch") not in MAKE:
        raise ValueError(f"{path}: holds no probe")
    probe = MAKE[about["arch"]](about["dim"])
    probe.load_state_dict(state)
    return probe.eval().requires_grad_(False), about


def _at_the_front(mask: Tensor) -> bool:
    return bool((mask[:, 1:] <= mask[:, :-1]).all())
