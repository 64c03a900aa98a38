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
    """What a journal file says. `torn`: its last record was cut off by a crash; `corrupt`: a checksum is wrong."""

    records: tuple[Record, ...]
    torn: bool = False
    corrupt: bool = False


def read(path: Path) -> Contents:
    """The records of a journal up to the first one that cannot be trusted."""
    data = path.read_bytes()
    records: list[Record] = []
    at = 0
    while at < len(data):
        if len(data) - at < _HEAD.size:
            return Contents(tuple(records), torn=True)
        length, crc = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if length > RECORD_LIMIT:
            return Contents(tuple(records), corrupt=True)
        if len(body) < length:
            return Contents(tuple(records), torn=True)
        if zlib.crc32(body) != crc:
            return Contents(tuple(records), corrupt=True)
        records.append(json.loads(body))
        at += _HEAD.size + length
    return Contents(tuple(records))


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
