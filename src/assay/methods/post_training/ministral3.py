"""Ministral 3 (2601.08584).

A family of small models from one parent: prune layers, width and feed-forward neurons by what they do on data, distil
from a teacher, and let each child be the parent of the next; then online preference training with soft labels. Costs
one pass over some calibration batches a child, and the distillation itself (a teacher's forward pass a token).

    child = prune(parent, batches, StageSpec(n_layers=4, d_model=192, d_ff=512))
    cascade(parent, [StageSpec(...), StageSpec(...)], batches, data)

The steps (least-changing layers, shrunk width, distillation, then SFT, GRPO and online DPO) are the report's; the exact
importance scores, the rotation and the details of the preference loss are our reading of it:

- the rotation is that of the uncentred second moment of what the norms give out, so that a mean is a direction, too;
- shrinking divides by fewer entries in RMSNorm: the gains carry the square root of the ratio of widths;
- embeddings that are tied stay tied only with `tie=True`: the last norm's gains then become their mean, which is
  exact only where they are all equal. Otherwise the head gets weights of its own and nothing changes at full width.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from assay.methods.post_training._distillation import distill_loss
from assay.methods.post_training._pruning import (
    check_family,
    ffn_importance,
    hidden_rotation,
    layer_importance,
    least_changing,
    narrowed,
    prune_ffn,
    prune_layers,
)

Teacher = Literal["parent", "previous"]
Batches = Sequence[Tensor]  # token ids (B, T) to calibrate on, without padding
Batch = tuple[Tensor, Tensor]  # token ids (B, T); where what comes next is learned (B, T), padding left out


@dataclass(frozen=True)
class StageSpec:
    """The sizes of a child and the tokens it is distilled on. None: as its parent."""

    n_layers: int | None = None
    d_model: int | None = None
    d_ff: int | None = None
    tokens: int = 0
    context: int | None = None  # positions; more than the parent's by YaRN

    def __post_init__(self) -> None:
        if self.tokens < 0:
            raise ValueError(f"tokens: got {self.tokens}, wanted 0 or more")


def prune(parent: Any, batches: Batches, spec: StageSpec, *, tie: bool = False) -> Any:
    """A child of the sizes of `spec` that keeps what matters most on `batches`; the parent stays as it is."""
    check_family(parent)
    check_batches(batches)
    child, config = parent, parent.config
    if spec.n_layers is not None and spec.n_layers != config.num_hidden_layers:
        child = prune_layers(child, least_changing(layer_importance(child, batches), spec.n_layers))
    if spec.d_ff is not None and spec.d_ff != config.intermediate_size:
        child = prune_ffn(child, spec.d_ff, ffn_importance(child, batches))
    if spec.d_model is not None and spec.d_model != config.hidden_size:
        child = narrowed(child, hidden_rotation(child, batches), spec.d_model, tie=tie)
    return lengthened(child, spec.context) if spec.context else child


def lengthened(model: Any, context: int) -> Any:
    """The model with YaRN rotary frequencies for `context` positions; itself where it has as many."""
    import copy

    old = model.config.max_position_embeddings
    if context <= old:
        return model
    config = copy.deepcopy(model.config)
    base = (config.rope_parameters or {}).get("rope_theta", 10_000.0)
    config.rope_parameters = {
        "rope_type": "yarn",
        "rope_theta": base,
        "factor": context / old,
        "original_max_position_embeddings": old,
    }
    config.max_position_embeddings = context
    longer = type(model)(config)
    longer.load_state_dict(model.state_dict())
    return longer.eval()


def position_temperature(positions: Tensor, original: int, beta: float) -> Tensor:
    """What queries are multiplied with at each position: 1 + beta log(1 + floor(position / original))."""
    if original < 1 or beta < 0:
        raise ValueError(f"original, beta: got {original}, {beta}, wanted >= 1 and >= 0")
    return 1 + beta * torch.log1p((positions // original).float())


def distil(
    student: Any,
    teacher: Any,
    data: Iterable[Batch],
    *,
    tokens: int,
    learning_rate: float = 1e-3,
    temperature: float = 1.0,
    alpha: float = 1.0,
    clip: float = 1.0,
) -> list[float]:
    """Train the student in place on (ids, mask) until `tokens` ids are seen; returns the losses. Padding, if any, is
    on the right.

    One pass: raises ValueError where the data ends before. The rate falls to a tenth along a cosine of the tokens.
    """
    if student.config.vocab_size != teacher.config.vocab_size:
        raise ValueError(
            f"teacher has {teacher.config.vocab_size} tokens, student {student.config.vocab_size}: "
            "logit distillation needs one vocabulary"
        )

    def loss(ids: Tensor, mask: Tensor) -> Tensor:
        with torch.no_grad():
            aims = teacher(input_ids=ids).logits
        said = student(input_ids=ids).logits
        return distill_loss(said, aims, mask, temperature=temperature, alpha=alpha, labels=ids)

    return train_once(student, loss, data, tokens=tokens, learning_rate=learning_rate, clip=clip)


def train_once(
    model: Any,
    loss: Callable[[Tensor, Tensor], Tensor],
    data: Iterable[Batch],
    *,
    tokens: int,
    learning_rate: float,
    clip: float = 1.0,
) -> list[float]:
    """Train the model in place by a loss of (ids, mask), going through the data once, until `tokens` ids are seen.

    Returns the losses. Raises ValueError where the data ends before. The rate falls to a tenth along a cosine.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    seen, losses = 0, list[float]()
    model.train()
    for ids, mask in data:
        if seen >= tokens:
            break
        share = seen / max(tokens, 1)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (0.55 + 0.45 * float(torch.cos(torch.tensor(torch.pi * share))))
        value = loss(ids, mask)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.item())
        seen += ids.numel()
    model.eval()
    if seen < tokens:
        raise ValueError(f"data: got {seen} tokens, wanted {tokens}; nothing is shown twice")
    return losses


