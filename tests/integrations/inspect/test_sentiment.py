"""The tasks on sentiment, aspects and irony in Inspect."""

from __future__ import annotations

import pytest
from inspect_ai import eval
from inspect_ai._util.registry import registry_lookup
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from assay.integrations.inspect.sentiment import (
    own_items,
    sentiment_prompting_absa,
    sentiment_prompting_irony,
    sentiment_prompting_sentiment,
)
from assay.methods.evaluation.sentiment_prompting import TASKS, worked_examples


def said(text: str) -> ModelOutput:
    """A reply that tells its tokens, so that nobody has to count them."""
    output = ModelOutput.from_content("mock", text)
    output.usage = ModelUsage(input_tokens=10, output_tokens=1, total_tokens=11)
    return output


def test_answers_are_counted_and_what_is_no_label_is_wrong(tmp_path):
    replies = ["1", "0", "1", "perhaps"]
    model = get_model("mockllm/model", custom_outputs=[said(text) for text in replies])
    (log,) = eval(
        sentiment_prompting_irony(), model=model, limit=4, max_samples=1, display="none", log_dir=str(tmp_path)
    )
    assert log.status == "success"
    labels = {"0": "literal", "1": "ironic", "perhaps": ""}
    truth = [item.label for item in own_items("irony")[:4]]
    right = sum(labels[reply] == label for reply, label in zip(replies, truth))
    (score,) = log.results.scores
    assert score.metrics["accuracy"].value == right / 4
    assert [s.scores["label_match"].metadata["invalid"] for s in log.samples].count(True) == 1


def test_self_consistency_asks_three_times(tmp_path):
    outputs = [said('{"final_answer": 1}') for _ in range(3)]
    (log,) = eval(
        sentiment_prompting_absa(strategy="self_consistency"),
        model=get_model("mockllm/model", custom_outputs=outputs),
        limit=1,
        display="none",
        log_dir=str(tmp_path),
    )
    (sample,) = log.samples
    assert sample.metadata["votes"] == {"positive": 3.0}


def test_a_file_of_ones_own_is_asked_about(tmp_path):
    (tmp_path / "a.tsv").write_text("Text\tSentiment\nHeute ist Montag\tneutral\n")
    task = sentiment_prompting_sentiment(file=str(tmp_path / "a.tsv"), language="de")
    assert [s.target for s in task.dataset] == ["neutral"]
    with pytest.raises(ValueError, match="strategy: got 'magic'"):
        sentiment_prompting_irony(strategy="magic")
    with pytest.raises(ValueError, match="classes: got 4"):
        sentiment_prompting_sentiment(classes=4)


@pytest.mark.parametrize("name", TASKS)
def test_no_built_in_example_is_a_judged_sentence(name):
    items = own_items(name)
    assert items
    assert not {e.text for e in worked_examples(TASKS[name])} & {item.text for item in items}


def test_the_tasks_are_registered_by_the_papers_slug():
    for part in ("sentiment", "absa", "irony"):
        assert registry_lookup("task", f"assay/sentiment_prompting_{part}")
