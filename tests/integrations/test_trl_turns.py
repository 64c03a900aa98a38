"""Turn-level advantages in a real TRL run: completions of two turns with a tool's output between them."""

import pytest
import torch

pytest.importorskip("trl")

from assay.integrations.trl import run_grpo
from assay.methods.post_training.matchtir import DualLevel
from assay.methods.post_training.pipeline import Pipeline
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build, encode

TOOL_OUTPUT = encode(" 42 ")


def two_turns(prompts, trainer):
    """A rollout by hand: two drawn tokens, the tool's output, two drawn tokens; the output is not trained."""
    generator = torch.Generator().manual_seed(0)
    rows = {"prompt_ids": [], "completion_ids": [], "logprobs": [], "env_mask": []}
    for prompt in prompts:
        drawn = torch.randint(20, 200, (4,), generator=generator).tolist()
        ids = [*drawn[:2], *TOOL_OUTPUT, *drawn[2:]]
        rows["prompt_ids"].append(trainer.processing_class(prompt)["input_ids"])
        rows["completion_ids"].append(ids)
        rows["logprobs"].append([-5.0] * len(ids))
        rows["env_mask"].append([1, 1, *[0] * len(TOOL_OUTPUT), 1, 1])
    return rows


def test_dual_level_trains_on_the_turns_of_a_tool_calling_rollout():
    seen = []

    class Watched(DualLevel):
        def __call__(self, batch):
            advantages = super().__call__(batch)
            seen.append((batch, advantages))
            return advantages

    def by_turn(batch):
        return batch.replace(turn_rewards=torch.rand(len(batch), 2, generator=torch.Generator().manual_seed(1)))

    model = tiny_llama(hidden=16, layers=1, heads=2, mlp=32)
    run = run_grpo(
        model,
        build(),
        [{"prompt": f"{i}: "} for i in range(4)],
        lambda completions, **columns: [1.0] * len(completions),
        advantage=Pipeline(Watched()),
        annotate=by_turn,
        rollout=two_turns,
        steps=2,
        seed=0,
        rollouts=4,
        batch=8,
        max_tokens=12,
    )
    batch, advantages = seen[0]
    wanted = [0, 0, *[-1] * len(TOOL_OUTPUT), 1, 1]
    assert batch.turn[0].tolist() == wanted
    assert (advantages[batch.turn < 0] == 0).all()
    assert (advantages[:, 0] == advantages[:, 1]).all()
    assert (advantages[:, 0] != advantages[:, -1]).any()
    moved = [a for a, b in zip(run.model.parameters(), model.parameters()) if not torch.equal(a, b)]
    assert moved, "two steps on these advantages change the weights"
