"""Distractors and where they come from: random documents, random chats, hard negatives (2601.07226).

Whatever the source, a distractor must not give the answer away; a document must not be about the question; a hard
negative must leave the item's answer what it is and must not repeat its evidence. What is turned down is kept with the
reason. Our reading: the thresholds (30 % of the question's content words, runs of 5 words) and the rule for answers
that stay the answer; the paper has a language model judge that, as `WriterLLM.keeps_answer` does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from assay.methods.parsing import ReplyError, ask_json, normalise_answer
from assay.methods.post_training._noise_sets import Item, Position, ask, is_right
from assay.methods.protocols import Complete

Condition = Literal["ND", "RD", "RC", "HN"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
Chat = Sequence[tuple[str, str]]  # (role, content), turn by turn

MOST_SHARED = 0.3  # of the question's content words
RUN = 5  # words in a row that count as a quotation
DRAWS = 20  # candidates looked at for each distractor wanted

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"\b[A-Z][a-z]+\b")
_SHORT = frozenset(
    _WORD.findall(
        "a an and are as at be by did do does for from had has have how in is it its of on or that the this to was "
        "were what when where which who whom whose why will with you your i my they find"
    )
)


@dataclass(frozen=True)
class NoiseSpec:
    """How much noise of which kind, and where: `n` distractors, or as many as make `tokens` words."""

    kind: Condition
    n: int = 5
    tokens: int | None = None
    position: Position = "around"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in CONDITIONS:
            raise ValueError(f"kind: got {self.kind!r}, wanted one of {', '.join(CONDITIONS)}")
        if self.n < 1 or (self.tokens is not None and self.tokens < 1):
            raise ValueError(f"n, tokens: got {self.n}, {self.tokens}, wanted at least 1 each")

    def filled(self, kept: Sequence[Distractor]) -> bool:
        """Whether these are enough."""
        if self.tokens is None:
            return len(kept) >= self.n
        return sum(len(words(one.text)) for one in kept) >= self.tokens


@dataclass(frozen=True)
class Distractor:
    """A piece of noise; `source` says where it came from."""

    kind: Condition
    text: str
    source: str


@dataclass
class Found:
    """Distractors that were kept, and (text, reason) of those turned down."""

    kept: list[Distractor] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)


def random_documents(item: Item, pool: Sequence[str], spec: NoiseSpec, rng: random.Random) -> Found:
    """Documents drawn from `pool` without repetition. Raises ValueError naming the item where too few are left."""
    drawn = rng.sample(pool, len(pool))
    return _fill(item, ((text, "pool") for text in drawn), spec, (_gives_away, _shares_words))


def random_chats(item: Item, pool: Sequence[Chat], spec: NoiseSpec, rng: random.Random) -> Found:
    """Dialogues of 2 to 6 turns drawn from `pool`, as lines `user: …` and `assistant: …`; longer ones are cut."""
    drawn = rng.sample(pool, len(pool))
    texts = ("\n".join(f"{role}: {content}" for role, content in chat[:6]) for chat in drawn)
    return _fill(item, ((text, "chat") for text in texts), spec, (_gives_away, _shares_words))


async def hard_negatives(item: Item, writer: Writer, spec: NoiseSpec, rng: random.Random) -> Found:
    """Passages that look useful and are not. Raises ValueError where the writer needs evidence that the item lacks, and
    where too few are left."""
    wanted = spec.n if spec.tokens is None else max(spec.n, spec.tokens // RUN)
    candidates = await writer.write(item, wanted, rng)
    checked = _fill(item, ((text, writer.name) for text in candidates), spec, (_gives_away, _repeats), enough=False)
    kept: list[Distractor] = []
    for one in checked.kept:
        if spec.filled(kept):
            break
        if await writer.keeps_answer(item, one.text):
            kept.append(one)
        else:
            checked.rejected.append((one.text, "changes the answer"))
    found = Found(kept, checked.rejected)
    _check_enough(item, found, spec)
    return found


class Writer(Protocol):
    """Writes hard negatives, and says of one whether the item's answer is still the answer beside it."""

    name: str

    async def write(self, item: Item, n: int, rng: random.Random) -> Sequence[str]: ...

    async def keeps_answer(self, item: Item, text: str) -> bool: ...


class RuleWriter:
    """The item's own evidence with other names, other numbers and other words for its relations.

    No model is asked. An answer stays the answer if the passage lacks one of the names and numbers that the question
    and the evidence share; where they share none, the passage must at least hold none of the evidence's.
    """

    name = "rule"

    async def write(self, item: Item, n: int, rng: random.Random) -> list[str]:
        if not item.evidence:
            raise ValueError(
                f"item {item.id}: hard negatives by rule need its evidence; give it, or a model that writes"
            )
        sentences = [one for text in item.evidence for one in sentences_of(text)]
        return list(dict.fromkeys(_perturbed(rng.choice(sentences), rng) for _ in range(DRAWS * n)))

    async def keeps_answer(self, item: Item, text: str) -> bool:
        of_evidence = set().union(*(key_terms(evidence) for evidence in item.evidence))
        shared = of_evidence & set(words(item.question))
        there = set(words(text))
        return not shared <= there if shared else not of_evidence & there


