"""The words of the search: names of AI tools with what they mean elsewhere, and the ways in which debt is admitted.

A name that has another meaning counts unless its guard speaks against it: *Gemini* the constellation, the *cursor* of
a database, *Claude* Debussy. A comment that merely calls a model ("the client retries", `api_key`) is usage, and words
in quotation marks, licences and changelogs are somebody else's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

NEIGHBOURS = 6  # words around "cursor" within which something must speak of generated code
_MADE = (
    r"wr(?:ote|itten|ites)|rewr\w+|generat\w+|suggest\w*|propos\w+|complet\w+|autocomplet\w+|produc\w+|refactor\w*|"
    r"renam\w+|made|agents?|composer|prompt\w*|AI|ask\w*|help|by"
)


@dataclass(frozen=True)
class AiTerm:
    """A tool's name. `elsewhere` in the comment or the code beside it means that something else is named; with `needs`
    a match counts only where that stands near it. Names of models count as capitals or small letters alike unless
    `exact`."""

    name: str
    pattern: str
    elsewhere: str = ""
    needs: str = ""
    exact: bool = False


AI_TERMS: tuple[AiTerm, ...] = (
    AiTerm("ChatGPT", r"chat[ -]?gpt"),
    AiTerm("GPT", r"gpt(?:[- ]?(?:3|4|5)(?:\.\d)?(?:o|-turbo|-mini)?)?"),
    AiTerm("OpenAI", r"open[ ]?ai(?:'s)?"),
    AiTerm("Copilot", r"co-?pilot", r"cockpit|flights?\b|captain|\bseats?\b|aircraft|\bcrew|autopilot|co-pilot"),
    AiTerm("Codex", r"codex", r"manuscript|alimentarius|\bbooks?\b|museum"),
    AiTerm(
        "Claude",
        r"claude",
        r"[Cc]laude (?!(?:Code|Sonnet|Opus|Haiku|AI|Desktop|Chat)\b)[A-ZÉ][a-zéèü]+|painter|customer",
    ),
    AiTerm("Anthropic", r"anthropic"),
    AiTerm(
        "Gemini",
        r"gemini",
        "|".join(
            (
                "constellation",
                "zodiac",
                r"\bcancer\b",
                "taurus",
                "nasa",
                "spacecraft",
                "telescope",
                "protocol",
                "gemini://",
                r"gemini\.com",
                "exchange",
                "starts on",
                r"\bGemini \d+\b(?!\.)",
            )
        ),
    ),
    AiTerm("Bard", r"bards?", r"druid|\blute\b|spell|poet|shakespeare|\bsong|quest\b|\bgame|bards"),
    AiTerm("Llama", r"(?:code ?)?llama(?:[- ]?[234](?:\.\d)?)?", r"alpaca|\bfarm|\bherd|\bwool|\bspit|\bzoo\b|llamas"),
    AiTerm("Mistral", r"mistral|mixtral", r"\bwinds?\b|\bsail|\bgusts?\b"),
    AiTerm("DeepSeek", r"deep[ ]?seek"),
    AiTerm("Qwen", r"qwen\d*"),
    AiTerm("Grok", r"grok(?:[- ]?\d)?", r"to grok\b|grok(?:s|ked|king)|logstash|grok pattern"),
    AiTerm("Cursor", r"cursor(?:'s)?", r"database|\bsql\b|mouse|pointer|execute\(|fetch(?:all|one)|\.cursor\(", _MADE),
    AiTerm("Windsurf", r"windsurf", r"\bsail|beach|sports?\b"),
    AiTerm("Codeium", r"codeium"),
    AiTerm("Tabnine", r"tab[ ]?nine"),
    AiTerm("CodeWhisperer", r"code ?whisperer"),
    AiTerm("LLM", r"llms?|large language models?"),
    AiTerm("vibe coding", r"vib(?:e|ing)[- ]?cod(?:e|ed|ing|er)"),
    AiTerm("AI", r"AI|A\.I\.|genAI", exact=True),
    AiTerm(
        "AI-generated",
        r"ai[- ](?:generated|written|assisted|made|slop)|(?:generated|written|made) (?:by|with) (?:an )?ai",
    ),
)

# What a file must hold, in small letters, before it is worth reading for comments.
_QUICK = re.compile(
    rb"gpt|open ?ai|co-?pilot|codex|claude|anthropic|gemini|\bbard|llama|mi[sx]tral|deep[ -]?seek|qwen|grok|cursor|"
    rb"windsurf|codeium|tab ?nine|code ?whisperer|llm|language model|vib(?:e|ing)[- ]?cod|\bai\b|genai|\ba\.i\."
)

# Ways in which the literature on admitted debt finds it admitted.
DEBT_TERMS: tuple[str, ...] = (
    r"to[ -]?do\b",
    r"fix[ -]?me",
    r"\bxxx\b",
    r"\bhack(?:y|s)?\b",
    r"work-?around",
    r"\btemporar(?:y|ily)",
    r"\bstopgap\b",
    r"\bugly",
    r"kludge",
    r"\bdirty\b",
    r"\bmess(?:y)?\b",
    r"\bhorrible\b",
    r"\bterrible\b",
    r"\bclumsy\b",
    r"spaghetti",
    r"\bstubs?\b",
    r"placeholder",
    r"hard[- ]?coded",
    r"magic number",
    r"copy[- ]?past\w+",
    r"duplicat\w+",
    r"legacy",
    r"not (?:yet |been )?(?:tested|implemented|supported|handled|possible|correct|covered|checked|verified)",
    r"un(?:tested|verified|checked|proven|supported|safe|documented|clear)\b",
    r"\bno tests?\b",
    r"never tested",
    r"haven'?t (?:checked|tested|verified|tried)",
    r"\bno (?:idea|clue)\b",
    r"don'?t (?:\w+ )?(?:understand|get)\b",
    r"\b(?:not sure|unsure)\b",
    r"probably wrong",
    r"\bfor now\b",
    r"some ?day\b",
    r"until (?:someone|somebody|we|the)\b",
    r"should (?:be|use|live|come)\b",
    r"clean(?: this)?[ -]?up",
    r"needs? (?:a |to be )?\w*(?:review|work|fix|clean|test|refactor)",
    r"refactor\w*",
    r"rewrite",
    r"\bredo\b",
    r"review please|please review",
    r"\bmissing\b",
    r"remains? to be",
    r"still to\b",
    r"known (?:bug|issue|defect)",
    r"\bbugs?\b",
    r"\bbroken\b",
    r"\bbreaks?\b",
    r"\bfails?\b",
    r"crash\w*",
    r"\bwrong\b",
    r"incorrect",
    r"insecure",
    r"\bleaks?\b",
    r"race condition",
    r"off[- ]by[- ]one",
    r"\bslow\b",
    r"inefficien\w+",
    r"quadratic",
    r"\bnaive\b",
    r"does(?:n'?t| not) (?:work|scale|handle|escape|support)",
)

# Speaking of a model that the code calls, or builds.
_USAGE = re.compile(
    r"\bclients?\b|api[_ -]?keys?|\bendpoint|\bmodel\s*=|model name|rate limits?|\bquotas?\b|fine-?tun\w+|\bweights\b|"
    r"context window|small context|\bsdk\b|chat\.completions|\bAPI\b|\btokens\b|\bprices?\b|generate\(|"
    r"tokeni[sz]\w+|pre-?trained|\b(?:en|de)coders?\b|\battention\b|rotary|\brope\b|embeddings?\b|\binference\b|\blora\b|"
    r"\blogits?\b|kv[- ]?cache|multi-?modal|backbone|hidden (?:states?|size)|\bmoe\b|\bexperts\b|quanti[sz]\w+|"
    r"chat template|system prompt|config(?:uration)? (?:class|director|file|of|like)|\bmcp\b|\bmodels\b|"
    r"[a-z\d]-(?:style|like)\b|"
    r"\*optional\*|`int`|`str`|`bool`",
    re.IGNORECASE,
)
_USAGE_CODE = re.compile(r"api_key|\.chat\.completions|messages\.create|import (?:openai|anthropic)|\.generate\(")
_SENTENCE = re.compile(r"[.!?:](?=\s)\s*|\n\s*\n")
_QUOTE = re.compile(r"[\"“»][^\"”«]{6,}[\"”«]")
_LICENCE = re.compile(
    r"copyright|spdx|licen[sc]ed? under|warrant(?:y|ies)|with all faults|provided \"?as is", re.IGNORECASE
)
_CHANGELOG = re.compile(r"^\W{0,3}(?:v?\d+\.\d+(?:\.\d+)?\s*[:-]|\d{4}-\d\d(?:-\d\d)?\b)")

_PATTERNS = tuple(
    (term, re.compile(rf"(?<![\w.@/`\[-])(?:{term.pattern})(?![\w@]|\.\w|://)", 0 if term.exact else re.IGNORECASE))
    for term in AI_TERMS
)
_ELSEWHERE = {
    term.name: re.compile(term.elsewhere, 0 if term.name == "Claude" else re.IGNORECASE)
    for term in AI_TERMS
    if term.elsewhere
}
_NEEDS = {term.name: re.compile(rf"\b(?:{term.needs})\b", re.IGNORECASE) for term in AI_TERMS if term.needs}
_DEBT = re.compile("|".join(DEBT_TERMS), re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """A place in a comment where a tool is named."""

    term: str
    start: int
    end: int


def may_name_ai(octets: bytes) -> bool:
    """Whether a file can hold a comment that names a tool: a quick look at its bytes, never wrong in saying no."""
    return _QUICK.search(octets.lower()) is not None


def named(text: str) -> list[Named]:
    """Every match of a tool's name, whatever it means there; the longest where two overlap."""
    found = sorted(
        (Named(term.name, m.start(), m.end()) for term, pattern in _PATTERNS for m in pattern.finditer(text)),
        key=lambda n: (n.start, -n.end),
    )
    kept: list[Named] = []
    for n in found:
        if not kept or n.start >= kept[-1].end:
            kept.append(n)
    return kept