def cascade(
    parent: Any,
    stages: Sequence[StageSpec],
    batches: Batches,
    data: Callable[[int], Iterator[Batch]],
    *,
    teacher: Teacher | Any = "parent",
    out: Path | None = None,
    tie: bool = False,
    learning_rate: float = 1e-3,
) -> list[Any]:
    """A child a stage, each pruned from the one before and distilled; `data(i)` gives the batches of stage i.

    teacher  "parent": the first model throughout; "previous": the child before; or a model
    out      a folder: each child is saved there with a card of its ancestry, and one that is there already is taken up
    """
    if not stages:
        raise ValueError("stages: got none, wanted at least one")
    if isinstance(teacher, str) and teacher not in ("parent", "previous"):
        raise ValueError(f"teacher: got {teacher!r}, wanted 'parent', 'previous' or a model")
    children, model = [], parent
    for i, stage in enumerate(stages):
        card = {"stage": i, "stages": [asdict(one) for one in stages[: i + 1]]}
        folder = out / f"stage-{i + 1}" if out is not None else None
        if folder is not None and (folder / "card.json").exists():
            child = _taken_up(type(parent), folder, card)
        else:
            child = prune(model, batches, stage, tie=tie)
            if stage.tokens:
                by = {"parent": parent, "previous": model}[teacher] if isinstance(teacher, str) else teacher
                losses = distil(child, by, data(i), tokens=stage.tokens, learning_rate=learning_rate)
                card |= {"first_loss": losses[0], "last_loss": losses[-1]}
            if folder is not None:
                card |= {"parameters": sum(p.numel() for p in child.parameters())}
                child.save_pretrained(folder)
                (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")  # last: it is whole
        children.append(child)
        model = child
    return children


def shares(parent: Any, share: float) -> StageSpec:
    """Sizes of a child with about `share` of the parent's parameters: layers, width and neurons shrunk alike."""
    if not 0 < share <= 1:
        raise ValueError(f"share: got {share}, wanted within (0, 1]")
    config, each = parent.config, share ** (1 / 3)
    heads = config.num_attention_heads
    return StageSpec(
        n_layers=max(2, round(config.num_hidden_layers * each)),
        d_model=max(heads, round(config.hidden_size * each / heads) * heads),
        d_ff=max(1, round(config.intermediate_size * each / 8) * 8),
    )


def recipe() -> tuple[StageSpec, ...]:
    """The report's own family as sizes: 24 B to 14 B, 8 B and 3 B, a trillion tokens each or more."""
    parent = StageSpec(n_layers=40, d_model=5120, d_ff=16_384, tokens=10**12, context=262_144)
    middle = replace(parent, n_layers=34, d_model=4096, d_ff=14_336)
    return parent, middle, replace(parent, n_layers=26, d_model=3072, d_ff=9216)


def check_batches(batches: Batches) -> None:
    """ValueError without calibration data."""
    if not batches or any(batch.ndim != 2 or not batch.numel() for batch in batches):
        raise ValueError("batches: got none, or one without tokens; wanted ids (B, T) to calibrate on")


def _taken_up(kind: Any, folder: Path, card: dict[str, Any]) -> Any:
    """A child of an earlier run; ValueError where it was made by other stages."""
    found = json.loads((folder / "card.json").read_text("utf-8"))
    if found["stages"] != json.loads(json.dumps(card["stages"])):
        raise ValueError(f"out: {folder} holds a child of other stages; choose another folder or remove it")
    return kind.from_pretrained(folder).eval()
