"""`LocalSampler`: a transformers model of this process as a `Sampler`.

Requests that wait while the model is idle form one batch. A batch starts when the event loop has nothing else
to do, not after some time has passed, so that a repeated run forms the same batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import RunVar, checkpoint

from assay.methods.concurrency import gather
from assay.methods.protocols import Message, Sample, TokenLogprob
from assay.models.decoding import Reply, Request, decode

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


BATCH_ROWS = 64
_ROUNDS_OF_PATIENCE = 3  # turns of the event loop in which others may still add to a batch


@dataclass(eq=False)
class _Ticket:
    request: Request
    reply: Reply | None = None


@dataclass
class _Queue:
    """What waits in one event loop."""

    waiting: list[_Ticket] = field(default_factory=list)
    busy: bool = False
    freed: anyio.Event = field(default_factory=anyio.Event)
    worker: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))


class Batcher:
    """Runs requests on one model, whoever sends them, up to 64 side by side.

    In one worker thread, so that the event loop stays free (`in_thread`), or in the event loop itself: then which
    requests meet in a batch does not depend on time, also where several models answer in turn.
    """

    def __init__(self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, in_thread: bool = True) -> None:
        self.model, self.tokenizer, self.in_thread = model, tokenizer, in_thread
        self._queue: RunVar[_Queue] = RunVar(f"requests for model {id(self)}")

    async def reply(self, request: Request) -> Reply:
        """The reply to one request; waits for its turn."""
        queue = self._queue.get(None)
        if queue is None:
            self._queue.set(queue := _Queue())
        ticket = _Ticket(request)
        queue.waiting.append(ticket)
        try:
            while ticket.reply is None:
                if queue.busy:
                    await queue.freed.wait()
                else:
                    await self._serve(queue)
        finally:
            if ticket in queue.waiting:  # cancelled before its batch began
                queue.waiting.remove(ticket)
        return ticket.reply

    async def _serve(self, queue: _Queue) -> None:
        """One batch, on behalf of all who wait; whoever is left over serves the next."""

        queue.busy, queue.freed = True, anyio.Event()
        try:
            for _ in range(_ROUNDS_OF_PATIENCE):
                await checkpoint()
            batch = queue.waiting[:BATCH_ROWS]  # they stay in the queue until served: this task may be cancelled
            requests = [ticket.request for ticket in batch]
            replies = await self._decode(requests, queue.worker)
            for ticket, reply in zip(batch, replies):
                ticket.reply = reply
            queue.waiting = [ticket for ticket in queue.waiting if ticket.reply is None]
        finally:
            queue.busy = False
            queue.freed.set()

    async def _decode(self, requests: list[Request], worker: anyio.CapacityLimiter) -> list[Reply]:
        if not self.in_thread:
            return decode(self.model, self.tokenizer, requests)
        return await anyio.to_thread.run_sync(decode, self.model, self.tokenizer, requests, limiter=worker)


class LocalSampler:
    """A built-in (or any Llama-like) model as a `Sampler`.

    A call's draws are a function of its `seed`, its prompt and the index of the reply; without a `seed`, of the
    sampler's own `seed`, the prompt, and how often that prompt was asked before. `Sample.logprobs` covers every
    generated token, `<eos>` and stop text included, so it is as long as `tokens_out`.
    """

    def __init__(
        self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, seed: int = 0, in_thread: bool = False
    ) -> None:
        self.batcher = Batcher(model, tokenizer, in_thread=in_thread)
        self.seed = seed
        self._visits: Counter[tuple[int, ...]] = Counter()

    async def __call__(
        self,
        messages: Sequence[Message] | str,
        *,
        n: int = 1,
        max_tokens: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        stop: Sequence[str] = (),
        top_logprobs: int | None = None,
        continue_assistant: bool = False,
        seed: int | None = None,
    ) -> list[Sample]:
        if isinstance(stop, str):
            raise TypeError(f"stop: got the text {stop!r}, wanted a sequence of texts")
        model, tokenizer = self.batcher.model, self.batcher.tokenizer
        prompt = prompt_ids(tokenizer, messages, continue_assistant=continue_assistant)
        request = Request(
            prompt,
            room(model, prompt, max_tokens),
            temperature=temperature,
            top_p=top_p,
            stop=tuple(stop),
            top_logprobs=top_logprobs,
        )
        replies = await self.replies(request, n, seed)
        return [_sample(len(prompt), reply, top_logprobs is not None) for reply in replies]

    async def replies(self, request: Request, n: int, seed: int | None) -> list[Reply]:
        """`n` replies to one request, its `seed` and `choice` filled in as above."""
        if n < 1:
            raise ValueError(f"n: got {n}, wanted at least 1")
        first = 0
        if seed is None:
            seed, first = self.seed, self._visits[request.prompt]
            self._visits[request.prompt] += n
        calls = [
            partial(self.batcher.reply, replace(request, seed=seed, choice=choice))
            for choice in range(first, first + n)
        ]
        return await gather(calls)


def prompt_ids(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message] | str, *, continue_assistant: bool = False
) -> tuple[int, ...]:
    """Token ids of a conversation in the model's chat format, open for the assistant's reply, or for the rest of
    its last message. A text alone is the user's. Names of special tokens in a text stand for those tokens."""
    turns = [Message("user", messages)] if isinstance(messages, str) else list(messages)
    if not turns:
        raise ValueError("messages: got none, wanted at least one")
    if any(turn.images for turn in turns):
        raise ValueError("messages: got an image, but this model reads text only")
    opened = ""
    if continue_assistant:
        if turns[-1].role != "assistant":
            raise ValueError(f"continue_assistant: the last message is the {turns[-1].role}'s, wanted the assistant's")
        opened = turns.pop().text
    chat = [{"role": turn.role, "content": turn.text} for turn in turns]
    text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    return tuple(tokenizer.encode(f"{text}{opened}", add_special_tokens=False))


def room(model: LlamaForCausalLM, prompt: Sequence[int], max_tokens: int | None) -> int:
    """New tokens that fit the model's window after the prompt, at most `max_tokens`."""
    window = model.config.max_position_embeddings
    if len(prompt) >= window:
        raise ValueError(f"messages: {len(prompt)} tokens do not fit the model's window of {window}")
    if max_tokens is not None and max_tokens < 1:
        raise ValueError(f"max_tokens: got {max_tokens}, wanted at least 1")
    return min(window - len(prompt), max_tokens if max_tokens is not None else window)


def _sample(tokens_in: int, reply: Reply, with_logprobs: bool) -> Sample:
    logprobs = tuple(TokenLogprob(*entry) for entry in reply.logprobs) if with_logprobs else None
    return Sample(reply.text, tokens_in, len(reply.ids), reply.stop_reason, logprobs)
