"""Small trials that the engine's own tests run: cheap arms, and an arm for every way to misbehave."""

from __future__ import annotations

import contextlib
import ctypes
import http.server
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from dataclasses import replace
from pathlib import Path

from assay.engine.resources import resource
from assay.engine.trial import Arm, Bar, Cost, Fixture, Measures, Metric, NoHeadroom, Trial

# --- worlds --------------------------------------------------------------------------------------------------------


class Cards:
    """A world of a few random numbers."""

    cases = 8

    def __init__(self, size: int = 8) -> None:
        self.size = size

    def sample(self, seed: int) -> list[float]:
        draw = random.Random(seed)
        return [draw.random() for _ in range(self.size)]


def cards(size: int = 8) -> Cards:
    return Cards(size)


class Drifting(Cards):
    """A faulty world: it looks at the clock."""

    def sample(self, seed: int) -> list[float]:
        return [time.time()]


def drifting() -> Drifting:
    return Drifting()


class Numbered(Cards):
    def sample(self, seed: int) -> list[float]:
        return [float(seed)]


def numbered() -> Numbered:
    return Numbered()


# --- arms that behave ------------------------------------------------------------------------------------------------


def baseline(world: list[float], models: object, seed: int) -> Measures:
    return Measures(sum(world))


def placebo(world: list[float], models: object, seed: int) -> Measures:
    return Measures(sum(world) + random.random() * 0.01)


def method(world: list[float], models: object, seed: int) -> Measures:
    import numpy as np

    return Measures(sum(world) + 1.0 + random.random() * 0.1, extra={"draw": float(np.random.rand())})


def slow(world: list[float], models: object, seed: int) -> Measures:
    time.sleep(0.02)
    return Measures(sum(world) + 1.0 + random.random() * 0.1)


def counted(world: list[float], models: object, seed: int) -> Measures:
    """Leaves a line in the file that the test names, so that calls can be counted across processes."""
    with open(os.environ["ASSAY_TEST_CALLS"], "a") as calls:
        calls.write(f"{seed}\n")
    return Measures(sum(world) + 1.0 + random.random() * 0.1)


def noisy(world: list[float], models: object, seed: int) -> Measures:
    """Draws of its own in every call, so that one arm under three names differs by chance alone."""
    return Measures(sum(world) + random.Random(os.urandom(8)).gauss(0, 1))


def torch_walk(world: list[float], models: object, seed: int) -> Measures:
    import torch

    layer = torch.nn.Linear(32, 32)
    return Measures(float(layer(torch.randn(64, 32)).square().mean()), extra={"dtype": float(layer.weight.itemsize)})


# --- arms that misbehave ---------------------------------------------------------------------------------------------


def exits(world: object, models: object, seed: int) -> Measures:
    os._exit(1)


def segfaults(world: object, models: object, seed: int) -> Measures:
    ctypes.string_at(0)
    return Measures(0.0)


def spins(world: object, models: object, seed: int) -> Measures:
    while True:
        pass


def ignores_sigterm(world: object, models: object, seed: int) -> Measures:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.05)


def allocates(world: object, models: object, seed: int) -> Measures:
    hoard = []
    for _ in range(200):
        hoard.append(bytearray(os.urandom(1 << 20)) * 50)
        time.sleep(0.02)
    return Measures(float(len(hoard)))


def allocates_in_child(world: object, models: object, seed: int) -> Measures:
    code = "import time; x = bytearray(b'x') * (600 << 20); time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], check=True)
    return Measures(0.0)


def leaves_child(world: object, models: object, seed: int) -> Measures:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return Measures(1.0, extra={"pid": float(child.pid)})


def leaves_thread(world: object, models: object, seed: int) -> Measures:
    threading.Thread(target=time.sleep, args=(600,), name="forgotten").start()
    return Measures(1.0, extra={"pid": float(os.getpid())})


def closes_streams(world: object, models: object, seed: int) -> Measures:
    sys.stdin.close()
    sys.stdout.close()
    for fd in (0, 1, 2):
        os.close(fd)
    return Measures(1.0)


def prints_much(world: object, models: object, seed: int) -> Measures:
    line = "x" * 99_999 + "\n"
    for _ in range(1000):
        sys.stdout.write(line)
    print("the last line")
    return Measures(1.0)


