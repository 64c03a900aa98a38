"""OPUS in transformers.Trainer: pre-train a tiny Llama on the rows of a mixed stream that help with one kind of text.

    pip install 'assay-papers[lm]'
    python examples/opus_trainer.py [--steps 60]

The stream is text that a Python installation has anyway, a quarter of it spoilt; the target is one of its four kinds.
For your own run, hand `OPUSTrainer` your model, dataset and a few hundred tokenised sequences of what you care about.
"""

from __future__ import annotations

import argparse
import tempfile

import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from assay.integrations.opus_trainer import OPUSTrainer
from assay.methods.data.opus import ProxySet, row_losses
from assay.models.nano import tiny_llama
from assay.worlds.text_pool import TextPool, world

CANDIDATES, KEEP = 32, 16


class Rows(Dataset):
    """The stream as a dataset of single rows."""

    def __init__(self, pool: TextPool) -> None:
        self.ids = torch.from_numpy(pool.stream).long().flatten(0, 1)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[i], "attention_mask": torch.ones_like(self.ids[i]), "labels": self.ids[i]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    pool = world(steps=steps, candidates=CANDIDATES, validation=64).sample(0)
    print(f"target: {pool.target}")
    for name in ("random", "OPUS"):
        model = tiny_llama(hidden=64, layers=2, heads=4, mlp=168, vocabulary=pool.vocabulary, context=64)
        with tempfile.TemporaryDirectory() as folder:
            trainer = made(name, model, pool, folder, steps)
            trainer.train()
        with torch.no_grad():
            loss = row_losses(model, {"input_ids": torch.from_numpy(pool.validation).long()}).mean()
        note = f", choosing took {trainer.selector.overhead().share:.1f} of training" if name == "OPUS" else ""
        print(f"{name:>7}: validation loss {loss:.3f}{note}")


def made(name: str, model: torch.nn.Module, pool: TextPool, folder: str, steps: int) -> Trainer:
    """Both train on 16 rows a step; OPUS is shown 32."""
    settings = TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=CANDIDATES if name == "OPUS" else KEEP,
        learning_rate=4e-3,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=min(20, steps // 3),
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    if name == "random":
        return Trainer(model, settings, train_dataset=Rows(pool))
    proxy = ProxySet(torch.from_numpy(pool.proxy).long())
    return OPUSTrainer(model, settings, train_dataset=Rows(pool), proxy=proxy, keep=KEEP)


if __name__ == "__main__":
    main()
