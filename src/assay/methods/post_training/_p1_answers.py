r"""Physics answers marked by rule: numbers, formulas, relations and options in LaTeX. The verifier of `p1_vl`.

SymPy holds the formulas, `latex2sympy2_extended` reads them. Two formulas are the same when they agree at several
points drawn for their symbols: no simplifier runs, so that an answer such as 9^{9^{9^9}} cannot stop a training run.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.methods.parsing import as_text, ask_json, boxes
from assay.methods.protocols import Complete

LONGEST, DEEPEST = 1000, 12  # characters of an answer that is read, brackets in one another
POINTS, DIGITS, AGREE = 5, 30, 1e-9  # where formulas are compared, how exactly, what they may differ by (relative)
LARGEST = 1e300

_GREEK = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "rho", "varrho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega",
    "Gamma", "Delta", "Theta", "Lambda", "Xi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "hbar", "ell",
})  # fmt: skip
_IN_BRACES = r"\{(?:[^{}]|\{[^{}]*\})*\}"
_SYMBOL = re.compile(rf"(\\[A-Za-z]+|[A-Za-z])(?:\s*_\s*({_IN_BRACES}|\\[A-Za-z]+|[A-Za-z0-9]))?")
_DRESSED = re.compile(r"\\(?:vec|mathbf|boldsymbol|bm|hat)\s*\{([^{}]*)\}")
_NOTHING = re.compile(
    r"\\[,;:!]|\\(?:quad|qquad|limits|left|right|displaystyle|big|Big)(?![A-Za-z])|\$|~|\\?%|°|\^\s*\{?\s*\\circ\s*\}?"
)
_POWER = r"(?:\s*\^\s*\{?-?\d+\}?)?"
_UPRIGHT = re.compile(rf"\\(?:text|mathrm|rm|operatorname|unit|textrm)\s*{_IN_BRACES}{_POWER}")
_UNIT = (
    r"(?:[YZEPTGMkhdcmunpf]|\\mu|μ|µ)?"
    rf"(?:mol|min|rad|atm|bar|cd|sr|Hz|Pa|eV|Wb|lm|lx|m|s|g|A|K|N|J|W|C|V|F|T|H|h|L|Ω){_POWER}"
)
_NUMBER = r"[+-]?(?:\d+(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][+-]?\d+)?(?:\s*(?:\\times|\\cdot|×)\s*10\s*\^\s*\{?-?\d+\}?)?"
_WITH_UNIT = re.compile(rf"({_NUMBER})\s*{_UNIT}(?:\s*(?:\\cdot|/|\s|\*|·)\s*{_UNIT})*")
_SCIENTIFIC = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")
_OPTIONS = re.compile(r"\(?[A-H]\)?(?:\s*(?:,|and|)\s*\(?[A-H]\)?)*:?")
_LETTER = re.compile(r"[A-H]")


@dataclass(frozen=True)
class Marked:
    """Whether an answer is right, and by which rule or why not. `read` is False where a side could not be read."""

    right: bool
    reason: str
    read: bool = True


class PhysicsVerifier:
    """Marks an answer against the gold one: by option letters, as numbers within `tolerance` of the gold (relative),
    as relations with the same sides, or as formulas that agree everywhere.

    Units are stripped, not converted: 3 km for 3 m passes. Of `x = 3` the right-hand side counts. Nothing raises:
    an answer that cannot be read is wrong, with the reason.
    """

    def __init__(self, tolerance: float = 0.01) -> None:
        if not 0 <= tolerance < 1:
            raise ValueError(f"tolerance: got {tolerance}, wanted a relative error in [0, 1)")
        self.tolerance = tolerance

    def __call__(self, answer: str, gold: str) -> Marked:
        plain = [_bare(text) for text in (answer, gold)]
        if plain[0] == plain[1] != "":
            return Marked(True, "the same text")
        options = [_OPTIONS.fullmatch(text) for text in plain]
        if all(options):
            ours, theirs = (set(_LETTER.findall(found[0])) for found in options if found)
            return Marked(ours == theirs, "option letters")
        names: dict[str, str] = {}
        sides = []
        for whose, text in (("gold answer", gold), ("answer", answer)):
            try:
                sides.append(_read(text, names))
            except Exception as error:  # noqa: BLE001 - the LaTeX reader raises bare exceptions for what is no formula
                return Marked(False, f"the {whose} cannot be read: {str(error).split(chr(10))[0][:80]}", read=False)
        try:
            return self._compared(answer, gold, sides[1], sides[0])
        except (ArithmeticError, ValueError, TypeError, AttributeError, RecursionError) as error:
            return Marked(False, f"cannot be compared: {str(error)[:80]}", read=False)

    def _compared(self, answer: str, gold: str, ours: Any, theirs: Any) -> Marked:
        relations, wanted = _relations(ours), _relations(theirs)
        if relations or wanted:
            met = [any(self._same_relation(one, other) for one in relations) for other in wanted]
            return Marked(len(relations) == len(wanted) and all(met), "relation")
        if ours.free_symbols and not theirs.free_symbols and (bare := _without_unit(answer)):
            ours = _read(bare, {})
        elif theirs.free_symbols and not ours.free_symbols and (bare := _without_unit(gold)):
            theirs = _read(bare, {})
        return Marked(self._same(ours, theirs), "formula" if theirs.free_symbols else "number")

    def _same_relation(self, ours: Any, theirs: Any) -> bool:
        if ours.rel_op != theirs.rel_op and ours.rel_op == theirs.reversed.rel_op:
            ours = ours.reversed
        return ours.rel_op == theirs.rel_op and self._same(ours.lhs, theirs.lhs) and self._same(ours.rhs, theirs.rhs)

    def _same(self, ours: Any, theirs: Any) -> bool:
        """Whether both have the same value wherever their symbols are drawn, positive; a number's within tolerance."""
        symbols = sorted(ours.free_symbols | theirs.free_symbols, key=str)
        apart = AGREE if theirs.free_symbols else self.tolerance
        rng = random.Random(0)
        for _ in range(POINTS if symbols else 1):
            at = {symbol: _float(rng.uniform(0.2, 2.0)) for symbol in symbols}
            got, wanted = _value(ours, at), _value(theirs, at)
            if abs(got - wanted) > apart * (abs(wanted) or 1):
                return False
        return True


