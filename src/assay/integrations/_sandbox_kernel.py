"""What the sandbox asks of the Linux kernel: an own view of the machine, no privileges, a filter of system calls.

Runs inside the sandbox's first process, so it uses the standard library alone (`ctypes` for what `os` lacks).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import struct
from collections.abc import Sequence

FOLDER, SCRATCH, SHARED = "/box", "/tmp", "/dev/shm"  # the three places that can be written
NOBODY = 65534

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE, _RDONLY = 2, 4, 8, 32, 4096, 16384, 1 << 18, 1
_DETACH = 2
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture, like all calls from 424 on
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PDEATHSIG, _SET_DUMPABLE, _SET_SECCOMP, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS = 1, 4, 22, 24, 36, 38

_libc = ctypes.CDLL(None, use_errno=True)


def new_view(readable: Sequence[tuple[str, str]], hidden: Sequence[str], size: int) -> None:
    """Leave this process as the first of new namespaces that show `readable` (path, link target or "") and no more.

    Paths in `hidden` appear empty. Returns in the child; the caller's own process waits for it and ends with it.
    Raises OSError where the kernel does not permit it.
    """
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET | (0 if uid == 0 else _NEWUSER))
    if uid != 0:
        _map_ids(uid, gid)
    child = os.fork()
    if child:
        for fd in range(3):
            os.close(fd)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    _call("mount", None, b"/", None, _REC | _PRIVATE, None)
    _mount("tmpfs", SCRATCH, "size=1m")
    for name in ("old", "new"):
        os.mkdir(f"{SCRATCH}/{name}")
    _syscall(_SYS_PIVOT_ROOT[os.uname().machine], SCRATCH.encode(), f"{SCRATCH}/old".encode())
    _mount("tmpfs", "/new", "size=1m")
    for path in (FOLDER, SCRATCH, SHARED):  # first, because an interpreter may lie below the scratch folder
        _mount("tmpfs", f"/new{path}", f"size={size},mode=1777")
    for path, target in readable:
        _show(path, target)
    _mount("proc", "/new/proc", "")
    _devices()
    for path in hidden:
        _mount("tmpfs", f"/new{path}", "size=4k", _RDONLY)
    os.chdir("/new")
    _syscall(_SYS_PIVOT_ROOT[os.uname().machine], b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")
    _call("mount", None, b"/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID, None)
    _loopback_up()


def renounce() -> None:
    """Give up identity and privileges for good; afterwards the code's processes can neither trace nor read this one.

    The superuser becomes nobody, in a user namespace of its own, so that process limits count this run alone.
    """
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        _prctl(_SET_DUMPABLE, 1)
        # A kernel that refuses leaves nobody's processes counted together: a tighter limit, not a hole.
        with contextlib.suppress(OSError):
            _call("unshare", _NEWUSER)
            _map_ids(NOBODY, NOBODY)
    for capability in range(64):
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)  # fails past the last one, or where there is none to drop
    header = struct.pack("Ii", 0x20080522, 0)
    _call("capset", header, bytes(24))
    _prctl(_NO_NEW_PRIVS, 1)
    _prctl(_SET_DUMPABLE, 0)
    die_with_parent()


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends."""
    _prctl(_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none gets lost."""
    _prctl(_SUBREAPER, 1)


def be_inspectable() -> None:
    """Let the code's own process open its own /proc entries again."""
    _prctl(_SET_DUMPABLE, 1)


def new_keyring() -> None:
    """Leave the caller's session keyring behind."""
    number = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine)
    if number is not None:
        _libc.syscall(number, 1, None)  # a kernel without keyrings has nothing to leave


