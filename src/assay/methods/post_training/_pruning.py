"""What can go from a Llama-like model, by what it does on data: layers, neurons, directions (ministral3)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor

from assay.methods.activations import find_layers

Batches = Sequence[Tensor]
FAMILY = ("llama", "mistral", "qwen2", "qwen3", "ministral", "ministral3")


def check_family(model: Any) -> None:
    """ValueError unless the model has Llama's parts: RMSNorms, q/k/v/o, gate/up/down."""
    kind = getattr(model.config, "model_type", type(model).__name__)
    layer = find_layers(model)[0]
    parts = ("input_layernorm", "post_attention_layernorm", "self_attn", "mlp")
    if kind not in FAMILY or not all(hasattr(layer, part) for part in parts):
        raise ValueError(f"model: got {kind}, wanted one of the Llama, Mistral or Qwen kind")


@torch.no_grad()
def layer_importance(model: Any, batches: Batches, score: Literal["ratio", "cosine"] = "ratio") -> Tensor:
    """How much each layer changes the stream (n_layers,), over all tokens.

    "ratio": the distance of the mean of |h_out| / |h_in| from 1; "cosine": the mean of 1 - cos(h_in, h_out).
    """
    if score not in ("ratio", "cosine"):
        raise ValueError(f"score: got {score!r}, wanted 'ratio' or 'cosine'")
    layers = find_layers(model)
    sums, count = torch.zeros(len(layers)), 0
    with ExitStack() as hooks:
        for i, layer in enumerate(layers):

            def note(module: Any, args: Any, kwargs: Any, out: Any, i: int = i) -> None:
                before = args[0] if args else kwargs["hidden_states"]
                after = out[0] if isinstance(out, tuple) else out
                if score == "ratio":
                    sums[i] += (after.float().norm(dim=-1) / before.float().norm(dim=-1)).sum().cpu()
                else:
                    sums[i] += (1 - torch.cosine_similarity(before.float(), after.float(), dim=-1)).sum().cpu()

            hooks.callback(layer.register_forward_hook(note, with_kwargs=True).remove)
        for ids in batches:
            model(input_ids=ids)
            count += ids.numel()
    means = sums / count
    return (means - 1).abs() if score == "ratio" else means


def least_changing(importance: Tensor, n_keep: int) -> list[int]:
    """The layers to keep, in order: the first, the last, and those of the rest that change most."""
    count = len(importance)
    if not 2 <= n_keep <= count:
        raise ValueError(f"n_layers: got {n_keep}, wanted 2 to {count}")
    inner = importance[1:-1].argsort(descending=True, stable=True)[: n_keep - 2] + 1
    return sorted({0, count - 1, *inner.tolist()})


def prune_layers(model: Any, keep: Sequence[int]) -> Any:
    """A copy with these layers alone, numbered anew."""
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = len(keep)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[i] for i in keep]
    child = type(model)(config)
    state = {}
    number = {old: new for new, old in enumerate(keep)}
    for name, value in model.state_dict().items():
        head, _, tail = name.partition(".layers.")
        if not tail:
            state[name] = value
        elif (old := int(tail.split(".")[0])) in number:
            state[f"{head}.layers.{number[old]}.{tail.split('.', 1)[1]}"] = value
    child.load_state_dict(state)
    return child.eval()


@torch.no_grad()
def ffn_importance(model: Any, batches: Batches) -> list[Tensor]:
    """For each layer the mean size (d_ff,) of what each neuron, SiLU(W1 x) * W3 x, hands to W2."""
    layers = find_layers(model)
    sums = [torch.zeros(model.config.intermediate_size) for _ in layers]
    with ExitStack() as hooks:
        for total, layer in zip(sums, layers):

            def note(module: Any, args: Any, total: Tensor = total) -> None:
                total += args[0].float().abs().flatten(0, -2).sum(dim=0).cpu()

            hooks.callback(layer.mlp.down_proj.register_forward_pre_hook(note).remove)
        for ids in batches:
            model(input_ids=ids)
    return [total / sum(ids.numel() for ids in batches) for total in sums]


