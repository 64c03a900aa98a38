import json
import os
import shutil
import subprocess
import sys

JUNK = {"node_modules", "target", ".venv", "dist", "build", "__pycache__", ".pytest_cache", ".next"}


def size(folder):
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total


def tracked(folder):
    return bool(subprocess.run(["git", "ls-files", folder], capture_output=True).stdout)


def candidates():
    for parent, folders, _ in os.walk("."):
        for name in list(folders):
            path = os.path.join(parent, name)
            if name in JUNK and not tracked(path):
                folders.remove(name)
                yield path, size(path)


def context():
    """Free space on the project's disk, so that the report can say whether it is worth it."""
    usage = shutil.disk_usage(".")
    return {"total": usage.total, "free": usage.free}


if __name__ == "__main__":
    found = sorted(candidates(), key=lambda item: -item[1])
    for path, octets in found:
        print(f"{octets / 1e6:8.1f} MB  {path}")
        if "--remove" in sys.argv:
            shutil.rmtree(path)
    with open("sweep-report.json", "w") as handle:
        json.dump({"found": found, "disk": context()}, handle)
