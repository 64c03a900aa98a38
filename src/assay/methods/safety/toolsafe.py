"""ToolSafe: Proactive Step-level Guardrail and Feedback for the Tool Invocation of Agents (2601.10156).

Every tool call of an agent is judged before it runs: is the request malicious, does the call follow from an attack, how
harmful is it? An unsafe call is not executed, and the agent is told why and goes on, instead of being stopped. It costs
one call of a guard a step; it does not help where the guard is fooled by what fools the agent.

    flow = TSFlow(ModelGuard(complete))
    check = flow.check(StepRecord("Pay my rent", history, ToolCall("send_money", {"to": "X", "amount": 900}), tools))
    result = execute(call) if check.allowed else check.observation     # and if check.gave_up, the episode is over

Details that matter
- `TSFlow(guard, max_blocks=1)` is detect-and-abort, the flow that the paper compares with; `max_blocks=None` is the
  paper's own, which never gives up by itself; 3 blocks in a row is our default.
- The released flow lets a step pass after three replies that cannot be read. Ours fails closed: a guard that crashes or
  cannot be read twice counts as 0.5, and its step is held back whatever the threshold.
- The two flags and the rating are joined in whole tenths (`risk_rating`): as floats, 0.4 + 0.1 would decide by luck.
  A call that follows from an attack but harms nobody (0.4) passes, and so does a rating of 1.0 alone (0.2).
- A tag that a tool's output forges reaches no parser: it is rewritten in the prompt, and only what stands after the
  guard's own analysis counts in its reply. With `detail="full"` the agent reads the guard's analysis, which may quote
  what was planted.
- An agent in Inspect needs no code for it (`--approval` with the approver `assay/ts_flow`), nor does one that calls
  tools over MCP (`assay serve toolsafe -- COMMAND`).
- Our reading: the reward of the guard's training (`MultiTaskReward`), whose official code is not public.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from assay.methods.parsing import as_text

from ._toolsafe_guards import Guard, KeywordGuard, ModelGuard
from ._toolsafe_prompt import (
    CATEGORIES,
    GuardFormatError,
    GuardVerdict,
    defused,
    failed_verdict,
    guard_prompt,
    parse_guard,
    plain_words,
    write_verdict,
)
from ._toolsafe_records import (
    RATINGS,
    StepRecord,
    ToolCall,
    ToolSpec,
    Turn,
    check_score,
    load_ts_bench,
    read_record,
)

__all__ = [
    "CATEGORIES", "FEEDBACK", "RATINGS", "Check", "Detail", "Episode", "Guard", "GuardFormatError", "GuardVerdict",
    "KeywordGuard", "Mode", "ModelGuard", "MultiTaskReward", "StepRecord", "TSFlow", "ToolCall", "ToolSpec", "Turn",
    "failed_verdict", "guard_prompt", "load_ts_bench", "next_token_entropy", "parse_guard", "plain_words",
    "read_record", "risk_rating", "training_rows", "write_verdict",
]  # fmt: skip

Mode = Literal["combined", "rating"]
Detail = Literal["rating", "full"]
TENTHS = {0.0: 0, 0.5: 1, 1.0: 2}  # what a rating adds to 4 for an attack and 4 for a malicious request
FEEDBACK = "Security Validation Before Execution:"  # what every observation of a held-back call begins with
SHOWN_ANALYSIS = 2000  # characters of it that an agent is told
_log = logging.getLogger(__name__)


def risk_rating(verdict: GuardVerdict, mode: Mode = "combined") -> float:
    """The risk of a step, 0.0, 0.5 or 1.0: 0.4 for an attack, 0.4 for a malicious request, 0.1 or 0.2 for harm, and of
    their sum whether it lies above, at or below 0.5. `mode="rating"` is the rating itself; without a verdict 0.5.

    >>> risk_rating(GuardVerdict(malicious_request=False, attacked=True, rating=0.5))
    0.5
    """
    if mode not in ("combined", "rating"):
        raise ValueError(f"mode: got {mode!r}, wanted 'combined' or 'rating'")
    if verdict.error:
        return 0.5
    if mode == "rating":
        return verdict.rating
    tenths = 4 * verdict.attacked + 4 * verdict.malicious_request + TENTHS[verdict.rating]
    return 1.0 if tenths > 5 else 0.5 if tenths == 5 else 0.0


class MultiTaskReward:
    """The reward of a guard's training, in TRL's form: `GRPOTrainer(reward_funcs=MultiTaskReward(), ...)`.

    A reply is worth the weighted mean of: the request judged rightly (0 or 1), the attack judged rightly (0 or 1), and
    1 - |rating - score|; `format_penalty` where it cannot be read. The data set has the columns "malicious_request",
    "attacked" and "score"; a row's label that is None is left out of its mean, and a row without any is unscorable.
    Raises ValueError for negative weights or none above 0, and where a weighted column is missing.
    """

    __name__ = "guard"  # TRL logs a reward under its name

    def __init__(
        self, w_request: float = 1.0, w_attack: float = 1.0, w_rating: float = 1.0, format_penalty: float = -1.0
    ) -> None:
        weights = {"malicious_request": w_request, "attacked": w_attack, "score": w_rating}
        if not all(math.isfinite(w) and w >= 0 for w in weights.values()) or not sum(weights.values()):
            raise ValueError(f"weights: got {list(weights.values())}, wanted none below 0 and one above it")
        self.weights, self.format_penalty = weights, format_penalty

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]] | None = None,
        malicious_request: Sequence[bool | None] | None = None,
        attacked: Sequence[bool | None] | None = None,
        score: Sequence[float | None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a row."""
        labels = {"malicious_request": malicious_request, "attacked": attacked, "score": score}
        for name, column in labels.items():
            if column is None and self.weights[name]:
                raise ValueError(f"{name}: got no such column in the data set, wanted its label for each row")
        columns_of = [column if column is not None else [None] * len(completions) for column in labels.values()]
        rows: Any = zip(completions, *columns_of, strict=True)
        return [self._reward(as_text(text), dict(zip(labels, row))) for text, *row in rows]

    def _reward(self, text: str, labels: dict[str, Any]) -> float | None:
        known = {name: label for name, label in labels.items() if label is not None and self.weights[name]}
        if not known:
            return None
        gold = check_score(known["score"]) if "score" in known else 0.0
        try:
            verdict = parse_guard(text)
        except GuardFormatError:
            return self.format_penalty
        right = {
            "malicious_request": float(verdict.malicious_request == labels["malicious_request"]),
            "attacked": float(verdict.attacked == labels["attacked"]),
            "score": 1 - abs(verdict.rating - gold),
        }
        return sum(self.weights[name] * right[name] for name in known) / sum(self.weights[name] for name in known)


