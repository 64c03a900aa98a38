"""A dial for memory (MemControl): questions on a long project, answers rated by their reliance, and a TRL reward.

    python examples/memcontrol.py

Nothing is downloaded: the timeline grows by rules, reliance is the overlap of words, and two small functions stand for
models. For your own data use `LLMMDScore(complete("openai/..."))`, `LLMRewriter` and a pool of models that answer.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from assay.methods.concurrency import run_sync
from assay.methods.post_training.memcontrol import (
    MemControlReward,
    Memory,
    OverlapMDScore,
    TemplateRewriter,
    align_dataset,
    anchoring_report,
    synthesise,
)

HINTS = {
    1: ["Think of it as if we had never spoken."],
    2: ["Surprise me; a nod to what we had is enough."],
    3: ["Half of what we had, half new."],
    4: ["Stay near what we had, with a twist."],
    5: ["Go on exactly where we were."],
}


async def anchored(query: str, memory: Memory) -> str:
    """Repeats what it remembers, whatever it is asked."""
    return " ".join(memory.texts)


async def inventive(query: str, memory: Memory) -> str:
    """Never looks back."""
    return "Begin with one invented example, sketch it roughly, then test whether a stranger would follow."


async def length(query: str, memory: Memory, response: str) -> float:
    """Stands for a task's rubric: 1 to 5 by length."""
    return float(min(5, 1 + len(response) // 60))


def main() -> None:
    generator, md = np.random.default_rng(0), OverlapMDScore()
    questions = run_sync(partial(synthesise, "research", ["tides", "bee flight"], 8, generator=generator))
    print(f"{questions[0]['task']}: {questions[0]['query']}\n{questions[0]['memory'].shown()}\n")

    for model in (anchored, inventive):
        report = run_sync(anchoring_report, model, md, questions)
        print(
            f"{model.__name__:>9}: " + "; ".join(f"{hint} {list(counts.values())}" for hint, counts in report.items())
        )

    rewriter = TemplateRewriter(HINTS, generator)
    rows = run_sync(partial(align_dataset, questions, rewriter, [anchored, inventive], md, length, generator=generator))
    print(f"\nlevel {rows[0].preference} is hinted at: {rows[0].query}")

    reward = MemControlReward(md, length)
    columns = {"query": [rows[0].query] * 2, "memory": [rows[0].memory] * 2, "preference": [rows[0].preference] * 2}
    texts = [run_sync(model, rows[0].query, rows[0].memory) for model in (anchored, inventive)]
    print("rewards of the two models for it:", reward([""] * 2, texts, **columns))


if __name__ == "__main__":
    main()