def prints(world: object, models: object, seed: int) -> Measures:
    print("hello from the arm")
    return Measures(1.0)


def returns_nan(world: object, models: object, seed: int) -> Measures:
    return Measures(float("nan"))


def returns_text(world: object, models: object, seed: int) -> object:
    return "0.5"


def returns_nothing(world: object, models: object, seed: int) -> None:
    return None


def returns_bad_extra(world: object, models: object, seed: int) -> Measures:
    return Measures(0.5, extra={"loss": float("inf")})


def returns_too_much(world: object, models: object, seed: int) -> Measures:
    return Measures(0.5, notes={"log": "x" * (65 << 20)})


def raises(world: object, models: object, seed: int) -> Measures:
    raise RuntimeError("no such luck")


def raises_system_exit(world: object, models: object, seed: int) -> Measures:
    raise SystemExit(3)


def raises_keyboard_interrupt(world: object, models: object, seed: int) -> Measures:
    raise KeyboardInterrupt


def turns_everything(world: object, models: object, seed: int) -> Measures:
    """Changes all that one arm could leave behind for the next."""
    import numpy as np
    import torch

    os.chdir("/")
    os.environ["ASSAY_LEFT_BEHIND"] = "1"
    sys.path.append("/nowhere")
    sys.setrecursionlimit(5000)
    warnings.simplefilter("error")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    np.seterr(all="raise")
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(False)
    random.random = lambda: 0.5  # type: ignore[method-assign]
    random.seed = lambda *a: None  # type: ignore[method-assign]
    time.sleep = lambda s: None
    return Measures(1.0)


def reports_state(world: list[float], models: object, seed: int) -> Measures:
    """What an arm can see of its surroundings, as numbers, so that two processes can be compared."""
    import numpy as np
    import torch

    with np.errstate(all="ignore"):
        drawn = float(np.random.rand())
    extra = {
        "random": random.random(),
        "numpy": drawn,
        "torch": float(torch.rand(1)),
        "itemsize": float(torch.zeros(1).itemsize),
        "grad": float(torch.is_grad_enabled()),
        "threads": float(torch.get_num_threads()),
        "deterministic": float(torch.are_deterministic_algorithms_enabled()),
        "left": float("ASSAY_LEFT_BEHIND" in os.environ),
        "path": float("/nowhere" in sys.path),
        "limit": float(sys.getrecursionlimit()),
        "sigterm": float(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL),
        "errors": float(np.geterr()["divide"] == "raise"),
        "files": float(len(os.listdir("."))),
        "filters": float(any(f[0] == "error" and f[2] is Warning for f in warnings.filters)),
    }
    return Measures(sum(world), extra=extra)


def reports_pid(world: object, models: object, seed: int) -> Measures:
    return Measures(1.0, extra={"pid": float(os.getpid())})


def connects(world: object, models: object, seed: int) -> Measures:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
    return Measures(1.0)


def downloads_in_child(world: object, models: object, seed: int) -> Measures:
    subprocess.run(["curl", "--silent", "--show-error", "--max-time", "5", "http://192.0.2.1/"], check=False)
    return Measures(1.0)


def asks_its_own_server(world: object, models: object, seed: int) -> Measures:
    """A server of the arm's own, asked by clients that look at proxy variables."""
    import httpx

    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"2")

    server = http.server.HTTPServer(("127.0.0.1", 0), Hello)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    place = f"http://127.0.0.1:{server.server_port}/"
    found = [urllib.request.urlopen(place, timeout=5).read(), httpx.get(place).content]
    found.append(httpx.get(place.replace("127.0.0.1", "localhost")).content)
    server.shutdown()
    server.server_close()
    return Measures(sum(map(float, found)))


def daemonizes(world: object, models: object, seed: int) -> Measures:
    """Leaves a process that has left the arm's session and whose parent is gone."""
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)"
    subprocess.run([sys.executable, "-c", code], check=True)
    return Measures(1.0)


def connects_to_itself(world: object, models: object, seed: int) -> Measures:
    server = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(server), socket.create_connection(server.getsockname(), timeout=5):
        return Measures(1.0)


