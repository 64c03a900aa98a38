"""Distillation on logits, and online preference training with soft labels (ministral3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 4096  # positions whose softmax is in memory at a time


def distill_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None = None,
    *,
    temperature: float = 1.0,
    alpha: float = 1.0,
    labels: Tensor | None = None,
) -> Tensor:
    """Forward KL from teacher to student, times T squared, per position of `mask` (B, T); logits (B, T, V).

    `alpha` below 1 mixes in 1 - alpha times the loss of the tokens that come next in `labels` (B, T). In float32, a
    chunk of positions at a time. Raises ValueError for other shapes.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"teacher: got {tuple(teacher.shape)}, the student has {tuple(student.shape)}: "
            "logit distillation needs one vocabulary"
        )
    if not temperature > 0 or not 0 <= alpha <= 1:
        raise ValueError(f"temperature, alpha: got {temperature}, {alpha}, wanted above 0 and within [0, 1]")
    if alpha < 1 and labels is None:
        raise ValueError("labels: got None, but alpha below 1 needs them")
    real = torch.ones(student.shape[:2], dtype=torch.bool, device=student.device) if mask is None else mask.bool()
    loss = _kl(student[real], teacher[real], temperature) if alpha else student.new_zeros(())
    if alpha < 1 and labels is not None:
        counted = real[:, :-1]
        plain = F.cross_entropy(student[:, :-1][counted].float(), labels[:, 1:][counted])
        loss = alpha * loss + (1 - alpha) * plain
    return loss


def _kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    total = student.new_zeros((), dtype=torch.float32)
    for one, other in zip(student.split(CHUNK), teacher.split(CHUNK)):
        log_q = (one.float() / temperature).log_softmax(dim=-1)
        log_p = (other.float() / temperature).log_softmax(dim=-1)
        total = total + F.kl_div(log_q, log_p, log_target=True, reduction="sum")
    return total * temperature**2 / max(1, len(student))


def odpo_loss(
    policy: Tensor, reference: Tensor, preferred: Tensor, *, beta: float = 0.1, two_sided: bool = True
) -> Tensor:
    """DPO with soft labels: -[p log s(b d) + (1 - p) log s(-b d)], its mean over pairs.

    policy, reference   (N, 2) log-probabilities of replies a and b
    preferred           (N,) p, the chance that a is better
    two_sided           b is beta times |2 p - 1|, so that a pair nobody can tell apart teaches nothing
    """
    if not beta > 0:
        raise ValueError(f"beta: got {beta}, wanted above 0")
    if not ((preferred >= 0) & (preferred <= 1)).all():
        raise ValueError("preferred: got a value outside [0, 1]")
    ahead = (policy - reference)[:, 0] - (policy - reference)[:, 1]
    scale = beta * (2 * preferred - 1).abs() if two_sided else torch.full_like(preferred, beta)
    return -(preferred * F.logsigmoid(scale * ahead) + (1 - preferred) * F.logsigmoid(-scale * ahead)).mean()


def unbiased(a_first: Tensor, b_first: Tensor) -> Tensor:
    """The chance that a is better from both orders of showing the pair; `b_first` is the chance that b is, shown
    first."""
    return (a_first + 1 - b_first) / 2


def broken_loses(preferred: Tensor, a_broken: Tensor, b_broken: Tensor) -> Tensor:
    """0 where only a is broken (a loop, a damaged thinking format), 1 where only b is, 0.5 where both are."""
    decided = torch.where(a_broken, torch.where(b_broken, 0.5, 0.0), torch.where(b_broken, 1.0, preferred))
    return decided.to(preferred)


def loops(ids: list[int], unit: int = 8, times: int = 4) -> bool:
    """Whether the reply ends in one run of up to `unit` tokens, said at least `times` times over."""
    for length in range(1, unit + 1):
        tail = ids[-length * times :]
        if len(tail) == length * times and tail == tail[:length] * times:
            return True
    return False


def thinking_broken(text: str) -> bool:
    """Whether <think> and </think> do not come once each and in order; a reply without either is whole."""
    opened, closed = text.count("<think>"), text.count("</think>")
    return (opened, closed) != (0, 0) and ((opened, closed) != (1, 1) or text.index("<think>") > text.index("</think>"))
