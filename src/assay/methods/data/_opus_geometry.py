"""What an optimiser makes of a gradient: the linear map from gradient to update at its current state.

AdamW divides by the root of its second moments, Muon turns a matrix by the inverse root of its momentum's Gram
matrix, SGD leaves it. `OptimizerGeometry.from_optimizer` reads the live state; before the first step the map
is the identity. Factors that all parameters share are left out: they change no ranking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim

# Muon's quintic step X <- aX + bXX'X + c(XX')^2 X (torch.optim.Muon's constants)
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


@dataclass(frozen=True)
class Scaled:
    """A number times the gradient."""

    factor: float = 1.0

    def __call__(self, gradient: Tensor) -> Tensor:
        return self.factor * gradient


@dataclass(frozen=True)
class Diagonal:
    """A number for each entry: `weights` of the parameter's shape."""

    weights: Tensor

    def __call__(self, gradient: Tensor) -> Tensor:
        return self.weights * gradient


@dataclass(frozen=True)
class Turned:
    """A symmetric matrix on the shorter side: `matrix` G where `left`, else G `matrix`."""

    matrix: Tensor
    left: bool

    def __call__(self, gradient: Tensor) -> Tensor:
        return self.matrix @ gradient if self.left else gradient @ self.matrix


Map = Scaled | Diagonal | Turned


@dataclass(frozen=True)
class OptimizerGeometry:
    """A symmetric linear map for every parameter, by its name."""

    maps: Mapping[str, Map]

    @classmethod
    def identity(cls, model: nn.Module) -> OptimizerGeometry:
        """Plain SGD's: the gradient itself."""
        return cls({name: Scaled() for name, p in model.named_parameters() if p.requires_grad})

    @classmethod
    def from_optimizer(cls, optimizers: optim.Optimizer | list[optim.Optimizer], model: nn.Module) -> OptimizerGeometry:
        """Of AdamW (or Adam), Muon or SGD, or of several that share the model's parameters between them.

        Groups of parameters count by their learning rates, relative to the largest. Raises ValueError for another
        optimiser, and where the model's trainable parameters are not the optimisers'.
        """
        several = optimizers if isinstance(optimizers, list) else [optimizers]
        names = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
        rates = [float(group["lr"]) for one in several for group in one.param_groups]
        largest = max(rates, default=0.0)
        maps: dict[str, Map] = {}
        for one in several:
            for group in one.param_groups:
                factor = float(group["lr"]) / largest if largest else 1.0
                for p in group["params"]:
                    if id(p) in names:
                        maps[names[id(p)]] = _map(one, group, p, factor)
        if missing := sorted(set(names.values()) - set(maps)):
            raise ValueError(
                f"optimizer: it does not hold the model's parameter {missing[0]!r} (and {len(missing) - 1} more)"
            )
        return cls(maps)


def _map(optimizer: optim.Optimizer, group: Mapping[str, object], p: nn.Parameter, factor: float) -> Map:
    state = optimizer.state.get(p, {})
    if isinstance(optimizer, (optim.AdamW, optim.Adam)):
        if "exp_avg_sq" not in state:
            return Scaled(factor)
        beta1, beta2 = (float(beta) for beta in group["betas"])  # type: ignore[attr-defined]
        corrected = state["exp_avg_sq"] / (1 - beta2 ** float(state["step"]))
        return Diagonal(factor * (1 - beta1) / (corrected.sqrt() + float(group["eps"])))  # type: ignore[arg-type]
    if isinstance(optimizer, optim.Muon):
        momentum = state.get("momentum_buffer")
        if momentum is None or not bool(momentum.any()):
            return Scaled(factor)
        return Turned(factor * inverse_root(momentum), left=momentum.shape[0] <= momentum.shape[1])
    if isinstance(optimizer, optim.SGD):
        return Scaled(factor)
    raise ValueError(f"optimizer: got {type(optimizer).__name__}, wanted AdamW, Adam, Muon or SGD")


def inverse_root(momentum: Tensor, eps: float = 1e-7) -> Tensor:
    """The symmetric matrix that Muon's five Newton-Schulz rounds apply to the momentum's shorter side: close to
    (M M^T)^(-1/2) on its large singular values."""
    x = momentum.float()
    if x.shape[0] > x.shape[1]:
        x = x.T
    size = x.norm() + eps
    x = x / size
    turned = torch.eye(len(x), dtype=x.dtype, device=x.device)
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.T
        step = a * torch.eye(len(x), dtype=x.dtype, device=x.device) + b * gram + c * gram @ gram
        x, turned = step @ x, step @ turned
    return turned / size
