"""Which way of asking serves a model best? `python examples/sentiment_prompting.py [MODEL]`, nano or any of Inspect."""

from __future__ import annotations

import sys
from functools import partial

from assay.methods.concurrency import run_sync
from assay.methods.evaluation.sentiment_prompting import STRATEGIES, TASKS, Item, evaluate, summarise, table
from assay.models.access import sampler
from assay.worlds.sentiment import halves

model = sys.argv[1] if len(sys.argv) > 1 else "nano"
task = TASKS["irony"]
items = [Item(s.id, s.text, s.label) for s in halves("irony").test[:30]]
ways = [STRATEGIES[name] for name in ("zero_shot", "one_shot", "few_shot")]

answers = run_sync(partial(evaluate, sampler(model), task, items, ways))
print(f"{model} on {len(items)} texts, half of them ironic; nano was never taught this and seldom gives a label")
print(table(summarise(task, items, answers)))