def tools_named(text: str, context: str = "") -> list[Named]:
    """The matches that mean the tool, by the guards; `context` is the code beside the comment."""
    if _LICENCE.search(text) or _CHANGELOG.search(text):
        return []
    quoted = [m.span() for m in _QUOTE.finditer(text)]
    return [n for n in named(text) if _means_the_tool(n, text, context) and not any(a < n.start < b for a, b in quoted)]


def _means_the_tool(n: Named, text: str, context: str) -> bool:
    elsewhere, needs = _ELSEWHERE.get(n.term), _NEEDS.get(n.term)
    if elsewhere and elsewhere.search(text):
        return False
    if needs:
        near = " ".join([*text[: n.start].split()[-NEIGHBOURS:], *text[n.end :].split()[:NEIGHBOURS]])
        return bool(needs.search(near)) and not (elsewhere and elsewhere.search(context))
    return True


def is_usage(text: str, context: str = "") -> bool:
    """Whether the comment speaks of calling a model rather than of code that one wrote."""
    return bool(_USAGE.search(text) or _USAGE_CODE.search(context))


def near_tools(text: str, context: str = "", guards: bool = True) -> str:
    """The sentences that name a tool, with those before and after: what a long text says elsewhere is not about it.

    A text without a tool, or of three sentences at most, is kept whole.
    """
    ends = [0, *(m.end() for m in _SENTENCE.finditer(text)), len(text)]
    spans = [(a, b) for a, b in pairwise(ends) if a < b]
    tools = tools_named(text, context) if guards else named(text)
    if len(spans) <= 3 or not tools:
        return text
    holding = {i for i, (a, b) in enumerate(spans) for n in tools if a <= n.start < b}
    return "".join(text[a:b] for i, (a, b) in enumerate(spans) if holding & {i - 1, i, i + 1})


def debt_terms(text: str) -> list[tuple[int, int]]:
    """Where the text admits a shortcoming in one of the usual ways."""
    return [m.span() for m in _DEBT.finditer(text)]
