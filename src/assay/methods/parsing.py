"""Reading what language models write: tags, boxes, JSON, and answers compared the way question answering does.

Every function takes arbitrary text and says None, False or 0 where it finds nothing; only `ask_json` raises, a
`ReplyError`, so that a reply that cannot be used is counted as void and never taken for a zero.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from assay.methods.protocols import Complete

_BRACES = re.compile(r"\\boxed\s*\{|\\.|[{}]", re.DOTALL)  # an escaped brace is a character, not a bracket
_FORMAT_TAG = re.compile(r"<(/?)(think|answer)>")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORDS_OF_JUDGEMENT = frozenset({"yes", "no", "noanswer"})
SHOWN_BACK = 4000  # characters of an unusable reply that its author is shown again


def boxed_spans(text: str) -> list[tuple[int, int]]:
    r"""Where each complete `\boxed{…}` stands, in order, from its backslash to past its brace.

    Braces must balance; of boxes inside one another the outermost complete one counts.
    """
    opened: list[int | None] = []
    spans: list[tuple[int, int]] = []
    for token in _BRACES.finditer(text):
        if token[0] == "{":
            opened.append(None)
        elif token[0].startswith("\\boxed"):
            opened.append(token.start())
        elif token[0] == "}" and opened and (start := opened.pop()) is not None:
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, token.end()))
    return spans


def boxed_span(text: str) -> tuple[int, int] | None:
    r"""Where the last complete `\boxed{…}` stands, as `boxed_spans` finds them; None without one."""
    spans = boxed_spans(text)
    return spans[-1] if spans else None


def boxes(text: str) -> list[str]:
    r"""What stands in each complete `\boxed{…}`, in order, without surrounding white space."""
    return [text[text.index("{", start) + 1 : end - 1].strip() for start, end in boxed_spans(text)]


def boxed(text: str) -> str | None:
    r"""What stands in the last complete `\boxed{…}`, without surrounding white space; None without one.

    >>> boxed(r"so \boxed{\frac{1}{2}}, not \boxed{3")
    '\\frac{1}{2}'
    """
    found = boxes(text)
    return found[-1] if found else None


def tagged(text: str, tag: str) -> list[str]:
    """What stands in each `<tag>…</tag>`, in order, without surrounding white space.

    A second opening before the closing starts anew, so that a forgotten closing tag swallows nothing.
    """
    found = []
    for piece in text.split(f"</{tag}>")[:-1]:
        _, opening, inside = piece.rpartition(f"<{tag}>")
        if opening:
            found.append(inside.strip())
    return found


def final_answer(text: str) -> str | None:
    r"""The answer a reply ends in: its last `<answer>…</answer>` (of that the last `\boxed{…}`, if there is one),
    else its last `\boxed{…}`. None without either, and where it is empty."""
    answers = tagged(text, "answer")
    answer = boxed(answers[-1]) or answers[-1] if answers else boxed(text)
    return answer or None


def well_formed(text: str) -> bool:
    """Whether a reply is `<think>…</think> … <answer>…</answer>`: it opens with a thought, every thought is closed
    before anything else opens, and the only answer, not an empty one, ends it. Between them anything may stand,
    such as tool calls and what they gave."""
    inside = text.strip()
    if not (inside.startswith("<think>") and inside.endswith("</answer>")):
        return False
    tags = [tag[0] for tag in _FORMAT_TAG.finditer(inside)]
    thoughts, answer = tags[:-2], tags[-2:]
    pairs = list(zip(thoughts[::2], thoughts[1::2], strict=False))
    whole = len(thoughts) % 2 == 0 and all(pair == ("<think>", "</think>") for pair in pairs)
    return whole and answer == ["<answer>", "</answer>"] and bool(tagged(inside, "answer")[-1])


def as_text(message: Any) -> str:
    """A prompt or completion in TRL's form as text: a conversation by its contents, one line a message."""
    return message if isinstance(message, str) else "\n".join(str(turn["content"]) for turn in message)


def normalise_answer(text: str) -> str:
    """Lower case, no ASCII punctuation, no English article, single spaces (SQuAD's rule).

    >>> normalise_answer("The  Eiffel-Tower!")
    'eiffeltower'
    """
    words = _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION))
    return " ".join(words.split())


def exact_match(prediction: str, gold: str) -> bool:
    """Whether the two are the same once normalised."""
    return normalise_answer(prediction) == normalise_answer(gold)


def token_f1(prediction: str, gold: str) -> float:
    """F1 of the normalised words as bags, in [0, 1]; "yes", "no" and "noanswer" count only when the same.

    >>> round(token_f1("the red house", "red barn"), 3)
    0.5
    """
    ours, theirs = normalise_answer(prediction), normalise_answer(gold)
    if ours == theirs:
        return 1.0
    if ours in _WORDS_OF_JUDGEMENT or theirs in _WORDS_OF_JUDGEMENT:
        return 0.0
    a, b = ours.split(), theirs.split()
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b))


def find_json(text: str) -> dict[str, Any] | None:
    """The last JSON object that stands in a text by itself (not inside another), fenced or not; None without one.

    Strict JSON: NaN and Infinity make no object.
    """
    decoder = json.JSONDecoder(parse_constant=_refuse)
    found, at = None, text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:  # no object starts here
            end = at + 1
        except RecursionError:  # nested a thousand deep: no reply that anyone wanted
            return found
        at = text.find("{", end)
    return found


class ReplyError(ValueError):
    """A model's reply that stayed unusable. `text` is the last reply, `reason` what was wrong with it."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"no usable reply: {reason}")
        self.text, self.reason = text, reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.text, self.reason)


async def ask_json(
    complete: Complete, prompt: str, schema: Mapping[str, Any], repairs: int = 1, *, images: Sequence[str] = ()
) -> dict[str, Any]:
    """The model's reply as a JSON object that fits the JSON Schema; up to `repairs` times it is told what was wrong.

    Raises ReplyError when the last attempt is no better, ValueError for negative `repairs`,
    `jsonschema.SchemaError` for a schema that is none.
    """
    from jsonschema.validators import validator_for

    if repairs < 0:
        raise ValueError(f"repairs: got {repairs}, wanted 0 or more")
    kind = validator_for(schema)
    kind.check_schema(dict(schema))
    validator = kind(dict(schema))

    question, reply, reason = prompt, "", ""
    for _ in range(1 + repairs):
        reply = await complete(question, images=images, schema=schema)
        content = find_json(reply)
        reason = "it holds no JSON object" if content is None else _complaint(validator, content)
        if content is not None and not reason:
            return content
        question = (
            f"{prompt}\n\nYour last reply could not be used ({reason}):\n{reply[:SHOWN_BACK]}\n\n"
            "Reply with the JSON object alone."
        )
    raise ReplyError(reply, reason)


def _complaint(validator: Any, content: dict[str, Any]) -> str:
    """What is worst about the content, or ''."""
    from jsonschema.exceptions import best_match

    error = best_match(validator.iter_errors(content))
    if error is None:
        return ""
    where = "/".join(map(str, error.absolute_path))
    return f"{where}: {error.message[:200]}" if where else error.message[:200]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
