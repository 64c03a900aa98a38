"""Per-row gradients of a batch in factored form ("ghosts"): what went into a layer and the gradient of what came out.

A linear layer's gradient of row z is sum_t b_zt a_zt^T with inputs a and output gradients b. Inner products with a
direction, or between rows, come out of a and b without the gradients themselves ever being formed. One backward pass
to the layers' outputs gives them all; no parameter's gradient is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap


@dataclass(frozen=True)
class Linear:
    """A matrix (out, in) applied at every place: inputs `a` (B, T, in), output gradients `b` (B, T, out)."""

    a: Tensor
    b: Tensor

    def dot(self, direction: Tensor) -> Tensor:
        return torch.einsum("bti,bti->b", self.b @ direction, self.a)

    def rows(self) -> Tensor:
        return torch.einsum("bto,bti->boi", self.b, self.a)


@dataclass(frozen=True)
class Embedding:
    """A table (V, d) looked up at `ids` (B, T); `b` (B, T, d) are the gradients of what was found."""

    ids: Tensor
    b: Tensor
    size: int

    def dot(self, direction: Tensor) -> Tensor:
        return torch.einsum("btd,btd->b", self.b, direction[self.ids])

    def rows(self) -> Tensor:
        table = self.b.new_zeros(len(self.b), self.size, self.b.shape[-1])
        place = self.ids.unsqueeze(-1).expand_as(self.b)
        return table.scatter_add_(1, place, self.b)


@dataclass(frozen=True)
class Explicit:
    """Any other parameter: the rows' gradients themselves, (B, *shape)."""

    gradient: Tensor

    def dot(self, direction: Tensor) -> Tensor:
        return (self.gradient * direction).flatten(1).sum(dim=1)

    def rows(self) -> Tensor:
        return self.gradient


Use = Linear | Embedding | Explicit


@dataclass(frozen=True)
class Ghosts:
    """The uses of every parameter in one batch, by the parameter's name; a tied one has several."""

    uses: Mapping[str, tuple[Use, ...]]

    def rows(self, name: str) -> Tensor:
        """The gradients of a parameter, (B, *shape), formed."""
        first, *others = (use.rows() for use in self.uses[name])
        for gradient in others:
            first = first + gradient
        return first

    def dot(self, name: str, direction: Tensor) -> Tensor:
        """(B,) inner products of a parameter's gradients with a direction of its shape."""
        return torch.stack([use.dot(direction) for use in self.uses[name]]).sum(dim=0)

    def gram(self, name: str) -> Tensor:
        """(B, B) inner products of the rows' gradients of a parameter, without forming them."""
        uses = self.uses[name]
        return torch.stack([gram(one, other) for one in uses for other in uses]).sum(dim=0)

    def take(self, rows: Tensor) -> Ghosts:
        """The same for some rows of the batch."""
        return Ghosts({name: tuple(_take(use, rows) for use in uses) for name, uses in self.uses.items()})

    def total(self, name: str) -> Tensor:
        """The gradient of a parameter summed over the rows."""
        parts = []
        for use in self.uses[name]:
            if isinstance(use, Linear):
                parts.append(use.b.flatten(0, 1).T @ use.a.flatten(0, 1))
            elif isinstance(use, Embedding):
                table = use.b.new_zeros(use.size, use.b.shape[-1])
                parts.append(table.index_add_(0, use.ids.flatten(), use.b.flatten(0, 1)))
            else:
                parts.append(use.gradient.sum(dim=0))
        return torch.stack(parts).sum(dim=0)


def gram(x: Use, y: Use) -> Tensor:
    """<G_x, G_y> for every row of one use (first axis) and of the other, (B, B).

    Linear: sum_ts (a_xt . a_ys)(b_xt . b_ys). Embedding: sum over equal tokens of (b_xt . b_ys).
    """
    if isinstance(x, Explicit) or isinstance(y, Explicit):
        return x.rows().flatten(1) @ y.rows().flatten(1).T
    if isinstance(x, Linear) and isinstance(y, Linear):
        return torch.stack([((y.a @ a.T) * (y.b @ b.T)).sum(dim=(1, 2)) for a, b in zip(x.a, x.b)])
    if isinstance(x, Embedding) and isinstance(y, Embedding):
        pairs = zip(x.ids, x.b)
        return torch.stack([((y.ids.unsqueeze(2) == ids) * (y.b @ b.T)).sum(dim=(1, 2)) for ids, b in pairs])
    if isinstance(x, Embedding):
        return gram(y, x).T
    assert isinstance(x, Linear) and isinstance(y, Embedding)
    # The table's rows are its vocabulary: b_xt at token y, times the input a_xt along the gradient there.
    return torch.stack([(b.T[y.ids] * (y.b @ a.T)).sum(dim=(1, 2)) for a, b in zip(x.a, x.b)])


