"""The digest through a real OpenAI-compatible server on this machine."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp import web

from assay.papers.digest.reader import InspectReader
from tests.papers.digest.world import Invented, publish

pytest.importorskip("openai", reason="the package openai is not installed: no provider to try")


@pytest.fixture
def asked(server):
    """A chat endpoint that takes no JSON schema; what it was asked."""
    bodies: list[dict] = []

    async def chat(request: web.BaseRequest) -> web.Response:
        body = json.loads(await request.read())
        bodies.append(body)
        if body.get("response_format", {}).get("type") == "json_schema":
            error = {"error": {"message": "response_format json_schema is not supported", "type": "invalid_request"}}
            return web.json_response(error, status=400)
        paper = Invented(int(re.search(r"Part (\d+)", body["messages"][1]["content"])[1]))
        message = {"role": "assistant", "content": f"```json\n{json.dumps(paper.reply())}\n```"}
        usage = {"prompt_tokens": 700, "completion_tokens": 300, "total_tokens": 1000}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        return web.json_response(reply | {"usage": usage})

    server.script("/v1/chat/completions", chat)
    return bodies


def test_a_day_is_written_through_an_openai_compatible_server(server, write, asked):
    from inspect_ai.model import get_model

    publish(server, 3)
    model = get_model("openai-api/local/lamp-1", base_url=f"{server.url}/v1", api_key="none", memoize=False)
    result = write(InspectReader(model), concurrency=1)
    assert (result.written, result.exit_code) == (3, 0)
    assert (result.tokens_in, result.tokens_out) == (2100, 900)
    assert [body.get("response_format", {}).get("type") for body in asked] == ["json_schema", None, None, None]
    assert asked[1]["temperature"] == 0.2 and asked[1]["max_tokens"] == 2500