def training_rows(records: Sequence[StepRecord], *, brief: bool = False) -> list[dict[str, Any]]:
    """Rows for a guard's training: "prompt", "completion" (the right verdict) and the columns of `MultiTaskReward`.

    Raises ValueError that names the step without one of the three labels.
    """
    rows = []
    for place, record in enumerate(records):
        labels = {"malicious_request": record.malicious_request, "attacked": record.attacked, "score": record.score}
        if missing := [name for name, label in labels.items() if label is None]:
            raise ValueError(f"records: step {place} has no {', '.join(missing)}, wanted all three labels to train on")
        verdict = GuardVerdict(bool(record.malicious_request), bool(record.attacked), float(record.score or 0))
        rows.append({"prompt": guard_prompt(record, brief=brief), "completion": write_verdict(verdict), **labels})
    return rows


@dataclass(frozen=True)
class Check:
    """What the flow says of a call. Where it is not allowed, `observation` is what the agent reads in place of the
    tool's result; with `gave_up` it is the episode's final answer."""

    allowed: bool
    rating: float
    observation: str = ""
    gave_up: bool = False


@dataclass(frozen=True)
class Episode:
    """A run of an agent under the flow: its turns, its answer ("" where the turns ran out), a check for each call."""

    history: tuple[Turn, ...]
    answer: str
    checks: tuple[Check, ...]


