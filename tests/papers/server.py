"""A scripted web server on 127.0.0.1, for tests of everything that goes over the network.

    with Server() as server:
        server.script("/a", status(503), status(503), ok("<p>here</p>"))   # one step a request; the last one stays
        ...
        assert [request.path for request in server.log] == ["/a", "/a", "/a"]

A path may be scripted with its query (`/list?p=1`); that wins over the bare path. What is not scripted is a 404. Two
servers have two ports, and so are two hosts to the client.
"""

from __future__ import annotations

import asyncio
import gzip as gzip_format
import json
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """What was asked: `at` in monotonic seconds when it came, `done` when its answer was out."""

    path: str
    headers: Mapping[str, str]
    at: float
    done: float


class Server:
    """Answers by script and logs what was asked, in a thread of its own."""

    def __init__(self) -> None:
        self.log: list[Request] = []
        self._scripts: dict[str, list[Step]] = {}
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def script(self, path: str, *steps: Step) -> None:
        """Answer `path` by `steps`, one a request; the last one answers for ever."""
        self._scripts[path] = list(steps)

    def paths(self) -> list[str]:
        return [request.path for request in self.log]

    def gaps(self) -> list[float]:
        """Seconds from the end of each answer to the next request."""
        return [later.at - earlier.done for earlier, later in zip(self.log, self.log[1:])]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        self.host, self.url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        self._up.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        at = time.monotonic()
        steps = self._scripts.get(request.path_qs) or self._scripts.get(request.path) or [status(404)]
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        try:
            return await step(request)
        finally:
            self.log.append(Request(request.path_qs, dict(request.headers), at, time.monotonic()))


def ok(body: str | bytes, content_type: str = HTML, **headers: str) -> Step:
    async def step(request: web.Request) -> web.Response:
        return _response(body, content_type, headers)

    return step


def rows(*items: object) -> Step:
    """A JSON list."""
    return ok(json.dumps(items), "application/json")


def etag(body: str, tag: str = '"one"', modified: str | None = None) -> Step:
    """The body with its tag, and 304 to who has it already (by tag, or by `modified` where no tag is sent)."""

    async def step(request: web.Request) -> web.Response:
        headers = {"ETag": tag} if tag else {}
        if modified:
            headers["Last-Modified"] = modified
        has_tag = tag and request.headers.get("If-None-Match") == tag
        has_date = not tag and modified and request.headers.get("If-Modified-Since") == modified
        if has_tag or has_date:
            return web.Response(status=304, headers=headers)
        return _response(body, HTML, headers)

    return step


def status(code: int, body: str = "", **headers: str) -> Step:
    async def step(request: web.Request) -> web.Response:
        return web.Response(status=code, text=body, content_type="text/html", headers=_named(headers))

    return step


def too_many(retry_after: str | int | None = None) -> Step:
    return status(429) if retry_after is None else status(429, retry_after=str(retry_after))


def redirect(to: str, code: int = 302) -> Step:
    """To another path or URL; to its own path, it is a loop."""
    return status(code, location=to)


def slow(seconds: float, then: Step) -> Step:
    async def step(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await then(request)

    return step


def drip(body: bytes, bytes_per_second: float) -> Step:
    """The body at a trickle, 20 pieces a second: no read waits long, the whole takes for ever."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = await _open(request, len(body))
        piece = max(1, round(bytes_per_second / 20))
        for start in range(0, len(body), piece):
            await response.write(body[start : start + piece])
            await asyncio.sleep(0.05)
        return response

    return step


def truncate(body: bytes, at: int) -> Step:
    """Promises the whole body, sends its first `at` bytes, hangs up."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = await _open(request, len(body))
        await response.write(body[:at])
        await asyncio.sleep(0.02)
        request.transport.close()
        return response

    return step


def gzip(body: str | bytes) -> Step:
    raw = body.encode() if isinstance(body, str) else body
    return ok(gzip_format.compress(raw), content_encoding="gzip")


def bomb(megabytes: int) -> Step:
    """Zeros, packed a thousandfold."""
    return gzip(b"0" * (megabytes << 20))


def huge(megabytes: int, *, declared: bool = False) -> Step:
    """So many megabytes, with the length in the header or without."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = await _open(request, megabytes << 20 if declared else None)
        for _ in range(megabytes):
            await response.write(b"0" * (1 << 20))
        return response

    return step


def bad_charset(body: str, charset: str, claimed: str = "utf-8") -> Step:
    """Text in one encoding under the name of another."""
    return ok(body.encode(charset), f"text/html; charset={claimed}")


def reset() -> Step:
    """The connection is torn down without an answer."""

    async def step(request: web.Request) -> web.StreamResponse:
        wire = request.transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    return step


async def _open(request: web.Request, length: int | None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": HTML})
    response.content_length = length
    await response.prepare(request)
    return response


def _response(body: str | bytes, content_type: str, headers: Mapping[str, str]) -> web.Response:
    raw = body.encode() if isinstance(body, str) else body
    return web.Response(body=raw, headers={"Content-Type": content_type} | _named(headers))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
