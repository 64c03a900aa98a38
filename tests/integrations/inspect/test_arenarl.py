"""Open-ended benchmarks in Inspect: real evaluations, the city's desk over a real MCP server."""

import json

import pytest

pytest.importorskip("inspect_ai")
pytest.importorskip("ortools")

from inspect_ai import eval as run_eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from assay.integrations.inspect.arenarl import agent, open_deep_research, open_travel, oracle_plan, weak_plan
from assay.methods.concurrency import run_sync


def scripted(*outputs):
    made = [ModelOutput.from_content("mockllm/model", one) if isinstance(one, str) else one for one in outputs]
    for output in made:  # without figures of their own, tokens are counted by a download
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/model", custom_outputs=made, memoize=False)


def run(tmp_path, task, model, **options):
    (log,) = run_eval(task, model=model, log_dir=str(tmp_path), display="none", **options)
    assert log.status == "success", log.error
    return log, {score.name: score.metrics["mean"].value for score in log.results.scores}


def test_the_shortest_day_never_loses_to_a_random_one_and_a_random_one_does(tmp_path):
    _, oracle = run(tmp_path, open_travel(n=6), scripted("-"), solver=oracle_plan())
    _, weak = run(tmp_path, open_travel(n=6), scripted("-"), solver=weak_plan())
    assert oracle["win_rate"] >= 0.9
    assert oracle["valid_rate"] == weak["valid_rate"] == 1
    assert weak["win_rate"] < oracle["win_rate"]


def test_the_desk_is_reached_over_mcp(tmp_path):
    pytest.importorskip("mcp")
    call = ModelOutput.for_tool_call("mockllm/model", "search_places", {"kind": "hotel", "limit": 2})
    log, scores = run(tmp_path, open_travel(n=1), scripted(call, "<answer>9:00 Nowhere</answer>"))
    came_back = [message for message in log.samples[0].messages if message.role == "tool"]
    assert came_back[0].error is None
    assert '"kind": "hotel"' in came_back[0].text or '"kind":"hotel"' in came_back[0].text
    assert scores == {"win_rate": 0.0, "valid_rate": 1.0}


def test_rows_of_a_file_are_compared_by_the_grader_in_both_orders(tmp_path):
    file = tmp_path / "test.jsonl"
    rows = [{"id": str(i), "input": f"report {i}", "reference": "<answer>theirs</answer>"} for i in range(2)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    path, answer = ("breadth", "relevance", "detail"), ("relevance", "feasibility", "detail", "clarity")

    def marks(a, b):
        def side(mark):
            return {"path": dict.fromkeys(path, mark), "answer": dict.fromkeys(answer, mark)}

        return json.dumps({"a": side(a), "b": side(b)})

    grader = scripted(marks(8, 5), marks(5, 8))
    log, scores = run(
        tmp_path,
        open_deep_research(str(file)),
        scripted("<answer>ours</answer>", "nothing to hand in"),
        model_roles={"grader": grader},
        max_samples=1,
    )
    assert scores == {"win_rate": 0.5, "valid_rate": 0.5}
    assert log.samples[0].scores["win_rate"].value == 1


def test_a_file_of_something_else_is_named(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"input": "a"}\n')
    with pytest.raises(ValueError, match="a row without 'id'"):
        open_deep_research(str(file))


def test_a_model_with_tools_is_an_agent_whose_trajectory_shows_its_calls():
    pytest.importorskip("mcp")
    import sys

    call = ModelOutput.for_tool_call("mockllm/model", "look_up", {"name": "Nowhere"})
    work = agent(scripted(call, "<answer>none</answer>"), f"{sys.executable} -m assay.cli.main serve arenarl --seed 3")
    told = run_sync(work, "find it")
    assert '[call] look_up({"name": "Nowhere"})' in told
    assert "wanted a place as search_places names it" in told
    assert told.endswith("<answer>none</answer>")


def test_tasks_and_solvers_are_found_by_name():
    from inspect_ai.solver import Solver
    from inspect_ai.util import registry_create

    import assay.integrations.inspect._registry  # noqa: F401

    assert isinstance(registry_create("solver", "assay/oracle_plan"), Solver)
