"""Calibration as an Inspect scorer, in real evaluations of scripted agents."""

import math

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Task
from inspect_ai import eval as run_eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import tool

from assay.integrations.inspect.calibration import calibration


def lookup(name):
    async def execute(query: str) -> str:
        """Look something up.

        Args:
            query: what
        """
        return "something"

    @tool(name=name)
    def made():
        return execute

    return made()


def said(answer, confidence=None):
    stated = "" if confidence is None else f" <confidence>{confidence}</confidence>"
    return ModelOutput.from_content("mockllm/model", f"<answer>{answer}</answer>{stated}")


def run(tmp_path, outputs, samples, tools=(), **options):
    task = Task(
        dataset=[Sample("?", target="rome") for _ in range(samples)],
        solver=[use_tools(*tools), generate()],
        scorer=calibration(**options),
    )
    for output in outputs:  # without figures of their own, tokens are counted by a download
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    model = get_model("mockllm/model", custom_outputs=outputs, memoize=False)
    (log,) = run_eval(task, model=model, log_dir=str(tmp_path), display="none", max_samples=1)
    assert log.status == "success", log.error
    return log, {name: one.value for name, one in log.results.scores[0].metrics.items()}


def test_confidence_is_compared_with_what_is_right(tmp_path):
    outputs = [said("Rome", 0.9), said("Paris", 0.7), said("Rome", 0.5), said("Rome")]
    _, figures = run(tmp_path, outputs, 4)
    assert figures["accuracy"] == 0.75
    assert figures["silent"] == 0.25
    assert figures["brier/none"] == pytest.approx((0.01 + 0.49 + 0.25) / 3)
    assert figures["ece/none"] == pytest.approx((0.1 + 0.7 + 0.5) / 3)
    assert figures["confidence_when_wrong/none"] == 0.7
    assert math.isnan(figures["auroc/none"])  # too few rows


def test_figures_are_told_apart_by_the_kind_of_tool(tmp_path):
    outputs = []
    for name, answer in (("web_search", said("Paris", 0.8)), ("prover", said("Rome", 0.6)), ("wiki", said("Rome", 1))):
        outputs += [ModelOutput.for_tool_call("mockllm/model", name, {"query": "x"}), answer]
    tools = [lookup(name) for name in ("web_search", "prover", "wiki")]
    log, figures = run(tmp_path, outputs, 3, tools, verification=["prover"])
    assert [sample.scores["calibration"].metadata["tool"] for sample in log.samples] == [
        "evidence",
        "verification",
        "other",
    ]
    assert figures["brier/evidence"] == pytest.approx(0.64)
    assert figures["brier/verification"] == pytest.approx(0.16)


def test_a_run_in_which_nobody_says_a_confidence_is_told_so(tmp_path):
    _, figures = run(tmp_path, [said("Rome"), said("Paris", "very")], 2)
    assert figures["silent"] == 1
    assert not [name for name in figures if "/" in name]


def test_it_is_found_by_its_name():
    from inspect_ai.scorer import Scorer
    from inspect_ai.util import registry_create

    import assay.integrations.inspect._registry  # noqa: F401

    assert isinstance(registry_create("scorer", "assay/calibration"), Scorer)
