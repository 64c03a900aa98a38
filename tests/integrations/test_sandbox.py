"""The sandbox as its users see it: what goes in, what comes back, and what stops a run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.integrations import _sandbox_launch, sandbox
from assay.integrations import _sandbox_wire as wire
from assay.integrations.sandbox import Session, prestarted, run_command, run_python
from assay.methods import protocols

LIMITS = {"timeout": 20, "memory_mb": 256}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$array"), inner),
    max_leaves=20,
)


@pytest.fixture(params=_sandbox_launch.LEVELS)
def level(request, monkeypatch):
    if not _sandbox_launch.works(request.param):
        pytest.skip(f"this machine has no {request.param}")
    for module in (_sandbox_launch, sandbox):
        monkeypatch.setattr(module, "isolation", lambda: request.param)
    return request.param


def test_values_files_text_and_streams_make_the_round_trip(level):
    code = (
        "import sys\nopen('out/b.bin', 'wb').write(bytes(range(256)))\nopen('kept.txt', 'a').write('more')\n"
        "print(input()); print('aside', file=sys.stderr)\n"
        "result = {'sum': sum(xs), 'text': text[::-1], '$array': [None, True, 1.5], 'table': open('in.csv').read()}"
    )
    inputs = {"xs": [1, 2, 3], "text": "añb", "stdin": "línea\n", "in.csv": "a,b\n", "kept.txt": "some", "out/x.y": b""}
    ran = run_python(code, inputs, **LIMITS)
    assert (ran.ok, ran.error, ran.isolation) == (True, None, level)
    assert ran.value == {"sum": 6, "text": "bña", "$array": [None, True, 1.5], "table": "a,b\n"}
    assert (ran.stdout, ran.stderr) == ("línea\n", "aside\n")
    assert ran.files == {"out/b.bin": bytes(range(256)), "kept.txt": b"somemore"}
    assert 0 < ran.seconds < 20


def test_arrays_keep_dtype_shape_and_bits(level):
    arrays = [np.arange(6, dtype="<i2").reshape(2, 3).T, np.array([np.nan, -0.0, np.inf]), np.array(2.5, "f4")]
    arrays += [np.array(["é", "bc"]), np.zeros((0, 3), bool), np.array(["2026-01-13"], "M8[D]"), np.array([1 + 2j])]
    ran = run_python("result = {'back': given, 'scalar': given[0].sum()}", {"given": arrays}, timeout=20, memory_mb=512)
    assert ran.ok, ran
    assert ran.value["scalar"] == 15 and type(ran.value["scalar"]) is int
    for sent, back in zip(arrays, ran.value["back"], strict=True):
        assert back.dtype == sent.dtype and back.shape == sent.shape
        assert back.tobytes() == sent.tobytes()
        assert back.flags.writeable


@given(JSON)
@settings(max_examples=60, deadline=None)
def test_json_survives_the_wire(value):
    assert wire.decode(*wire.parse(wire.encode(value))) == value


@given(st.binary(max_size=200))
def test_any_bytes_that_are_no_message_are_refused(raw):
    with contextlib.suppress(wire.Broken):
        wire.decode(*wire.parse(raw))


def test_nan_and_infinity_come_back_as_they_are(level):
    value = run_python("result = [float('nan'), float('inf'), -float('inf')]", {}, **LIMITS).value
    assert np.isnan(value[0]) and value[1:] == [np.inf, -np.inf]


def test_an_error_is_told_in_one_line_and_its_traceback_in_full(level):
    ran = run_python("def f(x):\n    return 1 / x\nf(0)", {}, **LIMITS)
    assert (ran.ok, ran.value, ran.error) == (False, None, "ZeroDivisionError: division by zero")
    assert 'File "<code>", line 2, in f\n    return 1 / x' in ran.stderr
    assert "_sandbox" not in ran.stderr
    assert run_python("result = (", {}, **LIMITS).error.startswith("SyntaxError: '(' was never closed")


def test_what_was_printed_before_a_timeout_is_kept(level):
    started = time.monotonic()
    code = "print('so far', flush=True)\nopen('half', 'w').write('x')\nwhile True: pass"
    ran = run_python(code, {}, timeout=0.3, memory_mb=256)
    assert (ran.ok, ran.error, ran.stdout, ran.files) == (False, "timeout", "so far\n", {"half": b"x"})
    assert 0.3 <= ran.seconds < 2
    assert time.monotonic() - started < 10


def test_memory_is_limited_per_process_and_in_all(level):
    assert run_python("x = bytearray(300 << 20)", {}, **LIMITS).error == "MemoryError"
    assert run_python("x = bytearray(100 << 20); result = len(x)", {}, **LIMITS).value == 100 << 20
    forks = "import os, time\nos.fork(); os.fork()\nx = bytearray(b'x' * (90 << 20)); time.sleep(9)"
    assert "memory: more than 256 MB" in run_python(forks, {}, **LIMITS).error


def test_output_is_cut_at_a_megabyte(level):
    ran = run_python("print('x' * 3_000_000); result = 1", {}, **LIMITS)
    assert (ran.ok, len(ran.stdout)) == (True, 1 << 20)


def test_the_same_code_gives_the_same_order_of_a_set():
    code = "result = list({'a', 'b', 'c', 'd', 'e'})"
    assert run_python(code, {}, **LIMITS).value == run_python(code, {}, **LIMITS).value


def test_the_code_has_an_empty_folder_and_a_bare_environment(level, monkeypatch):
    monkeypatch.setenv("ASSAY_TOKEN", "secret")
    ran = run_python("import os; result = [os.listdir('.'), sorted(os.environ)]", {}, **LIMITS)
    assert ran.value[0] == []
    assert {"PATH", "HOME"} < set(ran.value[1]) and "ASSAY_TOKEN" not in ran.value[1]


def test_own_processes_and_local_sockets_work_inside_a_namespace(level):
    if level == "rlimits":
        pytest.skip("sockets are refused where no namespace keeps them in")
    code = (
        "import socket, multiprocessing as m\ns = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname())\nwith m.Pool(2) as pool: result = pool.map(abs, [-1, -2])"
    )
    assert run_python(code, {}, **LIMITS).value == [1, 2]


def test_a_command_gives_its_status_its_output_and_its_files(level):
    script = "cat a.txt; cat; echo aside >&2; echo new > b.txt; exit 3"
    ran = run_command(["sh", "-c", script], {"a.txt": "A", "stdin": "B"}, **LIMITS)
    assert (ran.ok, ran.value, ran.error) == (False, 3, "exit status 3")
    assert (ran.stdout, ran.stderr, ran.files) == ("AB", "aside\n", {"b.txt": b"new\n"})
    assert run_command(["python", "-c", "print(6 * 7)"], {}, **LIMITS).stdout == "42\n"
    assert run_command(["true"], {}, **LIMITS).ok
    assert "No such file" in run_command(["no-such-program"], {}, **LIMITS).stderr
    assert run_command(["sleep", "9"], {}, timeout=0.2, memory_mb=128).error == "timeout"


STOCK = """
print('ready')
import os
stock = {}
def put(name, count):
    stock[name] = stock.get(name, 0) + count
    print('put', name)
    return stock
