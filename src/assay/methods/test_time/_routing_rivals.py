"""Rivals of GlimpRouter under the same interface: what it is compared with, and useful alone.

`SpecReason` drafts every step with the small model and has a judge accept or reject it; a rejected draft is
thrown away and the large model writes the step. `RandomRouter` sends a fixed share of steps to the large model
without looking at anything.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from assay.methods.protocols import Message, Sample, Sampler
from assay.methods.test_time._step_loop import Draft, Step, StepRouter
from assay.methods.test_time.glimprouter import initial_entropy

Judge = Callable[[Draft, Sample], Awaitable[bool]]  # True: the small model's step is good enough


@dataclass(kw_only=True)
class SpecReason(StepRouter):
    """Speculative reasoning: the small model writes each step, `judge` keeps it or the large model rewrites it.

    `top_logprobs` is asked of the draft where the judge reads it (`mean_entropy_judge`)."""

    judge: Judge
    top_logprobs: int | None = None

    async def write_step(self, draft: Draft, seed: int | None) -> Step:
        attempt = await self.reply(draft, "small", seed, top_logprobs=self.top_logprobs)
        kept = await self.judge(draft, attempt)
        draft.ledgers["small"].charge(attempt, kept=kept)
        if kept:
            return Step(attempt.text, "small", None, attempt.tokens_out)
        return await self.ask(draft, "large", seed)


def mean_entropy_judge(threshold: float) -> Judge:
    """Accept a draft whose mean token entropy (nats, over the returned top tokens) lies below `threshold`."""

    async def judge(draft: Draft, attempt: Sample) -> bool:
        return mean_entropy(attempt) < threshold

    return judge


def mean_entropy(reply: Sample) -> float:
    """Mean entropy over a reply's tokens, in nats; 0 for an empty reply. ValueError without log-probabilities."""
    if reply.logprobs is None:
        raise ValueError("the small model returned no top_logprobs; the mean-entropy judge needs them")
    entropies = [initial_entropy([logprob for _, logprob in token.top]) for token in reply.logprobs]
    return math.fsum(entropies) / max(1, len(entropies))


def digit_judge(large: Sampler, accept: float = 7, top_logprobs: int = 20) -> Judge:
    """The large model scores a draft 0 to 9 with one token; the score is the expected digit under its
    log-probabilities, renormalised over the digits returned. Drafts scored `accept` or more are kept."""

    async def judge(draft: Draft, attempt: Sample) -> bool:
        request = (
            f"Problem:\n{draft.question}\n\nReasoning so far:\n{draft.prefix}\nNext step:\n{attempt.text}\n\n"
            "How good is the next step, from 0 (wrong) to 9 (right and useful)? Reply with one digit."
        )
        (reply,) = await large([Message("user", request)], max_tokens=1, temperature=0.0, top_logprobs=top_logprobs)
        # The question is read besides the reasoning, so it costs prompt tokens but leaves the cache alone.
        draft.ledgers["large"].prefill += reply.tokens_in
        draft.ledgers["large"].generated += reply.tokens_out
        return expected_digit(reply) >= accept

    return judge


def expected_digit(reply: Sample) -> float:
    """Σ d·p(d) over the digits among the first token's alternatives, renormalised; ValueError if there is none."""
    if not reply.logprobs:
        raise ValueError("the judge model returned no top_logprobs; the digit judge needs them")
    weights = {
        int(token.strip()): math.exp(logprob)
        for token, logprob in reply.logprobs[0].top
        if token.strip().isdigit() and len(token.strip()) == 1
    }
    if not weights:
        raise ValueError(f"the judge answered {reply.text!r}, wanted one digit from 0 to 9")
    return sum(digit * weight for digit, weight in weights.items()) / sum(weights.values())


@dataclass(kw_only=True)
class RandomRouter(StepRouter):
    """Send each step to the large model with probability `share`, by a coin that depends on the question, the
    step's number and the seed alone, so that a run repeats."""

    share: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share < 1:
            raise ValueError(f"share: got {self.share}, wanted a share between 0 and 1, both excluded")

    async def write_step(self, draft: Draft, seed: int | None) -> Step:
        coin = _coin(f"{draft.question}\n{len(draft.steps)}\n{seed}")
        return await self.ask(draft, "large" if coin < self.share else "small", seed)


def _coin(text: str) -> float:
    from hashlib import blake2b

    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64