def multi_answer_reward(text: str, golds: Sequence[str], verify: PhysicsVerifier | None = None) -> float:
    r"""The share of sub-answers that are right: the k-th of the last `len(golds)` `\boxed{}` is the k-th answer's.

    A reply with fewer boxes than answers has the last ones wrong. Raises ValueError without a gold answer.

    >>> multi_answer_reward(r"\boxed{2} and \boxed{7}", ["2", "3"])
    0.5
    """
    if not golds:
        raise ValueError("golds: got none, wanted at least one gold answer")
    verify = verify or PhysicsVerifier()
    given = boxes(text)[-len(golds) :]
    return sum(verify(answer, gold).right for answer, gold in zip(given, golds)) / len(golds)


def physics_reward(
    prompts: list[Any],
    completions: list[Any],
    completion_ids: list[list[int]] | None = None,
    answer: Sequence[str | Sequence[str]] | None = None,
    **columns: Any,
) -> list[float | None]:
    """`multi_answer_reward` in TRL's form; the column "answer" holds the gold answer, or a list of them, of a row."""
    if answer is None:
        raise ValueError("answer: got no such column in the data set, wanted the gold answers of each row")
    golds = [[one] if isinstance(one, str) else list(one) for one in answer]
    return [multi_answer_reward(as_text(text), own) for text, own in zip(completions, golds, strict=True)]


class ModelVerifier:
    """The rule, and a language model where the rule cannot read a side. For evaluation, not for training: what a
    model lets pass, training finds."""

    def __init__(self, complete: Complete, rule: PhysicsVerifier | None = None) -> None:
        self.complete, self.rule = complete, rule or PhysicsVerifier()

    async def __call__(self, answer: str, gold: str) -> Marked:
        """Raises ReplyError where the model gives no usable reply."""
        marked = self.rule(answer, gold)
        if marked.right or marked.read:
            return marked
        schema = {"type": "object", "properties": {"same": {"type": "boolean"}}, "required": ["same"]}
        question = (
            "Do these two final answers to a physics problem say the same, up to units, notation and one per cent?\n\n"
            f"Reference: {gold}\nAnswer: {answer}"
        )
        reply = await ask_json(self.complete, question, schema)
        return Marked(reply["same"], "judged by a model")


def _read(text: str, names: dict[str, str]) -> Any:
    """The SymPy object of an answer. `names` numbers the symbols, alike for both sides: the reader gives letters such
    as I, E and gamma meanings of their own."""
    from latex2sympy2_extended import NormalizationConfig, latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig

    if len(text) > LONGEST or _depth(text) > DEEPEST:
        raise ValueError(f"longer than {LONGEST} characters, or more than {DEEPEST} brackets in one another")
    if _SCIENTIFIC.fullmatch(_bare(text)):
        return _float(_bare(text))
    plain = _bare(_SYMBOL.sub(lambda match: _symbol(match, names), _DRESSED.sub(r" \1 ", text)))
    plain = re.sub(r"\\sqrt\s*(\d)", r"\\sqrt{\1}", plain)
    found = latex2sympy(
        plain,
        normalization_config=NormalizationConfig(malformed_operators=True),
        conversion_config=ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=False),
    )
    equality = getattr(found, "rel_op", None) == "=="
    return found.rhs if equality and found.lhs.is_Symbol else found


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _bare(text: str) -> str:
    """Without what stands for nothing, and without upright text unless there is nothing else."""
    without = _NOTHING.sub(" ", _UPRIGHT.sub("", text)).strip().rstrip(".")
    return without or text.strip()


def _symbol(match: re.Match[str], names: dict[str, str]) -> str:
    name, index = match[1], re.sub(r"[{}\s]|\\(?:text|mathrm|rm)", "", match[2] or "")
    if name.startswith("\\") and name[1:] not in _GREEK:
        return match[0]
    if name == "e" and not index:
        return match[0]
    return names.setdefault(f"{name}_{index}", f"v_{{{len(names)}}}") + " "


def _without_unit(text: str) -> str | None:
    """The number of `3.2 m/s`; None where the text is no number with a known unit."""
    found = _WITH_UNIT.fullmatch(_bare(text))
    return found[1] if found and any(char.isdigit() for char in found[1]) else None


def _value(expression: Any, at: dict[Any, Any]) -> Any:
    """The number an expression stands for, built up from its leaves, each step bounded. Raises ArithmeticError."""
    if expression in at:
        return at[expression]
    parts = [_value(part, at) for part in expression.args]
    number = (expression.func(*parts) if parts else expression).evalf(DIGITS)
    if not number.is_number or not number.is_finite or abs(number) > LARGEST:
        raise ArithmeticError("a value that is no finite number")
    return number


def _float(number: float | str) -> Any:
    from sympy import Float

    return Float(number, DIGITS)


def _relations(found: Any) -> list[Any]:
    """The relations that an answer is made of, of a chain `a < x < b` each one; none for a formula."""
    parts = [found] if hasattr(found, "rel_op") else list(getattr(found, "args", ()))
    return parts if parts and all(hasattr(part, "rel_op") for part in parts) else []
