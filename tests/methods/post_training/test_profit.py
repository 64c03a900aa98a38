import math
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.methods.post_training.profit import (
    RECIPE,
    ProFit,
    core_trivial_probe,
    gradient_lower_bound,
    kept_tokens,
    profit_loss,
    token_gradient_norms,
    token_probabilities,
)
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

P = torch.tensor([0.9, 0.05, 0.5, 0.2])  # probability of the label at four positions


def logits_of(p: torch.Tensor, words: int = 3) -> torch.Tensor:
    """Logits under which label 0 has probability p and the others share the rest."""
    rest = ((1 - p) / (words - 1)).unsqueeze(-1).expand(*p.shape, words - 1)
    return torch.cat([p.unsqueeze(-1), rest], dim=-1).log()


def loss_of(p, **settings):
    return profit_loss(logits_of(p), torch.zeros(len(p), dtype=torch.long), shift=False, **settings)


@pytest.mark.parametrize(
    ("threshold", "direction", "kept"),
    [(0.1, "higher", [0.9, 0.5, 0.2]), (0.4, "lower", [0.05, 0.2]), ((0.1, 0.6), "middle", [0.5, 0.2])],
)
def test_the_loss_is_that_of_the_kept_tokens_over_all_asked_ones(threshold, direction, kept):
    by_hand = -sum(math.log(p) for p in kept)
    settings = {"threshold": threshold, "direction": direction}
    assert loss_of(P, num_items=4, **settings).item() == pytest.approx(by_hand / 4, rel=1e-5)
    assert loss_of(P, **settings).item() == pytest.approx(by_hand / len(kept), rel=1e-5)
    assert loss_of(P, num_items=torch.tensor(8), **settings).item() == pytest.approx(by_hand / 8, rel=1e-5)


def test_a_token_at_the_threshold_is_kept_and_zero_is_plain_fine_tuning():
    assert kept_tokens(torch.tensor([0.1, 0.25]), 0.25).tolist() == [False, True]
    assert kept_tokens(torch.tensor([0.0, 1.0]), 0.0).all()
    logits, labels = torch.randn(2, 6, 5), torch.randint(0, 5, (2, 6))
    plain = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    assert profit_loss(logits, labels, threshold=0).item() == pytest.approx(plain.item())


def test_the_gradient_is_that_of_the_kept_tokens_alone():
    """(p - onehot) / n in the kept rows, exact zeros in the dropped ones: p itself is not differentiated."""
    logits = logits_of(P).requires_grad_()
    profit_loss(logits, torch.zeros(4, dtype=torch.long), num_items=4, shift=False).backward()
    expected = (logits.detach().softmax(1) - F.one_hot(torch.zeros(4, dtype=torch.long), 3)) / 4
    expected[1] = 0
    assert torch.allclose(logits.grad, expected, atol=1e-6)


def test_nothing_kept_gives_a_zero_that_can_be_differentiated():
    logits = torch.tensor([[0.0, -math.inf], [3.0, -9.0]], requires_grad=True)
    for labels in ([1, 1], [-100, -100]):
        for num_items in (None, 2, 0):
            loss = profit_loss(logits, torch.tensor(labels), threshold=0.5, num_items=num_items, shift=False)
            loss.backward()
            assert loss.item() == 0
            assert torch.equal(logits.grad, torch.zeros(2, 2))


def test_a_dropped_impossible_token_does_not_spoil_the_others():
    logits = torch.tensor([[0.0, -math.inf], [0.0, 0.0]], requires_grad=True)
    loss = profit_loss(logits, torch.tensor([1, 1]), num_items=2, shift=False)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) / 2)
    assert logits.grad.isfinite().all()


