"""Post-training methods in Inspect: replies graded by rubrics (RubricHub), plotting code run and looked at
(RL-Text2Vis), and a problem solved by studios that review one another (P1-VL).

    inspect score LOG.eval --scorer assay/rubric_scorer -S file=final.parquet --model-role grader=openai/...
    inspect score LOG.eval --scorer assay/text2vis_scorer -S table=sales.csv --model-role grader=openai/...
    inspect eval TASK --solver assay/p1_vl_minions --model openai/... --model-role solver=vllm/...

A role without a model of its own, such as `grader`, is the model that is evaluated.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from inspect_ai.model import ChatMessageAssistant, ContentImage, ModelOutput, get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from assay.integrations.inspect.models import complete
from assay.integrations.sandbox import run_python
from assay.methods.data.stages import read_rows
from assay.methods.parsing import ReplyError
from assay.methods.post_training.rl_text2vis import (
    ArtistJudge,
    Expected,
    LLMIntentJudge,
    VLMJudge,
    run_plot,
    score_reply,
)
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


@scorer(metrics=[mean(), stderr()])
def text2vis_scorer(table: str | None = None, vision: bool = True, timeout: float = 20) -> Scorer:
    """RL-Text2Vis's reward of a reply with "answer" and "code", from 0 to 1; the target is the right answer.

    table     a CSV file, for all samples; a sample's metadata "table" (columns by name) comes before it
    vision    the grader looks at the picture; otherwise the figure's artists are judged, against the metadata
              "expected" ({"x", "y", "kinds", "ordered"}) where a sample has it
    timeout   seconds a code may take in the sandbox, the start of its libraries included

    A reply whose grader gives no usable answer is not scored (NaN). Raises ValueError for a sample without a table.
    """
    columns: dict[str, list[Any]] | None = None
    if table is not None:
        import pandas

        columns = {str(name): column.tolist() for name, column in pandas.read_csv(table).items()}

    async def score(state: TaskState, target: Target) -> Score:
        known = state.metadata or {}
        found = known.get("table", columns)
        if found is None:
            raise ValueError(f"sample {state.sample_id}: no table, neither the scorer's nor in its metadata")
        grader = complete(get_model(role="grader"))
        judge = VLMJudge(grader) if vision else ArtistJudge()
        draw = partial(run_plot, table=found, run_python=run_python, timeout=timeout)
        reply, wanted = state.output.completion, _expected(known.get("expected"))
        try:
            scored = await score_reply(
                state.input_text, reply, target.text, draw, judge, LLMIntentJudge(grader), wanted
            )
        except ReplyError as error:
            return Score.unscored(answer=reply, explanation=str(error))
        told: dict[str, Any] = {name: getattr(scored, name) for name in ("formatted", "answer", "code", "visual")}
        told["error"] = scored.result.error if scored.result is not None else None
        told["reasons"] = [] if scored.marks is None else list(scored.marks.reasons)
        return Score(value=scored.total, answer=reply, metadata=told)

    return score


def _expected(given: dict[str, Any] | None) -> Expected | None:
    if given is None:
        return None
    return Expected(tuple(given["x"]), tuple(given["y"]), frozenset(given["kinds"]), given.get("ordered", False))


@solver
def p1_vl_minions(passes: int = 5, max_rounds: int = 8) -> Solver:
    """P1-VL's studios around each sample, images included. Roles: visual, solver, introspector, domain_verifier and
    general_verifier. What became of the solution stands in the store under `p1_vl`."""
    from assay.methods.post_training.p1_vl import Minions  # brings PyTorch along

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        roles = ("visual", "solver", "introspector", "domain_verifier", "general_verifier")
        loop = Minions(*(complete(get_model(role=role)) for role in roles), passes=passes, max_rounds=max_rounds)
        done = await loop(state.input_text, _images(state))
        state.output = ModelOutput.from_content(str(get_model(role="solver")), done.solution)
        state.messages.append(ChatMessageAssistant(content=done.solution, source="generate"))
        state.store.set("p1_vl", asdict(done))
        return state

    return solve


def _images(state: TaskState) -> list[str]:
    """The images of the sample's question: paths, links or data URLs."""
    parts = [part for message in state.messages if isinstance(message.content, list) for part in message.content]
    return [part.image for part in parts if isinstance(part, ContentImage)]