def keeps_resource(world: object, models: object, seed: int) -> Measures:
    child = resource("sleeper", _start_sleeper, _stop_sleeper)
    return Measures(1.0, extra={"pid": float(child.pid)})


def _start_sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def _stop_sleeper(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def kills_its_host(calls: str, times: int, world: list[float], models: object, seed: int) -> Measures:
    """Kills the process that started its worker (on Ray: the actor), the first so many times that it is called."""
    with open(calls, "a+") as file:
        file.write("called\n")
        file.seek(0)
        if len(file.readlines()) <= times:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
    return Measures(sum(world))


# --- fixtures, probes, order -----------------------------------------------------------------------------------------


def build_table(sample: list[float], models: object, seed: int) -> dict[str, float]:
    with open(os.environ["ASSAY_TEST_CALLS"], "a") as calls:
        calls.write(f"fixture {seed}\n")
    return {"offset": random.random()}


def build_offset(sample: list[float], models: object, seed: int) -> dict[str, float]:
    return {"offset": random.random()}


def build_table_slowly(sample: list[float], models: object, seed: int) -> dict[str, float]:
    time.sleep(0.2)
    return build_table(sample, models, seed)


def finds_no_headroom(world: object, models: object, seed: int) -> Measures:
    raise NoHeadroom("an arm may not say this")


def build_nothing(sample: list[float], models: object, seed: int) -> object:
    raise NoHeadroom("the teacher learnt nothing")


def with_table(world: list[float], models: object, seed: int, fixture: dict[str, float]) -> Measures:
    return Measures(sum(world) + fixture["offset"], extra={"offset": fixture["offset"]})


def method_with_table(world: list[float], models: object, seed: int, fixture: dict[str, float]) -> Measures:
    return Measures(sum(world) + fixture["offset"] + 1.0 + random.random() * 0.1, extra={"offset": fixture["offset"]})


def odd_cards_are_dull(sample: list[float], models: object, seed: int) -> str | None:
    return "too easy" if sum(sample) < 3.5 else None


def timed_method(world: list[float], models: object, seed: int) -> Measures:
    return Measures(sum(world) + 1.0, cost=Cost(tokens_out=7), extra={"rate": 0.25}, notes={"by": "method"})


def matched_placebo(world: list[float], models: object, seed: int, earlier: Measures) -> Measures:
    return Measures(sum(world), extra={"rate": earlier.extra["rate"], "tokens": float(earlier.cost.tokens_out)})


# --- trials ----------------------------------------------------------------------------------------------------------

better_cards = Trial(
    paper="2601.00001",
    claim="The method adds one to a sum of cards.",
    headline="one more",
    metric=Metric("sum", better="higher"),
    bar=Bar(absolute=0.5),
    arms={"baseline": baseline, "placebo": placebo, "method": method},
    world="sample_trials:cards",
    name="better_cards",
    timeout_s=60,
    quick_timeout_s=60,
)
table_cards = replace(
    better_cards,
    name="table_cards",
    arms={"baseline": with_table, "placebo": with_table, "method": method_with_table},
    fixture=Fixture(build_table),
)
matched_cards = replace(
    better_cards,
    name="matched_cards",
    arms={"baseline": baseline, "placebo": matched_placebo, "method": timed_method},
    after={"placebo": "method"},
)
calling_cards = replace(
    better_cards, name="calling_cards", arms={"baseline": counted, "placebo": counted, "method": counted}
)
slow_cards = replace(better_cards, name="slow_cards", arms={"baseline": slow, "placebo": slow, "method": slow})
state_cards = replace(
    better_cards,
    name="state_cards",
    arms={"baseline": reports_state, "placebo": turns_everything, "method": reports_state},
)
torch_cards = replace(
    better_cards, name="torch_cards", arms={"baseline": torch_walk, "placebo": torch_walk, "method": torch_walk}
)


def with_method(arm: Arm, **changes: object) -> Trial:
    """`better_cards` with another method arm."""
    named = {"name": getattr(arm, "__name__", "")} | changes
    return replace(better_cards, arms={**better_cards.arms, "method": arm}, **named)  # type: ignore[arg-type]


failing_cards = with_method(raises)
open_cards = replace(better_cards, name="open_cards", bar=Bar(absolute=1.045))  # the effect is 1.05, 0.03 its spread

HERE = Path(__file__).parent