def test_random_dropping_has_the_rate_it_is_given_and_repeats_itself():
    p = torch.full((20_000,), 0.5)
    masks = [kept_tokens(p, 0.3, "random", torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*masks)
    assert masks[0].float().mean().item() == pytest.approx(0.7, abs=0.015)
    assert kept_tokens(p, 0.0, "random").all()
    assert not kept_tokens(p, 1.0, "random").any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_adds_loss_and_rows_may_stand_in_any_order(seed, one, other):
    draw = torch.Generator().manual_seed(seed)
    logits, labels = 3 * torch.randn(4, 7, 6, generator=draw), torch.randint(0, 6, (4, 7), generator=draw)
    labels[torch.rand(4, 7, generator=draw) < 0.3] = -100
    low, high = sorted((one, other))
    losses = [profit_loss(logits, labels, threshold=tau, num_items=20).item() for tau in (0.0, low, high)]
    assert losses[0] >= losses[1] - 1e-6 >= losses[2] - 2e-6 >= -2e-6
    order = torch.randperm(4, generator=draw)
    assert profit_loss(logits[order], labels[order], threshold=low).item() == pytest.approx(
        profit_loss(logits, labels, threshold=low).item(), abs=1e-5
    )


def test_padding_changes_neither_the_loss_nor_the_draws():
    logits, labels = torch.randn(2, 5, 4), torch.randint(0, 4, (2, 5))
    padded = torch.cat([logits, torch.randn(2, 3, 4)], dim=1), F.pad(labels, (0, 3), value=-100)
    for direction in ("higher", "random"):
        first, second = (
            profit_loss(*batch, threshold=0.3, direction=direction, generator=torch.Generator().manual_seed(1))
            for batch in ((logits, labels), padded)
        )
        assert first.item() == pytest.approx(second.item())


def test_the_keep_rate_counts_what_was_trained_on_and_leaves_evaluations_out():
    profit = ProFit(0.1)
    assert math.isnan(profit.keep_rate)
    labels = torch.zeros(4, dtype=torch.long)
    profit.loss(logits_of(P).requires_grad_(), labels, shift=False)
    assert profit.keep_rate == 0.75
    profit.loss(logits_of(P), labels, shift=False)  # no gradient is wanted
    profit.loss(logits_of(P[:2]).requires_grad_(), labels[:2], shift=False)
    assert profit.keep_rate == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threshold": 1.3}, r"threshold: got 1.3, wanted a number in \[0, 1\]"),
        ({"threshold": float("nan")}, "threshold: got nan"),
        ({"threshold": 0.5, "direction": "middle"}, "wanted two numbers"),
        ({"threshold": (0.6, 0.2), "direction": "middle"}, "tau1 < tau2"),
        ({"threshold": (0.1, 0.2, 0.3), "direction": "middle"}, "tau1 < tau2"),
        ({"threshold": (0.1, 0.2)}, "wanted one number with direction 'higher'"),
        ({"direction": "up"}, "direction: got 'up', wanted one of higher, lower, middle, random"),
        ({"num_items": -1}, "num_items: got -1"),
    ],
)
def test_wrong_settings_are_named(settings, said):
    with pytest.raises(ValueError, match=said):
        loss_of(P, **settings)


def test_wrong_tensors_are_named():
    with pytest.raises(TypeError, match=r"threshold: got '0\.1'"):
        ProFit("0.1")
    with pytest.raises(TypeError, match=r"logits: got torch\.int64"):
        profit_loss(torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"labels: got shape \(2, 5\), wanted \(2, 4\) for logits"):
        profit_loss(torch.zeros(2, 4, 3), torch.zeros(2, 5, dtype=torch.long))
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=rf"labels: got {wrong}, wanted token ids in \[0, 3\) or -100"):
            profit_loss(torch.zeros(2, 3), torch.tensor([wrong, 0]))


# What the method rests on.


def small(seed: int = 0):
    return tiny_llama(hidden=16, layers=1, heads=2, mlp=32, seed=seed)


@cache
def shared():
    """A model that nobody trains."""
    model = small()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # sure of itself: probabilities of all sizes
    return model


def asked(ids: list[int]) -> dict[str, torch.Tensor]:
    tokens = torch.tensor([ids])
    return {"input_ids": tokens, "labels": torch.where(torch.arange(len(ids)) < 2, -100, tokens)}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=4, max_size=9))
def test_no_gradient_of_the_logits_is_below_the_bound(ids):
    p, norm = token_gradient_norms(shared(), asked(ids))
    assert len(p) == len(ids) - 2
    assert (norm >= gradient_lower_bound(p) - 1e-6).all()


def test_the_bound_is_met_where_one_other_token_holds_the_rest():
    p = torch.tensor([0.2, 0.7])
    logits = logits_of(p, words=2).requires_grad_()
    F.cross_entropy(logits, torch.zeros(2, dtype=torch.long), reduction="sum").backward()
    assert torch.allclose(logits.grad.norm(dim=1), math.sqrt(2) * gradient_lower_bound(p), atol=1e-6)


def test_parameter_gradients_are_those_of_a_backward_pass_for_each_token():
    model, batch = small(), asked([1, 7, 30, 31, 32])
    p, norm = token_gradient_norms(model, batch, at="parameters")
    for place, expected in enumerate(norm):
        labels = torch.full_like(batch["labels"], -100)
        labels[0, place + 2] = batch["labels"][0, place + 2]
        model.zero_grad()
        loss = model(batch["input_ids"], labels=labels).loss
        loss.backward()
        assert p[place].item() == pytest.approx(math.exp(-loss.item()), rel=1e-4)
        by_hand = math.sqrt(sum(float(q.grad.square().sum()) for q in model.parameters()))
        assert expected.item() == pytest.approx(by_hand, rel=1e-4)


