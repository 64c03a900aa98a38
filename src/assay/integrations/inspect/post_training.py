"""Post-training rewards as Inspect scorers: `rubric_scorer` grades replies by a file of rubrics (RubricHub).

    inspect score LOG.eval --scorer assay/rubric_scorer -S file=final.parquet --model-role grader=openai/...

The grader is the model role `grader`; without one it is the model that is evaluated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inspect_ai.model import get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from assay.integrations.inspect.models import complete
from assay.methods.data.stages import read_rows
from assay.methods.parsing import ReplyError
from assay.methods.post_training.rubrichub import LLMGrader, read_rubric, rubric_reward


@scorer(metrics=[mean(), stderr()])
def rubric_scorer(file: str | None = None, batch: bool = True) -> Scorer:
    """Points of the criteria met over all points, a number up to 1.

    file    the rubrics, .parquet or .jsonl with "id", "prompt" and "rubrics": a sample's is found by its id, else by
            its input; without a file, or where a sample has metadata "rubrics", that is its rubric
    batch   one call a reply; otherwise one a criterion

    A reply whose grader gives no usable answer is not scored (NaN). Raises ValueError for a sample without a rubric.
    """
    by_name: dict[str, Any] = {}
    for row in [] if file is None else read_rows(Path(file)):
        by_name[str(row["id"])] = by_name[row["prompt"]] = row["rubrics"]

    async def score(state: TaskState, target: Target) -> Score:
        rubric = (state.metadata or {}).get("rubrics") or by_name.get(str(state.sample_id))
        rubric = rubric or by_name.get(state.input_text)
        if rubric is None:
            raise ValueError(f"sample {state.sample_id}: no rubric by its id, its input or its metadata")
        criteria = read_rubric(rubric)
        grader = LLMGrader(complete(get_model(role="grader")), batch)
        answer = state.output.completion
        try:
            grades = await grader(state.input_text, answer, criteria)
        except ReplyError as error:
            return Score.unscored(answer=answer, explanation=str(error))
        told = [
            {"criterion": one["criterion"], "points": one["points"], "met": bool(grade.score), "reason": grade.reason}
            for one, grade in zip(criteria, grades)
        ]
        return Score(value=rubric_reward(grades, criteria), answer=answer, metadata={"grades": told})

    return score
