import pytest
import torch

from assay.models.finetune import as_prompt, finetune, finetune_rows, replies
from assay.models.local_sampler import prompt_ids
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build
from assay.models.train_data import pair_row

PAIRS = [(f"say{i}", f"{i}{i + 1}") for i in range(10, 20)]


def small():
    return tiny_llama(hidden=64, layers=2, heads=2, mlp=128)


def test_pairs_are_learnt_and_said_again():
    model = small()
    losses = finetune(model, PAIRS, steps=120, batch=10, learning_rate=3e-3, seed=0)
    assert len(losses) == 120
    assert losses[-1] < 0.1 < losses[0]
    assert replies(model, build(), [p for p, _ in PAIRS], max_tokens=4) == [reply for _, reply in PAIRS]


def test_one_seed_gives_one_model():
    models = [small(), small()]
    losses = [finetune(model, PAIRS, steps=5, batch=4, seed=3) for model in models]
    assert losses[0] == losses[1]
    first, second = (list(model.parameters()) for model in models)
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert finetune(small(), PAIRS, steps=5, batch=4, seed=4) != losses[0]


def test_the_prompt_for_trl_has_the_tokens_that_the_model_was_trained_on():
    tokenizer = build()
    trained = pair_row("12+19", "31")
    asked_from = trained.asked.index(True)
    assert tokenizer(as_prompt("12+19"))["input_ids"] == trained.ids[:asked_from]
    assert tuple(trained.ids[:asked_from]) == prompt_ids(tokenizer, "12+19")


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="pairs: got none"):
        finetune(small(), [], steps=1, seed=0)
    with pytest.raises(ValueError, match="steps, batch: got 0"):
        finetune(small(), PAIRS, steps=0, seed=0)


def test_rows_are_trained_by_a_loss_of_ones_own():
    rows, seen = [pair_row(prompt, reply) for prompt, reply in PAIRS], []

    def halved(logits, ids):
        seen.append(ids)
        return torch.nn.functional.cross_entropy(logits, ids) / 2

    usual = finetune(small(), PAIRS, steps=1, batch=10, seed=0)
    assert finetune_rows(small(), rows, steps=1, batch=10, seed=0, loss=halved) == pytest.approx([usual[0] / 2])
    assert sorted(seen[0].tolist()) == sorted(i for row in rows for i, asked in zip(row.ids, row.asked) if asked)
    with pytest.raises(ValueError, match="rows: got none"):
        finetune_rows(small(), [], steps=1, seed=0)


@pytest.mark.parametrize("steps", [1, 2, 19, 20, 21])
def test_few_steps_have_a_schedule_too(steps):
    model = tiny_llama(hidden=16, layers=1, heads=2, mlp=16)
    assert len(finetune(model, [("a", "b")], steps=steps, seed=0, batch=1)) == steps