def test_bounds_refuse_what_is_no_probability():
    with pytest.raises(ValueError, match="p: got a value outside"):
        gradient_lower_bound(torch.tensor([1.2]))
    with pytest.raises(ValueError, match="gamma: got 0"):
        gradient_lower_bound(torch.tensor([0.2]), 0)
    with pytest.raises(ValueError, match="at: got 'weights'"):
        token_gradient_norms(small(), asked([1, 2, 3]), at="weights")


def test_probabilities_of_a_completion_multiply_to_the_models_own():
    model, tokenizer = small(), build()
    tokens, p = token_probabilities(model, tokenizer, "12+3=", "15\n#15")
    assert "".join(tokens) == "15\n#15"
    prompt, rest = tokenizer("12+3=")["input_ids"], tokenizer("15\n#15")["input_ids"]
    loss = model(torch.tensor([prompt + rest]), labels=torch.tensor([[-100] * len(prompt) + rest])).loss
    assert -p.log().sum().item() == pytest.approx(loss.item() * len(rest), rel=1e-4)


def test_an_empty_prompt_is_the_start_token_and_without_one_the_first_token_is_left_out():
    model, tokenizer = small(), build()
    assert len(token_probabilities(model, tokenizer, "", "12")[1]) == 1
    tokenizer.bos_token = None
    assert token_probabilities(model, tokenizer, "", "12+3")[0] == ["+", "3"]
    with pytest.raises(ValueError, match="holds no token to score"):
        token_probabilities(model, tokenizer, "", "12")


def test_the_probe_tells_a_probable_core_from_free_words():
    from assay.models.finetune import finetune

    model = tiny_llama(hidden=32, layers=1, heads=2, mlp=64)
    pairs = [("say", f"7{letter}7{letter}") for letter in "abcdefghijklmnop"]
    finetune(model, pairs, steps=30, batch=16, learning_rate=1e-2, seed=0)
    texts = [(f"<bos><user>{prompt}<bot>", reply) for prompt, reply in pairs]
    report = core_trivial_probe(model, build(), texts, str.isdigit)
    assert (report.core_tokens, report.trivial_tokens) == (32, 32)
    assert report.core > report.trivial
    assert report.p_value < 1e-6
    with pytest.raises(ValueError, match="found no trivial token in 16 texts"):
        core_trivial_probe(model, build(), texts, lambda token: True)


# The trainers that it is made for.

ROWS = [{"prompt": f"<bos><user>{n}<bot>", "completion": f"{n}+{n}={2 * n}<eos>"} for n in range(10, 42)]


def test_in_trl_it_trains_on_the_probable_tokens_only(tmp_path):
    changed = {tau: sft(tmp_path, ProFit(tau)) for tau in (0.0, 0.9)}
    plain, _ = sft(tmp_path, None)
    model, log = changed[0.0]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(plain.parameters(), model.parameters()))
    assert log[0]["loss"] > 1
    start, (model, log) = small(), changed[0.9]  # a fresh model finds nothing nine times out of ten
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), model.parameters()))
    assert log[0]["loss"] == 0


def sft(folder, profit):
    """A short run of TRL's SFTTrainer with two accumulated micro-batches a step: the model and its log."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    trainer = SFTTrainer(
        small(),
        SFTConfig(
            **{**RECIPE, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 4, "max_length": 32},
            output_dir=str(folder),
            max_steps=3,
            weight_decay=0.0,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=Dataset.from_list(ROWS),
        processing_class=build(),
        compute_loss_func=profit,
    )
    trainer.train()
    return trainer.model, trainer.state.log_history


def test_in_transformers_accumulated_batches_give_the_loss_of_one_large_batch(tmp_path):
    from transformers import Trainer, TrainingArguments

    rows = [{"input_ids": torch.randint(20, 200, (6,), generator=torch.manual_seed(i))} for i in range(8)]
    for i, row in enumerate(rows):
        row["labels"] = torch.where(torch.arange(6) < i % 4, -100, row["input_ids"])  # rows ask different counts
    losses, rates = [], []
    for size, accumulated in ((8, 1), (2, 4)):
        profit = ProFit(0.004)
        trainer = Trainer(
            small(),
            TrainingArguments(
                str(tmp_path),
                per_device_train_batch_size=size,
                gradient_accumulation_steps=accumulated,
                max_steps=1,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=rows,
            compute_loss_func=profit,
        )
        trainer.train()
        losses.append(trainer.state.log_history[0]["loss"])
        rates.append(profit.keep_rate)
    assert 0 < rates[0] < 1
    assert rates[0] == rates[1]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
