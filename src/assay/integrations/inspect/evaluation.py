"""Benchmarks as Inspect tasks: `inspect eval assay/astroreason --model … -T family=stereo -T seed=0 -T n=5`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import Tool, ToolDef, ToolError, python

PROMPTS = {
    "satnet": "Schedule deep-space tracks so that as many of the requested hours as possible are served.",
    "revisit": "Observe the monitoring targets at short gaps and the mapping targets as often as their quotas ask.",
    "regional": "Cover as much as possible of the regions with strips; compute and register strips, then stage them.",
    "stereo": "Get a stereo pair of as many targets as possible: two looks within 2 h, 15 to 60 deg apart in azimuth.",
    "latency": "Keep the requested station pairs connected over satellites, and fulfil the observation quotas.",
}
RULES = (
    "Use the tools to see what there is, to compute windows and to stage actions. Times are ISO 8601 with Z. "
    "A staged action must respect access, slew, storage and battery; a refusal names what it breaks. "
    "Data must be downlinked before storage is full. When the plan is good, call commit_plan."
)


@task
def astroreason(
    family: str = "revisit",
    seed: int = 0,
    n: int = 1,
    load_factor: float = 1.6,
    satellites: int = 8,
    hours: float | None = None,
    message_limit: int = 300,
    sandbox: str | None = None,
) -> Task:
    """Plan `n` cases of a family through the session's tools; with a `sandbox` also a Python tool (and no shell)."""
    from assay.worlds.orbits.cases import generate

    samples = []
    for number in range(seed, seed + n):
        case = generate(family, number, load_factor, satellites, hours)
        span = f"The horizon is {case['horizon_h']:g} h from {case['start']}."
        text = f"{PROMPTS[family]} {span} {RULES}"
        samples.append(Sample(id=f"{family}-{number}", input=text, metadata={"case": json.dumps(case)}))
    return Task(
        dataset=MemoryDataset(samples, name=f"astroreason-{family}"),
        solver=plan_with_tools(with_python=sandbox is not None),
        scorer=plan_score(),
        message_limit=message_limit,
        sandbox=sandbox,
    )


@solver
def plan_with_tools(with_python: bool = False) -> Solver:
    """Let the model act on a session of its own until it stops calling tools; keep the plan it committed."""

    from assay.methods.evaluation.astroreason import Case, Session, plan_to_json

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        session = Session(Case.from_json(json.loads(state.metadata["case"])))
        state.tools = [session_tool(name, function) for name, function in session.tools().items()]
        if with_python:
            state.tools.append(python())
        state = await generate(state, tool_calls="loop")
        status = session.get_plan_status()
        committed = plan_to_json(session.plan, session.case) if status["committed"] else {"actions": []}
        state.store.set("plan", committed)
        state.store.set("tool_calls", session.calls - 1)
        return state

    return solve


@scorer(metrics=[mean(), stderr()])
def plan_score() -> Scorer:
    """The verifier's score of the committed plan; nothing committed is 0."""

    from assay.methods.evaluation.astroreason import Case, Flight, plan_from_json, verify

    async def score(state: TaskState, target: Target) -> Score:
        case = Case.from_json(json.loads(state.metadata["case"]))
        plan = plan_from_json(state.store.get("plan", {"actions": []}), case)
        verified = verify(case, plan, Flight(case))
        told = {**verified.metrics, "violations": list(verified.violations), "calls": state.store.get("tool_calls", 0)}
        return Score(value=verified.score, answer=f"{len(plan)} actions", metadata=told)

    return score


def session_tool(name: str, function: Callable[..., dict[str, Any]]) -> Tool:
    """A session's method as an Inspect tool; what it says of wrong input goes back to the model."""

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> str:
        try:
            return json.dumps(function(*args, **kwargs))
        except (ValueError, TypeError) as error:
            raise ToolError(str(error)) from error

    words = " ".join((function.__doc__ or "").split())
    names = [p for p in function.__annotations__ if p != "return"]
    call.__annotations__ = {**function.__annotations__, "return": "str"}
    return ToolDef(call, name=name, description=words, parameters={p: p.replace("_", " ") for p in names}).as_tool()
