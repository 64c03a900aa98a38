"""Does a reasoning identify the hint? By matching words, or by asking a model (2601.07226)."""

from __future__ import annotations

from typing import Protocol

from assay.methods.parsing import ReplyError, ask_json
from assay.methods.post_training._noise_report import quotes
from assay.methods.post_training._noise_sources import RUN, holds, key_terms, sentences_of
from assay.methods.protocols import Complete


class HintJudge(Protocol):
    """Says whether a reasoning identifies the hint among what the context holds."""

    async def __call__(self, reasoning: str, hint: str, context: str) -> bool: ...


class HintMatch:
    """A hint is identified where the reasoning shares a run of `min_ngram` words with it (the whole of a shorter hint),
    or holds all its names and numbers, and quotes no more than `most_quoted` of the context's sentences.

    A context of one sentence is always quoted whole: there only the first half of the rule counts.
    """

    def __init__(self, min_ngram: int = RUN, most_quoted: float = 0.5) -> None:
        if min_ngram < 1:
            raise ValueError(f"min_ngram: got {min_ngram}, wanted at least 1")
        if not 0 < most_quoted <= 1:
            raise ValueError(f"most_quoted: got {most_quoted}, wanted a share in (0, 1]")
        self.min_ngram, self.most_quoted = min_ngram, most_quoted

    async def __call__(self, reasoning: str, hint: str, context: str) -> bool:
        return self.matches(reasoning, hint, context)

    def matches(self, reasoning: str, hint: str, context: str) -> bool:
        """The rule itself, without a loop to run in."""
        facts = key_terms(hint)
        named = bool(facts) and all(holds(reasoning, fact) for fact in facts)
        return (named or quotes(reasoning, hint, self.min_ngram)) and self.quoted_share(
            reasoning, context
        ) <= self.most_quoted

    def quoted_share(self, reasoning: str, context: str) -> float:
        """Share of the context's sentences of which the reasoning holds a run of `min_ngram` words; 0 for fewer than
        two sentences."""
        sentences = sentences_of(context)
        if len(sentences) < 2:
            return 0.0
        return sum(quotes(reasoning, sentence, self.min_ngram) for sentence in sentences) / len(sentences)


class LLMHintJudge:
    """A language model says whether the reasoning picks out the hint. A reply that cannot be used pays nothing and is
    counted in `void`."""

    def __init__(self, complete: Complete) -> None:
        self.complete, self.void = complete, 0

    async def __call__(self, reasoning: str, hint: str, context: str) -> bool:
        prompt = (
            "A context held much that does not matter and one piece that does, the hint. Does the reasoning below pick "
            "out that piece and rest on it? Repeating most of the context is not picking out.\n\n"
            f'Hint:\n{hint}\n\nReasoning:\n{reasoning}\n\nReply with JSON: {{"identifies": true or false}}.'
        )
        try:
            return bool((await ask_json(self.complete, prompt, _VERDICT))["identifies"])
        except ReplyError:
            self.void += 1
            return False


_VERDICT = {"type": "object", "properties": {"identifies": {"type": "boolean"}}, "required": ["identifies"]}
