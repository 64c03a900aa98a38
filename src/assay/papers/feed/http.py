"""GET, politely: one request at a time a host, answers kept, failures tried again or told with a reason.

Every request goes through the gate of its host (`gates.py`), each hop of a redirect through the gate of that hop's
host. An answer is stored when it is complete: a body that ends early never reaches the cache.
"""

from __future__ import annotations

import os
import random
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import anyio
import httpx

from assay import __version__
from assay.errors import UserError
from assay.papers.feed.cache import Answer, Cache, feed_folder
from assay.papers.feed.gates import LONGEST_REST_S, Gates, polite_gap
from assay.papers.feed.model import Clock, FeedError, Reason, SystemClock

MOST_REDIRECTS = 10
GONE = (404, 410)
REFUSALS = (403, 429)
PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait (seconds), how much to take (bytes, unpacked), how often to try."""

    connect_s: float = 10.0
    read_s: float = 60.0
    whole_s: float = 120.0
    body: int = 25_000_000
    tries: int = 5


class Passing(FeedError):
    """A failure that may be gone at the next try, after `rest` seconds if the host said so."""

    rest = 0.0


class Http:
    """An HTTP client for reading. Use it as `async with Http(cache) as http`.

    Args:
        cache: where answers are kept; None keeps and uses none.
        clock: the time; a test hands in its own.
        gap: seconds between two requests to a host, by its name.
        offline: answer from the cache alone, however old; FeedError `offline` for what it lacks.
        limits: times, sizes and tries.
        seed: of the jitter in the waits between tries.
        hosts: folder of what all processes know of the hosts.
    """

    def __init__(
        self,
        cache: Cache | None = None,
        *,
        clock: Clock | None = None,
        gap: Callable[[str], float] = polite_gap,
        offline: bool = False,
        limits: Limits | None = None,
        seed: int = 0,
        hosts: Path | None = None,
    ) -> None:
        if offline and cache is None:
            raise ValueError("offline: got True without a cache, wanted a cache to answer from")
        self.clock = clock or SystemClock()
        self._cache = cache
        self._offline = offline
        self._limits = limits or Limits()
        self._random = random.Random(seed)
        self._gates = Gates(hosts or feed_folder() / "hosts", self.clock, gap)
        self._client = httpx.AsyncClient(
            headers={"User-Agent": user_agent(), "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(self._limits.read_s, connect=self._limits.connect_s, pool=None),
            follow_redirects=False,
            event_hooks={"response": [_check_location]},  # before httpx itself stumbles over a bad one
        )

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, url: str, *, ttl: float, missing_ttl: float = 0.0) -> Answer:
        """The answer to a GET: status 200, or 404/410 with an empty body.

        It is kept for `ttl` seconds (`missing_ttl` if 404/410; 0 is not kept). A stale one is asked for again on the
        condition that it has changed. Everything else is a FeedError whose reason is a code of `model.Reason`.
        """
        stored = self._cache.get(url) if self._cache else None
        if stored and (self._offline or stored.fresh(self.clock.time())):
            return stored
        if self._offline:
            raise FeedError("offline", f"{url} is not in the cache")
        answer = await self._follow(url, stored)
        now = self.clock.time()
        if answer.status == 304 and stored and self._cache:
            kept = replace(stored, fetched_at=now, ttl=missing_ttl if stored.status in GONE else ttl)
            self._cache.confirm(url, kept.fetched_at, kept.ttl)
            return kept
        keep_s = missing_ttl if answer.status in GONE else ttl
        answer = replace(answer, url=url, fetched_at=now, ttl=keep_s)
        if self._cache and keep_s > 0:
            self._cache.put(answer)
            if answer.final_url != url and answer.status == 200:
                self._cache.put(replace(answer, url=answer.final_url))
        return answer

    def doubt(self, answer: Answer, ttl: float) -> None:
        """Keep an answer that turned out useless for `ttl` seconds only: a better one may come soon."""
        if self._cache and not self._offline and answer.ttl > ttl:
            self._cache.confirm(answer.url, answer.fetched_at, ttl)

    async def _follow(self, url: str, stored: Answer | None) -> Answer:
        """The answer at the end of the redirects; a stored answer's tag is shown to the URL that gave it."""
        here = _target(url)
        for _ in range(MOST_REDIRECTS + 1):
            conditions = _conditions(stored) if stored and str(here) == stored.final_url else {}
            answer = await self._insist(here, conditions)
            if "location" not in answer.headers or answer.status not in (301, 302, 303, 307, 308):
                break
            here = _target(answer.headers["location"], here)
        else:
            raise FeedError("bad_answer", f"{url} redirects more than {MOST_REDIRECTS} times")
        if answer.status == 200 or answer.status in GONE or (answer.status == 304 and conditions):
            return answer
        raise FeedError("bad_answer", f"{here} answers with status {answer.status}")

    async def _insist(self, url: httpx.URL, conditions: Mapping[str, str]) -> Answer:
        """Ask until an answer comes that will stand, with a longer rest after each failure that may pass."""
        tried = 0
        while True:
            tried += 1
            last = tried == self._limits.tries
            backoff = 0.0 if last else min(60.0, 2.0**tried) * self._random.uniform(0.75, 1.25)
            try:
                return await self._once(url, conditions, backoff)
            except Passing as failure:
                if last:
                    raise FeedError(failure.reason, f"{failure.detail}, {tried} times") from failure

    async def _once(self, url: httpx.URL, conditions: Mapping[str, str], backoff: float) -> Answer:
        """One request in its host's turn; the whole host rests after a failure, not this request alone."""
        async with self._gates.turn(url.netloc.decode("ascii")) as turn:
            try:
                answer = await self._send(url, conditions)
                if answer.status in REFUSALS:
                    turn.refused(self.clock.time())
                else:
                    turn.answered()
                self._judge(answer)
            except Passing as failure:
                turn.rest = max(failure.rest, backoff)
                raise
        return answer

    async def _send(self, url: httpx.URL, conditions: Mapping[str, str]) -> Answer:
        begun = False
        try:
            with anyio.fail_after(self._limits.whole_s):
                async with self._client.stream("GET", url, headers=conditions) as response:
                    begun = True
                    body = await self._body(response) if response.status_code == 200 else b""
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Passing("timeout", f"{url} took too long") from error
        except httpx.TransportError as error:
            # h11 holds the body against Content-Length and against the chunks' own lengths
            if begun:
                raise Passing("truncated", f"{url} broke off before its end") from error
            raise Passing("unreachable", f"{url} cannot be reached ({str(error) or type(error).__name__})") from error
        headers = {name.lower(): value for name, value in response.headers.items() if name.lower() != "set-cookie"}
        return Answer(str(url), str(url), response.status_code, headers, body, 0.0)

    async def _body(self, response: httpx.Response) -> bytes:
        """The unpacked body. Neither what is sent nor what it unpacks to may pass the limit, not even for a moment."""
        limit = self._limits.body
        too_large = FeedError("too_large", f"{response.url} is larger than {limit / 1e6:g} MB")
        if int(response.headers.get("content-length", 0)) > limit:
            raise too_large
        packing = response.headers.get("content-encoding", "identity").lower()
        if packing not in ("identity", "gzip", "x-gzip"):
            raise FeedError("bad_answer", f"{response.url} is packed as {packing}, which we did not ask for")
        unpacker = zlib.decompressobj(wbits=31) if packing != "identity" else None
        body = bytearray()
        received = 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            try:
                body += unpacker.decompress(chunk, limit + 1 - len(body)) if unpacker else chunk
            except zlib.error as error:
                raise Passing("truncated", f"{response.url} cannot be unpacked") from error
            if max(len(body), received) > limit:
                raise too_large
        if unpacker and (not unpacker.eof or unpacker.unused_data):
            raise Passing("truncated", f"{response.url} broke off before its end")
        return bytes(body)

    def _judge(self, answer: Answer) -> None:
        """Raise for a status that is no answer: Passing if it may be another one next time."""
        status = answer.status
        if status < 400 or status in GONE:
            return
        reason: Reason = "http_429" if status == 429 else "http_5xx" if status >= 500 else "http_4xx"
        told = f"{answer.final_url} answers with status {status}"
        if status not in PASSING:
            raise FeedError(reason, told)
        failure = Passing(reason, told)
        failure.rest = retry_after(answer.headers.get("retry-after", ""), self.clock.time())
        raise failure


