"""Assay's built-in models as an Inspect model provider: `inspect eval TASK --model assay/nano`.

`-M recipe=FILE` steers the model by what `assay use steer2adapt fit` wrote.

A trailing assistant message is continued (prefill). Sampling settings that these models do not know are refused
by name instead of being passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from assay.methods.protocols import Message
from assay.models.decoding import Reply, Request
from assay.models.local_sampler import LocalSampler, prompt_ids, room
from assay.models.nano import load

_REFUSED = (
    "best_of",
    "presence_penalty",
    "logit_bias",
    "prompt_logprobs",
    "response_schema",
    "reasoning_tokens",
    "modalities",
    "extra_body",
)


class AssayModel(ModelAPI):
    """`assay/NAME` for a built-in model, steered where a recipe is given. Without a `seed` in the configuration,
    asking the same prompt again gives further replies of the same repeatable stream."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - the signature Inspect calls
        recipe: str | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        if model_args:
            raise ValueError(f"model_args: got {sorted(model_args)}, but assay/{model_name} takes only recipe")
        model, tokenizer = load(model_name)
        if recipe is not None:
            from assay.methods.interpretability import steer2adapt

            steered = steer2adapt.SteeredModel(model, *steer2adapt.load(Path(recipe)))
            self._steering = steered.applied()  # kept: with the block gone, the hooks are
            self._steering.__enter__()
        self._local = LocalSampler(model, tokenizer, in_thread=True)

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """One output with `num_choices` replies, written side by side with whatever else is waiting."""
        self._refuse(tools, config)
        tokenizer, model = self._local.batcher.tokenizer, self._local.batcher.model
        prompt = prompt_ids(tokenizer, _messages(input), continue_assistant=input[-1].role == "assistant")
        with_logprobs = bool(config.logprobs) or config.top_logprobs is not None
        request = Request(
            prompt,
            room(model, prompt, config.max_tokens),
            temperature=_or(config.temperature, 1.0),
            top_p=_or(config.top_p, 1.0),
            top_k=config.top_k,
            frequency_penalty=_or(config.frequency_penalty, 0.0),
            stop=tuple(config.stop_seqs or ()),
            top_logprobs=(config.top_logprobs or 0) if with_logprobs else None,
        )
        replies = await self._local.replies(request, config.num_choices or 1, config.seed)
        written = sum(len(reply.ids) for reply in replies)
        return ModelOutput(
            model=self.model_name,
            choices=[self._choice(reply, with_logprobs) for reply in replies],
            usage=ModelUsage(input_tokens=len(prompt), output_tokens=written, total_tokens=len(prompt) + written),
        )

    async def count_text_tokens(self, text: str) -> int:
        """Tokens of a plain text, by the model's own tokenizer."""
        return len(self._local.batcher.tokenizer.encode(text, add_special_tokens=False))

    def max_connections(self) -> int:
        """As many as fill a few batches."""
        return 256

    def connection_key(self) -> str:
        """All built-in models share one machine."""
        return "assay"

    def _choice(self, reply: Reply, with_logprobs: bool) -> ChatCompletionChoice:
        message = ChatMessageAssistant(content=reply.text, model=self.model_name, source="generate")
        logprobs = None
        if with_logprobs:
            logprobs = Logprobs(
                content=[
                    Logprob(
                        token=token,
                        logprob=logprob,
                        top_logprobs=[TopLogprob(token=t, logprob=p) for t, p in top],
                    )
                    for token, logprob, top in reply.logprobs
                ]
            )
        return ChatCompletionChoice(message=message, stop_reason=reply.stop_reason, logprobs=logprobs)

    def _refuse(self, tools: Sequence[ToolInfo], config: GenerateConfig) -> None:
        named = [name for name in _REFUSED if getattr(config, name) is not None]
        if tools:
            named.append("tools")
        if named:
            raise ValueError(f"assay/{self.model_name} does not know {', '.join(named)}: leave it out")


def _messages(chat: Sequence[ChatMessage]) -> list[Message]:
    for message in chat:
        if not isinstance(message.content, str) and any(c.type != "text" for c in message.content):
            kinds = sorted({c.type for c in message.content} - {"text"})
            raise ValueError(f"input: got {', '.join(kinds)}, but the built-in models read text only")
    return [Message(message.role, message.text) for message in chat]


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
