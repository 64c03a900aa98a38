"""`LocalSampler` and `Models`: repeatable draws, batches, prefill, and what was spent."""

from __future__ import annotations

import anyio
import pytest
import torch

import assay.models.local_sampler as module
from assay.errors import UserError
from assay.methods.concurrency import gather
from assay.methods.protocols import Message
from assay.models import Models
from assay.models.local_sampler import LocalSampler
from assay.models.nano import load
from assay.worlds.text import chain, lookup


@pytest.fixture(scope="module")
def nano():
    return load("nano")


@pytest.fixture
def sampler(nano):
    return LocalSampler(*nano)


PROMPT = chain.sample(4).prompt


def test_the_same_seed_gives_the_same_replies_and_choices_differ(nano):
    async def main():
        once = await LocalSampler(*nano)(PROMPT, n=8, temperature=1.5, seed=5)
        again = await LocalSampler(*nano)(PROMPT, n=8, temperature=1.5, seed=5)
        other = await LocalSampler(*nano)(PROMPT, n=8, temperature=1.5, seed=6)
        assert once == again != other
        assert len({sample.text for sample in once}) > 1

    anyio.run(main)


def test_without_a_seed_a_repeated_question_draws_on_and_a_new_sampler_begins_anew(nano):
    async def main():
        first = LocalSampler(*nano)
        together = await first(PROMPT, n=4, temperature=1.5)
        assert await first(PROMPT, n=4, temperature=1.5) != together
        second = LocalSampler(*nano)
        one_by_one = [(await second(PROMPT, temperature=1.5))[0] for _ in range(4)]
        assert one_by_one == together

    anyio.run(main)


def test_calls_that_wait_together_share_a_batch(sampler, monkeypatch):
    sizes = []

    def counted(model, tokenizer, requests):
        sizes.append(len(requests))
        return original(model, tokenizer, requests)

    original = module.decode
    monkeypatch.setattr(module, "decode", counted)

    async def main():
        asked = [lookup.sample(i).prompt for i in range(100)]
        calls = [lambda p=p: sampler(p, max_tokens=3, temperature=0) for p in asked]
        replies = await gather(calls)
        assert [r[0].text for r in replies[:5]] == [
            (await sampler(p, max_tokens=3, temperature=0))[0].text for p in asked[:5]
        ]

    anyio.run(main)
    assert sizes[:2] == [64, 36]


def test_a_cancelled_caller_does_not_keep_the_others_waiting(sampler):
    texts = []

    async def ask(i):
        texts.append((await sampler(lookup.sample(i).prompt, temperature=0))[0].text)

    async def main():
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(ask, 1)
                scope.cancel()
                await sampler(lookup.sample(0).prompt)
            group.start_soon(ask, 2)
        assert scope.cancelled_caught

    anyio.run(main)
    assert len(texts) == 2


def test_an_opened_reply_is_continued(sampler):
    async def main():
        problem = lookup.sample(3)
        (whole,) = await sampler(problem.prompt, temperature=0)
        start, rest = whole.text[:5], whole.text[5:]
        chat = [Message("user", problem.prompt), Message("assistant", start)]
        (continued,) = await sampler(chat, temperature=0, continue_assistant=True)
        assert continued.text == rest
        (anew,) = await sampler(
            [Message("user", problem.prompt), Message("assistant", "")], temperature=0, continue_assistant=True
        )
        assert anew.text == whole.text

    anyio.run(main)


def test_tokens_are_counted_as_the_model_saw_them(sampler):
    async def main():
        (sample,) = await sampler("C63+5", temperature=0, top_logprobs=2)
        assert sample.tokens_in == 7  # <bos> <user> C 63 + 5 <bot>
        assert sample.tokens_out == len(sample.logprobs)
        assert all(len(entry.top) == 2 for entry in sample.logprobs)
        (bare,) = await sampler("C63+5", temperature=0)
        assert bare.logprobs is None

    anyio.run(main)


@pytest.mark.parametrize(
    ("messages", "options", "words"),
    [
        ([], {}, "messages: got none"),
        ("C1", {"n": 0}, "n: got 0"),
        ("C1", {"max_tokens": 0}, "max_tokens: got 0"),
        ("C1", {"continue_assistant": True}, "the last message is the user's"),
        ("a" * 1100, {}, "do not fit the model's window of 1024"),
        ([Message("user", "x", images=("cat.png",))], {}, "reads text only"),
    ],
)
def test_wrong_calls_say_what_is_wrong(sampler, messages, options, words):
    async def main():
        with pytest.raises(ValueError, match=words):
            await sampler(messages, **options)

    anyio.run(main)


def test_a_stop_text_must_come_in_a_sequence(sampler):
    async def main():
        with pytest.raises(TypeError, match="stop"):
            await sampler("C1", stop="\n")

    anyio.run(main)


def test_models_add_up_what_calls_cost_and_name_what_they_handed_out():
    models = Models()

    async def main():
        samples = await models.sampler("nano")(PROMPT, n=3, seed=0)
        samples += await models.sampler("nano")(PROMPT, seed=1)
        assert models.spent.model_calls == 4
        assert models.spent.tokens_in == sum(s.tokens_in for s in samples)
        assert models.spent.tokens_out == sum(s.tokens_out for s in samples)

    anyio.run(main)
    assert set(models.digests) == {"nano"}
    assert len(models.digests["nano"]) == 64


def test_models_load_fresh_weights_every_time():
    models = Models()
    one, _ = models.load("nano")
    with torch.no_grad():
        one.model.norm.weight.zero_()
    two, _ = models.load("nano")
    assert bool((two.model.norm.weight != 0).any())


def test_an_unknown_model_is_refused_with_the_names_there_are():
    with pytest.raises(UserError, match="unknown model 'pico': the built-in ones are nano, micro"):
        Models().load("pico")
