"""The scoreboard page over HTTP, for a browser on this machine and nobody else."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

from assay.errors import AssayError, UserError

HOST = "127.0.0.1"
REFRESH_S = 5  # how often a browser looks again while trials run
HTML, PLAIN = "text/html; charset=utf-8", "text/plain; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Shown:
    """The page as it is now, and whether it will change soon."""

    text: str
    running: bool


class PageServer(ThreadingHTTPServer):
    """Answers GET and HEAD of `/` with the page that `make` gives; the browser is told to look again while trials
    run, and gets nothing sent where nothing has changed. Raises UserError where the port is taken."""

    daemon_threads = True

    def __init__(self, make: Callable[[], Shown], port: int) -> None:
        if not 0 <= port <= 65535:
            raise UserError(f"bad --port {port}: wanted 0 (any free one) to 65535")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            why = f"port {port} cannot be used ({error.strerror}): choose another with --port, or 0 for any free one"
            raise UserError(why) from error
        self._make, self._lock = make, threading.Lock()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def shown(self) -> Shown:
        """One request at a time asks the store."""
        with self._lock:
            return self._make()

    def is_own(self, host: str | None) -> bool:
        """Whether the request was meant for this server. A foreign name in `Host` is a page of somebody else's that
        had its name point here, to read what the browser may read."""
        return host in (f"{HOST}:{self.server_port}", f"localhost:{self.server_port}")


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        if not self.server.is_own(self.headers.get("Host")):
            self._say(HTTPStatus.FORBIDDEN, f"this page is only at {self.server.url}")
        elif self.path.split("?")[0] not in ("/", "/report.html"):
            self._say(HTTPStatus.NOT_FOUND, f"there is one page here: {self.server.url}")
        else:
            try:
                self._show(self.server.shown())
            except AssayError as error:
                self._say(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Refresh": str(REFRESH_S)})

    do_HEAD = do_GET

    def _show(self, shown: Shown) -> None:
        tag = f'"{hashlib.sha256(shown.text.encode()).hexdigest()[:32]}"'
        headers = {"ETag": tag, **({"Refresh": str(REFRESH_S)} if shown.running else {})}
        if tag in self.headers.get("If-None-Match", ""):
            self._send(HTTPStatus.NOT_MODIFIED, headers)
            return
        self._send(HTTPStatus.OK, {**headers, "Content-Type": HTML}, shown.text)

    def _say(self, status: HTTPStatus, line: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self._send(status, {**headers, "Content-Type": PLAIN}, f"{line}\n")

    def _send(self, status: HTTPStatus, headers: Mapping[str, str], text: str = "") -> None:
        data = text.encode()
        length = {"Content-Length": str(len(data))} if status is not HTTPStatus.NOT_MODIFIED else {}
        self.send_response(status)
        for name, value in {**HEADERS, **headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def version_string(self) -> str:
        return "assay"

    def log_message(self, format: str, *args: object) -> None:
        """The terminal shows the address alone."""
