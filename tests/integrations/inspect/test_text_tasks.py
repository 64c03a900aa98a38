"""The text worlds as Inspect tasks."""

from __future__ import annotations

import pytest
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from assay.integrations.inspect.text_tasks import inspect_dataset, text
from assay.worlds.text import countdown


def test_a_task_is_scored_by_the_worlds_own_check(tmp_path):
    (log,) = eval(
        text(world="countdown", each=12), model="assay/nano", display="none", log_dir=str(tmp_path), temperature=0.0
    )
    assert log.status == "success", log.error
    problems = {p.prompt: p for p in countdown.world(each=12).sample(0)}
    for sample in log.samples:
        solved = countdown.check(problems[sample.input], sample.output.completion)
        assert sample.scores["text_check"].value == ("C" if solved else "I")


def test_the_worked_replies_score_one(tmp_path):
    worked = {p.meta["english"]: p.trace for p in countdown.world(each=5).sample(3)}

    def oracle(messages, tools, tool_choice, config):
        output = ModelOutput.from_content("mockllm/model", worked[messages[-1].text])
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    model = get_model("mockllm/model", custom_outputs=oracle, memoize=False)
    task = text(world="countdown", each=5, seed=3, style="english")
    (log,) = eval(task, model=model, display="none", log_dir=str(tmp_path))
    assert log.results.scores[0].metrics["accuracy"].value == 1


def test_the_entry_point_makes_task_solver_and_model_known_by_name(tmp_path):
    options = {"model": "assay/nano", "display": "none", "log_dir": str(tmp_path), "temperature": 0.0}
    (log,) = eval("assay/text", task_args={"world": "lists", "each": 2}, **options)
    assert log.status == "success", log.error
    assert log.eval.task == "assay/text"


@pytest.mark.parametrize("name", ["glimprouter", "plan_with_tools"])
def test_solvers_are_found_under_the_packages_name(name):
    from inspect_ai._util.registry import registry_lookup

    assert registry_lookup("solver", f"assay/{name}") is not None


def test_wrong_names_are_refused():
    with pytest.raises(ValueError, match="world: got 'maze', wanted one of chain"):
        inspect_dataset("maze")
    with pytest.raises(ValueError, match="style: got 'latin'"):
        inspect_dataset("chain", style="latin")
