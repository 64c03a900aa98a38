"""Post-training rewards as Inspect scorers: real evaluations with a scripted grader."""

import json

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Task
from inspect_ai import eval as run_eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, ModelOutput, ModelUsage, get_model

from assay.integrations.inspect.post_training import p1_vl_minions, rubric_scorer, text2vis_scorer

RUBRIC = [{"criterion": "names Rome", "points": 3}, {"criterion": "is short", "points": 1}]


def model(*texts):
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/model", custom_outputs=outputs, memoize=False)


def grades(*met):
    return json.dumps({"grades": [{"explanation": "seen", "met": one} for one in met]})


def run(tmp_path, task, grader):
    (log,) = run_eval(task, model=model("Rome"), model_roles={"grader": grader}, log_dir=str(tmp_path), display="none")
    return log


def test_a_reply_is_graded_by_the_rubric_of_its_sample(tmp_path):
    file = tmp_path / "final.jsonl"
    file.write_text(json.dumps({"id": "x", "prompt": "Capital?", "rubrics": RUBRIC}) + "\n")
    task = Task(dataset=[Sample("Capital?", id="a")], scorer=rubric_scorer(str(file)))
    log = run(tmp_path, task, model(grades(True, False)))
    assert log.status == "success", log.error
    (score,) = log.samples[0].scores.values()
    assert score.value == 0.75
    assert [one["met"] for one in score.metadata["grades"]] == [True, False]


def test_a_grader_out_of_form_leaves_the_reply_unscored(tmp_path):
    sample = Sample("Capital?", metadata={"rubrics": RUBRIC})
    log = run(tmp_path, Task(dataset=[sample], scorer=rubric_scorer()), model(*["hm"] * 5))
    (score,) = log.samples[0].scores.values()
    assert score.value != score.value
    assert "no JSON object" in score.explanation


def test_a_sample_without_a_rubric_is_an_error(tmp_path):
    log = run(tmp_path, Task(dataset=[Sample("Capital?")], scorer=rubric_scorer()), model("-"))
    assert log.status == "error"
    assert "no rubric" in str(log.error)


PLOT = """import matplotlib.pyplot as plt
fig, ax = plt.subplots()
ax.bar(df["town"], df["sales"])
ax.set_title("Sales"); ax.set_xlabel("town"); ax.set_ylabel("sales")
fig.tight_layout()"""


@pytest.mark.parametrize(("vision", "visual"), [(True, 0.25), (False, 1.0)])
def test_plotting_code_is_run_and_its_picture_is_judged(tmp_path, vision, visual):
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    table = tmp_path / "sales.csv"
    table.write_text("town,sales\nUlm,3\nKiel,9\n")
    shown = {"x": ["Ulm", "Kiel"], "y": [3, 9], "kinds": ["bar"]}
    task = Task(
        dataset=[Sample("Most?", target="Kiel", metadata={"expected": shown})],
        scorer=text2vis_scorer(str(table), vision=vision, timeout=60),
    )
    grader = model('{"why": "it does", "fits": true}', '{"why": "hard to read", "readability": 2, "correctness": 5}')
    (log,) = run_eval(
        task,
        model=model(json.dumps({"answer": "Kiel", "code": PLOT})),
        model_roles={"grader": grader},
        log_dir=str(tmp_path),
        display="none",
    )
    assert log.status == "success", log.error
    (score,) = log.samples[0].scores.values()
    assert score.value == 0.75 + 0.25 * visual
    assert score.metadata["error"] is None


PASSES = '{"pass": true, "report": ""}'
NO_FAULTS = '{"faults": []}'
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def test_studios_read_the_figure_solve_and_review(tmp_path):
    question = [ChatMessageUser(content=[ContentImage(image=PIXEL), ContentText(text="What is k?")])]
    roles = {
        "visual": model("a spring", NO_FAULTS, "k = 3"),
        "solver": model(r"so \boxed{3}"),
        "introspector": model(NO_FAULTS),
        "domain_verifier": model(PASSES, PASSES),
        "general_verifier": model('{"domain": "physics"}', PASSES, PASSES),
    }
    task = Task(dataset=[Sample(question)], solver=p1_vl_minions(passes=2))
    (log,) = run_eval(task, model=model("-"), model_roles=roles, log_dir=str(tmp_path), display="none")
    assert log.status == "success", log.error
    sample = log.samples[0]
    assert sample.output.completion == r"so \boxed{3}"
    done = sample.store["p1_vl"]
    assert (done["verified"], done["figure"], done["domain"], done["rounds"]) == (True, "k = 3", "physics", 1)
