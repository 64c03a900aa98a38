"""An append-only, checksummed file of what a run has finished; a record is acknowledged once it is on disk.

Form: `u32 length | u32 crc32 | JSON`, little-endian. The writer holds a lock on its file for as long as it lives,
so that another process can tell a left-over journal from one in use.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

Record = Mapping[str, Any]

_HEAD = struct.Struct("<II")
RECORD_LIMIT = 64 << 20  # bytes; a longer length can only be a damaged one


def _open_plainly(path: Path) -> BinaryIO:
    return path.open("xb", buffering=0)


class Journal:
    """The journal of one run, in numbered segments `RUN_ID.0000.jnl`; closed ones go to the database."""

    def __init__(self, folder: Path, run_id: str, open_file: Callable[[Path], BinaryIO] = _open_plainly) -> None:
        self._folder, self._run_id, self._open_file = folder, run_id, open_file
        self._number = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._begin()

    def append(self, record: Record) -> None:
        """Write the record and wait until the disk has it. On failure (OSError) the file is as it was before."""
        body = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
        try:
            self._write_all(_HEAD.pack(len(body), zlib.crc32(body)) + body)
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._size += _HEAD.size + len(body)
        self.records += 1

    def rotate(self) -> Segment | None:
        """Begin a new segment and hand out the one so far, still locked; None if it is empty."""
        if not self.records:
            return None
        full = Segment(self.path, self._file)
        self._begin()
        return full

    def close(self) -> Segment | None:
        """Hand out the last segment; an empty one is removed."""
        if self.records:
            return Segment(self.path, self._file)
        self.path.unlink(missing_ok=True)
        self._file.close()
        return None

    def _begin(self) -> None:
        self.path = self._folder / f"{self._run_id}.{self._number:04d}.jnl"
        self._file = self._open_file(self.path)
        fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._number += 1
        self._size = self.records = 0

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


@dataclass(frozen=True)
class Segment:
    """A closed part of a journal, locked by this process until `done` or `keep`."""

    path: Path
    file: BinaryIO

    def done(self) -> None:
        """Its records are in the database: the file can go."""
        self.path.unlink(missing_ok=True)
        self.file.close()

    def keep(self) -> None:
        """Leave the file to the next command that opens the store."""
        self.file.close()


@dataclass(frozen=True)
class Contents:
    """What a journal file says.

    torn: its last record was cut off by a crash, before it was acknowledged. corrupt: bytes were changed, so that
    records that had been acknowledged may follow the last one that can be read.
    """

    records: tuple[Record, ...]
    torn: bool = False
    corrupt: bool = False


def read(path: Path) -> Contents:
    """The records of a journal up to the first one that cannot be trusted."""
    data = path.read_bytes()
    records: list[Record] = []
    at = 0
    while at < len(data):
        length, crc = _HEAD.unpack(data[at : at + _HEAD.size].ljust(_HEAD.size, b"\0"))
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if not body or len(body) < length or zlib.crc32(body) != crc:
            damaged = _damaged(data, at)
            return Contents(tuple(records), torn=not damaged, corrupt=damaged)
        records.append(json.loads(body))
        at += _HEAD.size + length
    return Contents(tuple(records))


def _damaged(data: bytes, at: int) -> bool:
    """Whether what stands at `at`, which is no record, was changed after it had been written, and not cut off.

    A write that was cut off is the last one, and leaves the beginning of a record, perhaps followed by zeros where
    the file had grown before its blocks were written. Another record behind it, a body that is all there, or a length
    that no record has, cannot come from that.
    """
    rest = data[at:]
    written = rest.rstrip(b"\0")
    if len(written) <= _HEAD.size:
        return False
    length, crc = _HEAD.unpack_from(rest)
    body = rest[_HEAD.size :]
    if not 0 < length <= RECORD_LIMIT or zlib.crc32(body) == crc or _holds_a_record(rest):
        return True
    return bool(length <= len(body) and body[length - 1])


def _holds_a_record(data: bytes) -> bool:
    """Whether a whole record begins anywhere after the first byte; every body is a JSON object."""
    start = data.find(b"{", _HEAD.size + 1)
    while start >= 0:
        length, crc = _HEAD.unpack_from(data, start - _HEAD.size)
        if 0 < length <= len(data) - start and zlib.crc32(data[start : start + length]) == crc:
            return True
        start = data.find(b"{", start + 1)
    return False


def left_over(folder: Path) -> Iterator[Segment]:
    """The journals whose writer is gone, one by one, locked while the caller has them."""
    for path in sorted(folder.glob("*.jnl")):
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            continue  # another process has just dealt with it
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        if path.exists():
            yield Segment(path, file)
        else:
            file.close()
