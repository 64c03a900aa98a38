"""JudgeRLVR: Judge First, Generate Second for Efficient Reasoning (2601.08468): two runs instead of one.

Before a model is trained to solve problems it is trained, with the same kind of reward, to say of a finished
solution whether it is right. What it learns to see in others' solutions it should then avoid in its own, without
writing it down and taking it back: answers get shorter though no reward looks at their length.

    judged = build_judge_set(problems, sample, verify, generator=np.random.default_rng(0))
    run = JudgeRLVR(145, 105, train)(model, judged.rows, problems, answer_reward)

Details that matter
- What it costs: `per_problem` solutions of each problem, sampled once, and no step more than the one run it replaces:
  the two stages share its steps. A judging step is cheap, for a verdict is short.
- When it does not help: where the model does not write doubts and second tries there is nothing to shorten; where it
  never gets a problem right (or always does) there are no solutions of both kinds to judge. Both are counted.
- Stage 2 starts from the weights of stage 1 and with a fresh optimiser, because `train` is called anew.
- With TRL a stage is an ordinary run of `GRPOTrainer`: `judge_reward` reads the column "label", the second stage's
  reward whatever it needs. With verl they are two configurations, the second of which loads the first one's
  checkpoint; `assay.integrations.verl.score_function` takes both rewards.
- Our reading: how many right and wrong solutions a problem keeps (as many of each as there are of the rarer kind),
  the pass rates that are kept (0.1 to 0.9), the words that count as backtracking, and that a verdict which cannot be
  read is a wrong one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from assay.methods.parsing import as_text, boxed
from assay.methods.post_training.pipeline import RewardFunction

M = TypeVar("M")

EN = (
    "but", "wait", "however", "actually", "alternatively", "hmm", "let me check", "let me recheck", "let's try again",
    "let me try again", "let's reconsider", "on second thought", "going back", "that's not right",
)  # fmt: skip
ZH = ("不对", "等等", "但是", "然而", "重新", "再试", "换个思路", "再检查", "再想想")
LEXICON = EN + ZH

_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_WORDS = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W\u3400-\u4dbf\u4e00-\u9fff]+(?:['’]\w+)*")
_VERDICT = re.compile(r"^\s*(?:#|verdict\s*[:=]?)\s*([01])\s*\.?\s*$", re.IGNORECASE | re.MULTILINE)


def judge_prompt(problem: str, solution: str) -> str:
    """What stage 1 asks of a solution."""
    return (
        f"Problem:\n{problem}\n\nProposed solution:\n{solution}\n\n"
        "Is the final answer of this solution right? Go through it, do not merely solve the problem anew, and end "
        r"with \boxed{1} if it is right or \boxed{0} if it is wrong."
    )


def parse_verdict(text: str) -> int | None:
    r"""The verdict a reply ends in: its last `\boxed{0}` or `\boxed{1}`, else its last line `verdict: 0` or `#1`.

    >>> parse_verdict(r"The carry is lost, so \boxed{0}"), parse_verdict("#1"), parse_verdict("It is fine.")
    (0, 1, None)
    """
    inside = boxed(text)
    if inside is not None:
        return int(inside) if inside in ("0", "1") else None
    lines = _VERDICT.findall(text)
    return int(lines[-1]) if lines else None


def judge_reward(
    prompts: list[Any],
    completions: list[Any],
    completion_ids: list[list[int]] | None = None,
    label: Sequence[int] | None = None,
    **columns: Any,
) -> list[float | None]:
    """The reward of stage 1, in TRL's form: 1 where the verdict is the row's `label`, 0 elsewhere.

    Raises ValueError without the column "label", or for a label that is neither 0 nor 1.
    """
    if label is None:
        raise ValueError("label: got no such column in the data set, wanted 1 (right) or 0 (wrong) for each row")
    for given in label:
        _check_label("label", given)
    return [float(parse_verdict(as_text(text)) == given) for text, given in zip(completions, label, strict=True)]


@dataclass(frozen=True)
class Judged:
    """One row of the judging data: the prompt for the judge, what it is made of, and the label, 1 for right."""

    prompt: str
    problem: str
    solution: str
    label: int


@dataclass(frozen=True)
class JudgeSet:
    """`rows` as dicts for TRL; `kept` problems, and the problems left out by reason. `unfinished` counts solutions
    of which nothing was left once their hidden thinking was taken out."""

    rows: list[dict[str, Any]]
    kept: int
    one_sided: int = 0
    outside_rate: int = 0
    unfinished: int = 0


def build_judge_set(
    problems: Iterable[str],
    sample: Callable[[str, int], Sequence[str]],
    verify: Callable[[str, str], bool | int],
    per_problem: int = 8,
    keep_rate: tuple[float, float] = (0.1, 0.9),
    balance: bool = True,
    *,
    generator: np.random.Generator,
    prompt: Callable[[str, str], str] = judge_prompt,
) -> JudgeSet:
    """Judging data from a model's own solutions.

    sample      (problem, per_problem) to that many replies; their hidden thinking is taken out before all else
    verify      (problem, solution) to whether its answer is the gold one
    keep_rate   problems are kept whose share of right solutions lies within, both ends included
    balance     of each problem as many right as wrong solutions are kept, those drawn by `generator`

    A problem with only right or only wrong solutions is left out and counted. Raises ValueError if none is left.
    """
    low, high = keep_rate
    if not 0 <= low <= high <= 1:
        raise ValueError(f"keep_rate: got {keep_rate}, wanted (lowest, highest) within 0 to 1")
    if per_problem < 2:
        raise ValueError(f"per_problem: got {per_problem}, wanted at least 2 solutions")
    rows: list[dict[str, Any]] = []
    kept = one_sided = outside = unfinished = 0
    for problem in problems:
        written = [solution_part(reply) for reply in sample(problem, per_problem)]
        solutions = [solution for solution in written if solution]
        unfinished += len(written) - len(solutions)
        labels = [_check_label("verify", verify(problem, solution)) for solution in solutions]
        right = [i for i, label in enumerate(labels) if label]
        wrong = [i for i, label in enumerate(labels) if not label]
        if not right or not wrong:
            one_sided += 1
        elif not low <= len(right) / len(labels) <= high:
            outside += 1
        else:
            kept += 1
            chosen = sorted(_drawn(right, wrong, generator)) if balance else range(len(labels))
            rows += [asdict(Judged(prompt(problem, solutions[i]), problem, solutions[i], labels[i])) for i in chosen]
    if not rows:
        raise ValueError(
            f"problems: none is left to judge ({one_sided} have only right or only wrong solutions, "
            f"{outside} a share of right ones outside {low} to {high})"
        )
    return JudgeSet(rows, kept, one_sided, outside, unfinished)


def solution_part(reply: str) -> str:
    """A reply without its hidden thinking: what follows the last `</think>`; nothing if the thinking never ended."""
    _, closed, rest = reply.rpartition("</think>")
    if "<think>" in rest:
        rest = rest[: rest.index("<think>")] if closed else ""
    return rest.strip()


def _drawn(right: list[int], wrong: list[int], generator: np.random.Generator) -> list[int]:
    """As many of each as there are of the rarer kind."""
    each = min(len(right), len(wrong))
    return [int(i) for kind in (right, wrong) for i in generator.choice(kind, each, replace=False)]


def _check_label(name: str, label: object) -> int:
    if label not in (0, 1):
        raise ValueError(f"{name}: got {label!r}, wanted 1 (right) or 0 (wrong)")
    return int(bool(label))


def backtracking_rate(text: str, lexicon: Sequence[str] = LEXICON) -> float:
    """How often a text turns back on itself, per 1,000 words (a Chinese character counts as a word); 0 without words.

    The phrases of `lexicon` are found whatever their case, whole words only unless they are Chinese, and the longer
    of two that begin at the same place.

    >>> backtracking_rate("That is 30. But wait, it is 31.")
    250.0
    """
    if not lexicon or not all(lexicon):
        raise ValueError(f"lexicon: got {list(lexicon)!r}, wanted at least one phrase, and none of them empty")
    words = len(_WORDS.findall(text))
    return 1000 * len(_finder(tuple(lexicon)).findall(text.replace("’", "'"))) / words if words else 0.0


def _finder(lexicon: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(lexicon, key=len, reverse=True)
    phrases = [re.escape(p) if _CHINESE.search(p) else rf"(?<!\w){re.escape(p)}(?!\w)" for p in longest_first]
    return re.compile("|".join(phrases), re.IGNORECASE)


@torch.no_grad()
def perplexity(model: Any, tokenizer: Any, texts: Sequence[str]) -> float:
    """Perplexity of the texts under a `transformers` causal model: exp of the mean negative log-likelihood of all
    their tokens but each text's first. Raises ValueError where there is no such token."""
    total, tokens = 0.0, 0
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids.to(model.device)
        if ids.shape[1] > 1:
            logprobs = model(ids).logits[:, :-1].float().log_softmax(-1)
            total -= float(logprobs.gather(-1, ids[:, 1:, None]).sum())
            tokens += ids.shape[1] - 1
    if tokens == 0:
        raise ValueError(f"texts: got {len(texts)}, none with two tokens")
    return math.exp(total / tokens)


