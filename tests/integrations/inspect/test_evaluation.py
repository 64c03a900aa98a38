"""The Inspect task: a scripted model plans through the session's tools and is scored by the verifier."""

import json

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import eval as run_eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from assay.integrations.inspect.evaluation import astroreason
from assay.methods.evaluation.astroreason import Case, greedy, plan_to_json, verify
from assay.worlds.orbits.cases import generate


def scripted(*calls: tuple[str, dict]):
    outputs = [ModelOutput.for_tool_call("mockllm/model", name, words) for name, words in calls]
    outputs.append(ModelOutput.from_content("mockllm/model", "done"))
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/model", custom_outputs=outputs, memoize=False)


def run(model, tmp_path):
    (log,) = run_eval(
        astroreason("satnet", seed=1000, n=1, hours=24.0), model=model, log_dir=str(tmp_path), display="none"
    )
    assert log.status == "success", log.error
    return log


def test_a_model_that_stages_a_track_and_commits_gets_the_verifiers_score(tmp_path):
    case = Case.from_json(generate("satnet", 1000, hours=24.0))
    plan = greedy(case)[:1]
    (track,) = plan_to_json(plan, case)["actions"]
    words = {k: track[k] for k in ("kind", "by", "to", "start", "end", "on", "off")}
    log = run(scripted(("query_targets", {"limit": 5}), ("stage_action", words), ("commit_plan", {})), tmp_path)
    (sample,) = log.samples
    assert sample.scores["plan_score"].value == pytest.approx(verify(case, plan).score)
    assert sample.scores["plan_score"].metadata["calls"] == 3
    replies = [m.text for m in sample.messages if m.role == "tool"]
    assert json.loads(replies[0])["total"] == len(case.requests)


def test_nothing_committed_is_worth_nothing_and_wrong_calls_are_told_to_the_model(tmp_path):
    log = run(scripted(("unstage_action", {"id": "a9"})), tmp_path)
    (sample,) = log.samples
    assert sample.scores["plan_score"].value == 0
    (reply,) = [m for m in sample.messages if m.role == "tool"]
    assert "'a9' is not staged" in reply.error.message
