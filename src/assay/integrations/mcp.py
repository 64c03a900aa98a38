"""The Model Context Protocol: offer typed Python functions to agents, or stand guard before another server.

serve("halves", {"half": half})
proxy(["uvx", "some-mail-server"], before_call=lambda name, arguments: "not now" if name == "send" else None)
"""

from __future__ import annotations

import functools
import inspect
import os
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal

import anyio
from mcp import Client, StdioServerParameters
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server
from mcp.types import CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations

from assay.errors import AssayError, UserError

Arguments = Mapping[str, Any]
BeforeCall = Callable[[str, Arguments], "str | Awaitable[str | None] | None"]
AfterCall = Callable[[str, Arguments, str], None]
Transport = Literal["stdio", "sse", "streamable-http"]


def server(
    name: str, functions: Mapping[str, Callable[..., Any]], instructions: str = "", *, read_only: bool = False
) -> MCPServer:
    """A server with one tool a function: schema from its type hints, description from its docstring.

    read_only: the tools say of themselves that they change nothing, so that a client may call them unasked.

    A ValueError, TypeError, KeyError or AssayError of a function is the tool's error, and its text reaches the agent.
    Raises ValueError for a function without a docstring, because an agent would not know what it does.
    """
    offered = MCPServer(name, instructions=instructions or None)
    marks = ToolAnnotations(read_only_hint=True, open_world_hint=False) if read_only else None
    for tool, function in functions.items():
        if not (function.__doc__ or "").strip():
            raise ValueError(f"functions: {tool} has no docstring; it is the tool's description")
        description = " ".join((function.__doc__ or "").split())
        offered.add_tool(_spoken(function), name=tool, description=description, annotations=marks)
    return offered


def serve(
    name: str,
    functions: Mapping[str, Callable[..., Any]],
    transport: Transport = "stdio",
    *,
    instructions: str = "",
    read_only: bool = False,
) -> None:
    """Serve the functions until the client leaves (stdio) or the process ends."""
    server(name, functions, instructions, read_only=read_only).run(transport=transport)


def proxy(
    command: Sequence[str],
    before_call: BeforeCall,
    *,
    after_call: AfterCall | None = None,
    listed: Callable[[Sequence[Tool]], None] | None = None,
) -> None:
    """Start an MCP server and stand before it, over stdio, until the client leaves; its tools are handed on unchanged.

    before_call   asked with name and arguments before each call, one at a time: None lets it pass, a text is given as
                  the tool's result (marked as an error, for the tool was not run); may be async
    after_call    told name, arguments and the text of each call that was run
    listed        told the tools at the start, and each time that they are listed

    The server is given this process's environment. Its resources and prompts are not handed on. Raises UserError where
    the command cannot be started or speaks no MCP.
    """
    if not command:
        raise ValueError("command: got none, wanted the words that start an MCP server")
    anyio.run(_stand_before, command, before_call, after_call, listed)


def guarded(
    inner: Client,
    before_call: BeforeCall,
    *,
    after_call: AfterCall | None = None,
    listed: Callable[[Sequence[Tool]], None] | None = None,
) -> Server:
    """The server that `proxy` runs, before a connected client of the other one."""
    deciding = anyio.Lock()  # a guard that counts blocks in a row sees one call after another

    async def list_tools(context: Any, page: Any) -> ListToolsResult:
        found = await inner.list_tools(cursor=page.cursor if page else None)
        if listed:
            listed(found.tools)
        return found

    async def call_tool(context: Any, call: Any) -> CallToolResult:
        arguments = call.arguments or {}
        async with deciding:
            text = before_call(call.name, arguments)
            if inspect.isawaitable(text):
                text = await text
        if text is not None:
            return CallToolResult(content=[TextContent(text=text)], is_error=True)
        result = await inner.call_tool(call.name, arguments)
        if after_call:
            parts = [part.text for part in result.content if isinstance(part, TextContent)]
            after_call(call.name, arguments, "\n".join(parts))
        return result

    info = inner.server_info
    return Server(
        info.name if info else "guarded", instructions=inner.instructions,
        on_list_tools=list_tools, on_call_tool=call_tool,
    )  # fmt: skip


async def _stand_before(
    command: Sequence[str],
    before_call: BeforeCall,
    after_call: AfterCall | None,
    listed: Callable[[Sequence[Tool]], None] | None,
) -> None:
    server = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(os.environ))
    async with AsyncExitStack() as open_until_the_client_leaves:
        try:
            inner = await open_until_the_client_leaves.enter_async_context(Client(server))
            tools = (await inner.list_tools()).tools
        except Exception as error:
            raise UserError(f"{shlex.join(command)}: no MCP server answers there ({_cause(error)})") from error
        if listed:
            listed(tools)  # a client may call what it knows from before, without listing it
        offered = guarded(inner, before_call, after_call=after_call, listed=listed)
        async with stdio_server() as (read, write):
            await offered.run(read, write, offered.create_initialization_options())


def _cause(error: BaseException) -> BaseException:
    """What really happened, out of the groups that tasks wrap errors in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _spoken(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with what it says of wrong input handed to the agent, not to the server's log alone."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (ValueError, TypeError, KeyError, AssayError) as error:
            raise ToolError(str(error)) from error

    return call
