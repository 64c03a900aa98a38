"""Functions as MCP tools, called through the protocol's own client."""

import json

import anyio
import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from assay.cli.main import main
from assay.errors import UserError
from assay.integrations.mcp import guarded, proxy, server
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


def talk_to_guarded(before_call, **hooks):
    """What a client gets who lists the tools of a guarded server, then calls half of 6, of 8 and of -1."""

    async def talk():
        inner = Client(server("halves", {"half": half}, "Be brief."))
        async with inner, Client(guarded(inner, before_call, **hooks)) as outer:
            tools = (await outer.list_tools()).tools
            results = [await outer.call_tool("half", {"number": n}) for n in (6, 8, -1)]
            return (outer.server_info.name, outer.instructions), tools, results

    return anyio.run(talk)


def test_a_guarded_server_hands_on_its_tools_and_answers_what_is_held_back_with_the_reason():
    asked, seen, listed = [], [], []

    def before_call(name, arguments):
        asked.append((name, arguments))
        return "no eights today" if arguments["number"] == 8 else None

    named, tools, (right, held, wrong) = talk_to_guarded(
        before_call, after_call=lambda *call: seen.append(call), listed=listed.extend
    )
    assert named == ("halves", "Be brief.")
    assert [tool.description for tool in tools] == ["Half of a number."]
    assert tools[0].output_schema and [tool.name for tool in listed] == ["half"]
    assert asked == [("half", {"number": n}) for n in (6, 8, -1)]
    assert right.structured_content == {"half": 3.0} and not right.is_error
    assert held.content[0].text == "no eights today" and held.is_error
    assert wrong.is_error and "wanted 0 or more" in wrong.content[0].text
    assert [(arguments["number"], json.loads(text) if text[0] == "{" else "") for _, arguments, text in seen] == [
        (6, {"half": 3.0}),
        (-1, ""),
    ]


def test_a_guard_may_be_asynchronous():
    async def before_call(name, arguments):
        await anyio.sleep(0)
        return None if arguments["number"] > 7 else "too small"

    _, _, results = talk_to_guarded(before_call)
    assert [result.is_error for result in results] == [True, False, True]


def test_a_command_that_is_no_server_is_one_line():
    with pytest.raises(UserError, match=r"^no_such_command --x: no MCP server answers there \(.*No such file"):
        proxy(["no_such_command", "--x"], lambda name, arguments: None)
    with pytest.raises(ValueError, match="command: got none"):
        proxy([], lambda name, arguments: None)
