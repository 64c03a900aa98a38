"""A mixed stream of real text, as a crawl is: four kinds, a quarter of it spoilt, and one kind that counts.

The text is what a Python installation has anyway: docstrings and code of its standard library, the descriptions of
the installed packages, and problems of the text worlds. So its letters differ a little from machine to machine. A
spoilt piece has its words shuffled, a line repeated, is base64, or is a web page's boilerplate. A byte-level BPE of a
small vocabulary is learned from the stream. The target (its kind is drawn by the seed) has documents of its own for
the proxy and for validation, none of which is in the stream.
"""

from __future__ import annotations

import base64
import random
import re
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KINDS = ("docstrings", "code", "readmes", "problems")
SPOILT = 0.25
LETTERS = 320  # of a piece, before it is cut to its tokens
HELD_OUT = 0.25  # share of each kind's documents that the stream never sees
LEARNED_FROM = 1500  # pieces that the vocabulary is learned from

_DOC = re.compile(r'"""(.*?)"""', re.S)
_PAGE = (
    '<div class="{w}"><a href="/{w}/{n}">{w}</a><span id="{w}-{n}">{n}</span></div>',
    '<li><input type="hidden" name="{w}" value="{n}"/><img src="/static/{w}.png" alt=""></li>',
    "<script>window.{w} = window.{w} || []; {w}.push({n});</script>",
)


@dataclass(frozen=True)
class TextPool:
    """Token ids of pieces of equal length. stream (steps, candidates, T); proxy (P, T); validation (V, T).

    kinds (steps, candidates): which of `KINDS` a candidate is, plus 4 where it is spoilt. `target` is the kind that
    counts, `vocabulary` the number of tokens.
    """

    stream: NDArray[np.int16]
    kinds: NDArray[np.int8]
    proxy: NDArray[np.int16]
    validation: NDArray[np.int16]
    target: str
    vocabulary: int


class TextPools:
    """Draws streams of `steps` batches of `candidates` pieces of `length` tokens."""

    def __init__(self, steps: int, candidates: int, length: int, vocabulary: int, proxy: int, validation: int) -> None:
        self.steps, self.candidates, self.length = steps, candidates, length
        self.vocabulary, self.proxy, self.validation = vocabulary, proxy, validation

    def sample(self, seed: int) -> TextPool:
        """The stream of a seed, its target and the target's own documents."""
        rng = random.Random(f"text pool {seed}")
        seen, kept = _split(rng)
        target = KINDS[rng.randrange(len(KINDS))]
        count = self.steps * self.candidates
        labels = [rng.randrange(len(KINDS)) for _ in range(count)]
        pieces = [_piece(seen[KINDS[label]], rng) for label in labels]
        for i in range(count):
            if rng.random() < SPOILT:
                pieces[i], labels[i] = spoil(pieces[i], rng), labels[i] + len(KINDS)
        own = [_piece(kept[target], rng) for _ in range(self.proxy + self.validation)]
        encode = _encoder(pieces[:LEARNED_FROM], self.vocabulary)
        ids = np.array([_cut(row, self.length) for row in encode(pieces)], dtype=np.int16)
        held = np.array([_cut(row, self.length) for row in encode(own)], dtype=np.int16)
        shape = self.steps, self.candidates
        return TextPool(
            stream=ids.reshape(*shape, self.length),
            kinds=np.array(labels, dtype=np.int8).reshape(shape),
            proxy=held[: self.proxy],
            validation=held[self.proxy :],
            target=target,
            vocabulary=self.vocabulary,
        )

    def check(self, pool: TextPool, answer: NDArray[np.int16]) -> float:
        """Share of pieces (n, T) that stand in the stream unspoilt and of the target's kind."""
        good = pool.kinds.ravel() == KINDS.index(pool.target)
        wanted = {row.tobytes() for row in pool.stream.reshape(-1, self.length)[good]}
        return sum(np.asarray(row, dtype=np.int16).tobytes() in wanted for row in answer) / len(answer)


