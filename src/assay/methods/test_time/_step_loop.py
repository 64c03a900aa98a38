"""The loop that step-wise collaborations of a small and a large model share: who writes the next step.

A router decides for each reasoning step which of two samplers writes it; the loop keeps the text, stops at
the end of the reasoning, at a repetition or at the token budget, and has one of the models write the answer.
Costs are counted as a server with a prefix cache would charge them: a model reads only those tokens of the
prompt that it has not seen in this conversation yet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from assay.methods.protocols import Message, Sample, Sampler

Writer = Literal["small", "large"]
StopReason = Literal["finished", "repeat", "budget"]


@dataclass(frozen=True)
class Step:
    """One reasoning step: its text without the separator, its writer, and the entropy (nats) that routed it."""

    text: str
    by: Writer
    entropy: float | None
    tokens: int


@dataclass(frozen=True)
class Routed:
    """A solved question. `text` is the whole reply, reasoning and answer. `*_tokens` are generated tokens (probes
    apart, discarded drafts and the answer included), `*_prefill` the prompt tokens each model read,
    `large_share` the share of steps that the large model wrote. The step that ends the reasoning is cut before
    its end marker."""

    steps: tuple[Step, ...]
    answer: str
    stop_reason: StopReason
    small_tokens: int
    large_tokens: int
    probe_tokens: int
    small_prefill: int
    large_prefill: int
    large_share: float

    text: str


@dataclass
class Ledger:
    """What one model was asked for during one question."""

    generated: int = 0
    probes: int = 0
    prefill: int = 0
    cached: int = 0

    def charge(self, reply: Sample, *, probe: bool = False, kept: bool = True) -> None:
        """Book one call; tokens of a reply that is thrown away do not stay in the cache."""
        self.prefill += max(0, reply.tokens_in - self.cached)
        self.cached = max(self.cached, reply.tokens_in) + (0 if probe or not kept else reply.tokens_out)
        if probe:
            self.probes += reply.tokens_out
        else:
            self.generated += reply.tokens_out


@dataclass
class Draft:
    """The conversation so far; routers read `question`, `steps` and `prefix`, and write through `ask`."""

    question: str
    step_stop: str
    steps: list[Step] = field(default_factory=list)
    ledgers: dict[Writer, Ledger] = field(default_factory=lambda: {"small": Ledger(), "large": Ledger()})

    @property
    def prefix(self) -> str:
        return "".join(step.text + self.step_stop for step in self.steps)

    def messages(self, opened: str | None = None) -> list[Message]:
        """The question, and what is written so far (or `opened`) as the assistant's own unfinished turn."""
        opened = self.prefix if opened is None else opened
        return [Message("user", self.question), *([Message("assistant", opened)] if opened else [])]


@dataclass(kw_only=True)
class StepRouter(ABC):
    """Base of the routers: the two models and the rules of the loop; a router adds `write_step`.

    step_stop            separator of reasoning steps
    temperature, top_p   sampling of steps and answer
    max_step_tokens, max_answer_tokens, token_budget   limits; the budget counts step tokens, not probes
    first_steps_large    so many opening steps go to the large model unasked
    end_of_thinking      a step that contains it ends the reasoning
    final_by             who writes the answer
    """

    small: Sampler
    large: Sampler
    step_stop: str = "\n\n"
    temperature: float = 0.6
    top_p: float = 0.95
    max_step_tokens: int = 512
    max_answer_tokens: int = 2048
    token_budget: int = 8192
    first_steps_large: int = 0
    end_of_thinking: str = "</think>"
    final_by: Writer = "large"

    def __post_init__(self) -> None:
        if not self.step_stop:
            raise ValueError("step_stop: got an empty string, wanted the text that separates reasoning steps")
        if not self.end_of_thinking:
            raise ValueError("end_of_thinking: got an empty string, wanted the marker that ends the reasoning")
        if self.final_by not in ("small", "large"):
            raise ValueError(f"final_by: got {self.final_by!r}, wanted 'small' or 'large'")
        for name in ("max_step_tokens", "max_answer_tokens", "token_budget"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, wanted >= 1")

    async def solve(self, question: str, *, seed: int | None = None) -> Routed:
        """Reason step by step, then answer. `seed` makes the samplers' draws repeatable."""
        draft = Draft(question, self.step_stop)
        stop: StopReason | None = None
        while stop is None:
            if len(draft.steps) < self.first_steps_large:
                step = await self.ask(draft, "large", seed)
            else:
                step = await self.write_step(draft, seed)
            draft.steps.append(step)
            stop = self._stop_reason(draft.steps)
        opened = self._finish_thinking(draft) if stop == "finished" else draft.prefix
        answer = await self._answer(draft, opened, seed)
        return self._routed(draft, answer, stop, opened + answer)

    @abstractmethod
    async def write_step(self, draft: Draft, seed: int | None) -> Step:
        """Decide who writes the next step, and have it written."""

    async def ask(
        self,
        draft: Draft,
        writer: Writer,
        seed: int | None,
        *,
        entropy: float | None = None,
        kept: bool = True,
    ) -> Step:
        """One step by `writer`, charged to its ledger."""
        reply = await self.reply(draft, writer, seed)
        draft.ledgers[writer].charge(reply, kept=kept)
        return Step(reply.text, writer, entropy, reply.tokens_out)

    async def reply(self, draft: Draft, writer: Writer, seed: int | None, *, top_logprobs: int | None = None) -> Sample:
        """The raw reply for the next step, up to the separator."""
        messages = draft.messages()
        (reply,) = await self._model(writer)(
            messages,
            max_tokens=self.max_step_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            stop=(self.step_stop,),
            top_logprobs=top_logprobs,
            continue_assistant=messages[-1].role == "assistant",
            seed=seed,
        )
        return reply

    def _model(self, writer: Writer) -> Sampler:
        return self.small if writer == "small" else self.large

    def _stop_reason(self, steps: Sequence[Step]) -> StopReason | None:
        # Budget first: when the end of the reasoning and the budget fall together, the reason is the budget.
        if sum(step.tokens for step in steps) >= self.token_budget:
            return "budget"
        if self.end_of_thinking in steps[-1].text:
            return "finished"
        if len(steps) > 2 and steps[-1].text == steps[-2].text:
            return "repeat"
        return None

    def _finish_thinking(self, draft: Draft) -> str:
        """Cut the last step before its marker (what follows it is the answer, written anew); the text up to and
        with the marker opens the answer."""
        last = draft.steps.pop()
        before = last.text.partition(self.end_of_thinking)[0]
        opened = draft.prefix + before + self.end_of_thinking
        draft.steps.append(replace(last, text=before))
        return opened

    async def _answer(self, draft: Draft, opened: str, seed: int | None) -> str:
        messages = draft.messages(opened)
        (reply,) = await self._model(self.final_by)(
            messages,
            max_tokens=self.max_answer_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            continue_assistant=messages[-1].role == "assistant",
            seed=seed,
        )
        draft.ledgers[self.final_by].charge(reply)
        return reply.text

    def _routed(self, draft: Draft, answer: str, stop: StopReason, text: str) -> Routed:
        small, large = draft.ledgers["small"], draft.ledgers["large"]
        by_large = sum(step.by == "large" for step in draft.steps)
        return Routed(
            steps=tuple(draft.steps),
            text=text,
            answer=answer,
            stop_reason=stop,
            small_tokens=small.generated,
            large_tokens=large.generated,
            probe_tokens=small.probes,
            small_prefill=small.prefill,
            large_prefill=large.prefill,
            large_share=by_large / max(1, len(draft.steps)),
        )
