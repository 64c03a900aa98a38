"""Open-ended benchmarks as Inspect tasks: agents with tools over MCP, scored by wins over a reference (2601.06487).

    inspect eval assay/open_travel --model openai/... -T n=20
    inspect eval assay/open_travel -T file=bench/test.jsonl -T mcp="my-server --stdio" --model-role grader=openai/...

Without a file `open_travel` is the built-in city: its desk is served by `assay serve arenarl`, the reference is a
random plan that keeps the opening hours, and the marks are those of the plan itself, so that no judge is asked. With
a file, which `arenarl.open_travel` or `open_deep_research` wrote, the model role `grader` compares both trajectories,
in both orders. Two solvers bound what can be reached in the city: `oracle_plan` and `weak_plan`.
"""

from __future__ import annotations

import json
import random
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, Model, ModelOutput, get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver
from inspect_ai.tool import MCPServer, mcp_connection, mcp_server_stdio

from assay.integrations.inspect.models import complete
from assay.methods.data.stages import read_rows
from assay.methods.judging import PairJudge, both_orders
from assay.worlds.city import City, Request

FIELDS = ("id", "input", "reference")


@task
def open_travel(
    file: str | None = None, mcp: str | None = None, n: int = 20, seed: int = 0, message_limit: int = 60
) -> Task:
    """`n` days out in the built-in city of a seed, or the rows of a file; `mcp` is the command of the server whose
    tools the agent has (the city's own where there is no file)."""
    samples = _city_samples(seed, n) if file is None else _file_samples(file)
    command = mcp if mcp is not None or file is not None else shlex.join(_city_command(seed))
    return _open_ended("open_travel", samples, command, message_limit)


@task
def open_deep_research(file: str, mcp: str | None = None, message_limit: int = 200) -> Task:
    """The rows of a file that `open_deep_research` wrote, with the tools of an MCP server."""
    return _open_ended("open_deep_research", _file_samples(file), mcp, message_limit)


def _open_ended(name: str, samples: list[Sample], mcp: str | None, message_limit: int) -> Task:
    return Task(
        dataset=MemoryDataset(samples, name=name),
        solver=generate() if mcp is None else with_mcp(mcp),
        scorer=[win_rate(), valid_rate()],
        message_limit=message_limit,
    )


@solver
def with_mcp(command: str) -> Solver:
    """The model with the tools of a local MCP server, until it calls no more of them."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        server = _server(command)
        async with mcp_connection([server]):
            state.tools = list(await server.tools())
            return await generate(state, tool_calls="loop")

    return solve


@scorer(metrics=[mean(), stderr()])
def win_rate() -> Scorer:
    """1 for a win over the sample's reference, 0.5 for a tie, 0 for a loss or no answer. In the city the plans' own
    marks decide, elsewhere the grader by ArenaRL's rubrics; a comparison that it never made in form is a tie."""
    from assay.methods.post_training.arenarl import RubricPairJudge, compared

    async def score(state: TaskState, target: Target) -> Score:
        known, rubrics = state.metadata, RubricPairJudge(complete(get_model(role="grader")))
        judge = _marks_of(known) if "request" in known else both_orders(rubrics)
        value = await compared(judge, state.input_text, trajectory(state.messages), known["reference"])
        return Score(value=value, answer=state.output.completion, metadata={"undecided": rubrics.undecided})

    return score


@scorer(metrics=[mean()])
def valid_rate() -> Scorer:
    """1 where the trajectory ends in an answer."""
    from assay.methods.post_training.arenarl import is_valid

    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=float(is_valid(state.output.completion)))

    return score


@solver
def oracle_plan() -> Solver:
    """The shortest day that keeps every opening hour, in the built-in city."""
    return _planner("oracle_plan", weak=False)


@solver
def weak_plan(seed: int = 1) -> Solver:
    """A random day that keeps the opening hours, another one than the reference."""
    return _planner("weak_plan", weak=True, seed=seed)


