"""`assay serve page`: the report over HTTP, for this machine alone."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from assay.cli.main import main
from assay.cli.page_server import REFRESH_S, PageServer, Shown
from assay.engine.runner import RunOptions, run_trials
from assay.errors import StoreLocked, UserError


class Pages:
    """What a test lets the server show."""

    def __init__(self) -> None:
        self.now = Shown("<p>one</p>", running=False)
        self.error: Exception | None = None

    def __call__(self) -> Shown:
        if self.error:
            raise self.error
        return self.now


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def server(pages: Pages) -> Iterator[PageServer]:
    with PageServer(pages, 0) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: PageServer, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def test_the_page_is_sent_once_and_then_only_when_it_changed(server, pages):
    status, headers, text = ask(server)
    assert (status, text) == (200, "<p>one</p>")
    assert ask(server, If_None_Match=headers["ETag"])[::2] == (304, "")
    pages.now = Shown("<p>two</p>", running=False)
    assert ask(server, If_None_Match=headers["ETag"])[::2] == (200, "<p>two</p>")


def test_the_browser_looks_again_only_while_trials_run(server, pages):
    assert "Refresh" not in ask(server)[1]
    pages.now = Shown("<p>one</p>", running=True)
    status, headers, _ = ask(server)
    assert (status, headers["Refresh"]) == (200, str(REFRESH_S))


def test_head_has_the_length_and_no_body(server):
    status, headers, text = ask(server, method="HEAD")
    assert (status, headers["Content-Length"], text) == (200, "10", "")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "127.0.0.1:{port}x"]
)
def test_a_request_that_was_meant_for_another_name_is_refused(server, host):
    status, _, text = ask(server, Host=host.format(port=server.server_port))
    assert status == 403
    assert "<p>" not in text


def test_localhost_is_this_server_too(server):
    assert ask(server, Host=f"localhost:{server.server_port}")[0] == 200


def test_there_is_one_page_and_it_is_only_read(server):
    assert ask(server, "/report.html?x=1")[0] == 200
    assert ask(server, "/../../etc/passwd")[0] == 404
    assert ask(server, method="POST")[0] == 501


def test_a_store_that_is_held_is_said_in_a_line_and_tried_again(server, pages):
    pages.error = StoreLocked("store x is in use")
    status, headers, text = ask(server)
    assert (status, headers["Refresh"], text) == (503, str(REFRESH_S), "store x is in use\n")


def test_only_this_machine_is_listened_to(server):
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", server.server_port), timeout=1)


def test_a_taken_port_is_one_line_and_exit_code_2(server, capsys, tmp_path):
    words = ["serve", "page", "--port", str(server.server_port), "--store", str(tmp_path / "r.duckdb")]
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(UserError, match="bad --port 70000"):
        PageServer(lambda: Shown("", running=False), 70000)


def test_the_command_serves_the_report_and_ends_with_ctrl_c(tmp_path):
    store = tmp_path / "results.duckdb"
    run_trials(["hadw"], RunOptions(seeds=1, store=store, isolation="inline"))
    code = (  # a test runner in the background has Ctrl-C ignored, and children inherit that
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from assay.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", code, "serve", "page", "--port", "0", "--store", str(store)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", url)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/")
        page = connection.getresponse().read().decode()
        assert 'id="row-post_training-hadw"' in page
        assert main(["report", "--store", str(store), "--out", str(tmp_path / "report.html")]) == 0
        assert (tmp_path / "report.html").read_text("utf-8") == page
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - begun < 5
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
