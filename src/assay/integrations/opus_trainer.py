"""OPUS inside `transformers.Trainer`: the loader hands over candidates, each step trains on those that were chosen.

trainer = OPUSTrainer(model=model, args=TrainingArguments(..., per_device_train_batch_size=32),
                      train_dataset=dataset, proxy=ProxySet(proxy_ids), keep=16)
trainer.train()
trainer.selector.overhead()
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn, optim
from transformers import Trainer

from assay.methods.data.opus import OPUSSelector, ProxySet


class OPUSTrainer(Trainer):
    """`transformers.Trainer` that trains on `keep` of the rows of every batch, chosen by `OPUSSelector`.

    proxy         what the model is to become good at, already tokenised
    keep          rows trained on; `per_device_train_batch_size` is the number of candidates
    temperature, redundancy, proxy_rows, modules   as in `OPUSSelector`; its seed is `args.data_seed`, else `args.seed`

    The other arguments are Trainer's. Candidates are scored with the optimiser's live state, so the optimiser must be
    AdamW, Muon or SGD (`optim="adamw_torch"`, or one handed over in `optimizers`); another is refused at the first
    step. Raises ValueError for more rows kept than a batch has.
    """

    def __init__(
        self,
        model: nn.Module,
        args: Any = None,
        *,
        proxy: ProxySet,
        keep: int,
        temperature: float = 0.9,
        redundancy: float = 0.1,
        proxy_rows: int = 8,
        modules: list[str] | None = None,
        **own: Any,
    ) -> None:
        super().__init__(model, args, **own)  # Trainer's own arguments, whichever this release has
        candidates = self.args.per_device_train_batch_size
        if not 1 <= keep <= candidates:
            raise ValueError(f"keep: got {keep}, wanted 1 to per_device_train_batch_size = {candidates}")
        self.proxy, self.keep = proxy, keep
        self.choice = {
            "temperature": temperature,
            "redundancy": redundancy,
            "proxy_rows": proxy_rows,
            "modules": modules,
        }
        self._selector: OPUSSelector | None = None

    @property
    def selector(self) -> OPUSSelector:
        """The selector, there once there is an optimiser."""
        if self._selector is None:
            seed = self.args.data_seed if self.args.data_seed is not None else self.args.seed
            model = self.accelerator.unwrap_model(self.model)
            self._selector = OPUSSelector(model, _bare(self.optimizer), self.proxy, self.keep, seed=seed, **self.choice)
        return self._selector

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Choose among the candidates, then Trainer's own step on what was chosen. The last batch of an epoch may have
        fewer rows than are kept: it is trained on whole."""
        inputs = self._prepare_inputs(inputs)
        size = len(inputs["input_ids"])
        if size > self.keep:
            # Scores are read without dropout, as the update that they stand for would be on average.
            model.eval()
            rows = self.selector.select(
                {k: v for k, v in inputs.items() if k in ("input_ids", "attention_mask", "labels")}
            )
            model.train()
            inputs = {k: v[rows] if isinstance(v, Tensor) and len(v) == size else v for k, v in inputs.items()}
        # Trainer counted the tokens of all candidates; the loss is the mean over those of the chosen rows.
        return super().training_step(model, inputs, None)


def _bare(optimizer: optim.Optimizer | None) -> optim.Optimizer:
    """The optimiser itself, out of accelerate's wrapping."""
    if optimizer is None:
        raise ValueError("optimizer: got None, wanted the trainer's; it is made when training begins")
    return getattr(optimizer, "optimizer", optimizer)
