"""What is acknowledged is on disk, and what a crash cut off is recognised."""

from __future__ import annotations

import errno
import multiprocessing
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.engine.journal import Journal, left_over, read


def written(folder: Path, count: int) -> Path:
    journal = Journal(folder, "run")
    for i in range(count):
        journal.append({"table": "units", "row": {"n": i}})
    segment = journal.rotate()
    assert segment is not None
    segment.keep()
    journal.close()
    return segment.path


def test_records_are_length_checksum_and_json(tmp_path: Path) -> None:
    data = written(tmp_path, 1).read_bytes()
    body = b'{"table":"units","row":{"n":0}}'
    assert data == struct.pack("<II", len(body), zlib.crc32(body)) + body


def test_a_record_is_synced_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    journal = Journal(tmp_path, "run")
    journal.append({"n": 1})
    assert synced == [journal.path.stat().st_size]
    assert synced[0] > 0


@given(keep=st.integers(0, 400), count=st.integers(1, 6))
def test_any_cut_keeps_exactly_the_whole_records_before_it(tmp_path_factory: Any, keep: int, count: int) -> None:
    path = written(tmp_path_factory.mktemp("journal"), count)
    data = path.read_bytes()
    size = len(data) // count  # all records are equally long here
    path.write_bytes(data[:keep])
    contents = read(path)
    whole = min(keep, len(data)) // size
    assert [r["row"]["n"] for r in contents.records] == list(range(whole))
    assert contents.torn == (keep < len(data) and keep % size != 0)
    assert not contents.corrupt


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_changed_byte_is_never_read_as_a_record(tmp_path_factory: Any, at: int, flip: int) -> None:
    path = written(tmp_path_factory.mktemp("journal"), 5)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= flip
    path.write_bytes(bytes(data))
    contents = read(path)
    assert [r["row"]["n"] for r in contents.records] == list(range(len(contents.records)))
    assert len(contents.records) == (at % len(data)) // (len(data) // 5)
    assert contents.corrupt or (contents.torn and data[-1] == 0)  # as if the last block had never been written


LENGTHS = {"longer": 40, "shorter": 3, "of no record": 1 << 30, "none": 0, "past the end": 100_000}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("which", [0, 2, 4])
def test_a_damaged_length_is_no_torn_end(tmp_path: Path, which: int, length: int) -> None:
    path = written(tmp_path, 5)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, which * len(data) // 5, length)
    path.write_bytes(bytes(data))
    contents = read(path)
    assert [r["row"]["n"] for r in contents.records] == list(range(which))
    assert contents.corrupt
    assert not contents.torn


def test_zeros_behind_the_last_record_are_a_torn_end_and_within_the_file_damage(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    data = path.read_bytes()
    third = len(data) // 3
    for cut_off in (data + bytes(4096), data[:-5] + bytes(5), data[: 2 * third + 12] + bytes(100)):
        path.write_bytes(cut_off)
        assert read(path).torn
        assert not read(path).corrupt
    path.write_bytes(data[:third] + bytes(third) + data[2 * third :])
    assert read(path).corrupt
    assert len(read(path).records) == 1


class FullDisk:
    """A file on a disk that takes `room` more bytes."""

    def __init__(self, path: Path, room: int) -> None:
        self._file, self.room = path.open("xb", buffering=0), room

    def write(self, data: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = self._file.write(data[: self.room]) or 0
        self.room -= count
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 3, 20, 60, 100])
def test_a_full_disk_leaves_the_acknowledged_records_and_nothing_else(tmp_path: Path, room: int) -> None:
    files: list[FullDisk] = []

    def open_file(path: Path) -> BinaryIO:
        files.append(FullDisk(path, room))
        return files[-1]  # type: ignore[return-value]

    journal = Journal(tmp_path, "run", open_file)
    acknowledged = 0
    with pytest.raises(OSError, match="No space left"):
        for i in range(10):
            journal.append({"n": i})
            acknowledged += 1
    assert [r["n"] for r in read(journal.path).records] == list(range(acknowledged))
    assert not read(journal.path).torn
    files[-1].room = 1000
    journal.append({"n": acknowledged})  # room again: the journal goes on where it was
    assert [r["n"] for r in read(journal.path).records] == list(range(acknowledged + 1))


def _hold(folder: Path, ready: Any, release: Any) -> None:
    journal = Journal(folder, "other")
    journal.append({"n": 0})
    ready.set()
    release.wait(60)


def test_a_journal_in_use_is_not_taken_for_a_left_over_one(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, release = context.Event(), context.Event()
    owner = context.Process(target=_hold, args=(tmp_path, ready, release))
    owner.start()
    assert ready.wait(30)
    assert list(left_over(tmp_path)) == []
    owner.kill()
    owner.join()
    (segment,) = left_over(tmp_path)
    assert [r["n"] for r in read(segment.path).records] == [0]
    segment.done()
    assert list(left_over(tmp_path)) == []
