"""Read and change what a transformer carries from layer to layer, by hooks on any causal model of `transformers`.

    states = capture(model, ids, layers=[2, 3], attention_mask=mask)     # {2: (N, T, D), 3: (N, T, D)}
    with intervene(model, [Intervention(2, lambda h, mask: h + vector)]):
        model.generate(...)

The residual stream is taken after a decoder layer ("resid_post") or before it ("resid_pre"). Padding is told by the
attention mask that the model itself is given. It reaches nobody's statistics: a function sees zeros there, and what
it returns there is thrown away; captured states are zero there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import BoolTensor, LongTensor, Tensor, nn
from torch.utils.hooks import RemovableHandle

Site = Literal["resid_post", "resid_pre"]
Change = Callable[[Tensor, BoolTensor], Tensor]  # (h (B, T, D), mask (B, T), True = real token) -> new h

# Where the decoder layers lie: Llama, Mistral, Qwen, Gemma; GPT-2; OPT; GPT-NeoX; models that see, too; without a head.
PLACES = (
    "model.layers",
    "transformer.h",
    "model.decoder.layers",
    "gpt_neox.layers",
    "model.language_model.layers",
    "language_model.layers",
    "layers",
    "h",
    "decoder.layers",
)


@dataclass(frozen=True)
class Intervention:
    """`fn(h, mask)` takes the states (B, T, D) of a layer, counted from 0, and gives back what goes on in their place,
    of equal shape and dtype. Under `generate` with a cache T is 1 after the prompt."""

    layer: int
    fn: Change
    site: Site = "resid_post"


def find_layers(model: nn.Module) -> nn.ModuleList:
    """The decoder layers of a model, first to last. Raises ValueError that lists where they were looked for."""
    return _find(model)[1]


@contextmanager
def intervene(model: nn.Module, interventions: Sequence[Intervention]) -> Iterator[None]:
    """Within the block every forward pass goes through the interventions, at one place in the order given.

    Afterwards the hooks are gone and the model is what it was. Raises ValueError for a layer or site that is not
    there, and from within a forward pass where `fn` gives back another shape or dtype, or the attention mask is not
    (B, T).
    """
    owner, layers = _find(model)
    for intervention in interventions:
        _check_place(intervention.layer, intervention.site, len(layers))
    with ExitStack() as hooks:
        given = _watch_mask(owner, hooks)
        for intervention in interventions:

            def change(h: Tensor, intervention: Intervention = intervention) -> Tensor:
                mask = _mask_of(h, given)
                kept = mask.unsqueeze(-1)
                new = intervention.fn(h.masked_fill(~kept, 0), mask)
                if new.shape != h.shape or new.dtype != h.dtype:
                    raise ValueError(
                        f"fn of layer {intervention.layer}: gave {tuple(new.shape)} {new.dtype}, "
                        f"wanted {tuple(h.shape)} {h.dtype}"
                    )
                return torch.where(kept, new, h)

            hooks.callback(_hook(layers[intervention.layer], intervention.site, change).remove)
        yield


@torch.no_grad()
def capture(
    model: nn.Module,
    input_ids: LongTensor,
    layers: Sequence[int],
    site: Site = "resid_post",
    positions: Literal["all", "last"] | LongTensor = "all",
    batch_size: int = 16,
    attention_mask: Tensor | None = None,
) -> dict[int, Tensor]:
    """The states (N, T, D) of each of `layers` for `input_ids` (N, T), on the CPU in the model's dtype.

    positions       "all"; "last", the last real token of each row, T = 1; or numbers, (P,) for every row alike or
                    (N, P) row by row, T = P
    attention_mask  (N, T), 1 = real token; None: all are

    Layers above the highest asked for are not computed. The model runs as it is: call `model.eval()` before.
    """
    owner, found = _find(model)
    if input_ids.ndim != 2 or 0 in input_ids.shape:
        raise ValueError(f"input_ids: got shape {tuple(input_ids.shape)}, wanted (N, T) with N, T >= 1")
    if batch_size < 1:
        raise ValueError(f"batch_size: got {batch_size}, wanted at least 1")
    if not layers:
        raise ValueError("layers: got none, wanted at least one")
    for layer in layers:
        _check_place(layer, site, len(found))
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    if mask.shape != input_ids.shape:
        raise ValueError(f"attention_mask: got shape {tuple(mask.shape)}, wanted {tuple(input_ids.shape)}")
    where = _positions(positions, mask)
    device = next(model.parameters()).device
    seen: dict[int, list[Tensor]] = {layer: [] for layer in layers}

    with ExitStack() as hooks:
        for layer in sorted(seen):

            def keep(h: Tensor, layer: int = layer) -> Tensor:
                seen[layer].append(h)
                if layer == max(seen):
                    raise _Enough
                return h

            hooks.callback(_hook(found[layer], site, keep).remove)
        for start in range(0, len(input_ids), batch_size):
            rows = slice(start, start + batch_size)
            with suppress(_Enough):
                owner(input_ids=input_ids[rows].to(device), attention_mask=mask[rows].to(device), use_cache=False)
            for states in seen.values():
                h = states[-1].cpu().masked_fill(~mask[rows].cpu().bool().unsqueeze(-1), 0)
                if where is not None:
                    h = h.gather(1, where[rows].unsqueeze(-1).expand(-1, -1, h.shape[-1]))
                states[-1] = h
    return {layer: torch.cat(states) for layer, states in seen.items()}


class _Enough(Exception):
    """Ends a forward pass above the last layer that is wanted."""


def _find(model: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    """The module whose forward runs through the layers, and the layers."""
    get_base = getattr(model, "get_base_model", None)  # PEFT wraps the model
    base = get_base() if callable(get_base) else model
    for place in PLACES:
        owner, found = base, base
        for name in place.split("."):
            owner, found = found, getattr(found, name, None)
        if isinstance(found, nn.ModuleList) and len(found):
            return owner, found
    raise ValueError(f"model: {type(model).__name__} has no decoder layers at {', '.join(PLACES)}")


def _check_place(layer: int, site: str, layers: int) -> None:
    if not 0 <= layer < layers:
        raise ValueError(f"layer: got {layer}, wanted 0 to {layers - 1}")
    if site not in ("resid_post", "resid_pre"):
        raise ValueError(f"site: got {site!r}, wanted 'resid_post' or 'resid_pre'")


def _hook(layer: nn.Module, site: Site, act: Callable[[Tensor], Tensor]) -> RemovableHandle:
    """Put `act(h)` in the place of h; a layer gives its states alone or first in a tuple."""

    def after(_module: nn.Module, _args: Any, out: Any) -> Any:
        return (act(out[0]), *out[1:]) if isinstance(out, tuple) else act(out)

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if args:
            return (act(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": act(kwargs["hidden_states"])}

    if site == "resid_post":
        return layer.register_forward_hook(after)
    return layer.register_forward_pre_hook(before, with_kwargs=True)


def _watch_mask(owner: nn.Module, hooks: ExitStack) -> dict[str, Tensor | None]:
    """A dict whose "mask" is the attention mask of the forward pass that is going on."""
    given: dict[str, Tensor | None] = {"mask": None}
    signature = inspect.signature(owner.forward)

    def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given["mask"] = signature.bind_partial(*args, **kwargs).arguments.get("attention_mask")

    hooks.callback(owner.register_forward_pre_hook(note, with_kwargs=True).remove)
    return given


def _mask_of(h: Tensor, given: dict[str, Tensor | None]) -> BoolTensor:
    """Which of the positions of h (B, T, D) are real: the last T columns, those before them lying in the cache."""
    mask = given["mask"]
    if mask is None:
        return torch.ones(h.shape[:2], dtype=torch.bool, device=h.device)  # type: ignore[return-value]
    if not isinstance(mask, Tensor) or mask.ndim != 2 or mask.shape[1] < h.shape[1]:
        got = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"attention_mask: got {got}, wanted (B, T); generate with the default cache for that")
    return mask[:, -h.shape[1] :].bool().to(h.device)  # type: ignore[return-value]


def _positions(positions: Literal["all", "last"] | Tensor, mask: Tensor) -> Tensor | None:
    """(N, P) numbers of positions, None for all."""
    rows, length = mask.shape
    if isinstance(positions, str):
        if positions == "all":
            return None
        if positions != "last":
            raise ValueError(f"positions: got {positions!r}, wanted 'all', 'last' or a tensor of numbers")
        real = mask.cpu().bool()
        if not real.any(dim=1).all():
            raise ValueError(f"attention_mask: row {int((~real.any(dim=1)).nonzero()[0, 0])} has no real token")
        return (real * torch.arange(1, length + 1)).argmax(dim=1, keepdim=True)
    where = positions.cpu()
    if where.ndim == 1:
        where = where.expand(rows, -1)
    if where.ndim != 2 or len(where) != rows or where.is_floating_point():
        raise ValueError(f"positions: got {tuple(positions.shape)} {positions.dtype}, wanted whole (P,) or ({rows}, P)")
    if where.numel() and (where.min() < 0 or where.max() >= length):
        raise ValueError(f"positions: got {int(where.min())} to {int(where.max())}, wanted 0 to {length - 1}")
    return where.long()
