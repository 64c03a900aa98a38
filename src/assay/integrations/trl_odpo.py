"""Online preference training with soft labels in TRL: `ODPOTrainer` (Ministral 3, 2601.08584).

    def prefer(prompts, first, second):       # a pairwise reward model: the chance that `first`, shown first, is better
        return [...]

    trainer = ODPOTrainer(model, prefer, args=OnlineDPOConfig(temperature=0.7, ...), train_dataset=..., ...)

A subclass of TRL's experimental `OnlineDPOTrainer`, which draws the two replies a prompt and runs both models; only the
step is another one. Where a later TRL has moved or dropped that class, importing this module says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

try:
    from trl.experimental.online_dpo import OnlineDPOTrainer
except ImportError as error:
    raise ModuleNotFoundError(
        "ODPOTrainer needs trl.experimental.online_dpo, which this TRL does not have: pip install 'trl>=1.16,<1.17'",
        name="trl",
    ) from error

from assay.methods.post_training._distillation import broken_loses, loops, odpo_loss, thinking_broken, unbiased

Prefer = Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], Sequence[float]]


class ODPOTrainer(OnlineDPOTrainer):  # type: ignore[misc]
    """TRL's online DPO with chances instead of winners.

    prefer         (prompts, first, second) -> the chance that each first reply is better; asked in both orders
    two_sided      beta is scaled by how sure the preference is
    refresh_every  steps after which the reference becomes the present policy; None: never

    Replies that end in a loop, or break the thinking format, lose to those that do not. Logs `odpo/preferred`,
    `odpo/broken` and `odpo/margin`.
    """

    def __init__(
        self,
        model: Any,
        prefer: Prefer,
        *,
        two_sided: bool = True,
        refresh_every: int | None = None,
        **settings: Any,
    ) -> None:
        if refresh_every is not None and refresh_every < 1:
            raise ValueError(f"refresh_every: got {refresh_every}, wanted at least 1")
        super().__init__(model, reward_funcs=_unused, **settings)
        self.prefer, self.two_sided, self.refresh_every = prefer, two_sided, refresh_every
        self.stats: dict[str, list[float]] = {}  # TRL's own names are never filled here, and it takes their means

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: int | None = None) -> Tensor:
        model.train()
        prompts = inputs["prompt"]
        prompt_ids, prompt_mask, reply_ids, reply_mask, seen = self._generate(model, prompts, inputs.get("image"))
        log_p = self._forward(model, prompt_ids, prompt_mask, reply_ids, reply_mask, seen)
        with torch.no_grad():
            if self.ref_model is not None:
                reference = self._forward(self.ref_model, prompt_ids, prompt_mask, reply_ids, reply_mask, seen)
            else:  # an adapter: the model without it
                with self.model.disable_adapter():
                    reference = self._forward(self.model, prompt_ids, prompt_mask, reply_ids, reply_mask, seen)
        preferred, broken = self._judged(prompts, reply_ids, reply_mask)
        pairs = [(values * reply_mask).sum(dim=1).view(2, -1).T for values in (log_p, reference)]
        loss = odpo_loss(pairs[0], pairs[1], preferred, beta=self.beta, two_sided=self.two_sided)
        ahead = ((pairs[0] - pairs[1]) @ loss.new_tensor([1.0, -1.0])).detach()
        self._note("odpo/preferred", torch.maximum(preferred, 1 - preferred).mean())
        self._note("odpo/broken", broken.float().mean())
        self._note("odpo/margin", (ahead * (2 * preferred - 1).sign()).mean())
        self.accelerator.backward(loss)
        if self.refresh_every and self.ref_model is not None and (self.state.global_step + 1) % self.refresh_every == 0:
            self.ref_model.load_state_dict(self.accelerator.unwrap_model(model).state_dict())
        return loss.detach() / self.args.gradient_accumulation_steps

    def _judged(self, prompts: Sequence[Any], ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The chance (B,) that the first reply to each prompt is better, and which replies (2, B) are broken."""
        texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
        half = len(texts) // 2
        first, second = texts[:half], texts[half:]
        there = self._asked(prompts, first, second, ids.device)
        back = self._asked(prompts, second, first, ids.device)
        said = [row[keep.bool()].tolist() for row, keep in zip(ids, mask)]
        raw = self.processing_class.batch_decode(ids, skip_special_tokens=False)
        broken = torch.tensor([loops(row) or thinking_broken(text) for row, text in zip(said, raw)], device=ids.device)
        broken = broken.view(2, -1)
        return broken_loses(unbiased(there, back), broken[0], broken[1]), broken

    def _asked(self, prompts: Sequence[Any], first: Sequence[str], second: Sequence[str], device: Any) -> Tensor:
        chances = list(self.prefer(prompts, first, second))
        if len(chances) != len(prompts) or not all(0 <= chance <= 1 for chance in chances):
            raise ValueError(f"prefer: got {chances[:5]} for {len(prompts)} pairs, wanted a chance in [0, 1] for each")
        return torch.tensor(chances, dtype=torch.float32, device=device)

    def _note(self, name: str, value: Tensor) -> None:
        self.stats.setdefault(name, []).append(self.accelerator.gather_for_metrics(value).mean().item())


def _unused(**_: Any) -> list[float]:
    """TRL wants a reward function; the step above asks `prefer` instead."""
    raise AssertionError("ODPOTrainer asks `prefer`")


if "num_items_in_batch" not in inspect.signature(OnlineDPOTrainer.training_step).parameters:
    raise ModuleNotFoundError("ODPOTrainer is written for the training step of TRL 1.16", name="trl")
