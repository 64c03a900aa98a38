"""Generation: against a plain forward pass, alone and in company, greedy and drawn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from assay.models import tokenizer as tok
from assay.models.decoding import Request, decode
from assay.models.local_sampler import prompt_ids
from assay.models.nano import load, tiny_llama
from assay.worlds.text import lists, lookup


@pytest.fixture(scope="module")
def nano():
    return load("nano")


def prompts(tokenizer, count):
    problems = [(lookup, lists)[i % 2].sample(i) for i in range(count)]
    return [prompt_ids(tokenizer, p.prompt) for p in problems]


def choosy():
    """An untrained model, whose near uniform distribution is made to differ between tokens."""
    model = tiny_llama(hidden=32, layers=1, heads=2, mlp=32, seed=1)
    with torch.no_grad():
        model.model.norm.weight *= 10
    return model, tok.build()


@torch.no_grad()
def forward_logprobs(model, ids):
    return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


def test_greedy_is_the_argmax_of_a_plain_forward_pass_at_every_token(nano):
    model, tokenizer = nano
    for prompt in prompts(tokenizer, 6):
        (reply,) = decode(model, tokenizer, [Request(prompt, 40, temperature=0)])
        plain = forward_logprobs(model, [*prompt, *reply.ids])
        assert plain[len(prompt) - 1 : -1].argmax(-1).tolist() == reply.ids
        assert reply.stop_reason == "stop"
        assert reply.ids[-1] == tok.EOS


def test_logprobs_are_those_of_a_plain_forward_pass_whatever_the_temperature(nano):
    model, tokenizer = nano
    (prompt,) = prompts(tokenizer, 1)
    (reply,) = decode(model, tokenizer, [Request(prompt, 30, temperature=1.7, top_p=0.9, top_logprobs=5)])
    plain = forward_logprobs(model, [*prompt, *reply.ids])[len(prompt) - 1 :]
    assert len(reply.logprobs) == len(reply.ids)
    for row, token, (name, logprob, top) in zip(plain, reply.ids, reply.logprobs):
        assert name == tokenizer.decode([token])
        assert logprob == pytest.approx(float(row[token]), abs=1e-4)
        best = row.topk(5)
        assert [t for t, _ in top] == [tokenizer.decode([i]) for i in best.indices.tolist()]
        assert [p for _, p in top] == pytest.approx(best.values.tolist(), abs=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_reply_is_the_same_alone_and_among_32(nano, temperature):
    model, tokenizer = nano
    requests = [
        Request(p, 40, temperature=temperature, top_p=0.95, seed=3, top_logprobs=1) for p in prompts(tokenizer, 32)
    ]
    together = decode(model, tokenizer, requests)
    for request, in_company in list(zip(requests, together))[::4]:
        (alone,) = decode(model, tokenizer, [request])
        assert alone.text == in_company.text
        assert [p for _, p, _ in alone.logprobs] == pytest.approx([p for _, p, _ in in_company.logprobs], abs=1e-4)


def test_draws_follow_the_models_distribution():
    model, tokenizer = choosy()
    prompt = (tok.BOS, tok.USER, 20, tok.BOT)
    n = 2000
    replies = decode(model, tokenizer, [Request(prompt, 1, choice=i) for i in range(n)])
    seen = Counter(reply.ids[0] for reply in replies)
    p = forward_logprobs(model, list(prompt))[-1].exp()
    for token in p.topk(5).indices.tolist():
        share = float(p[token])
        assert abs(seen[token] / n - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_top_k_and_top_p_keep_the_most_likely_tokens():
    model, tokenizer = choosy()
    prompt = (tok.BOS, tok.USER, 20, tok.BOT)
    p = forward_logprobs(model, list(prompt))[-1].exp()
    order = p.argsort(descending=True).tolist()
    by_k = decode(model, tokenizer, [Request(prompt, 1, choice=i, top_k=3) for i in range(200)])
    assert {reply.ids[0] for reply in by_k} == set(order[:3])
    mass = float(p[order[:4]].sum()) - 1e-9  # the fourth is needed to reach it
    by_p = decode(model, tokenizer, [Request(prompt, 1, choice=i, top_p=mass) for i in range(400)])
    assert {reply.ids[0] for reply in by_p} <= set(order[:4])
    assert order[3] in {reply.ids[0] for reply in by_p} or float(p[order[3]]) < 0.02


def test_a_high_frequency_penalty_keeps_tokens_from_coming_back():
    model, tokenizer = tiny_llama(hidden=32, layers=1, heads=2, mlp=32, seed=1), tok.build()
    prompt = (tok.BOS, tok.USER, 20, tok.BOT)
    (free,) = decode(model, tokenizer, [Request(prompt, 30, temperature=0)])
    (held,) = decode(model, tokenizer, [Request(prompt, 30, temperature=0, frequency_penalty=100)])
    assert len(set(free.ids)) < len(free.ids)
    assert len(set(held.ids)) == len(held.ids)


def test_a_stop_text_ends_the_reply_before_it(nano):
    model, tokenizer = nano
    (prompt,) = prompts(tokenizer, 1)
    (whole,) = decode(model, tokenizer, [Request(prompt, 40, temperature=0)])
    (first,) = decode(model, tokenizer, [Request(prompt, 40, temperature=0, stop=("\n",))])
    assert first.text == whole.text.split("\n")[0]
    assert first.stop_reason == "stop"
    assert first.ids == whole.ids[: len(first.ids)]
    (cut,) = decode(model, tokenizer, [Request(prompt, 2, temperature=0)])
    assert cut.stop_reason == "max_tokens"
    assert len(cut.ids) == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"prompt": ()}, "prompt"),
        ({"max_tokens": 0}, "max_tokens: got 0"),
        ({"temperature": -1.0}, "temperature: got -1"),
        ({"temperature": float("nan")}, "temperature: got nan"),
        ({"top_p": 0.0}, "top_p: got 0"),
        ({"top_k": 0}, "top_k: got 0"),
        ({"top_logprobs": 21}, "top_logprobs: got 21"),
        ({"stop": ("",)}, "stop: got an empty string"),
    ],
)
def test_wrong_requests_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Request(**({"prompt": (1,), "max_tokens": 1} | wrong))
