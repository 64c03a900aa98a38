import json
import shutil

import pytest

from assay.cli.main import main


def camel(*words) -> int:
    return main(["use", "camel-cua", *map(str, words)])


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "p.py"
    path.write_text("if ask_bool('is there a more link?'):\n    click(find('More link'))\nfinish('seen')\n")
    return path


def test_a_plan_is_checked_and_its_steps_listed(plan, capsys):
    assert camel("check", plan, "--steps") == 0
    shown = capsys.readouterr().out
    assert "a plan, sealed as" in shown
    assert "click(find:More link)" in shown


def test_what_is_no_plan_ends_with_its_line_and_code_one(plan, capsys):
    plan.write_text("x = 'a'\nclick(find('b').c)\n")
    assert camel("check", plan) == 1
    assert "line 2: attribute access is not in the plan language" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "none.py"), "none.py: cannot be read"),
        (("run", "--task", "t", "--url", "ftp://x", "--plan", "p.py"), "--url: got 'ftp://x'"),
        (("run", "--task", "t", "--url", "http://x", "--plan", "none.py"), "none.py: cannot be read"),
        (("run", "--task", "t", "--url", "http://x", "--plan", "p.py", "--perceiver", "eye"), "--perceiver: got 'eye'"),
    ],
)
def test_wrong_words_end_in_one_line(plan, monkeypatch, capsys, words, said):
    monkeypatch.chdir(plan.parent)
    assert camel(*words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_plan_is_shown_asked_about_and_not_carried_out_without_a_yes(plan, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert camel("run", "--task", "t", "--url", "http://x", "--plan", plan) == 0
    assert "Nothing was done." in capsys.readouterr().out


def test_the_perceiver_of_pixels_needs_tesseract_before_anything_is_done(plan, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert camel("run", "--task", "t", "--url", "http://x", "--plan", plan, "--perceiver", "pixel") == 2
    said = capsys.readouterr()
    assert "--perceiver pixel needs tesseract: install the system package tesseract-ocr" in said.err
    assert "click" not in said.out


@pytest.mark.slow
@pytest.mark.parametrize("perceiver", ["dom", "pixel"])
def test_a_plan_is_carried_out_in_the_browser_and_leaves_its_trace(plan, tmp_path, capsys, perceiver):
    """On a page served from this machine."""
    pytest.importorskip("playwright.sync_api")
    if perceiver == "pixel" and shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed: the words of the screenshot cannot be read")
    import threading
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    (tmp_path / "index.html").write_text("<a href='more.html'>More</a>")
    (tmp_path / "more.html").write_text("<p>There</p>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    trace = tmp_path / "t.jsonl"
    url = f"http://127.0.0.1:{server.server_port}/index.html"
    from concurrent.futures import ThreadPoolExecutor

    words = ("run", "--task", "t", "--url", url, "--plan", plan, "--yes", "--trace-out", trace)
    words += ("--perceiver", perceiver)
    with ThreadPoolExecutor(1) as apart:
        assert apart.submit(camel, *words).result() == 0
    server.shutdown()
    assert "finished: seen" in capsys.readouterr().out
    rows = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [row["did"].split("(")[0] for row in rows] == ["ask_bool", "find", "click", "finish"]