def perplexity_shift(model: Any, tokenizer: Any, before: Sequence[str], after: Sequence[str]) -> float:
    """How much stranger the texts of the trained model are to the model it came from: perplexity of `after` over that
    of `before`, both under the old model. The paper's sign that stage 1 changes the style of thinking."""
    return perplexity(model, tokenizer, after) / perplexity(model, tokenizer, before)


class Watched:
    """A reward function that also keeps what became of the replies: one dict a call, of the share of rewards above
    0, the mean length in tokens and the mean backtracking rate."""

    def __init__(self, reward: RewardFunction, lexicon: Sequence[str] = LEXICON) -> None:
        self.reward, self.lexicon = reward, tuple(lexicon)
        self.log: list[dict[str, float]] = []
        self.__name__ = getattr(reward, "__name__", type(reward).__name__)  # TRL logs a reward under its name

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        rewards = self.reward(prompts, completions, completion_ids, **columns)
        texts = [as_text(text) for text in completions]
        lengths = [len(ids) for ids in completion_ids] if completion_ids else [len(text.split()) for text in texts]
        figures = {
            "accuracy": [float(reward is not None and reward > 0) for reward in rewards],
            "tokens": lengths,
            "backtracking": [backtracking_rate(text, self.lexicon) for text in texts],
        }
        self.log.append({name: float(np.mean(values)) for name, values in figures.items()})
        return rewards