class WriterLLM:
    """A language model writes the hard negatives, and must then still get the item right beside each of them."""

    name = "model"

    def __init__(self, complete: Complete) -> None:
        self.complete = complete

    async def write(self, item: Item, n: int, rng: random.Random) -> list[str]:
        """Raises ValueError where no reply could be used."""
        known = "\n".join(item.evidence) or "(none given)"
        prompt = (
            f"Question: {item.question}\nAnswer: {', '.join(item.giveaways)}\nEvidence: {known}\n\n"
            f"Write {2 * n} short passages that look as if they helped with the question and do not: close in topic, "
            "names and form, about other people, things, numbers or relations. None may hold the answer, contradict "
            'the evidence or quote it. Reply with JSON: {"passages": ["...", ...]}.'
        )
        try:
            reply = await ask_json(self.complete, prompt, _PASSAGES)
        except ReplyError as error:
            raise ValueError(f"item {item.id}: {error}") from error
        return [str(text) for text in reply["passages"]]

    async def keeps_answer(self, item: Item, text: str) -> bool:
        return is_right(item, await self.complete(ask(item, [text], "after", random.Random(0))))


_PASSAGES = {
    "type": "object",
    "properties": {"passages": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "required": ["passages"],
}


def words(text: str) -> list[str]:
    """The words and numbers of a text, in lower case."""
    return _WORD.findall(text.lower())


def sentences_of(text: str) -> list[str]:
    """Sentences and lines of a text, without surrounding white space."""
    return [piece.strip() for piece in re.split(r"(?<=[.!?])\s+|\n+", text) if piece.strip()]


def runs(text: str, length: int = RUN) -> set[tuple[str, ...]]:
    """All runs of `length` words of a text; of a shorter text the whole, of an empty one none."""
    own = words(text)
    length = min(length, len(own))
    return {tuple(own[i : i + length]) for i in range(len(own) - length + 1)} if own else set()


def key_terms(text: str) -> set[str]:
    """The names and numbers of a text, in lower case. A sentence's first word counts unless it is a common one."""
    names = {name.lower() for name in _NAME.findall(text)} - _SHORT
    return names | set(_NUMBER.findall(text))


def holds(text: str, answer: str) -> bool:
    """Whether the answer stands in the text, word for word, whatever the case and punctuation."""
    wanted = normalise_answer(answer)
    return bool(wanted) and f" {wanted} " in f" {normalise_answer(text)} "


def _fill(
    item: Item,
    candidates: Iterable[tuple[str, str]],
    spec: NoiseSpec,
    tests: Sequence[_Test],
    enough: bool = True,
) -> Found:
    """Candidates that pass the tests, until the spec is filled; with `enough=False` all of them."""
    found = Found()
    for text, source in candidates:
        if enough and spec.filled(found.kept):
            break
        reason = next((said for test in tests if (said := test(item, text))), None)
        if reason is None:
            found.kept.append(Distractor(spec.kind, text, source))
        else:
            found.rejected.append((text, reason))
    if enough:
        _check_enough(item, found, spec)
    return found


def _check_enough(item: Item, found: Found, spec: NoiseSpec) -> None:
    if not spec.filled(found.kept):
        wanted = f"{spec.n}" if spec.tokens is None else f"{spec.tokens} words of"
        raise ValueError(
            f"item {item.id}: {len(found.kept)} {spec.kind} distractors are left of "
            f"{len(found.kept) + len(found.rejected)}, wanted {wanted}: give a larger pool or ask for fewer"
        )


class _Test(Protocol):
    def __call__(self, item: Item, text: str) -> str | None: ...


def _gives_away(item: Item, text: str) -> str | None:
    return next((f"holds the answer {answer!r}" for answer in item.giveaways if holds(text, answer)), None)


def _shares_words(item: Item, text: str) -> str | None:
    asked = set(words(item.question)) - _SHORT
    share = len(asked & set(words(text))) / len(asked) if asked else 0.0
    return f"shares {share:.0%} of the question's words" if share > MOST_SHARED else None


def _repeats(item: Item, text: str) -> str | None:
    hint = [run for evidence in item.evidence for run in runs(evidence) if len(run) == RUN]
    return "repeats five words of the evidence" if runs(text) & set(hint) else None


_OTHER_NAMES = _WORD.findall(
    "Averel Bodwin Castow Dernby Eskham Farlow Gorsten Halver Istrid Jarrow Kelmer Lanrick Morwen Norbeck Ostrel "
    "Pelham Quenby Rothwick Selmar Tarvin Ulster Vandry Wexley Yarrick Zelden"
)
_RELATIONS = {
    "is": "remains", "was": "became", "are": "stay", "were": "became", "has": "keeps", "have": "keep", "in": "near",
    "of": "about", "on": "over", "to": "towards", "by": "with", "from": "outside", "the": "that", "for": "against",
    "and": "or", "at": "beyond", "with": "without", "more": "less", "before": "after", "first": "last",
}  # fmt: skip


def _perturbed(sentence: str, rng: random.Random) -> str:
    """The sentence with other names and numbers, and some of its small words changed."""
    renamed: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        if match[0].lower() in _SHORT or match[0].lower() in _RELATIONS:
            return match[0]
        return renamed.setdefault(match[0], rng.choice(_OTHER_NAMES))

    def number(match: re.Match[str]) -> str:
        value = int(match[0])
        return renamed.setdefault(match[0], str(value + rng.choice((-1, 1)) * rng.randint(1, max(2, value // 10))))

    changed = _NUMBER.sub(number, _NAME.sub(name, sentence))
    return " ".join(_RELATIONS[word] if word in _RELATIONS and rng.random() < 0.7 else word for word in changed.split())
