"""Functions as MCP tools, called through the protocol's own client."""

import json

import anyio
import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from assay.cli.main import main
from assay.integrations.mcp import server
from assay.methods.evaluation.astroreason import Session, load_case


def half(number: float, digits: int = 2) -> dict[str, float]:
    """Half of a number."""
    if number < 0:
        raise ValueError(f"number: got {number}, wanted 0 or more")
    return {"half": round(number / 2, digits)}


def silent(number: float) -> float:
    return number


def test_a_function_is_a_tool_with_its_types_its_words_and_its_errors():
    async def talk():
        async with Client(server("halves", {"half": half})) as client:
            (tool,) = (await client.list_tools()).tools
            right = await client.call_tool("half", {"number": 5})
            wrong = await client.call_tool("half", {"number": -1})
            return tool, right, wrong

    tool, right, wrong = anyio.run(talk)
    assert (tool.name, tool.description) == ("half", "Half of a number.")
    assert tool.input_schema["required"] == ["number"]
    assert json.loads(right.content[0].text) == {"half": 2.5}
    assert wrong.is_error and "number: got -1.0, wanted 0 or more" in wrong.content[0].text


def test_a_function_without_words_is_refused():
    with pytest.raises(ValueError, match="silent has no docstring"):
        server("x", {"silent": silent})


def test_the_command_serves_a_case_over_stdio_and_scripts_see_the_same_plan(tmp_path):
    import sys

    folder = tmp_path / "case"
    assert main(["use", "astroreason", "new", "--family", "revisit", "--hours", "3", str(folder)]) == 0
    command = [sys.executable, "-m", "assay.cli.main", "serve", "astroreason", str(folder)]

    async def talk():
        async with Client(stdio_client(StdioServerParameters(command=command[0], args=command[1:]))) as client:
            tools = {t.name for t in (await client.list_tools()).tools}
            answer = await client.call_tool("query_satellites", {"limit": 3})
            return tools, json.loads(answer.content[0].text)

    tools, answer = anyio.run(talk)
    assert {"stage_action", "commit_plan"} <= tools
    assert answer["total"] == 8 and len(answer["items"]) == 3
    assert Session(load_case(folder), folder / "session.json").calls == 1


def test_serving_a_case_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["serve", "astroreason", str(tmp_path / "none")]) == 2
    assert "no such case" in capsys.readouterr().err
