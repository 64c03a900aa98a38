"""What the sandbox's first process can see of the code: its processes, their memory, the files it left."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator


def others(*, alone: bool) -> list[int]:
    """Every process of the code: all but the first of a namespace, or else the descendants of this process."""
    if not os.path.isdir("/proc/self"):
        return []
    alive = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    if alone:
        return alive
    parents = {pid: parent(pid) for pid in alive}
    family, grown = {os.getpid()}, True
    while grown:
        more = {pid for pid, above in parents.items() if above in family} - family
        family |= more
        grown = bool(more)
    return sorted(family - {os.getpid()})


def entries(folder: str, deep: int) -> Iterator[tuple[str, os.stat_result]]:
    """Regular files below a folder by relative name, links never followed, down to a depth."""
    waiting = [("", deep)]
    while waiting:
        inner, levels = waiting.pop()
        try:
            found = sorted(os.scandir(os.path.join(folder, inner)), key=lambda entry: entry.name)
        except OSError:
            continue  # removed meanwhile, or made unreadable by the code
        for entry in found:
            name = os.path.join(inner, entry.name)
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and levels:
                    waiting.append((name, levels - 1))
                elif stat.S_ISREG(status.st_mode):
                    yield name, status


def mount_points() -> list[str]:
    """Where anything is mounted in this view; an interpreter that lies under a scratch folder is shown there so."""
    with open("/proc/self/mountinfo", "rb") as file:
        fields = [line.split()[4] for line in file]
    return [os.fsdecode(name.decode("unicode_escape").encode("latin-1")) for name in fields]


def content(name: str, most: int) -> bytes | None:
    """At most `most` bytes of a regular file; None for anything else, for what cannot be read or has no UTF-8 name."""
    try:
        name.encode()
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, UnicodeEncodeError):
        return None
    with open(fd, "rb") as file:
        return file.read(most) if stat.S_ISREG(os.fstat(fd).st_mode) else None


def resident(pid: int) -> int:
    """Bytes in memory, shared pages counted whole; 0 once the process has ended."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def proportional(pid: int) -> int:
    """Bytes in memory, each shared page divided among its users; `resident` where that is not to be read."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
    return resident(pid)


def parent(pid: int) -> int:
    """The process that started `pid`; 0 once it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])
    return 0