def prune_ffn(model: Any, n_keep: int, importance: Sequence[Tensor]) -> Any:
    """A copy with the `n_keep` most important neurons of each layer."""
    width = model.config.intermediate_size
    if not 1 <= n_keep <= width:
        raise ValueError(f"d_ff: got {n_keep}, wanted 1 to {width}")
    config = copy.deepcopy(model.config)
    config.intermediate_size = n_keep
    child = type(model)(config)
    state = dict(model.state_dict())
    for name in list(state):
        if ".mlp." not in name:
            continue
        layer = int(name.split(".layers.")[1].split(".")[0])
        kept = importance[layer].argsort(descending=True, stable=True)[:n_keep].sort().values
        state[name] = state[name][:, kept] if ".down_proj." in name else state[name][kept]
    child.load_state_dict(state)
    return child.eval()


@torch.no_grad()
def hidden_rotation(model: Any, batches: Batches) -> Tensor:
    """The directions (D, D), a column each, strongest first, of what all norms of the layers give out before their
    gains: eigenvectors of the uncentred second moment."""
    width = model.config.hidden_size
    moment = torch.zeros(width, width, dtype=torch.float64)

    def note(module: Any, args: Any) -> None:
        x = args[0].double().flatten(0, -2)
        x = x / x.pow(2).mean(dim=-1, keepdim=True).add(module.variance_epsilon).sqrt()
        moment.add_((x.T @ x).cpu())

    with ExitStack() as hooks:
        for layer in find_layers(model):
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                hooks.callback(norm.register_forward_pre_hook(note).remove)
        for ids in batches:
            model(input_ids=ids)
    return torch.linalg.eigh(moment).eigenvectors.flip(dims=[1])


@torch.no_grad()
def narrowed(model: Any, rotation: Tensor, d_new: int, *, tie: bool = False) -> Any:
    """A copy whose stream has the first `d_new` directions of `rotation` (D, D) alone; at D it computes the same."""
    config, width = copy.deepcopy(model.config), model.config.hidden_size
    if not 1 <= d_new <= width or d_new % config.num_attention_heads:
        raise ValueError(
            f"d_model: got {d_new}, wanted a multiple of {config.num_attention_heads} heads, at most {width}"
        )
    config.head_dim = getattr(config, "head_dim", None) or width // config.num_attention_heads
    config.hidden_size = d_new
    config.tie_word_embeddings = bool(config.tie_word_embeddings and tie)
    q = rotation[:, :d_new]
    gain = (width / d_new) ** 0.5  # RMSNorm divides by the mean over fewer entries
    state = model.state_dict()
    last = state["model.norm.weight"].double()
    made: dict[str, Tensor] = {}
    for name, value in state.items():
        old = value.double()
        if name.endswith("layernorm.weight") or name == "model.norm.weight":
            new = torch.full((d_new,), gain, dtype=torch.float64)
            if name == "model.norm.weight" and config.tie_word_embeddings:
                new *= last.mean()
        elif name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            new = (old * _gains(state, name, "input_layernorm")) @ q
        elif name.endswith(("gate_proj.weight", "up_proj.weight")):
            new = (old * _gains(state, name, "post_attention_layernorm")) @ q
        elif name.endswith(("o_proj.weight", "down_proj.weight", "o_proj.bias", "down_proj.bias")):
            new = q.T @ old
        elif name == "model.embed_tokens.weight":
            new = old @ q
        elif name == "lm_head.weight":
            new = (old if config.tie_word_embeddings else old * last) @ q
        else:
            new = old  # biases and norms inside the attention
        made[name] = new.to(value.dtype)
    child = type(model)(config).to(next(model.parameters()).dtype)
    child.load_state_dict(made)
    return child.eval()


def _gains(state: dict[str, Tensor], name: str, norm: str) -> Tensor:
    """The gains of the norm that a projection reads, folded into its columns."""
    head, _, tail = name.partition(".layers.")
    return state[f"{head}.layers.{tail.split('.')[0]}.{norm}.weight"].double()
