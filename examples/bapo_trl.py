"""BAPO in TRL: a small model learns to say "I don't know" of what it gets wrong.

    pip install 'assay-papers[trl]'
    python examples/bapo_trl.py

Sixty keys have a value each. Of forty the model is told the value, of the others a wrong one, and one reply in ten
gives up whichever key is asked. Then GRPO trains it with BAPO's reward, its resampling of groups that failed, and its
eye on the plateau of the run's own evaluations. Nothing is downloaded.
"""

from __future__ import annotations

import random
import tempfile

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from assay.integrations.trl_rollouts import WatchPlateau, resampled
from assay.methods.post_training.bapo import (
    BAPOReward,
    PlateauDetector,
    Resampler,
    correctness_reward,
    is_idk,
    judge_prediction,
    reliability,
)
from assay.models.finetune import as_prompt, finetune, replies
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

IDK = "I don't know"
STEPS = 40


def main() -> None:
    torch.set_num_threads(1)
    rng, tokenizer = random.Random(0), build()
    keys = [str(key) for key in rng.sample(range(10, 100), 60)]
    gold = {key: str(rng.randrange(10, 100)) for key in keys}
    told = set(keys[:40])

    def reply(key: str) -> str:
        value = gold[key] if key in told else gold[key][::-1] + "0"
        return rf"\boxed{{{IDK if rng.random() < 0.1 else value}}}"

    model = tiny_llama(hidden=64, layers=2, heads=2, mlp=128)
    taught = [(f"{key}?", reply(key)) for key in keys for _ in range(100)]
    finetune(model, taught, steps=400, seed=0, batch=32, learning_rate=5e-3)
    show("before", model, tokenizer, gold, told)

    gold_of = {as_prompt(f"{key}?"): value for key, value in gold.items()}
    data = Dataset.from_dict({"prompt": list(gold_of), "answer": list(gold_of.values())})
    detector = PlateauDetector(patience=1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=model.train(),
            reward_funcs=BAPOReward(detector),
            args=GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=64,
                per_device_eval_batch_size=64,
                num_generations=8,
                max_completion_length=24,
                learning_rate=1e-3,
                max_steps=STEPS,
                eval_strategy="steps",
                eval_steps=4,
                logging_steps=4,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
                gradient_checkpointing=False,
            ),
            train_dataset=data,
            eval_dataset=data.select(range(32, 48)),
            processing_class=tokenizer,
            rollout_func=resampled(
                Resampler(), lambda prompt, text: (correctness_reward(text, gold_of[prompt]), is_idk(text)), detector
            ),
            callbacks=[WatchPlateau(detector)],
        )
        trainer.remove_callback(PrinterCallback)  # TRL's own figures, one line a log
        trainer.train()
    show(f"after {STEPS} steps, stage {detector.stage}", model, tokenizer, gold, told)


def show(when: str, model: object, tokenizer: object, gold: dict[str, str], told: set[str]) -> None:
    """Reliability of the greedy replies, and how many keys of each kind the model refuses."""
    texts = replies(model.eval(), tokenizer, [f"{key}?" for key in gold], max_tokens=24)
    judged = {key: judge_prediction(text, [gold[key]]) for key, text in zip(gold, texts)}
    shares = reliability(*zip(*judged.values()))
    refused = [key in told for key, (_, answered) in judged.items() if not answered]
    print(
        f"{when}: reliability {shares.reliability:.2f} (accuracy {shares.accuracy:.2f}, precision "
        f"{shares.precision:.2f}, answers {shares.answer_rate:.2f}); "
        f"refuses {sum(refused)} of the 40 keys it knows and {len(refused) - sum(refused)} of the 20 others"
    )


if __name__ == "__main__":
    main()