def retry_after(text: str, now: float) -> float:
    """Seconds to wait by a Retry-After header (seconds or an HTTP date), at most ten minutes; 0 if it says nothing."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(LONGEST_REST_S, max(0.0, seconds))


def user_agent() -> str:
    """`assay/VERSION`, and `(mailto:…)` of `$ASSAY_CONTACT` so that a server's keeper can write instead of blocking."""
    contact = os.environ.get("ASSAY_CONTACT", "").strip()
    if not contact:
        return f"assay/{__version__}"
    if not re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+", contact):
        raise UserError(f"ASSAY_CONTACT: got {contact!r}, wanted an e-mail address")
    return f"assay/{__version__} (mailto:{contact})"


def _target(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """An absolute http(s) URL, without fragment; FeedError `bad_answer` for anything else."""
    try:
        url = base.join(text) if base else httpx.URL(text)
    except httpx.InvalidURL as error:
        raise FeedError("bad_answer", f"{text!r} is no URL") from error
    named = all(0 < len(label) < 64 for label in url.host.rstrip(".").split(".")) and "%" not in url.host
    if url.scheme not in ("http", "https") or not named or (url.port or 0) > 65535:
        raise FeedError("bad_answer", f"{str(url)!r} names no host on the web")
    return url.copy_with(fragment=None)


async def _check_location(response: httpx.Response) -> None:
    if response.has_redirect_location:
        _target(response.headers["location"], response.url)


def _conditions(stored: Answer) -> dict[str, str]:
    """The headers that ask for the page only if it has changed."""
    asked = {"If-None-Match": stored.headers.get("etag"), "If-Modified-Since": stored.headers.get("last-modified")}
    return {name: value for name, value in asked.items() if value}
