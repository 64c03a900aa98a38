"""Batched generation with a key-value cache, each row with its own random stream.

Rows are left-padded, finished rows leave the batch, and a row's text does not depend on its batch mates beyond
float rounding: every draw is the inverse of the row's own float64 distribution at the row's own uniform number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

MAX_TOP_LOGPROBS = 20


@dataclass(frozen=True)
class Request:
    """One reply to write: prompt ids, limits, and how to draw. `temperature=0` is greedy and draws nothing.

    The random stream is a function of (`seed`, `prompt`, `choice`) alone. `stop` ends the reply before the text
    it names. `top_logprobs=None` asks for no log-probabilities, 0 for the written token's own.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    frequency_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    seed: int = 0
    choice: int = 0

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("prompt: got no token, wanted at least one")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens: got {self.max_tokens}, wanted at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature: got {self.temperature}, wanted 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: got {self.top_p}, wanted more than 0, at most 1")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: got {self.top_k}, wanted at least 1")
        if self.top_logprobs is not None and not 0 <= self.top_logprobs <= MAX_TOP_LOGPROBS:
            raise ValueError(f"top_logprobs: got {self.top_logprobs}, wanted 0 to {MAX_TOP_LOGPROBS}")
        if "" in self.stop:
            raise ValueError("stop: got an empty string, wanted text that ends a reply")


@dataclass
class Reply:
    """What was written. `ids` and `logprobs` hold every generated token, `<eos>` or the stop text's included;
    `text` ends before them. `logprobs[t]` is (token, logprob, ((token, logprob), ...)), natural logarithms of the
    model's own distribution, before temperature and cuts."""

    text: str = ""
    ids: list[int] = field(default_factory=list)
    stop_reason: Literal["stop", "max_tokens"] = "max_tokens"
    logprobs: list[tuple[str, float, tuple[tuple[str, float], ...]]] = field(default_factory=list)


def uniforms(request: Request) -> Tensor:
    """The float64 uniform numbers a request draws with, one a token."""
    name = repr((request.seed, request.prompt, request.choice)).encode()
    seed = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True)
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(request.max_tokens, generator=generator, dtype=torch.float64)


@torch.inference_mode()
def decode(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, requests: Sequence[Request]) -> list[Reply]:
    """Replies to all requests, written side by side."""
    replies = [Reply() for _ in requests]
    draws = [uniforms(r) if r.temperature > 0 else None for r in requests]
    longest = max(len(r.prompt) for r in requests)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (longest - len(r.prompt)) + list(r.prompt) for r in requests])
    mask = torch.tensor([[0] * (longest - len(r.prompt)) + [1] * len(r.prompt) for r in requests])
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    active, cache = list(range(len(requests))), None
    while active:
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        logits = output.logits[:, -1].double()
        rows = [(requests[i], replies[i], draws[i]) for i in active]
        tokens = _choose(logits, rows)
        _record_logprobs(logits, tokens, rows, tokenizer)
        kept = [
            place
            for place, (request, reply, _) in enumerate(rows)
            if not _ends(reply, request, int(tokens[place]), tokenizer)
        ]
        active = [active[place] for place in kept]
        ids = tokens[kept].unsqueeze(1)
        if 0 < len(kept) < len(rows):
            cache.batch_select_indices(torch.tensor(kept))
            mask, positions = mask[kept], positions[kept]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = positions[:, -1:] + 1
    return replies


_Row = tuple[Request, Reply, Tensor | None]


def _choose(logits: Tensor, rows: Sequence[_Row]) -> Tensor:
    """The next token of every row (R,) from its logits (R, V): greedy, or by inverse CDF within top-k and top-p."""
    requests = [request for request, _, _ in rows]
    if any(request.frequency_penalty for request in requests):
        logits = logits - torch.stack([_penalty(request, reply, logits.shape[1]) for request, reply, _ in rows])
    temperature = torch.tensor([r.temperature or 1.0 for r in requests], dtype=torch.float64)
    p, order = (logits / temperature.unsqueeze(1)).softmax(-1).sort(descending=True, stable=True)
    top_k = torch.tensor([r.top_k or logits.shape[1] for r in requests])
    top_p = torch.tensor([r.top_p for r in requests], dtype=torch.float64)
    within = torch.arange(logits.shape[1]) < top_k.unsqueeze(1)
    # The fewest tokens that hold the mass top_p; 1 keeps all, also where the sum rounds to just above 1.
    within &= ((p.cumsum(1) - p) < top_p.unsqueeze(1)) | (top_p.unsqueeze(1) == 1)
    cdf = (p * within).cumsum(1)
    u = torch.stack([torch.zeros(()).double() if d is None else d[len(reply.ids)] for _, reply, d in rows])
    place = torch.searchsorted(cdf, (u * cdf[:, -1]).unsqueeze(1), right=True)
    place = torch.minimum(place, within.sum(1, keepdim=True) - 1)
    greedy = torch.tensor([r.temperature == 0 for r in requests])
    return order.gather(1, place.masked_fill(greedy.unsqueeze(1), 0)).squeeze(1)


def _penalty(request: Request, reply: Reply, vocabulary: int) -> Tensor:
    counts = torch.bincount(torch.tensor(reply.ids, dtype=torch.long), minlength=vocabulary)
    return request.frequency_penalty * counts.double()


def _record_logprobs(logits: Tensor, tokens: Tensor, rows: Sequence[_Row], tokenizer: Any) -> None:
    most = max((r.top_logprobs for r, _, _ in rows if r.top_logprobs is not None), default=None)
    if most is None:
        return
    logprobs = logits.log_softmax(-1)
    values, indices = logprobs.topk(min(most, logits.shape[1]))
    for place, (request, reply, _) in enumerate(rows):
        if request.top_logprobs is not None:
            token = int(tokens[place])
            k = request.top_logprobs
            names = [tokenizer.decode([i]) for i in (token, *indices[place, :k].tolist())]
            top = tuple(zip(names[1:], values[place, :k].tolist()))
            reply.logprobs.append((names[0], float(logprobs[place, token]), top))


def _ends(reply: Reply, request: Request, token: int, tokenizer: Any) -> bool:
    """Append a token to a reply; True if the reply ends with it."""
    reply.ids.append(token)
    if token == tokenizer.eos_token_id:
        reply.text, reply.stop_reason = tokenizer.decode(reply.ids[:-1]), "stop"
        return True
    if request.stop:
        text = tokenizer.decode(reply.ids)
        if found := [at for stop in request.stop if (at := text.find(stop)) >= 0]:
            reply.text, reply.stop_reason = text[: min(found)], "stop"
            return True
    if len(reply.ids) == request.max_tokens:
        reply.text, reply.stop_reason = tokenizer.decode(reply.ids), "max_tokens"
        return True
    return False