def record(
    model: nn.Module, losses: Callable[[], Tensor], modules: Sequence[str] | None = None
) -> tuple[Tensor, Ghosts]:
    """The losses (B,) that `losses` computes by calling `model`, one a row, and the gradients of each row's loss.

    modules: names of the modules to look at (default: all with trainable parameters of their own). Rows must not
    mix inside the model (no batch norm). Raises ValueError for a module with trainable parameters that is called
    other than with one tensor, rows first, giving one back; such a module can be left out by `modules`.
    """
    names = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def remember(module: nn.Module, given: tuple[Any, ...], came: Any) -> None:
        if len(given) != 1 or not isinstance(given[0], Tensor) or not isinstance(came, Tensor):
            raise ValueError(
                f"model: {type(module).__name__} has trainable parameters but does not take one tensor and give one; "
                "name the modules to score without it"
            )
        calls.append((module, given[0].detach(), came))

    handles = [module.register_forward_hook(remember) for module in _chosen(model, modules)]
    try:
        with torch.enable_grad():
            of_row = losses()
    finally:
        for handle in handles:
            handle.remove()
    if of_row.dim() != 1:
        raise ValueError(f"losses: got shape {tuple(of_row.shape)}, wanted (rows,)")
    finite = torch.isfinite(of_row)
    total = torch.where(finite, of_row, torch.zeros_like(of_row)).sum()
    gradients = torch.autograd.grad(total, [came for _, _, came in calls], allow_unused=True)
    found: dict[str, list[Use]] = {}
    for (module, given, came), gradient in zip(calls, gradients):
        reached = torch.zeros_like(came) if gradient is None else torch.nan_to_num(gradient)
        for name, use in _uses(module, given, reached):
            if name in names:
                found.setdefault(names[name], []).append(use)
    return of_row.detach(), Ghosts({name: tuple(uses) for name, uses in found.items()})


def _chosen(model: nn.Module, modules: Sequence[str] | None) -> list[nn.Module]:
    own = {
        name: module
        for name, module in model.named_modules()
        if any(p.requires_grad for p in module.parameters(recurse=False))
    }
    if modules is None:
        return list(own.values())
    if unknown := [name for name in modules if name not in own]:
        raise ValueError(f"modules: got {unknown[0]!r}, wanted names of modules with trainable parameters")
    return [own[name] for name in modules]


def _uses(module: nn.Module, given: Tensor, reached: Tensor) -> list[tuple[int, Use]]:
    """A module's parameters (by identity) and how this call used them."""
    if isinstance(module, nn.Embedding):
        ids, b = given.reshape(len(given), -1), reached.reshape(len(reached), -1, reached.shape[-1])
        if module.padding_idx is not None:
            b = b * (ids != module.padding_idx).unsqueeze(-1)
        return [(id(module.weight), Embedding(ids, b, module.num_embeddings))]
    if isinstance(module, nn.Linear):
        a, b = (x.reshape(len(x), -1, x.shape[-1]) for x in (given, reached))
        found: list[tuple[int, Use]] = [(id(module.weight), Linear(a, b))]
        if module.bias is not None:
            found.append((id(module.bias), Explicit(b.sum(dim=1))))
        return found
    own = dict(module.named_parameters(recurse=False))
    values = {name: p.detach() for name, p in own.items()}

    def gradient(x: Tensor, g: Tensor) -> dict[str, Tensor]:
        pulled = vjp(lambda p: functional_call(module, p, (x.unsqueeze(0),)).squeeze(0), values)[1](g)[0]
        return dict(pulled)

    of_row = vmap(gradient)(given, reached)
    return [(id(p), Explicit(of_row[name])) for name, p in own.items()]


def _take(use: Use, rows: Tensor) -> Use:
    if isinstance(use, Linear):
        return Linear(use.a[rows], use.b[rows])
    if isinstance(use, Embedding):
        return Embedding(use.ids[rows], use.b[rows], use.size)
    return Explicit(use.gradient[rows])