def files(): open('mine', 'a').close(); return os.listdir('.')
def stop(): os._exit(1)
def hang():
    while True: pass
"""


def test_a_session_keeps_its_state_until_reset(level):
    with Session(STOCK, memory_mb=256) as session:
        first = session.call("put", "tea", 2, timeout=20)
        assert (first.value, first.stdout) == ({"tea": 2}, "ready\nput tea\n")
        second = session.call("put", "tea", 1, timeout=20)
        assert (second.value, second.stdout) == ({"tea": 3}, "put tea\n")
        assert session.call("files", timeout=20).value == ["mine"]
        session.reset()
        assert session.call("put", "tea", 1, timeout=20).value == {"tea": 1}
        assert session.call("files", timeout=20).value == ["mine"], "the folder was emptied by the reset"


def test_a_session_starts_anew_after_a_death_and_says_so(level):
    with Session(STOCK, memory_mb=256) as session:
        session.call("put", "tea", 2, timeout=20)
        for name, why in (("stop", "exit status 1"), ("hang", "timeout")):
            ran = session.call(name, timeout=0.3 if name == "hang" else 20)
            assert not ran.ok and ran.error.startswith(why) and ran.error.endswith("the session starts anew")
            assert session.call("put", "tea", 1, timeout=20).value == {"tea": 1}
        assert session.call("absent", timeout=20).error.startswith("NameError")
        assert session.call("put", "tea", 1, timeout=20).value == {"tea": 2}, "an exception does not end a session"


def test_a_session_whose_code_is_wrong_says_so_at_every_call(level):
    with Session("1 / 0", memory_mb=256) as session:
        for _ in range(2):
            assert session.call("f", timeout=20).error == "in the session's code: ZeroDivisionError: division by zero"


def test_a_closed_session_is_refused_and_leaves_no_process():
    import psutil

    before = len(psutil.Process().children(recursive=True))
    session = Session(STOCK, memory_mb=256)
    session.call("files", timeout=20)
    session.close()
    assert len(psutil.Process().children(recursive=True)) == before
    with pytest.raises(ValueError, match="closed"):
        session.call("files", timeout=1)


def test_prestarted_interpreters_serve_one_run_each(level):
    with prestarted(2):
        runs = [run_python("import os\nopen('x', 'x'); result = os.getpid()", {}, **LIMITS) for _ in range(4)]
    assert all(ran.ok for ran in runs), "each found an empty folder"
    assert not _sandbox_launch._spare


def test_the_weakest_level_warns_once(monkeypatch):
    monkeypatch.setattr(_sandbox_launch, "works", lambda level: False)
    _sandbox_launch.isolation.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [_sandbox_launch.isolation() for _ in range(2)] == ["rlimits", "rlimits"]
    _sandbox_launch.isolation.cache_clear()
    assert [w.category for w in caught] == [RuntimeWarning]
    assert "bubblewrap" in str(caught[0].message)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: run_python(3, {}, **LIMITS), TypeError, "code: got a int"),
        (lambda: run_python("", {"not a name": 1}, **LIMITS), ValueError, "'not a name'"),
        (lambda: run_python("", {"class": 1}, **LIMITS), ValueError, "'class'"),
        (lambda: run_python("", {"../up.txt": ""}, **LIMITS), ValueError, "stays in the folder"),
        (lambda: run_python("", {"/abs.txt": ""}, **LIMITS), ValueError, "stays in the folder"),
        (lambda: run_python("", {"a.txt": 3}, **LIMITS), TypeError, "'a.txt'"),
        (lambda: run_python("", {"x": {1, 2}}, **LIMITS), TypeError, "inputs: got a set"),
        (lambda: run_python("", {"x": {1: 2}}, **LIMITS), TypeError, "dict key of type int"),
        (lambda: run_python("", {"x": np.array([object()])}, **LIMITS), TypeError, "inputs: got a ndarray"),
        (lambda: run_python("", {"x": "x" * (5 << 20)}, **LIMITS), ValueError, "inputs: got a value of"),
        (lambda: run_python("", {}, timeout=0, memory_mb=256), ValueError, "timeout: got 0"),
        (lambda: run_python("", {}, timeout=float("nan"), memory_mb=256), ValueError, "timeout: got nan"),
        (lambda: run_python("", {}, timeout=1, memory_mb=10), ValueError, "memory_mb: got 10"),
        (lambda: run_command("ls", {}, **LIMITS), TypeError, "argv: got 'ls'"),
        (lambda: run_command([], {}, **LIMITS), TypeError, "argv: got"),
        (lambda: Session("", memory_mb=256).call("a b", timeout=1), ValueError, "name: got 'a b'"),
        (lambda: Session("", memory_mb=256).call("f", {1}, timeout=1), TypeError, "args: got a set"),
        (lambda: prestarted(0).__enter__(), ValueError, "count: got 0"),
    ],
)
def test_wrong_arguments_are_named(call, error, says):
    with pytest.raises(error, match=says.replace("(", r"\(")):
        call()


def test_the_sandbox_is_what_the_methods_ask_for():
    run: protocols.RunPython = run_python
    open_session: protocols.OpenSession = Session
    assert isinstance(run("result = 1", {}, **LIMITS), protocols.Ran)
    session: protocols.Session = open_session("def f(): return 1", memory_mb=128)
    assert session.call("f", timeout=20).value == 1
    session.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the first process watches its parent through Linux")
def test_the_code_and_its_folder_end_when_the_caller_is_killed(level, tmp_path):
    import psutil

    caller = (
        "from assay.integrations import sandbox, _sandbox_launch as launch\n"
        f"launch.isolation = sandbox.isolation = lambda: {level!r}\n"
        "sandbox.run_command(['sleep', '7654.321'], {}, timeout=60, memory_mb=128)"
    )

    def sleepers():
        return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "7654.321"]]

    with subprocess.Popen([sys.executable, "-c", caller], env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        for wanted in (1, 0):
            patience = time.monotonic() + 10
            while len(sleepers()) != wanted and time.monotonic() < patience:
                time.sleep(0.02)
            assert len(sleepers()) == wanted
            process.kill()
    while os.listdir(tmp_path) and time.monotonic() < patience:
        time.sleep(0.02)
    assert os.listdir(tmp_path) == []


def test_importing_the_sandbox_loads_no_numpy():
    code = "import sys, assay.integrations.sandbox; print('numpy' in sys.modules or 'psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
