"""A rubric as the reward of a TRL run (RubricHub): a small Llama learns which of its criteria pay.

    pip install 'assay-papers[trl]'
    python examples/rubrichub_trl.py

The criteria are checked by rules here, so nothing is downloaded; with a model that grades, give
`RuRL(LLMGrader(complete("openai/...")))` and rubrics that `assay use rubrichub build` wrote.
"""

from __future__ import annotations

import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.pipeline import GroupNormalised
from assay.methods.post_training.rubrichub import RuleGrader, RuRL, discrimination
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

RUBRIC = [
    {"criterion": "Holds a digit.", "points": 5},
    {"criterion": "Is half digits or more.", "points": 3},
    {"criterion": "Holds no capital letter.", "points": 2},
]
CHECKS = {
    "Holds a digit.": lambda prompt, reply: any(c.isdigit() for c in reply),
    "Is half digits or more.": lambda prompt, reply: 2 * sum(c.isdigit() for c in reply) >= max(1, len(reply)),
    "Holds no capital letter.": lambda prompt, reply: not any(c.isupper() for c in reply),
}
ROWS = [{"prompt": f"{letter}: ", "rubrics": RUBRIC} for letter in "abcdefgh"]


class Watched(RuRL):
    """Keeps the replies of the last batch."""

    def __call__(self, prompts, completions, completion_ids=None, rubrics=None, **columns):
        self.replies = completions
        return super().__call__(prompts, completions, completion_ids, rubrics)


def main() -> None:
    torch.set_num_threads(1)
    reward = Watched(RuleGrader(CHECKS))
    run = run_grpo(
        tiny_llama(hidden=64, layers=1, heads=2, mlp=128),
        build(),
        ROWS,
        reward,
        advantage=GroupNormalised(),
        steps=40,
        seed=0,
        max_tokens=8,
        learning_rate=3e-3,
    )
    rewards = [step["reward"] for step in run.log if "reward" in step]
    print(f"reward {rewards[0]:.2f} at first, {rewards[-1]:.2f} at last")
    met = [[float(CHECKS[one["criterion"]]("", reply)) for one in RUBRIC] for reply in reward.replies]
    found = discrimination(RUBRIC, met)
    print(f"last batch: spread {found.spread:.2f}, {found.saturation:.0%} of replies saturate the rubric")


if __name__ == "__main__":
    main()
