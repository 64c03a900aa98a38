"""GlimpRouter as an Inspect solver: real evaluations with the built-in models."""

from __future__ import annotations

import pytest

inspect_ai = pytest.importorskip("inspect_ai")

from inspect_ai import Task, eval  # noqa: E402
from inspect_ai.dataset import Sample  # noqa: E402
from inspect_ai.model import ModelOutput, ModelUsage, get_model  # noqa: E402
from inspect_ai.scorer import includes  # noqa: E402

from assay.integrations.inspect.test_time import glimprouter  # noqa: E402
from assay.worlds.text import mix6  # noqa: E402


@pytest.fixture
def task():
    problems = mix6.world(each=1).sample(3)
    return Task(
        dataset=[Sample(input=p.prompt, target=f"#{p.answer}") for p in problems],
        solver=glimprouter(threshold=0.5, step_stop="\n", end_of_thinking="#", max_step_tokens=16, max_answer_tokens=8),
        scorer=includes(),
    )


def test_the_solver_runs_with_models_by_role_and_their_usage_is_logged(task, tmp_path):
    (log,) = eval(
        task,
        model="assay/nano",
        model_roles={"small": "assay/nano", "large": "assay/micro"},
        display="none",
        log_dir=str(tmp_path),
    )
    assert log.status == "success", log.error
    assert {"assay/nano", "assay/micro"} <= set(log.stats.model_usage)
    for sample in log.samples:
        assert sample.store["glimprouter"]["steps"]
        assert sample.output.completion == sample.store["glimprouter"]["text"]


def test_a_model_without_logprobs_ends_the_evaluation_with_its_reason(task, tmp_path):
    mute = ModelOutput.from_content("mute", "63+5=68")
    mute.usage = ModelUsage(input_tokens=4, output_tokens=6, total_tokens=10)  # else a tokenizer would be fetched
    small = get_model("mockllm/model", custom_outputs=[mute] * 3)
    (log,) = eval(task, model="assay/nano", model_roles={"small": small}, display="none", log_dir=str(tmp_path))
    assert log.status == "error"
    assert "top_logprobs" in log.error.message