def filter_calls(*, alone: bool) -> bool:
    """Refuse, from here on and in every descendant, the system calls that no honest program needs; True if done.

    With `alone` False there are no namespaces around: sockets, signals to others and their limits are refused too.
    """
    table = _CALLS.get(os.uname().machine)
    if table is None:
        return False
    arch, refused, outside, sock, clone, prlimit = table
    refuse, allow, unknown = 0x00050000 | errno.EPERM, 0x7FFF0000, 0x00050000 | errno.ENOSYS
    jump_equal, jump_least, jump_bits, load, give = 0x15, 0x35, 0x45, 0x20, 0x06
    program = [(load, 0, 0, 4), (jump_equal, 1, 0, arch), (give, 0, 0, refuse), (load, 0, 0, 0)]
    program += [(jump_least, 0, 1, 0x40000000), (give, 0, 0, refuse)]  # the x32 twins of x86_64's calls
    program += [(jump_equal, 0, 1, 435), (give, 0, 0, unknown)]  # clone3 hides its flags; libc then uses clone
    for number in (*refused, *(() if alone else outside)):
        program += [(jump_equal, 0, 1, number), (give, 0, 0, refuse)]
    program += [(jump_equal, 0, 4, clone), (load, 0, 0, 16), (jump_bits, 0, 1, 0x7E020000)]
    program += [(give, 0, 0, refuse), (give, 0, 0, allow)]
    if alone:  # local, IPv4, IPv6 and netlink sockets live in the network namespace; other families may not
        program += [(jump_equal, 0, 7, sock), (load, 0, 0, 16)]
        program += [(jump_equal, 4 - i, 0, family) for i, family in enumerate((1, 2, 10, 16))]
        program += [(give, 0, 0, refuse), (give, 0, 0, allow)]
    else:
        program += [(jump_equal, 0, 1, sock), (give, 0, 0, refuse)]
        program += [(jump_equal, 0, 4, prlimit), (load, 0, 0, 16), (jump_equal, 1, 0, 0)]
        program += [(give, 0, 0, refuse), (give, 0, 0, allow)]
    program += [(give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    _prctl(_NO_NEW_PRIVS, 1)
    return _libc.prctl(_SET_SECCOMP, 2, filter_, 0, 0) == 0


_NEWER = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 447)  # io_uring, the new mount calls, pidfd_getfd …
# Per machine: audit number; refused always (tracing, mounting, namespaces, keyrings, BPF, modules, memory that
# no limit counts); refused without namespaces (signals to others); socket; clone; prlimit64.
_CALLS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], int, int, int]] = {
    "x86_64": (
        0xC000003E,
        (101, 310, 311, 165, 166, 155, 161, 308, 272, 248, 249, 250, 321, 298, 323, 304, 319, 29, 246, 320)
        + (175, 313, 176, 167, 168, 169, 170, *_NEWER),
        (62, 200, 234, 129, 297, 424),
        41,
        56,
        302,
    ),
    "aarch64": (
        0xC00000B7,
        (117, 270, 271, 40, 39, 41, 51, 268, 97, 217, 218, 219, 280, 241, 282, 265, 279, 194, 104, 294)
        + (105, 273, 106, 224, 225, 142, 161, *_NEWER),
        (129, 130, 131, 138, 240, 424),
        198,
        220,
        261,
    ),
}


def _show(path: str, target: str) -> None:
    """One path of the old root under the new one: a link as a link, anything else as a read-only bind."""
    place = f"/new{path}"
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if target:
        os.symlink(target, place)
        return
    if os.path.isdir(f"/old{path}"):
        os.makedirs(place, exist_ok=True)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
    _call("mount", f"/old{path}".encode(), place.encode(), None, _BIND | _REC, None)
    attributes = struct.pack("QQQQ", _RDONLY | _NOSUID | _NODEV, 0, 0, 0)
    _syscall(_SYS_MOUNT_SETATTR, -100, place.encode(), 0x8000, attributes, len(attributes))  # recursive


def _devices() -> None:
    os.makedirs("/new/dev", exist_ok=True)
    for name in ("null", "zero", "full", "random", "urandom"):
        os.close(os.open(f"/new/dev/{name}", os.O_CREAT | os.O_WRONLY))
        _call("mount", f"/old/dev/{name}".encode(), f"/new/dev/{name}".encode(), None, _BIND, None)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/new/dev/{name}")


def _loopback_up() -> None:
    import socket  # here, because only this needs it and every run would wait for it

    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))


def _map_ids(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _mount(kind: str, place: str, options: str, flags: int = 0) -> None:
    os.makedirs(place, exist_ok=True)
    flags |= _NOSUID | _NODEV | (_NOEXEC if kind == "proc" else 0)
    _call("mount", kind.encode(), place.encode(), kind.encode(), flags, options.encode())


def _prctl(option: int, value: int) -> None:
    _call("prctl", option, value, 0, 0, 0)


def _syscall(number: int, *arguments: object) -> None:
    _call("syscall", number, *arguments)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