def agent(model: str | Model, mcp: str | None = None) -> Callable[[str], Awaitable[str]]:
    """An Inspect model with the tools of an MCP server as the `agent` of `open_travel` and `open_deep_research`: a
    task to its whole trajectory."""
    found = get_model(model)

    async def work(asked: str) -> str:
        if mcp is None:
            return trajectory((await found.generate_loop(asked))[0])
        server = _server(mcp)
        async with mcp_connection([server]):
            return trajectory((await found.generate_loop(asked, tools=list(await server.tools())))[0])

    return work


def trajectory(messages: Sequence[ChatMessage]) -> str:
    """What an agent did, as a judge reads it: its words, tool calls with their arguments, and what came back."""
    lines: list[str] = []
    for message in messages:
        if isinstance(message, ChatMessageAssistant):
            lines += [message.text] if message.text.strip() else []
            lines += [f"[call] {call.function}({json.dumps(call.arguments)})" for call in message.tool_calls or ()]
        elif isinstance(message, ChatMessageTool):
            error = message.error
            lines.append(f"[result] {message.text}" if error is None else f"[error] {error.message}")
    return "\n".join(lines)


def _server(command: str) -> MCPServer:
    program, *words = shlex.split(command)
    return mcp_server_stdio(name="tools", command=program, args=words)


def _city_command(seed: int) -> list[str]:
    return [sys.executable, "-m", "assay.cli.main", "serve", "arenarl", "--seed", str(seed)]


def _file_samples(file: str) -> list[Sample]:
    rows = read_rows(Path(file))
    for row in rows:
        missing = [name for name in FIELDS if name not in row]
        if missing:
            raise ValueError(f"{file}: a row without {missing[0]!r}; wanted the test file of a benchmark")
    return [Sample(id=str(row["id"]), input=row["input"], metadata={"reference": row["reference"]}) for row in rows]


def _city_samples(seed: int, n: int) -> list[Sample]:
    from assay.methods.post_training.arenarl import OPEN_TRAVEL
    from assay.worlds.city_desk import random_plan, show_plan

    city = _city(seed, n)
    samples = []
    for number, request in enumerate(city.requests):
        plan = show_plan(random_plan(city, request, random.Random(f"reference {seed} {number}")))
        known = {"seed": seed, "n": n, "request": number, "reference": f"<answer>{plan}</answer>"}
        samples.append(Sample(id=number, input=OPEN_TRAVEL.task(request.text), metadata=known))
    return samples


def _planner(name: str, weak: bool, seed: int = 0) -> Solver:
    from assay.worlds.city import best_plan
    from assay.worlds.city_desk import by_the_minute, random_plan, show_plan

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        city, request = _city_of(state.metadata)
        rng = random.Random(f"{name} {seed} {state.metadata['request']}")
        best = best_plan(city, request) or ()
        plan = random_plan(city, request, rng) if weak else by_the_minute(city, request, [stop.place for stop in best])
        state.output = ModelOutput.from_content(name, f"<answer>{show_plan(plan)}</answer>")
        state.messages.append(ChatMessageAssistant(content=state.output.completion))
        return state

    return solve


def _city_of(known: dict[str, Any]) -> tuple[City, Request]:
    """The city of a sample, and its request."""
    city = _city(known["seed"], known["n"])
    return city, city.requests[known["request"]]


@lru_cache(maxsize=4)
def _city(seed: int, n: int) -> City:
    from assay.worlds.city import world

    return world(requests=n).sample(seed)


def _marks_of(known: dict[str, Any]) -> PairJudge:
    """A judge of two trajectories in the city by the marks of the plans they end in."""
    from assay.methods.parsing import tagged
    from assay.worlds.city_desk import marks, read_plan, shortest_way

    city, request = _city_of(known)
    shortest = shortest_way(city, request)

    async def judge(query: str, a: str, b: str) -> tuple[float, float]:
        first, second = (marks(city, request, read_plan(tagged(text, "answer")[-1]), shortest) for text in (a, b))
        return first, second

    return judge