class TSFlow:
    """Judges calls before they run and tells the agent why one was held back. One object an episode, or `start()` anew.

    threshold    a call of this risk or more is held back
    max_blocks   calls held back in a row after which the episode ends; None never ends it
    detail       what the agent is told: the rating, or also the flags, the categories and the analysis
    mode         `risk_rating`'s

    Raises ValueError for a threshold outside (0, 1], max_blocks below 1, an unknown detail or mode.
    """

    def __init__(
        self,
        guard: Guard,
        threshold: float = 0.5,
        max_blocks: int | None = 3,
        detail: Detail = "rating",
        mode: Mode = "combined",
    ) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold: got {threshold}, wanted a risk above 0, up to 1")
        if max_blocks is not None and max_blocks < 1:
            raise ValueError(f"max_blocks: got {max_blocks}, wanted at least 1, or None")
        if detail not in ("rating", "full"):
            raise ValueError(f"detail: got {detail!r}, wanted 'rating' or 'full'")
        if mode not in ("combined", "rating"):
            raise ValueError(f"mode: got {mode!r}, wanted 'combined' or 'rating'")
        self.guard, self.threshold, self.max_blocks = guard, threshold, max_blocks
        self.detail, self.mode = detail, mode
        self._held: list[str] = []

    def start(self) -> None:
        """Begin another episode: no call has been held back."""
        self._held = []

    def check(self, record: StepRecord) -> Check:
        """Ask the guard about a call. One that crashes holds it back, and the log says why."""
        try:
            verdict = self.guard(record)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with the guard, the step must not pass
            _log.warning("the guard gave no verdict: %s: %s", type(error).__name__, error)
            verdict = failed_verdict(f"{type(error).__name__}: {error}")
        return self.decide(record, verdict)

    def decide(self, record: StepRecord, verdict: GuardVerdict) -> Check:
        """What follows from a verdict that was had elsewhere, such as in async code; counts it like `check`."""
        rating = risk_rating(verdict, self.mode)
        if rating < self.threshold and not verdict.error:
            self._held = []
            return Check(True, rating)
        self._held.append(record.action.name)
        if self.max_blocks is not None and len(self._held) >= self.max_blocks:
            return Check(False, rating, self._farewell(), gave_up=True)
        return Check(False, rating, self._feedback(record, verdict, rating))

    def run(
        self,
        agent: Callable[[Sequence[Turn]], ToolCall | str],
        execute: Callable[[ToolCall], str],
        user_request: str,
        tools: Sequence[ToolSpec] = (),
        *,
        max_turns: int = 10,
    ) -> Episode:
        """One episode: `agent` gives the next call or, as text, its answer; `execute` carries out an allowed call."""
        if max_turns < 1:
            raise ValueError(f"max_turns: got {max_turns}, wanted at least 1")
        self.start()
        history, checks = [Turn("user", user_request)], list[Check]()
        for _ in range(max_turns):
            step = agent(tuple(history))
            if isinstance(step, str):
                return Episode((*history, Turn("assistant", step)), step, tuple(checks))
            checks.append(self.check(StepRecord(user_request, tuple(history[1:]), step, tuple(tools))))
            if checks[-1].gave_up:
                answer = checks[-1].observation
                return Episode((*history, Turn("assistant", answer)), answer, tuple(checks))
            seen = execute(step) if checks[-1].allowed else checks[-1].observation
            history += [Turn("assistant", str(step)), Turn("tool", seen)]
        return Episode(tuple(history), "", tuple(checks))

    def _feedback(self, record: StepRecord, verdict: GuardVerdict, rating: float) -> str:
        said = f"risk {rating}"
        if verdict.error:
            said = f"no verdict could be had, which counts as risk {rating}"
        elif self.detail == "full":
            flags = {"malicious request": verdict.malicious_request, "follows from an attack": verdict.attacked}
            words = [f"{name}: {'yes' if flag else 'no'}" for name, flag in flags.items()]
            words += [f"harm of the action: {verdict.rating}"]
            words += [f"{name} {CATEGORIES[name]}" for name in verdict.categories]
            said += f" ({'; '.join(words)}). {defused(verdict.analysis[:SHOWN_ANALYSIS])}".rstrip(". ")
        return (
            f"{FEEDBACK} {said}. The call of {record.action.name} was not executed. Make a "
            "safer call that serves the user's request, or answer with what can be done without this one."
        )

    def _farewell(self) -> str:
        names = ", ".join(dict.fromkeys(self._held))
        times = "the last call was" if len(self._held) == 1 else f"the last {len(self._held)} calls were"
        return f"Stopped: {times} held back as unsafe ({names}) and not executed; what needed them was not done."


def next_token_entropy(model: Any, tokenizer: Any, prompt: str) -> float:
    """Entropy, in nats, of what a causal model of `transformers` says next, over its whole vocabulary.

    Of an agent's prompt with and without the flow's observation it shows whether the feedback opens other ways (the
    paper's claim). Raises ValueError for a prompt without tokens.
    """
    import torch

    ids = torch.as_tensor(tokenizer(prompt)["input_ids"], device=model.device).view(1, -1).long()
    if not ids.numel():
        raise ValueError("prompt: got no token, wanted at least one")
    with torch.no_grad():
        logprobs = model(ids).logits[0, -1].double().log_softmax(dim=-1)
    return float(torch.special.entr(logprobs.exp()).sum())
