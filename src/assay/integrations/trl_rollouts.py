"""TRL's `rollout_func`: sampling that looks at what it has sampled, and the plateau of a run's own evaluations.

    trainer = GRPOTrainer(model, BAPOReward(detector), ..., rollout_func=resampled(Resampler(), judge, detector),
                          callbacks=[WatchPlateau(detector)])

Works with any `trl.GRPOTrainer` of trl 1.16, `AdvantageGRPOTrainer` included, and with whatever generates for it
(transformers or vLLM). TRL calls rollout functions experimental and says so once.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback
from trl import GRPOTrainer
from trl import __version__ as trl_version

from assay.methods.parsing import as_text
from assay.methods.post_training.bapo import PlateauDetector, Resampler
from assay.methods.post_training.octopus import CLOSE, OPEN, Correct, Row, Stage, response_mask

RolloutFunction = Callable[[list[Any], GRPOTrainer], dict[str, Any]]

MOST_TAG_TOKENS = 8  # of the tag that begins a correction, before one is told of it
_HOOKS = ("_tokenize_prompts", "_generate_single_turn")


def generate(trainer: GRPOTrainer, prompts: list[Any]) -> list[dict[str, Any]]:
    """One completion of each prompt by the trainer's own generation settings.

    Each is a dict of "prompt_ids", "completion_ids" and "logprobs", the last None where the engine gives none.
    Raises RuntimeError for a trl that generates in another way.
    """
    missing = [name for name in _HOOKS if not hasattr(trainer, name)]
    if missing:
        raise RuntimeError(f"trl {trl_version} has no GRPOTrainer.{missing[0]}: this adapter wants trl>=1.16,<1.17")
    prompt_ids, images, fields = trainer._tokenize_prompts(prompts)
    completion_ids, logprobs = trainer._generate_single_turn(prompt_ids, images, fields, 1)
    return [
        {"prompt_ids": asked, "completion_ids": written, "logprobs": None if logprobs is None else logprobs[row]}
        for row, (asked, written) in enumerate(zip(prompt_ids, completion_ids, strict=True))
    ]


def resampled(
    resampler: Resampler, judge: Callable[[Any, str], tuple[float, bool]], detector: PlateauDetector
) -> RolloutFunction:
    """BAPO's resampling: on the plateau, groups that failed without a refusal are generated again.

    judge    (prompt, completion) to its score and whether it refuses, as the reward will see them

    Rewards are given the stage as the column "stage", "eval" while the trainer evaluates. With several processes the
    rollouts of a prompt must lie in one of them: `per_device_train_batch_size` a multiple of `num_generations`.
    """

    def rollout(prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        stage = detector.stage if trainer.model.training else "eval"
        groups = _groups(prompts)
        written = generate(trainer, prompts)

        def draw(numbers: list[int]) -> list[list[dict[str, Any]]]:
            fresh = iter(generate(trainer, [prompts[row] for number in numbers for row in groups[number]]))
            return [[next(fresh) for _ in groups[number]] for number in numbers]

        def judged(number: int, completion: dict[str, Any]) -> tuple[float, bool]:
            text = trainer.processing_class.decode(completion["completion_ids"], skip_special_tokens=True)
            return judge(prompts[groups[number][0]], text)

        kept = resampler([[written[row] for row in rows] for rows in groups], draw, judged, stage)
        chosen: list[dict[str, Any]] = list(written)
        for rows, group in zip(groups, kept, strict=True):
            for row, completion in zip(rows, group, strict=True):
                chosen[row] = completion
        out: dict[str, Any] = {key: [completion[key] for completion in chosen] for key in chosen[0]}
        if chosen[0]["logprobs"] is None:
            out["logprobs"] = None
        return {**out, "stage": [stage] * len(prompts)}

    return rollout


def spliced(
    recombine: Callable[[list[str], Correct, int], list[Row]],
    correct: Callable[[Any, str], bool | None],
    sampled: int,
    stage: Stage | None,
    *,
    open: str = OPEN,
    close: str = CLOSE,
) -> RolloutFunction:
    """Octopus's augmentation: `sampled` completions of each prompt, and as many rows as TRL wants made of them.

    recombine    (completions, judge, rows wanted) to the rows: `octopus.recombine` with its generator set
    correct      (prompt, attempt) to whether the attempt is right; None where nobody can say
    stage        of `octopus.response_mask`, which becomes TRL's mask of trained tokens; None trains on all of them

    Made-up rows have no log-probabilities of the engine's, so that TRL is given none: with vLLM, turn its importance
    sampling correction off. Prompts may be conversations with images; they go to the model as they are. Evaluations
    are sampled as usual.
    """

    def rollout(prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        if not trainer.model.training:
            plain = generate(trainer, prompts)
            return {**{key: [row[key] for row in plain] for key in plain[0]}, "logprobs": None}
        tokenizer = getattr(trainer.processing_class, "tokenizer", trainer.processing_class)
        opening = _encoded(tokenizer, open)
        if len(opening) > MOST_TAG_TOKENS:
            warnings.warn(f"{open!r} is {len(opening)} tokens; it is learnt sooner as one of its own", stacklevel=2)
        groups = _groups(prompts)
        written = iter(generate(trainer, [prompts[rows[0]] for rows in groups for _ in range(sampled)]))
        chosen: list[dict[str, Any]] = [{}] * len(prompts)
        for rows in groups:
            prompt, own = prompts[rows[0]], [next(written) for _ in range(sampled)]
            texts = [tokenizer.decode(one["completion_ids"], skip_special_tokens=True) for one in own]
            made = recombine(texts, lambda attempt, prompt=prompt: correct(prompt, attempt), len(rows))
            for place, row in zip(rows, made, strict=True):
                ids, first = _tokens(tokenizer, row, own[row.source[0]]["completion_ids"], open)
                mask = response_mask(len(ids), first if stage else 0, row.kind, stage or 1)
                asked = own[row.source[0]]["prompt_ids"]
                chosen[place] = {"prompt_ids": asked, "completion_ids": ids, "env_mask": mask.int().tolist()}
        return {**{key: [row[key] for row in chosen] for key in chosen[0]}, "logprobs": None}

    return rollout


def _tokens(tokenizer: Any, row: Row, own: list[int], open: str) -> tuple[list[int], int]:
    """A row's completion and how many of its tokens are the first attempt with the opening tag (0 without a tag)."""
    if row.spliced:
        first, _, second = row.text.partition(open)
        head = _encoded(tokenizer, first) + _encoded(tokenizer, open)
        return [*head, *_encoded(tokenizer, second), tokenizer.eos_token_id], len(head)
    if open not in row.text:
        return own, 0
    return own, bisect_left(range(len(own)), True, key=lambda end: open in tokenizer.decode(own[:end]))


def _encoded(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


class WatchPlateau(TrainerCallback):
    """Hands each evaluation's figure to the detector; `metric` is a name in TRL's log."""

    def __init__(self, detector: PlateauDetector, metric: str = "eval_reward") -> None:
        self.detector, self.metric = detector, metric

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **others: Any) -> None:
        if logs and self.metric in logs:
            self.detector.update(logs[self.metric])


def _groups(prompts: list[Any]) -> list[list[int]]:
    """The rows of each prompt, in the order of first appearance."""
    rows: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        rows.setdefault(as_text(prompt), []).append(row)
    return list(rows.values())
