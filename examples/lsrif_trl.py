"""A reward that follows the logic of an instruction, in TRL (LSRIF): first a digit, then a capital letter.

    pip install 'assay-papers[trl]'
    python examples/lsrif_trl.py

The model starts from random weights and its constraints are checked by rules, so nothing is downloaded. For your own
run, `assay use lsrif instructions questions.txt --output data.jsonl` writes the rows, and
`LSRIFReward(LLMVerifier(complete("openai/...")))` judges what no rule can.
"""

from __future__ import annotations

import json

import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.lsrif import (
    Conditional,
    Constraint,
    LSRIFReward,
    Rule,
    RuleVerifier,
    Sequential,
    parameter_shift,
    to_dict,
)
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

DIGIT = Constraint("digit", "Begin with a digit.", Rule("matches", r"^\d"))
CAPITAL = Constraint("capital", "Hold a capital letter.", Rule("matches", "[A-Z]"))
SMALL = Constraint("small", "Hold no capital letter.", Rule("matches", "^[^A-Z]+$"))
LOUD = Constraint("loud", "the prompt ends with a mark", Rule("ends", "!"), of="prompt")


def main() -> None:
    torch.set_num_threads(1)
    steps = to_dict(Sequential([DIGIT, Conditional(LOUD, CAPITAL, SMALL)]))
    rows = [{"prompt": f"{letter}{mark}", "structure": json.dumps(steps)} for letter in "abcdefgh" for mark in "!?"]
    model = tiny_llama(hidden=64, layers=1, heads=2, mlp=128)
    run = run_grpo(
        model,
        build(),
        rows,
        LSRIFReward(RuleVerifier()),
        advantage=GroupNormalised(),
        steps=40,
        seed=0,
        max_tokens=4,
        learning_rate=3e-3,
    )
    rewards = [step["reward"] for step in run.log if "reward" in step]
    print(f"reward {rewards[0]:.2f} at first, {rewards[-1]:.2f} at last")
    moved = parameter_shift(model.state_dict(), run.model.state_dict())
    print("moved: " + ", ".join(f"{kind} {share:.1%}" for kind, share in moved.items()))


if __name__ == "__main__":
    main()
