import pytest
import torch

from assay.models.nano import tiny_llama
from assay.models.tokenizer import build
from assay.trials.post_training.p1_vl import REPLY
from assay.trials.post_training.p1_vl_mismatch import both_logprobs, gradient, rolled_out, trial
from assay.worlds.text import sums

WORLD = sums.world(each=5, split="train", digits=(1, 2)).sample(0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return tiny_llama(hidden=32, layers=1, heads=2, mlp=64).eval()


@pytest.fixture(scope="module")
def rolled(model):
    made = rolled_out(model, build(), WORLD, 4, 0)
    made["advantages"] = torch.linspace(-1, 1, 20)  # fresh weights get nothing right
    return made


def test_a_trainer_that_sampled_for_itself_has_no_mismatch(model, rolled):
    trainer, engine, mask = both_logprobs(model, rolled)
    assert mask.shape[1] <= REPLY
    torch.testing.assert_close(trainer[mask], engine[mask], atol=1e-4, rtol=0)


def test_a_quantised_engine_gives_its_own_log_probabilities(model, rolled):
    int8 = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    trainer, engine, mask = both_logprobs(model, rolled_out(int8, build(), WORLD, 4, 0))
    off = (trainer - engine)[mask].abs()
    assert 1e-4 < off.max() < 1


def test_the_gradient_is_the_mean_over_rows_of_the_mean_over_tokens(model, rolled):
    wanted = torch.zeros(sum(weight.numel() for weight in model.parameters()))
    for i, ids in enumerate(rolled["ids"]):
        tokens = torch.tensor([ids])
        logprobs = model(tokens).logits[0, :-1].log_softmax(-1).gather(1, tokens[0, 1:, None])
        loss = -rolled["advantages"][i] * logprobs[rolled["prompt"][i] - 1 :].mean() / 20
        grads = torch.autograd.grad(loss, list(model.parameters()))
        wanted += torch.cat([grad.flatten() for grad in grads])
    torch.testing.assert_close(gradient(model, rolled, torch.ones(20, 1)), wanted, atol=1e-6, rtol=1e-3)


def test_a_row_of_weight_zero_leaves_the_gradient_as_a_token_of_weight_zero_does(model, rolled):
    rows = torch.ones(20, 1)
    rows[3] = 0
    tokens = torch.ones(20, REPLY)
    tokens[3] = 0
    torch.testing.assert_close(gradient(model, rolled, rows), gradient(model, rolled, tokens))
    assert not torch.equal(gradient(model, rolled, rows), gradient(model, rolled, torch.ones(20, 1)))


@pytest.mark.slow
def test_the_quick_run_ends():
    from assay.engine import run

    result = run(trial, quick=True, isolation="inline")
    assert not result.failed
