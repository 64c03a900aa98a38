"""Moving a model's states towards a region, within it, and from one state to another along chosen features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import BoolTensor, Tensor, nn

from assay.methods.activations import Intervention, find_layers
from assay.methods.interpretability._mfa_density import MFA


class MFASteerer:
    """Interventions that move the states of a layer, for `intervene(model, [steerer.centroid(17, 0.3)])`."""

    def __init__(self, model: nn.Module, mfa: MFA, layer: int) -> None:
        layers = len(find_layers(model))
        if not 0 <= layer < layers:
            raise ValueError(f"layer: got {layer}, wanted 0 to {layers - 1}")
        self.mfa, self.layer = mfa, layer

    def centroid(self, k: int | None, alpha: float) -> Intervention:
        """h <- (1 - alpha) h + alpha mu_k; with k None each state goes to the mean of the centroids that its own
        responsibilities weigh."""
        _check_alpha(alpha)
        if k is not None:
            self._check_region(k)

        def fn(h: Tensor, mask: BoolTensor) -> Tensor:
            if k is None:
                goal = self.mfa.responsibilities(h.flatten(0, 1)) @ self.mfa.centroids
            else:
                goal = self.mfa.centroids[k]
            return (1 - alpha) * h + alpha * goal.to(h.dtype).reshape(
                -1, *h.shape[1:] if k is None else (1, h.shape[2])
            )

        return Intervention(self.layer, fn)

    def latent(self, k: int, alpha: float, z: Tensor) -> Intervention:
        """h <- (1 - alpha) h + alpha mu_k + W_k z: to the centroid by alpha, then to place z (q,), whatever alpha."""
        _check_alpha(alpha)
        self._check_region(k)
        if z.shape != (self.mfa.rank,):
            raise ValueError(f"z: got shape {tuple(z.shape)}, wanted ({self.mfa.rank},)")
        shift = alpha * self.mfa.centroids[k] + self.mfa.loadings[k] @ z.to(self.mfa.centroids.dtype)
        return Intervention(self.layer, lambda h, mask: (1 - alpha) * h + shift.to(h.dtype))

    def _check_region(self, k: int) -> None:
        if not 0 <= k < self.mfa.regions:
            raise ValueError(f"k: got {k}, wanted 0 to {self.mfa.regions - 1}")


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha: got {alpha}, wanted a share in [0, 1]")


@dataclass(frozen=True)
class Code:
    """States in terms of features, whatever they come from: `encode` gives coefficients (B, F) of states (B, D), and
    `dictionary` (D, F) says what one unit of each adds to a state."""

    encode: Callable[[Tensor], Tensor]
    dictionary: Tensor


def mfa_code(mfa: MFA) -> Code:
    """The regions and places of a mixture as features."""
    return Code(lambda x: mfa.encode(x).coeffs, mfa.encode(mfa.centroids[:1]).dictionary)


def rank_features(code: Code, states: Tensor, labels: Tensor) -> Tensor:
    """Features (F,) by how much of the state's spread each explains between the classes, most first.

    The part of a coefficient's variance that lies between the classes of `labels` (B,), times the squared length of
    its atom: what swapping that feature can move by class.
    """
    if labels.shape != states.shape[:1]:
        raise ValueError(f"labels: got shape {tuple(labels.shape)}, wanted ({len(states)},)")
    coeffs = code.encode(states).double()
    classes, of = labels.unique(return_inverse=True)
    if len(classes) < 2:
        raise ValueError("labels: all alike, wanted at least two classes")
    shares = nn.functional.one_hot(of, len(classes)).double()
    means = shares.T @ coeffs / shares.sum(0).unsqueeze(1)
    between = (shares.mean(0).unsqueeze(1) * (means - coeffs.mean(0)).square()).sum(0)
    moved = between * code.dictionary.double().square().sum(0)
    return moved.argsort(descending=True, stable=True)


def interchange(code: Code, base: Tensor, source: Tensor, features: Tensor) -> Tensor:
    """Base states (B, D) with the chosen features as they are in the source states; what no feature explains stays
    as in the base."""
    if base.shape != source.shape:
        raise ValueError(f"source: got shape {tuple(source.shape)}, wanted {tuple(base.shape)} as base has")
    change = code.encode(source)[:, features] - code.encode(base)[:, features]
    return base + (change @ code.dictionary[:, features].T).to(base.dtype)


@dataclass(frozen=True)
class Localisation:
    """How well features stand for one concept: `cause`, the share of answers about it that follow the source, and
    `isolate`, the share of answers about other concepts that stay as they were."""

    features: Tensor
    cause: float
    isolate: float

    @property
    def disentangle(self) -> float:
        """The mean of the two, as in RAVEL (2402.17700)."""
        return (self.cause + self.isolate) / 2


Scores = Callable[[Callable[[Tensor, Tensor], Tensor]], tuple[float, float]]


def localise(code: Code, states: Tensor, labels: Tensor, counts: list[int], scores: Scores) -> Localisation:
    """The features that stand for a concept: the first of `rank_features`, as many of `counts` as disentangle best.

    scores   given a swap (base (B, D), source (B, D)) -> (B, D), runs the model with it and returns cause and isolate
    """
    if not counts or min(counts) < 1 or max(counts) > code.dictionary.shape[1]:
        raise ValueError(f"counts: got {counts}, wanted numbers of features, 1 to {code.dictionary.shape[1]}")
    ranked = rank_features(code, states, labels)
    found = []
    for count in counts:
        chosen = ranked[:count]
        found.append(Localisation(chosen, *scores(lambda base, source, f=chosen: interchange(code, base, source, f))))
    return max(found, key=lambda one: one.disentangle)


def at_random(mfa: MFA, generator: torch.Generator) -> MFA:
    """The same regions with loadings of the same lengths in random orthonormal directions."""
    drawn = torch.randn(mfa.loadings.shape, generator=generator, dtype=mfa.centroids.dtype)
    loadings = torch.linalg.qr(drawn)[0] * mfa.loadings.norm(dim=1, keepdim=True)
    psi = mfa.psi.detach()
    return MFA.from_parts(mfa.centroids, loadings, psi if len(psi) > 1 else psi[0], mfa.weights, mfa.eps)
