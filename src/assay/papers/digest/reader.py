"""The model that reads papers, through Inspect: any provider, its retries, its cache, its token counts.

What goes wrong with one call becomes `PaperFailed` with a reason of the ledger. Inspect is imported when a model is
opened, not before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from assay.errors import UserError, without_markup

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelOutput

TEMPERATURE = 0.2
MAX_OUTPUT = 2500  # tokens of a reply
CALL_SECONDS = 180
PROVIDER_RETRIES = 3  # Inspect's own, on top of the first try; then the whole call is made once more
EXTRACTIVE = "extractive"
HOW_TO_CHOOSE = "set --model or ASSAY_MODEL (e.g. openai/gpt-5); --model extractive needs none"


class PaperFailed(Exception):
    """One paper could not be written; the others go on. `reason` is what the ledger and the report show."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class _MayPass(PaperFailed):
    """A failure that one more call may mend."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation with the model."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, and what it cost; `cut` where the output limit ended it."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    cut: bool = False


class Reader(Protocol):
    """What the digest asks of a model."""

    name: str

    async def ask(
        self, turns: Sequence[Turn], schema: Mapping[str, Any], *, attempt: str = "1", room: int = MAX_OUTPUT
    ) -> Reply: ...

    async def count(self, text: str) -> int | None: ...


def open_reader(name: str | None) -> InspectReader:
    """The model named by `--model`, else `$ASSAY_MODEL`, else Inspect's role `reader` or its default model.

    Raises UserError where there is none, no key for it, or no such provider.
    """
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import get_model

    named = name or os.environ.get("ASSAY_MODEL") or None
    try:
        return InspectReader(get_model(role="reader", default=named))
    except (PrerequisiteError, ValueError, ImportError) as error:
        if named is None and "No model specified" in str(error):
            raise UserError(f"no model: {HOW_TO_CHOOSE}") from error
        raise UserError(f"no model ({without_markup(error)}): {HOW_TO_CHOOSE}") from error


class InspectReader:
    """An Inspect model as a `Reader`. `seconds` is what one call may take, `retries` how often the provider is
    asked again before the call counts as failed."""

    def __init__(self, model: Model, *, seconds: int = CALL_SECONDS, retries: int = PROVIDER_RETRIES) -> None:
        self.name = str(model)
        self._model = model
        self._seconds, self._retries = seconds, retries
        self._takes_schema = True
        self._counts = True

    async def ask(
        self, turns: Sequence[Turn], schema: Mapping[str, Any], *, attempt: str = "1", room: int = MAX_OUTPUT
    ) -> Reply:
        """One call. Only a call of the same `attempt` is answered out of Inspect's cache: a new try of a paper, and a
        repair of a reply that came back unchanged, are asked anew."""
        output = None
        with contextlib.suppress(_MayPass):
            output = await self._generate(turns, schema, attempt, room)
        if output is None:
            output = await self._generate(turns, schema, attempt, room)
        if not output.choices:
            raise PaperFailed("model_error", output.error or "the model returned nothing")
        if output.stop_reason == "content_filter":
            raise PaperFailed("content_filter", output.completion[:200] or "the provider blocked the reply")
        usage = output.usage
        tokens_in = tokens_out = 0
        if usage is not None:
            tokens_in = usage.input_tokens + (usage.input_tokens_cache_read or 0)
            tokens_in += usage.input_tokens_cache_write or 0
            tokens_out = usage.output_tokens
        cost = (usage.total_cost if usage is not None else None) or 0.0
        return Reply(output.completion, tokens_in, tokens_out, cost, output.stop_reason == "max_tokens")

    async def count(self, text: str) -> int | None:
        """The model's own count of tokens; None where it has none to offer, and from then on."""
        if not self._counts:
            return None
        try:
            return await self._model.count_tokens(text)
        except Exception:  # noqa: BLE001 - a provider may fail here in any way, and an estimate does as well
            self._counts = False
            return None

    async def _generate(self, turns: Sequence[Turn], schema: Mapping[str, Any], attempt: str, room: int) -> ModelOutput:
        from inspect_ai.model import CachePolicy, GenerateConfig, ResponseSchema
        from inspect_ai.util import JSONSchema

        config = GenerateConfig(
            temperature=TEMPERATURE,
            max_tokens=room,
            max_retries=self._retries,
            attempt_timeout=self._seconds,
        )
        if self._takes_schema:
            wanted = JSONSchema.model_validate(dict(schema))
            config = config.merge(GenerateConfig(response_schema=ResponseSchema(name="reply", json_schema=wanted)))
        policy = CachePolicy(scopes={"attempt": attempt})
        try:
            return await self._model.generate([_chat(turn) for turn in turns], config=config, cache=policy)
        except Exception as error:  # whatever a provider raises fails this paper and no other
            if self._takes_schema and _refuses_schema(error):
                self._takes_schema = False
                return await self._generate(turns, schema, attempt, room)
            raise _failure(error, self._seconds) from error


def _chat(turn: Turn) -> Any:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds[turn.role](content=turn.text)


def _failure(error: Exception, seconds: int) -> PaperFailed:
    """The reason that the ledger keeps, from a provider's own exception and what it was caused by."""
    chain = _chain(error)
    told = " ".join(str(chain[-1]).split())[-300:] or type(error).__name__
    if any(isinstance(e, TimeoutError) or "Timeout" in type(e).__name__ for e in chain):
        return _MayPass("model_timeout", f"no reply within {seconds} s")
    if any(getattr(e, "status_code", None) == 429 or "RateLimit" in type(e).__name__ for e in chain):
        return _MayPass("rate_limited", told)
    if any("content_filter" in str(e) or "content management policy" in str(e) for e in chain):
        return PaperFailed("content_filter", told)
    return _MayPass("model_error", told)


def _refuses_schema(error: Exception) -> bool:
    """True where a server says that it does not take a schema for its replies."""
    return any(
        getattr(e, "status_code", None) in (400, 404, 422, 501)
        and any(word in str(e) for word in ("response_format", "json_schema", "response_schema"))
        for e in _chain(error)
    )


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain
