"""A report without a model: sentences of the paper, chosen by what they hold. English only.

It is the offline demo, and the baseline that a model must beat in `assay digest --score`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from assay.papers.digest.ground import numbers
from assay.papers.digest.validate import limits_of
from assay.papers.feed.model import DocSection, Document
from assay.papers.report.grammar import heading_at

NOT_STATED = "Not stated in the text that was read."
MOST_RESULTS, MOST_INNOVATIONS, MOST_USAGE = 4, 4, 5
LONGEST_SENTENCE, SHORTEST_SENTENCE = 420, 20  # characters

_CUE = re.compile(
    r"\b(?:we|this (?:paper|work|report)|here,? we)\s+(?:\w+ly\s+|then\s+|further\s+|also\s+)?"
    r"(?:propose|introduce|present|develop|describe|study|investigate|build|release|show|find|argue)s?\b",
    re.IGNORECASE,
)
_FINDS = re.compile(r"\b(?:outperform|improv|achiev|reach|surpass|reduc|increas|gain|accuracy|score|faster)\w*", re.I)
_NEEDS = re.compile(
    r"\b(?:inputs?|outputs?|requir\w+|GPUs?|A100|H100|H200|code|open[- ]sourced?|github|checkpoints?|"
    r"hyper-?parameters?|train(?:ed|ing) on|datasets?|available at)\b",
    re.I,
)
_INTRODUCTION = re.compile(r"introduction", re.I)
_METHOD = re.compile(r"\b(?:method\w*|approach|framework|model|architecture|design|overview)\b", re.I)
_OTHER = re.compile(
    r"\b(?:introduction|related|background|experiment\w*|results?|evaluations?|conclu\w+|discussion|limitations?)\b",
    re.I,
)
_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[*+•-]|\d{1,2}[.)]|\(\d{1,2}\))\s+(?P<text>\S.*)")
# A full stop before a capital ends a sentence, but not behind an abbreviation or an initial.
_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bal\.)(?<!\bcf\.)(?<!\bvs\.)(?<!\bFigs\.)(?<!\bFig\.)(?<!\bEq\.)(?<!\bEqs\.)"
    r"(?<!\bSec\.)(?<!\bTab\.)(?<!\bDr\.)(?<!\bNo\.)(?<!\b[A-Z]\.)[\"”’)]?\s+(?=[A-Z0-9\"“(\[$])"
)
_BOLD_LEAD = re.compile(r"\*\*(?P<name>[^*]{3,80}?)[:.]?\*\*[:.]?\s*(?P<text>.+)", re.DOTALL)
_NUMBERED_TITLE = re.compile(r"^\s*(?:[0-9]+(?:\.[0-9]+)*\.?|[IVX]+\.|[A-Z]\.)\s+")
# The first word that fits names the field; what fits more of them comes first.
_FIELDS = {
    "Large language models": r"language models?|LLMs?\b",
    "Reinforcement learning": r"reinforcement learning|policy gradient|reward|RLHF|GRPO",
    "Agents": r"\bagents?\b|agentic|tool[- ]use",
    "Multimodal models": r"multi-?modal|vision-language|VLMs?\b|MLLMs?\b",
    "Image and video generation": r"diffusion|flow matching|text-to-(?:image|video)|video generation",
    "Computer vision": r"\bimages?\b|segmentation|object detection|\bvisual\b",
    "Robotics and embodied AI": r"robot\w*|embodied|manipulation|navigation",
    "Speech and audio": r"speech|audio|music",
    "Evaluation and benchmarks": r"benchmark\w*|evaluation suite|leaderboard",
    "Safety and security": r"safety|jailbreak|attack|guardrail|adversarial",
    "Interpretability": r"interpretab\w+|probes?\b|mechanistic",
    "Memory and long context": r"long[- ]context|\bmemory\b|retrieval",
    "Data": r"datasets?|data selection|synthetic data|corpus",
    "Software engineering": r"code generation|software engineering|programming",
}


def extract(document: Document) -> tuple[str, str, str, str, str]:
    """The five sections from the document's own sentences; what it does not say is said to be not stated."""
    abstract = _sentences(document.abstract)
    body = [s for section in document.sections for s in _sentences(section.text)]
    contribution = _contribution(abstract, body)
    used = {contribution}
    results = _results(document, abstract, body, used)
    used |= set(results)
    innovations = _innovations(document, used)
    usage = [s for s in _ranked(abstract + body, lambda s: len(_NEEDS.findall(s))) if s not in used][:MOST_USAGE]
    return (
        _field(document),
        contribution or NOT_STATED,
        _bullets(_within(usage, limits_of("en").usage[1])),
        "\n".join(f"*   **{name}**: {text}" for name, text in innovations) or NOT_STATED,
        _bullets(_within(results, limits_of("en").results[1])),
    )


def _field(document: Document) -> str:
    text = f"{document.title} {document.title} {document.abstract}"
    counts = {name: len(re.findall(pattern, text, re.IGNORECASE)) for name, pattern in _FIELDS.items()}
    named = [name for name in sorted(counts, key=lambda name: -counts[name]) if counts[name]][:3]
    return ", ".join(named) or "Machine learning research"


