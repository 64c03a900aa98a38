"""ProFit in TRL's SFTTrainer: a small Llama that adds is tuned on references in someone else's words.

    pip install 'assay-papers[trl]'
    python examples/profit_sft.py

The sums are told with filler words; each reference uses words of its own. `ProFit(0.1)` leaves the words out of the
loss that the model finds improbable. Printed is the share trained on, and how probable the sums and the filler words
of held-out references are afterwards. Nothing is downloaded; for your own run, change the model and the data and take
the authors' settings, `SFTConfig(**RECIPE)`.
"""

from __future__ import annotations

import tempfile

import torch
from datasets import Dataset, disable_progress_bars
from trl import SFTConfig, SFTTrainer

from assay.methods.post_training.profit import RECIPE, ProFit, core_trivial_probe
from assay.models.finetune import as_prompt, finetune_rows
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build
from assay.models.train_data import Row
from assay.worlds.text import told_sums
from assay.worlds.text.problem import Problem

TOKENIZER = build(told_sums.TOKENS)


def told(habit: float, seeds: range) -> list[Problem]:
    return [told_sums.sample(seed, "train", below=5, habit=habit) for seed in seeds]


def rows(problems: list[Problem]) -> list[dict[str, str]]:
    return [{"prompt": as_prompt(problem.prompt), "completion": f"{problem.trace}<eos>"} for problem in problems]


def base() -> torch.nn.Module:
    """A model that tells sums of numbers below 5 in its habitual words."""
    model = tiny_llama(hidden=64, layers=2, heads=2, mlp=128, vocabulary=len(TOKENIZER))
    corpus = []
    for row in rows(told(0.92, range(3200))):
        prompt, reply = (TOKENIZER(row[name])["input_ids"] for name in ("prompt", "completion"))
        corpus.append(Row(prompt + reply, [False] * len(prompt) + [True] * len(reply)))
    finetune_rows(model, corpus, steps=200, seed=0, batch=32, learning_rate=5e-3)
    return model


def main() -> None:
    torch.set_num_threads(1)
    disable_progress_bars()
    start = base().state_dict()
    held_out = [(row["prompt"], row["completion"]) for row in rows(told(0.0, range(10_000, 10_030)))]
    print("  tau trained on  p(sums) p(words)")
    for tau in (0.0, 0.1):
        model = tiny_llama(hidden=64, layers=2, heads=2, mlp=128, vocabulary=len(TOKENIZER))
        model.load_state_dict(start)
        profit = ProFit(tau)
        with tempfile.TemporaryDirectory() as folder:
            SFTTrainer(
                model,
                SFTConfig(
                    **{**RECIPE, "learning_rate": 1e-3, "num_train_epochs": 10, "per_device_train_batch_size": 8},
                    output_dir=folder,
                    logging_strategy="no",
                    save_strategy="no",
                    report_to=[],
                    disable_tqdm=True,
                    use_cpu=True,
                    bf16=False,
                ),
                train_dataset=Dataset.from_list(rows(told(0.0, range(5000, 5064)))),
                processing_class=TOKENIZER,
                compute_loss_func=profit,
            ).train()
        report = core_trivial_probe(model, TOKENIZER, held_out, lambda token: token not in told_sums.TOKENS)
        print(f"{tau:5g} {profit.keep_rate:10.0%} {report.core:8.2f} {report.trivial:8.2f}")


if __name__ == "__main__":
    main()
