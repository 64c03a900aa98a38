"""What a question is worth: its difficulty, its form, and how advantages compare it with questions of its kind."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from assay.methods.parsing import exact_match, normalise_answer, tagged
from assay.methods.policy_gradient import group_advantages, group_means
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.protocols import Message

FORMAT_WEIGHT = 0.5
SHORT, LONGER = 5, 10  # words of an answer: up to SHORT full marks, up to LONGER half


class HRPO:
    """(r - mean) / sqrt(variance + delta) over the batch's rows of one `key`, the number of hops; gives (B,).

    Population variance; rows with reward NaN are left out and get 0, as do a key's rows with equal rewards.
    `lone_rows` says how many scored rows of the last batch had no other to be compared with.
    """

    needs = frozenset({"key"})

    def __init__(self, delta: float = 1e-6) -> None:
        if not delta > 0:
            raise ValueError(f"delta: got {delta}, wanted > 0")
        self.delta = delta
        self.lone_rows = 0

    def __call__(self, batch: RolloutBatch) -> Tensor:
        batch.require("key", needed_by="HRPO")
        assert batch.key is not None
        scored = ~batch.rewards.isnan()
        centred = group_advantages(batch.rewards.double(), batch.key, scale="none")
        variance = group_means(centred.masked_fill(~scored, torch.nan).square(), batch.key)
        counts = torch.unique(batch.key[scored], return_counts=True)[1]
        self.lone_rows = int((counts == 1).sum())
        advantages = centred / (variance + self.delta).sqrt()
        return advantages.masked_fill(~scored, 0).to(batch.rewards.dtype)


def difficulty(correct: Sequence[bool]) -> float:
    """(n - k) / (n - 1) for k of n attempts right, 0 where none or all are: one right of n pays 1.

    >>> difficulty([True, False, False, False, False]), difficulty([True] * 4 + [False])
    (1.0, 0.25)
    """
    n, k = len(correct), sum(map(bool, correct))
    if n < 2:
        raise ValueError(f"correct: got {n} attempts, wanted at least 2")
    return 0.0 if k in (0, n) else (n - k) / (n - 1)


def proposer_reward(form: float, correct: Sequence[bool]) -> float:
    """Half the score of the form, plus the difficulty; a question without form earns nothing."""
    if not 0 <= form <= 1:
        raise ValueError(f"form: got {form}, wanted a score in [0, 1]")
    return FORMAT_WEIGHT * form + difficulty(correct) if form > 0 else 0.0


def solver_reward(prediction: str | None, gold: str) -> float:
    """1 where the prediction is the gold answer once both are normalised, else 0; None is no prediction."""
    return float(prediction is not None and exact_match(prediction, gold))


def hop_count(response: str) -> int:
    """The hops of a question by how it was made: its transcript's valid search calls, plus one."""
    return 1 + len(_calls(response))


def proposer_format(messages: Sequence[Message], response: str, hops: int) -> float:
    """The score of a proposal's form, in [0, 1].

    messages   the conversation before the response: the seed document from the user, the assistant's turns with
               their `<search>` calls, what the tool gave
    response   the last turn, with `<question>` and `<answer>`
    hops       how many hops were asked for

    0 without a question, without an answer, or with the answer inside the question. Else the mean of: 1; the share of
    turns that open with a thought; enough searches, each with a reply; an answer that is short and was found.
    """
    if hops < 1:
        raise ValueError(f"hops: got {hops}, wanted at least 1")
    question, answer = proposed(response)
    said = normalise_answer(answer)
    if not question or not answer or said in normalise_answer(question):
        return 0.0
    turns = [message.text for message in messages if message.role == "assistant"] + [response]
    thoughts = sum(turn.lstrip().startswith("<think>") and "</think>" in turn for turn in turns) / len(turns)

    calls = sum(len(_calls(turn)) for turn in turns)
    replies = [message.text for message in messages if message.role == "tool"]
    searched = 1.0 if hops == 1 else min((1 + calls) / hops, 1.0) * (calls == len(replies))

    texts = replies + [message.text for message in messages if message.role == "user"]
    found = said in ("yes", "no") or any(said in normalise_answer(text) for text in texts)
    words = len(answer.split())
    length = 1.0 if words <= SHORT else 0.5 if words <= LONGER else 0.0
    return (1 + thoughts + searched + length * found) / 4


def proposed(response: str) -> tuple[str, str]:
    """The question and the answer that a response ends in; "" for what is missing."""
    question, answer = tagged(response, "question"), tagged(response, "answer")
    return question[-1] if question else "", answer[-1] if answer else ""


def _calls(turn: str) -> list[str]:
    return [query for query in tagged(turn, "search") if query]
