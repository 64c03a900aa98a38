"""GlimpRouter in an Inspect evaluation: two models by role, accuracy and tokens side by side.

python examples/glimprouter_inspect.py                       # the built-in nano and micro
python examples/glimprouter_inspect.py vllm/SMALL vllm/LARGE # models of yours that give log-probabilities
"""

from __future__ import annotations

import sys

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

from assay.integrations.inspect.test_time import glimprouter
from assay.worlds.text import mix6


def main(small: str = "assay/nano", large: str = "assay/micro") -> None:
    terse = small.startswith("assay/")  # the built-in models read their own short notation
    problems = mix6.world(each=8).sample(0)
    dataset = [
        Sample(input=p.prompt if terse else p.meta["english"], target=f"#{p.answer}" if terse else p.answer)
        for p in problems
    ]
    loop = {"step_stop": "\n", "end_of_thinking": "#", "max_step_tokens": 16} if terse else {}
    task = Task(dataset=dataset, solver=glimprouter(threshold=0.3, **loop), scorer=includes())
    (log,) = eval(task, model=large, model_roles={"small": small, "large": large}, display="none")
    if log.status != "success" or log.results is None or log.samples is None:
        raise SystemExit(f"the evaluation ended with {log.status}: {log.error.message if log.error else ''}")
    share = sum(s.store["glimprouter"]["large_share"] for s in log.samples) / len(log.samples)
    accuracy = log.results.scores[0].metrics["accuracy"].value
    print(f"accuracy {accuracy:.2f}, {share:.0%} of the steps by {large}")
    for name, usage in log.stats.model_usage.items():
        print(f"  {name}: {usage.input_tokens} tokens read, {usage.output_tokens} written")


if __name__ == "__main__":
    main(*sys.argv[1:3])
