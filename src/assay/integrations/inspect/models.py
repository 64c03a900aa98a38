"""Any Inspect model as the plain callables that methods take: `sampler(model)` and `complete(model)`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    Content,
    ContentImage,
    ContentText,
    GenerateConfig,
    Model,
    ModelOutput,
    ResponseSchema,
    get_model,
)
from inspect_ai.util import JSONSchema

from assay.methods.concurrency import gather
from assay.methods.protocols import Complete, Message, Sample, Sampler, TokenLogprob

CONTINUES = frozenset({"assay", "vllm", "sglang", "sagemaker"})  # providers that continue a last assistant message
_log = logging.getLogger(__name__)


def sampler(model: str | Model) -> Sampler:
    """An Inspect model, by name or as it is, as a `Sampler`.

    `n` replies are `n` calls; with a `seed` each has one of its own, derived from it. Where a provider cannot
    continue an assistant message, it is asked to in words, and the log warns that the text may start anew.
    """
    return _InspectSampler(get_model(model))


def complete(model: str | Model) -> Complete:
    """An Inspect model, by name or as it is, as a `Complete`. A schema is both said in the prompt and handed to the
    provider, which may or may not enforce it."""
    found = get_model(model)

    async def ask(
        prompt: str,
        *,
        images: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> str:
        config = GenerateConfig(temperature=temperature, max_tokens=max_tokens)
        if schema is not None:
            prompt += f"\n\nReply with JSON only, following this JSON Schema:\n{json.dumps(schema)}"
            wanted = JSONSchema.model_validate(dict(schema))
            config = config.merge(GenerateConfig(response_schema=ResponseSchema(name="reply", json_schema=wanted)))
        output = await found.generate([_chat(Message("user", prompt, tuple(images)))], config=config)
        return output.completion

    return ask


class _InspectSampler:
    def __init__(self, model: Model) -> None:
        self._model = model

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
        if n < 1:
            raise ValueError(f"n: got {n}, wanted at least 1")
        turns = [Message("user", messages)] if isinstance(messages, str) else list(messages)
        chat = [_chat(turn) for turn in turns]
        if continue_assistant:
            chat = self._continued(chat)
        config = GenerateConfig(
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p if top_p < 1 else None,
            stop_seqs=list(stop) or None,
            logprobs=True if top_logprobs is not None else None,
            top_logprobs=top_logprobs or None,
        )
        calls = [
            partial(self._model.generate, list(chat), config=config.model_copy(update={"seed": own}))
            for own in _seeds(seed, n)
        ]
        return [_sample(output) for output in await gather(calls)]

    def _continued(self, chat: list[ChatMessage]) -> list[ChatMessage]:
        if not chat or chat[-1].role != "assistant":
            raise ValueError("continue_assistant: wanted a last message of role 'assistant'")
        provider = str(self._model).split("/")[0]
        if provider in CONTINUES:
            return chat
        _log.warning("%s cannot continue an assistant message; it is asked to in words", self._model)
        return [*chat, ChatMessageUser(content=f"Continue exactly from: {chat[-1].text}")]


def _seeds(seed: int | None, n: int) -> list[int | None]:
    # The first reply keeps the caller's seed, so that n=1 asks the provider for exactly what was asked of us.
    return [None if seed is None else (seed + 7919 * i) % 2**31 for i in range(n)]


def _chat(message: Message) -> ChatMessage:
    if message.role == "assistant":
        return ChatMessageAssistant(content=message.text)
    if message.role == "system":
        return ChatMessageSystem(content=message.text)
    if message.role == "user":
        if not message.images:
            return ChatMessageUser(content=message.text)
        parts: list[Content] = [ContentImage(image=image) for image in message.images]
        return ChatMessageUser(content=[*parts, ContentText(text=message.text)])
    raise ValueError(f"messages: got role {message.role!r}, wanted 'system', 'user' or 'assistant'")


def _sample(output: ModelOutput) -> Sample:
    if not output.choices:
        raise ValueError(f"{output.model} returned no reply: {output.error or 'no reason given'}")
    choice, usage = output.choices[0], output.usage
    logprobs = None
    if choice.logprobs is not None:
        logprobs = tuple(
            TokenLogprob(
                entry.token, entry.logprob, tuple((top.token, top.logprob) for top in entry.top_logprobs or ())
            )
            for entry in choice.logprobs.content
        )
    tokens_in = tokens_out = 0
    if usage is not None:
        tokens_in = usage.input_tokens + (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        tokens_out = usage.output_tokens
    return Sample(choice.message.text, tokens_in, tokens_out, choice.stop_reason, logprobs)