def _contribution(abstract: Sequence[str], body: Sequence[str]) -> str:
    """The abstract's first sentence with a cue, else its first one, else the body's first with a cue."""
    cued = [s for s in (*abstract, *body) if _CUE.search(s)]
    chosen = next((s for s in cued if s in abstract), None) or (abstract or cued or [""])[0]
    most = limits_of("en").contribution[1]
    if len(chosen) <= most:
        return chosen
    clause = max(chosen.rfind(mark, 0, most) for mark in (", ", "; ", ": "))
    return chosen[: clause if clause > most // 3 else chosen.rfind(" ", 0, most)].rstrip(",;: ") + "."


def _results(document: Document, abstract: Sequence[str], body: Sequence[str], used: set[str]) -> list[str]:
    captions = [s for caption in document.captions for s in _sentences(caption)]
    pool = [s for s in dict.fromkeys([*abstract, *body, *captions]) if s not in used]

    def weight(sentence: str) -> int:
        count = len(numbers(sentence))
        if _NEEDS.search(sentence) and not _FINDS.search(sentence):
            return 0  # it says what the method needs, not what it reaches
        return count + bool(_FINDS.search(sentence)) + 2 * (sentence in abstract) if count else 0

    return _ranked(pool, weight)[:MOST_RESULTS]


def _innovations(document: Document, used: set[str]) -> list[tuple[str, str]]:
    """The introduction's contribution bullets, else the first sentences of the method's subsections.

    A paper that has neither (its abstract alone, say) is given its abstract's sentences, at worst the contribution.
    """
    intro = next((s.text for s in document.sections if _INTRODUCTION.search(s.title)), "")
    named = [_name_and_text(item, number) for number, item in enumerate(_items(intro), 1)]
    if len(named) < 2:
        named = [
            (_NUMBERED_TITLE.sub("", section.title).strip(" .:") or "Method", sentences[0])
            for section in _method_sections(document)
            if (sentences := [s for s in _sentences(section.text) if s not in used])
        ] or named
    if not named:
        abstract = _sentences(document.abstract)
        left = [s for s in abstract if s not in used] or abstract
        named = [_name_and_text(s, number) for number, s in enumerate(left, 1)]
    return named[:MOST_INNOVATIONS]


def _items(text: str) -> list[str]:
    """The items of the text's outermost list, each with what is nested below it on one line."""
    lines = [(match, line) for line in text.split("\n") if (match := _ITEM.fullmatch(line)) or line.strip()]
    indents = [len(match["indent"]) for match, _ in lines if match]
    items: list[str] = []
    inside = False
    for match, line in lines:
        if match and len(match["indent"]) == min(indents):
            items.append(match["text"])
            inside = True
        elif inside and (match or line[:1] in " \t"):
            items[-1] += f" {match['text'] if match else line.strip()}"
        else:
            inside = False
    return items


def _method_sections(document: Document) -> list[DocSection]:
    subs = [s for s in document.sections if s.level >= 2 and _within_method(document, s)]
    return subs or [s for s in document.sections if s.level <= 1 and not _OTHER.search(s.title)]


def _within_method(document: Document, section: DocSection) -> bool:
    above = [s for s in document.sections if s.level <= 1 and s.offset <= section.offset]
    return bool(above) and not _OTHER.search(above[-1].title) and not _OTHER.search(section.title)


def _name_and_text(item: str, number: int) -> tuple[str, str]:
    """A bold lead is the name; what has none is numbered."""
    if (match := _BOLD_LEAD.match(item.strip())) and match["text"].strip():
        return _clean(match["name"]), _clean(match["text"])
    return f"Contribution {number}", _clean(item)


def _ranked(sentences: Sequence[str], weight: Callable[[str], int]) -> list[str]:
    """Those with any weight, the heaviest first, and the earlier of two alike."""
    weighed = [(weight(s), -i, s) for i, s in enumerate(dict.fromkeys(sentences))]
    return [s for w, _, s in sorted(weighed, reverse=True) if w > 0]


def _sentences(text: str) -> list[str]:
    return list(_each_sentence(text))


def _each_sentence(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        if block.lstrip().startswith(("|", "#", "```", "$$")):
            continue
        items = [match["text"] for line in block.split("\n") if (match := _ITEM.fullmatch(line))]
        for prose in items or [block]:
            for sentence in _SENTENCE_END.split(_clean(prose)):
                if SHORTEST_SENTENCE <= len(sentence) <= LONGEST_SENTENCE and not heading_at(sentence):
                    yield sentence


def _clean(text: str) -> str:
    return " ".join(text.replace("**", "").split())


def _within(sentences: Sequence[str], most: int) -> list[str]:
    kept: list[str] = []
    for sentence in sentences:
        if sum(map(len, kept)) + 6 * len(kept) + len(sentence) + 6 <= most:
            kept.append(sentence)
    return kept


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"*   {sentence}" for sentence in sentences) or NOT_STATED
