"""Hostile code harms nothing outside, at every level of isolation that this machine offers.

What resource limits alone cannot stop is listed with its reason in `sandbox_attempts.OPEN` (reading and writing what
the caller may read and write, above all) and skipped there.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import psutil
import pytest

from assay.integrations import _sandbox_launch, sandbox

_spec = importlib.util.spec_from_file_location("sandbox_attempts", Path(__file__).with_name("sandbox_attempts.py"))
attempts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(attempts)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attempts speak to a Linux kernel")
SITE = sysconfig.get_paths()["purelib"]
SLEEPER = "8765.4321"
READS = ["reading: the canary", "reading: the root of this process", "reading: a link to the canary"]
DEATHS = ["endings: segmentation fault", "processes: a daemon that forks twice", "files: deep folders"]
LEVELS = [level for level in _sandbox_launch.LEVELS if _sandbox_launch.works(level)]


class Outside:
    """What the code must not touch: a file, a folder, sockets, a process, and this process's environment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secret = folder, secrets.token_hex(16)
        self.canary = folder / "canary"
        self.canary.write_text(self.secret)
        self.victim = subprocess.Popen(["sleep", "600"])
        self.abstract = f"assay-canary-{self.secret[:8]}"
        local = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        self.listeners = [socket.create_server(("127.0.0.1", 0)), *local]
        self.listeners[1].bind(str(folder / "unix"))
        self.listeners[2].bind("\0" + self.abstract)
        for listener in self.listeners[1:]:
            listener.listen()
        for listener in self.listeners:
            listener.setblocking(False)
        os.environ["ASSAY_CANARY_TOKEN"] = self.secret
        self.before = self.state()

    def globals(self) -> dict[str, object]:
        return {
            "canary": str(self.canary),
            "outside": str(self.folder),
            "port": self.listeners[0].getsockname()[1],
            "unix": str(self.folder / "unix"),
            "abstract": self.abstract,
            "parent": os.getpid(),
            "victim": self.victim.pid,
            "own": str(Path(sandbox.__file__).parent.parent),
            "site": SITE,
        }

    def state(self) -> dict[str, object]:
        return {
            "canary": (self.canary.read_text(), self.canary.stat().st_mode, self.canary.stat().st_nlink),
            "folder": sorted(os.listdir(self.folder)),
            "site": (Path(SITE) / "evil.pth").exists(),
            "limits": [resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS)],
            "victim": self.victim.poll(),
            "victim is stopped": psutil.Process(self.victim.pid).status() == psutil.STATUS_STOPPED,
            "host name": socket.gethostname(),
            "folder of work": os.getcwd(),
            "visitors": [self._visited(listener) for listener in self.listeners],
            "sleepers": [p.pid for p in psutil.process_iter(["cmdline"]) if SLEEPER in (p.info["cmdline"] or [])],
            "children": sorted(p.pid for p in psutil.Process().children(recursive=True)),
        }

    def _visited(self, listener: socket.socket) -> bool:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.victim.send_signal(signal.SIGKILL)
        self.victim.wait()
        for listener in self.listeners:
            listener.close()
        del os.environ["ASSAY_CANARY_TOKEN"]


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    place = Outside(tmp_path_factory.mktemp("outside"))
    yield place
    place.close()


def _at(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_sandbox_launch, sandbox):
        monkeypatch.setattr(module, "isolation", lambda: level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", attempts.ATTEMPTS)
def test_an_attempt_harms_nothing_and_the_next_one_can_run(name, level, outside, monkeypatch):
    if level == "rlimits":
        reason = attempts.OPEN.get(name) or (os.geteuid() == 0 and attempts.OPEN_TO_ROOT.get(name))
        if reason:
            pytest.skip(reason)
    _at(level, monkeypatch)
    code = attempts.PRELUDE + attempts.ATTEMPTS[name]
    timeout = 0.4 if name.startswith("resources") or "deaf" in name or "forged" in name else 10
    memory_mb = 512 if "numpy" in code or "resources" not in name else 256

    ran = sandbox.run_python(code, outside.globals(), timeout=timeout, memory_mb=memory_mb)

    assert ran.stdout.startswith("began\n"), "each attempt is also the next run of the one before"
    assert "ESCAPED" not in repr(ran.value)
    assert outside.secret not in repr(ran)
    assert "SyntaxError" not in ran.stderr and "NameError" not in ran.stderr, "the attempt itself is at fault"
    assert ran.isolation == level
    assert ran.seconds < timeout + 5
    assert len(ran.stdout) <= 1 << 20 and len(ran.stderr) <= 1 << 20
    assert all(type(name) is str and ".." not in Path(name).parts and name[0] != "/" for name in ran.files)
    assert sum(map(len, ran.files.values())) <= 16 << 20
    assert outside.state() == outside.before


@pytest.mark.parametrize("name", READS)
def test_the_attempts_are_real_because_they_succeed_where_only_limits_stand(name, outside, monkeypatch):
    _at("rlimits", monkeypatch)
    code = attempts.PRELUDE + attempts.ATTEMPTS[name]
    assert sandbox.run_python(code, outside.globals(), timeout=10, memory_mb=256).value == outside.secret


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", DEATHS)
def test_a_session_outlives_what_its_code_does(name, level, outside, monkeypatch):
    _at(level, monkeypatch)
    body = "\n    ".join(attempts.ATTEMPTS[name].replace("result =", "done =").strip().splitlines())
    code = f"{attempts.PRELUDE}\ndef attempt():\n    {body}\ndef after(): return 42\n"
    with sandbox.Session(code, memory_mb=256) as session:
        session.call("attempt", timeout=5)
        session.reset()
        assert session.call("after", timeout=5).value == 42
    assert outside.state() == outside.before


@pytest.mark.parametrize("level", LEVELS)
def test_no_folder_of_a_run_is_left_behind(level, monkeypatch, tmp_path):
    _at(level, monkeypatch)
    monkeypatch.setattr(_sandbox_launch.tempfile, "tempdir", str(tmp_path))
    sandbox.run_python("open('kept', 'w').write('x')", {}, timeout=5, memory_mb=128)
    assert os.listdir(tmp_path) == []
