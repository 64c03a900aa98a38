"""`Models`: what an arm thinks with. It hands out models and counts what was spent on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assay.methods.protocols import Message, Sample, Sampler
from assay.models import weights

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def sampler(name: str, *, seed: int = 0) -> Sampler:
    """A built-in model by name, or any Inspect model by its string (`openai/gpt-5`), as a `Sampler`.

    `seed` is where a built-in model's calls without a seed of their own draw from.
    """
    if "/" in name:
        from assay.integrations.inspect.models import sampler as inspect_sampler

        return inspect_sampler(name)
    from assay.models.local_sampler import LocalSampler
    from assay.models.nano import load

    return LocalSampler(*load(name), seed=seed)


@dataclass
class Spent:
    """Replies asked for, and tokens read and written, over all samplers that were handed out."""

    model_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class Models:
    """Models for one unit of work. `outside` is the Inspect model the user named with `--model`, for arms that can
    use one; `spent` adds up what calls of the samplers cost; `digests` tells the weights that were handed out.
    """

    def __init__(self, outside: str | None = None, *, seed: int = 0) -> None:
        self.outside, self.seed = outside, seed
        self.spent = Spent()
        self.digests: dict[str, str] = {}

    def load(self, name: str, words: Sequence[str] = ()) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
        """A built-in model and its tokenizer, fresh weights for every call (see `nano.load`), or what another
        distribution brings under that name (see `plugged`)."""
        from assay.models import plugged
        from assay.models.nano import load

        if name not in weights.NAMES and (point := plugged.find(name)):
            self.digests[name] = plugged.digest(point)
            return plugged.load(point)
        self.digests[name] = weights.digest(name)
        return load(name, words)

    def sampler(self, name: str) -> Sampler:
        """A built-in model by name, or an Inspect model by its string, whose calls are counted in `spent`."""
        self.digests[name] = name if "/" in name else weights.digest(name)
        return _Counted(sampler(name, seed=self.seed), self.spent)

    def ensure(self, name: str) -> Path:
        """The folder of a built-in model's weights, found or trained."""
        return weights.ensure(name)


class _Counted:
    """A sampler that books every call."""

    def __init__(self, inner: Sampler, spent: Spent) -> None:
        self._inner, self._spent = inner, spent

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
        samples = await self._inner(
            messages,
            n=n,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            stop=stop,
            top_logprobs=top_logprobs,
            continue_assistant=continue_assistant,
            seed=seed,
        )
        self._spent.model_calls += len(samples)
        self._spent.tokens_in += sum(sample.tokens_in for sample in samples)
        self._spent.tokens_out += sum(sample.tokens_out for sample in samples)
        return samples