def world(
    steps: int = 200,
    candidates: int = 32,
    length: int = 64,
    vocabulary: int = 512,
    proxy: int = 320,
    validation: int = 256,
) -> TextPools:
    """The world of streams of `steps` x `candidates` pieces of `length` tokens."""
    given = {"steps": steps, "candidates": candidates, "length": length, "proxy": proxy, "validation": validation}
    for name, value in given.items():
        if value < 1:
            raise ValueError(f"{name}: got {value}, wanted at least 1")
    if not 300 <= vocabulary <= 30_000:
        raise ValueError(f"vocabulary: got {vocabulary}, wanted 300 to 30,000 tokens")
    return TextPools(steps, candidates, length, vocabulary, proxy, validation)


def spoil(text: str, rng: random.Random) -> str:
    """One of four ways in which crawled text is worthless."""
    way = rng.randrange(4)
    if way == 0:
        words = text.split()
        rng.shuffle(words)
        return " ".join(words)
    if way == 1:
        lines = [line for line in text.splitlines() if line.strip()] or [text]
        line = rng.choice(lines)
        return "\n".join([line] * (len(text) // (len(line) + 1) + 1))
    if way == 2:
        return base64.b64encode(text.encode()).decode()
    words = re.findall(r"[a-z]{3,}", text.lower()) or ["item"]
    shape = rng.choice(_PAGE)
    return "\n".join(shape.format(w=rng.choice(words), n=rng.randrange(1000)) for _ in range(len(text) // 60 + 1))


def _split(rng: random.Random) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Each kind's documents, those of the stream and those held out."""
    seen, kept = {}, {}
    for kind, documents in _documents().items():
        order = rng.sample(documents, len(documents))
        at = max(1, round(HELD_OUT * len(order)))
        kept[kind], seen[kind] = tuple(order[:at]), tuple(order[at:])
    return seen, kept


@lru_cache(1)
def _documents() -> dict[str, list[str]]:
    """The documents of each kind, by file, distribution or hundred of problems."""
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [file.read_text("utf-8", "replace") for file in sorted(library.glob("*.py"))]
    for folder in ("asyncio", "email", "http", "json", "logging", "multiprocessing", "unittest", "urllib", "xml"):
        sources += [file.read_text("utf-8", "replace") for file in sorted((library / folder).rglob("*.py"))]
    found = {
        "docstrings": ["\n\n".join(map(_dedented, _DOC.findall(source))) for source in sources],
        "code": [_DOC.sub('""', source) for source in sources],
        "readmes": _descriptions(),
        "problems": _problems(),
    }
    found = {kind: [text for text in texts if len(text) >= LETTERS] for kind, texts in found.items()}
    for kind, texts in found.items():
        if sum(map(len, texts)) < 200_000:
            raise ValueError(
                f"text pool: only {sum(map(len, texts))} letters of {kind} on this machine, wanted 200,000"
            )
    return found


def _descriptions() -> list[str]:
    from importlib.metadata import distributions

    named = {one.metadata["Name"] or "": one.metadata for one in distributions()}
    return [str(named[name].get_payload() or named[name].get("Description") or "") for name in sorted(named)]


def _problems() -> list[str]:
    from assay.worlds.text.mix6 import world as mix6

    asked = mix6(each=60)
    return ["\n\n".join(f"{p.meta['english']} Answer: {p.answer}" for p in asked.sample(seed)) for seed in range(40)]


def _dedented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


@lru_cache(16)
def _lengths(documents: tuple[str, ...]) -> list[int]:
    """Letters up to the end of each document."""
    return list(accumulate(map(len, documents)))


def _piece(documents: tuple[str, ...], rng: random.Random) -> str:
    """A stretch of a document drawn by its length, from a line's beginning."""
    text = rng.choices(documents, cum_weights=_lengths(documents))[0]
    at = rng.randrange(len(text) - LETTERS + 1)
    start = text.rfind("\n", 0, at) + 1
    return text[start : start + LETTERS] if at - start < LETTERS else text[at : at + LETTERS]


def _encoder(texts: Sequence[str], vocabulary: int) -> Callable[[Sequence[str]], list[list[int]]]:
    """A byte-level BPE learned from the texts, as a function from texts to rows of ids."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return lambda rows: [found.ids for found in tokenizer.encode_batch(list(rows))]


def _cut(ids: Sequence[int], length: int) -> list[int]:
    """The first `length` ids, begun again from the front where there are fewer."""
    return (list(ids) * (length // max(1, len(ids)) + 1))[:length]
