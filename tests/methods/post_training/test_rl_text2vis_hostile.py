"""Plotting code that is out for harm: it is really run, in the sandbox, and nothing of the test's own is touched."""

import os
import socket
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("pandas")

from assay.integrations.sandbox import Session, isolation, run_python
from assay.methods.post_training.rl_text2vis import Plotter, run_plot

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or isolation() == "rlimits", reason="needs bubblewrap or user namespaces"
)

TABLE = {"town": ["Ulm", "Kiel"], "sales": [3, 9]}
SECRET = "the-secret-of-the-test"
SHOW = "\nimport matplotlib.pyplot as plt\nplt.title(str(found)[:200]); plt.plot([1, 2])\n"

HOSTILE = {
    "reading a file": "found = open(canary).read()",
    "reading by a command": "import subprocess\nfound = subprocess.run(['cat', canary], capture_output=True)",
    "reading by numpy": "import numpy as np\nfound = np.fromfile(canary, dtype='S40')",
    "reading by pandas": "import pandas as pd\nfound = pd.read_csv(canary)",
    "reading through a link": "import os\nos.symlink(canary, 'link'); found = open('link').read()",
    "reading through /proc": "found = open('/proc/1/root' + canary).read()",
    "overwriting a file": "open(canary, 'w').write('gone'); found = 1",
    "saving a figure over a file": "import matplotlib.pyplot as plt\nplt.savefig(canary, format='png'); found = 1",
    "removing a file": "import os\nos.remove(canary); found = 1",
    "a new file outside": "open(folder + '/new', 'w').write('x'); found = 1",
    "removing a folder": "import shutil\nshutil.rmtree(folder); found = 1",
    "calling a server": "import socket\nsocket.create_connection(('127.0.0.1', port), 1).send(b'x'); found = 1",
    "fetching a page": "import urllib.request as u\nfound = u.urlopen(f'http://127.0.0.1:{port}/', timeout=1).read()",
    "reading the environment": "import os\nfound = dict(os.environ)",
    "killing a process": "import os\nos.kill(victim, 9); found = 1",
    "killing everything": "import os, signal\nsignal.signal(15, signal.SIG_IGN); os.kill(-1, 15); found = 1",
    "looping for ever": "while True: pass",
    "taking all memory": "found = [bytearray(10**8) for _ in range(1000)]",
    "forking on and on": "import os\nwhile True: os.fork()",
    "a daemon left behind": (
        "import subprocess\nsubprocess.Popen(['sleep', '7531.9'], start_new_session=True); found = 1"
    ),
    "flooding the output": "print('x' * 10**8); found = 1",
    "a description from elsewhere": "import os\n[os.write(fd, b'{}' * 99) for fd in range(3, 30) if ok(fd)]; found = 1",
}


@pytest.fixture(scope="module")
def bystanders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    canary = folder / "canary"
    canary.write_text(SECRET)
    os.environ["TEXT2VIS_SECRET"] = SECRET
    with socket.create_server(("127.0.0.1", 0)) as server, subprocess.Popen(["sleep", "600"]) as victim:
        server.settimeout(0.05)
        yield folder, canary, server, victim
        victim.kill()
    del os.environ["TEXT2VIS_SECRET"]


@pytest.fixture(scope="module")
def plotter():
    with Plotter(Session, timeout=6) as one:
        yield one


def armed(code, bystanders):
    folder, canary, server, victim = bystanders
    names = {"canary": str(canary), "folder": str(folder), "port": server.getsockname()[1], "victim": victim.pid}
    told = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    helper = "def ok(fd):\n    import os\n    try: return bool(os.fstat(fd))\n    except OSError: return False\n"
    return told + helper + code + SHOW


def unharmed(bystanders):
    folder, canary, server, victim = bystanders
    assert canary.read_text() == SECRET
    assert os.listdir(folder) == ["canary"]
    assert victim.poll() is None
    with pytest.raises(TimeoutError):
        server.accept()


def daemons():
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.split("\n") if line.strip() == "sleep 7531.9"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_harms_nothing_and_learns_nothing(name, bystanders, plotter):
    result = plotter(armed(HOSTILE[name], bystanders), TABLE)
    assert SECRET not in str(result)
    unharmed(bystanders)
    assert result.error is None or "\n" not in result.error.strip()
    after = plotter(f"# {name}\nimport matplotlib.pyplot as plt\nplt.bar(df.town, df.sales)", TABLE)
    assert after.ok, f"the next code is drawn all the same: {after.error}"


def test_a_closed_plotter_leaves_no_process_behind(bystanders, plotter):
    before = len(daemons())  # the module's plotter may still hold one
    with Plotter(Session, timeout=20) as own:
        own(armed(HOSTILE["a daemon left behind"], bystanders), TABLE)
        assert len(daemons()) == before + 1
    assert len(daemons()) == before
    unharmed(bystanders)


def test_one_run_alone_is_confined_too(bystanders):
    result = run_plot(armed(HOSTILE["reading a file"], bystanders), TABLE, run_python, timeout=60)
    assert not result.ok
    assert "No such file" in result.error
    unharmed(bystanders)