Train = Callable[[M, Sequence[Mapping[str, Any]], RewardFunction, int], M]


@dataclass(frozen=True)
class TwoStages(Generic[M]):
    """The model after both stages, and what each stage saw, one dict a step (see `Watched`)."""

    model: M
    judging: list[dict[str, float]] = field(default_factory=list)
    solving: list[dict[str, float]] = field(default_factory=list)


class JudgeRLVR:
    """Judge first, then solve.

    stage1_steps, stage2_steps   steps of judging and of solving; 0 leaves a stage out (no judging: plain RLVR)
    train                        (model, rows, reward, steps) to the trained model: one ordinary run of GRPO or DAPO,
                                 called once a stage, so that nothing but the weights goes from one to the other
    lexicon                      what the logs count as backtracking
    """

    def __init__(
        self, stage1_steps: int, stage2_steps: int, train: Train[Any], lexicon: Sequence[str] = LEXICON
    ) -> None:
        if stage1_steps < 0 or stage2_steps < 0 or stage1_steps + stage2_steps == 0:
            raise ValueError(f"stage1_steps, stage2_steps: got {stage1_steps}, {stage2_steps}, wanted steps to train")
        self.stage1_steps, self.stage2_steps, self.train, self.lexicon = stage1_steps, stage2_steps, train, lexicon

    def __call__(
        self,
        model: M,
        judged: Sequence[Mapping[str, Any]],
        problems: Sequence[Mapping[str, Any]],
        reward: RewardFunction,
    ) -> TwoStages[M]:
        """Train on `judged` (rows of `build_judge_set`), then on `problems` with `reward`, which looks at the answer
        alone: a term of length would make the comparison meaningless."""
        judging, solving = Watched(judge_reward, self.lexicon), Watched(reward, self.lexicon)
        if self.stage1_steps:
            for row in judged:
                _check_label("judged", row.get("label"))
            model = self.train(model, judged, judging, self.stage1_steps)
        if self.stage2_steps:
            model = self.train(model, problems, solving, self.stage2_steps)
        return TwoStages(model, judging.log, solving.log)
