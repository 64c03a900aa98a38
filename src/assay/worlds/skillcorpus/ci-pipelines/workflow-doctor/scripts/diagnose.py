import locale
import os
import platform
import shutil
import subprocess
import sys
import time

TOOLS = ["git", "python3", "node", "go", "cargo", "docker", "make", "cc"]


def version(tool):
    if not shutil.which(tool):
        return "-"
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=10)
    return (done.stdout or done.stderr).splitlines()[0] if (done.stdout or done.stderr) else "?"


def page():
    yield f"system   {platform.platform()} {platform.machine()}"
    yield f"cpus     {os.cpu_count()}"
    yield f"disk     {shutil.disk_usage('.').free / 1e9:.1f} GB free"
    yield f"locale   {locale.getlocale()}  time zone {time.tzname}"
    for tool in TOOLS:
        yield f"{tool:8} {version(tool)}"
    yield ""
    for name in ("PATH", "SHELL", "LANG", "TZ", "CI"):
        yield f"{name}={os.environ.get(name, '')}"
    yield f"and {len(os.environ)} variables in all"


if __name__ == "__main__":
    text = "\n".join(page())
    if len(sys.argv) > 1:
        open(sys.argv[1], "w").write(text)
    print(text)
