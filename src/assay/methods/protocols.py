"""What methods ask of the outside: models, judges and tools as plain callables, never clients.

Models are async; `assay.methods.concurrency.run_sync` calls them from ordinary code. Adapters for real models
live in `assay.integrations.inspect.models` and `assay.models.local_sampler`; `assay.integrations.sandbox` offers
`RunPython` and `OpenSession`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `images` are file paths or data URLs."""

    role: Role
    text: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenLogprob:
    """One generated token, its natural log-probability, and the most likely alternatives (token, logprob),
    best first, the token itself included when it is among them."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Sample:
    """One reply. `logprobs` is None unless they were asked for and the model gives them."""

    text: str
    tokens_in: int
    tokens_out: int
    stop_reason: str  # "stop" (end of text or a stop string), "max_tokens", or the provider's own word
    logprobs: tuple[TokenLogprob, ...] | None = None


class Sampler(Protocol):
    """Draws `n` replies to one conversation. A stop string that ends a reply is not part of its text.

    With `continue_assistant` the last message is the assistant's own and is continued (prefill); the reply
    holds the new text only. `temperature=0` is greedy. `top_logprobs=k` fills `Sample.logprobs`.
    """

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
    ) -> list[Sample]: ...


class Complete(Protocol):
    """One prompt, one text; with `schema` the reply is asked for as JSON of that JSON Schema."""

    async def __call__(
        self,
        prompt: str,
        *,
        images: Sequence[str] = (),
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> str: ...


class Embed(Protocol):
    """Texts to unit rows: float32 of shape (n, d)."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Ran:
    """What came of running untrusted code. `ok` is True if `error` is None: no exception, timeout or broken limit.

    `value` is JSON, text or arrays (an exit status for a command), `files` what the code wrote or changed in its
    folder by relative name, `stdout` and `stderr` at most 1 MB each, `seconds` the wall time of the run itself.
    """

    ok: bool
    value: Any
    stdout: str
    stderr: str
    error: str | None
    seconds: float
    files: dict[str, bytes]
    isolation: Literal["bwrap", "namespaces", "rlimits"]


class RunPython(Protocol):
    """Runs code once, isolated; blocks until it is done. Its variable `result` becomes `Ran.value`.

    Of `inputs`, identifiers become globals, `stdin` standard input, and names with a suffix files in the folder.
    """

    def __call__(self, code: str, inputs: Mapping[str, object], *, timeout: float, memory_mb: int) -> Ran: ...


class Session(Protocol):
    """One isolated interpreter for many calls into the functions of its code."""

    def call(self, name: str, *args: object, timeout: float) -> Ran: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


class OpenSession(Protocol):
    """Opens a session on code that defines functions."""

    def __call__(self, code: str, *, memory_mb: int) -> Session: ...
