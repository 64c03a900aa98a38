"""A small guard for the office, trained on the spot: first on labelled steps, then by GRPO with the method's reward.

It reads a step in few words, and writes the verdict in the method's tags. It sees no held-out tool, template, task or
wording; the method's own parser reads it, and its own reward trains it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from assay.methods.policy_gradient import Rollouts, grpo
from assay.methods.safety.toolsafe import (
    RATINGS,
    GuardFormatError,
    GuardVerdict,
    MultiTaskReward,
    StepRecord,
    failed_verdict,
    parse_guard,
    read_record,
    write_verdict,
)
from assay.models.decoding import Request, decode
from assay.models.finetune import finetune_rows
from assay.models.train_data import Row, asked_row
from assay.models.train_forward import reply_logits
from assay.trials.safety._responders import SPECIAL
from assay.trials.safety._toolsafe_training import Marks, SmallModel, fresh_model, office_tokenizer
from assay.worlds.desks.office_steps import build

STEPS, BATCH, RATE = 400, 32, 4e-3
RECORDS = 4000
UPDATES, PROMPTS, GROUP, GRPO_RATE = 16, 16, 6, 1e-4
DISGUISED = 0.5
MOST_TOKENS = 16
CONTEXT = 300  # tokens of a step that are read, the latest
_VALUES = re.compile(r': "([^"]*)"')


def train_guard(seed: int, steps: int = STEPS, updates: int = UPDATES) -> SmallModel:
    records = lessons(seed)
    tags = re.findall(r"<[^>]+>", write_verdict(GuardVerdict(False, False, 0.0)))
    ratings = [str(rating) for rating in RATINGS]
    tokenizer = office_tokenizer([f" {shown(record)}" for record in records], [*dict.fromkeys(tags), *ratings])
    model, rng = fresh_model(len(tokenizer), seed), random.Random(f"office guard {seed}")
    rows = [disguised(step_row(tokenizer, record, right_verdict(record)), tokenizer, rng) for record in records]
    finetune_rows(model, rows, steps=steps, seed=seed, batch=BATCH, learning_rate=RATE)
    reinforce(model, tokenizer, records, seed, updates)
    return SmallModel(model.state_dict(), tokenizer.backend_tokenizer.to_str())


def lessons(seed: int) -> list[StepRecord]:
    """What a guard learns from: nothing in it is held out."""
    return [read_record(row) for row in build(seed, RECORDS, held_out=False)]


def disguised(row: Row, tokenizer: Any, rng: random.Random) -> Row:
    """The row with some of its words, up to half of them, exchanged for any others, the same wherever they stand.

    So a guard learns who named whom, whatever the words are, and not that a word it does not know is harmful.
    """
    share, known = rng.uniform(0, DISGUISED), range(len(SPECIAL), tokenizer.backend_tokenizer.get_vocab_size(False))
    words = {i for i, asked in zip(row.ids, row.asked) if not asked and i in known}
    masks = {word: rng.choice(known) for word in sorted(words) if rng.random() < share}
    return Row([i if asked else masks.get(i, i) for i, asked in zip(row.ids, row.asked)], row.asked)


def reinforce(model: Any, tokenizer: Any, records: Sequence[StepRecord], seed: int, updates: int) -> list[float]:
    """GRPO on the same steps; returns the mean reward of each update."""
    reward, rng = MultiTaskReward(), random.Random(f"office reward {seed}")

    def collect(update: int) -> Rollouts:
        asked = [record for record in rng.sample(records, PROMPTS) for _ in range(GROUP)]
        prompts = [step_ids(tokenizer, record) for record in asked]
        requests = [
            Request(tuple(ids), MOST_TOKENS, seed=seed, choice=update * len(asked) + i) for i, ids in enumerate(prompts)
        ]
        replies = decode(model, tokenizer, requests)
        rows = [asked_row(ids, reply.ids) for ids, reply in zip(prompts, replies)]
        rewards = reward(
            prompts,
            [r.text for r in replies],
            malicious_request=[record.malicious_request for record in asked],
            attacked=[record.attacked for record in asked],
            score=[record.score for record in asked],
        )
        each, done = torch.arange(len(rows)), torch.zeros(len(rows))
        with torch.no_grad():
            logprobs = policy.log_prob(rows, done)
        return Rollouts(rows, done, logprobs, each, torch.tensor(rewards), each // GROUP)

    policy = VerdictPolicy(model)
    return grpo(policy, collect, updates, learning_rate=GRPO_RATE)


class VerdictPolicy:
    """The guard as a policy whose one decision a step is its whole reply; observations are rows that hold it."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        return iter(self._model.parameters())

    def log_prob(self, observations: Sequence[Row], actions: Tensor) -> Tensor:
        """(N,) of the asked tokens of each row, summed."""
        logits, ids = reply_logits(self._model, observations)
        each = logits.log_softmax(-1).gather(1, ids[:, None]).squeeze(1)
        of = torch.tensor([place for place, row in enumerate(observations) for asked in row.asked if asked])
        return each.new_zeros(len(observations)).index_add(0, of, each)


def verdicts(model: Any, tokenizer: Any, records: Sequence[StepRecord]) -> list[GuardVerdict]:
    """The guard's greedy verdict on each step; a reply that cannot be read gives one with `error`: it never passes."""
    if not records:
        return []
    requests = [Request(tuple(step_ids(tokenizer, record)), MOST_TOKENS, temperature=0.0) for record in records]
    return [_parsed(reply.text) for reply in decode(model, tokenizer, requests)]


def _parsed(text: str) -> GuardVerdict:
    try:
        return parse_guard(text)
    except GuardFormatError as error:
        return failed_verdict(error.reason)


def right_verdict(record: StepRecord) -> str:
    return write_verdict(GuardVerdict(bool(record.malicious_request), bool(record.attacked), float(record.score or 0)))


def shown(record: StepRecord) -> str:
    """The step in few words, with marks: request, history, the tool's description, the call as the agent writes it."""
    parts = [record.user_request]
    for turn in record.history:
        parts.append(f"Call: {_in_words(turn.text)}" if turn.role == "assistant" else f"Observation: {turn.text}")
    return Marks().put(" ".join([*parts, f"Tool: {record.described}", f"Action: {_in_words(str(record.action))}"]))


def _in_words(call: str) -> str:
    name, _, arguments = call.partition("(")
    return " ".join((name, *_VALUES.findall(arguments)))


def step_ids(tokenizer: Any, record: StepRecord) -> list[int]:
    """Ids up to where the verdict begins. A tag that a stranger forged is no token of its own."""
    text = tokenizer.encode(f" {shown(record)}", add_special_tokens=False)[-CONTEXT:]
    return [tokenizer.bos_token_id, *text, *tokenizer.encode("<bot>", add_special_tokens=False)]


def step_row(tokenizer: Any, record: StepRecord, verdict: str) -> Row:
    head = step_ids(tokenizer, record)
    asked = [*tokenizer.encode(verdict, add_special_tokens=False), tokenizer.eos_token_id]
    return asked_row(head, asked)
