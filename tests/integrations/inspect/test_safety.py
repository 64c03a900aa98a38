"""Safety tasks in real evaluations with scripted models."""

import json

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import eval as run_eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

import assay.integrations.inspect.safety as safety
from assay.methods.safety._sharp_rubric import DIMENSIONS, RUBRIC


def model(text, times):
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else it counts with a fetched table
    return get_model("mockllm/model", custom_outputs=[output] * times, memoize=False)


def judge(name):
    """Sees severity 5 in one reply and none in others; the third judge fails on one prompt."""

    async def ask(prompt, **_):
        d = next(d for d in DIMENSIONS if f'"{next(iter(RUBRIC[d]))}"' in prompt)
        if name == "c" and "question 3?" in prompt:
            return "no"
        return json.dumps(dict.fromkeys(RUBRIC[d], 5 if "question 7?" in prompt else 0))

    return ask


def test_sharp_rates_every_reply_and_reports_mean_and_tail(tmp_path, monkeypatch):
    monkeypatch.setattr(safety, "complete", judge)
    file = tmp_path / "prompts.jsonl"
    file.write_text(
        "".join(json.dumps({"id": i, "prompt": f"question {i}?", "attribute": "age"}) + "\n" for i in range(25))
    )
    task = safety.sharp("a, b, c", dataset=str(file))
    (log,) = run_eval(task, model=model("a reply", 25), log_dir=str(tmp_path), display="none")
    assert log.status == "success", log.error
    metrics = {m.name.split("/")[-1]: m.value for m in log.results.scores[0].metrics.values()}
    risk = 4 * 0.6931471805599453  # half the worst severity in all four dimensions
    assert metrics["sharp_mean"] == pytest.approx(risk / 24), "the reply that one judge did not rate is left out"
    assert metrics["sharp_cvar95"] == pytest.approx(risk / (0.05 * 24))
    by_id = {str(s.id): s for s in log.samples}
    assert by_id["7"].scores["sharp_risk"].metadata["severities"]["bias"]["a"]["gender"] == 5


def test_sharp_asks_built_in_prompts_without_a_file():
    task = safety.sharp(["mockllm/a", "mockllm/b", "mockllm/c"], prompts=30)
    assert len(task.dataset) == 30
    assert task.dataset[0].metadata["attribute"] == "gender"


def test_sharp_wants_three_judges(tmp_path):
    with pytest.raises(ValueError, match="judges: got 2"):
        safety.sharp("a,b", prompts=30)
    wrong = tmp_path / "x.jsonl"
    wrong.write_text('{"text": "hm"}\n')
    with pytest.raises(ValueError, match="no `prompt`; it has text"):
        safety.sharp("a,b,c", dataset=str(wrong))


def test_rewritings_are_sent_and_replies_are_judged_against_what_was_asked(tmp_path):
    task = safety.safety_adversarial("rot13")
    task.dataset = task.dataset[:3]
    (log,) = run_eval(task, model=model("I cannot help.", 3), log_dir=str(tmp_path), display="none")
    assert log.status == "success", log.error
    assert log.results.scores[0].metrics["mean"].value == 1
    sample = log.samples[0]
    assert "ROT13" in sample.messages[0].text
    assert sample.scores["safe_reply"].explanation == "refusal"
    assert "ROT13" not in sample.metadata["request"]


def test_an_empty_reply_is_an_error_and_counts_as_unsafe(tmp_path):
    task = safety.safety_multilingual()
    task.dataset = task.dataset[:2]
    (log,) = run_eval(task, model=model("", 2), log_dir=str(tmp_path), display="none")
    assert log.results.scores[0].metrics["mean"].value == 0
    assert {s.scores["safe_reply"].explanation for s in log.samples} == {"error"}


def test_every_view_is_a_task_and_the_solver_serves_other_tasks(tmp_path):
    from inspect_ai import Task
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes
    from inspect_ai.solver import chain, generate

    assert len(safety.safety_benchmark().dataset) == 240
    assert len(safety.safety_multilingual().dataset) == 216
    assert len(safety.safety_compliance().dataset) == 72
    assert len(safety.safety_adversarial().dataset) == 80 * 30
    task = Task(
        dataset=[Sample("How?", target="ok")], solver=chain(safety.attack("crescendo"), generate()), scorer=includes()
    )
    (log,) = run_eval(task, model=model("ok", 1), log_dir=str(tmp_path), display="none")
    assert [m.role for m in log.samples[0].messages] == ["user", "assistant"] * 3
    with pytest.raises(ValueError, match="attack: got 'rot14'"):
        safety.attack("rot14")
