"""Offer typed Python functions to agents over the Model Context Protocol."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

from assay.errors import AssayError

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
