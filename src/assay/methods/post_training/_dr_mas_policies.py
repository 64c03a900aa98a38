"""What acts for an agent, in one form for small policies over features and for language models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from assay.methods.policy_gradient import Policy


class AgentPolicy(Protocol):
    """Weights that act on observations and tell the log-probability of what they did, token by token."""

    def parameters(self) -> Iterator[torch.nn.Parameter]: ...

    def act(self, observations: Sequence[Any], generator: torch.Generator) -> list[Any]:
        """One sampled action an observation."""

    def logprobs(self, observations: Sequence[Any], actions: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Log-probabilities (N, T) with a graph, and the mask (N, T) of the tokens that the policy chose."""


class SampledPolicy(Policy, Protocol):
    """A `Policy` over stacked observations that also samples, as `assay.models.policies.FeaturePolicy` does."""

    def sample(self, observations: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]: ...


class FeatureAgent:
    """A small policy; an observation is its features (F,), an action what it chose (heads,)."""

    def __init__(self, policy: SampledPolicy) -> None:
        self.policy = policy

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        return self.policy.parameters()

    def act(self, observations: Sequence[Any], generator: torch.Generator) -> list[Any]:
        return list(self.policy.sample(torch.stack(list(observations)), generator)[0])

    def logprobs(self, observations: Sequence[Any], actions: Sequence[Any]) -> tuple[Tensor, Tensor]:
        chosen = self.policy.log_prob(torch.stack(list(observations)), torch.stack(list(actions)))
        return chosen.unsqueeze(1), torch.ones(len(chosen), 1, dtype=torch.bool)


@dataclass(frozen=True)
class Written:
    """A language model's action: its text, and the tokens it was written in, the end token included."""

    text: str
    tokens: tuple[int, ...]

    def __str__(self) -> str:
        return self.text


class TextAgent:
    """A `transformers` causal language model with its tokenizer; an observation is a prompt, an action `Written`.

    A prompt goes through the tokenizer's chat template where it has one. Raises ValueError for a tokenizer without an
    end or padding token.
    """

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int = 256, temperature: float = 1.0) -> None:
        if max_tokens < 1:
            raise ValueError(f"max_tokens: got {max_tokens}, wanted at least 1")
        if not temperature > 0:
            raise ValueError(f"temperature: got {temperature}, wanted > 0: an agent that learns must sample")
        if tokenizer.eos_token_id is None or tokenizer.pad_token_id is None:
            raise ValueError("tokenizer: has no end or padding token, wanted both")
        self.model, self.tokenizer, self.max_tokens, self.temperature = model, tokenizer, max_tokens, temperature

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        found: Iterator[torch.nn.Parameter] = self.model.parameters()
        return found

    @torch.no_grad()
    def act(self, observations: Sequence[Any], generator: torch.Generator) -> list[Any]:
        prompts = [self._prompt(str(text)) for text in observations]
        longest = max(map(len, prompts))
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
        seen = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        seed = int(torch.randint(2**31, (1,), generator=generator))
        with torch.random.fork_rng(devices=[]):  # `generate` draws from the global generator
            torch.manual_seed(seed)
            out = self.model.generate(
                input_ids=ids.to(self.model.device),
                attention_mask=seen.to(self.model.device),
                do_sample=True,
                temperature=self.temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=self.max_tokens,
                eos_token_id=end,
                pad_token_id=pad,
            )
        return [self._written(row[longest:].tolist()) for row in out]

    def logprobs(self, observations: Sequence[Any], actions: Sequence[Any]) -> tuple[Tensor, Tensor]:
        pairs = [(self._prompt(str(seen)), list(done.tokens)) for seen, done in zip(observations, actions)]
        longest, most = max(len(a) + len(b) for a, b in pairs), max(len(b) for _, b in pairs)
        ids = torch.full((len(pairs), longest), self.tokenizer.pad_token_id)
        place = torch.zeros(len(pairs), most, dtype=torch.long)
        mask = torch.zeros(len(pairs), most, dtype=torch.bool)
        for row, (prompt, written) in enumerate(pairs):
            ids[row, : len(prompt) + len(written)] = torch.tensor(prompt + written)
            place[row, : len(written)] = len(prompt) + torch.arange(len(written))
            mask[row, : len(written)] = True
        ids, place, mask = (values.to(self.model.device) for values in (ids, place, mask))
        logits = self.model(input_ids=ids).logits[:, :-1] / self.temperature  # padding on the right is never looked at
        chosen = torch.log_softmax(logits.float(), dim=-1).gather(2, ids[:, 1:, None]).squeeze(2)
        return chosen.gather(1, (place - 1).clamp(min=0)).masked_fill(~mask, 0), mask

    def _prompt(self, text: str) -> list[int]:
        if self.tokenizer.chat_template is not None:
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _written(self, tokens: list[int]) -> Written:
        end = self.tokenizer.eos_token_id
        kept = tokens[: tokens.index(end) + 1] if end in tokens else tokens
        return Written(self.tokenizer.decode(kept, skip_special_tokens=True), tuple(kept))
