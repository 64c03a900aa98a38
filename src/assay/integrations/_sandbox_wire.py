"""How values and bytes pass between the parent and the sandbox: JSON heads and raw blobs, never pickle.

A message is two 8-byte lengths (head, body), a JSON head, and a body of blobs whose sizes the head lists. A value
is JSON in which an array stands as `{"$array": i}` with its dtype and shape beside it and its bytes as blob i; keys
of the user's own that start with `$` get a second one on the way. Both sides treat what they read as untrusted.
This module also runs inside the sandbox: it uses the standard library alone, and NumPy once an array is met.
"""

from __future__ import annotations

import json
import os
import select
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

MEGABYTE = 1 << 20
OUTPUT_LIMIT = MEGABYTE  # of stdout and of stderr, each
FILES_LIMIT = 16 * MEGABYTE
FILES_COUNT_LIMIT = 1000
VALUE_LIMIT = 16 * MEGABYTE
HEAD_LIMIT = 4 * MEGABYTE  # JSON text: Python needs up to forty times as much to hold it
BODY_LIMIT = VALUE_LIMIT + FILES_LIMIT + 2 * OUTPUT_LIMIT + HEAD_LIMIT
_LENGTHS = struct.Struct(">QQ")
_ARRAY_KINDS = "biufcSUmM"


class Broken(Exception):
    """The other side closed, was too late (`late`), or sent what is not a message."""

    late = False


class Late(Broken):
    """The deadline passed before the message was whole."""

    late = True


def message(head: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One message as bytes."""
    text = json.dumps({**head, "sizes": [len(blob) for blob in blobs]}).encode()
    return b"".join([_LENGTHS.pack(len(text), sum(map(len, blobs))), text, *blobs])


def receive(fd: int, deadline: float | None = None, body_limit: int = BODY_LIMIT) -> tuple[dict[str, Any], list[bytes]]:
    """The next message of a pipe: head and blobs. Raises `Broken`; `deadline` is on the monotonic clock."""
    lengths = _exactly(fd, _LENGTHS.size, deadline)
    head_size, body_size = _LENGTHS.unpack(lengths)
    if head_size > HEAD_LIMIT or body_size > body_limit:
        raise Broken(f"a message of {head_size + body_size} bytes is over the limit")
    return parse(lengths + _exactly(fd, head_size + body_size, deadline))


def parse(raw: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Head and blobs of one whole message. Raises `Broken` for anything else."""
    try:
        head_size, body_size = _LENGTHS.unpack_from(raw)
        start = _LENGTHS.size + head_size
        if head_size > HEAD_LIMIT or len(raw) != start + body_size:
            raise Broken("a message is cut short or too long")
        head = json.loads(raw[_LENGTHS.size : start])
        blobs = []
        for size in head["sizes"]:
            if type(size) is not int or size < 0:
                raise Broken("a message states an impossible size")
            blobs.append(raw[start : start + size])
            start += size
    except (struct.error, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise Broken(f"not a message: {type(error).__name__}") from None
    if start != len(raw):
        raise Broken("the sizes of a message do not add up")
    return head, blobs


def encode(value: object, head: Mapping[str, Any] | None = None) -> bytes:
    """A message that holds `value`. TypeError names what can be neither JSON nor an array of plain numbers."""
    arrays: list[tuple[str, list[int]]] = []
    blobs: list[bytes] = []
    plain = _plain(value, arrays, blobs)
    raw = message({**(head or {}), "value": plain, "arrays": arrays}, blobs)
    head_size, body_size = _LENGTHS.unpack_from(raw)
    if head_size > HEAD_LIMIT or body_size > VALUE_LIMIT:
        raise ValueError(f"a value of {len(raw)} bytes, over {HEAD_LIMIT} of JSON or {VALUE_LIMIT} of arrays")
    return raw


def decode(head: Mapping[str, Any], blobs: Sequence[bytes]) -> Any:
    """The value of a message that `encode` made. Raises `Broken` if it was made otherwise."""
    try:
        return _rich(head["value"], head["arrays"], blobs)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, MemoryError, OverflowError) as error:
        raise Broken(f"not a value: {type(error).__name__}: {error}") from None


def _plain(value: Any, arrays: list[tuple[str, list[int]]], blobs: list[bytes]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value.item() if hasattr(value, "dtype") else value
    if isinstance(value, dict):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"a dict key of type {type(wrong[0]).__name__}; JSON wants text")
        return {f"${k}" if k.startswith("$") else k: _plain(v, arrays, blobs) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, arrays, blobs) for item in value]
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biuf":
        return value.item()
    if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind in _ARRAY_KINDS:
        arrays.append((value.dtype.str, list(value.shape)))
        blobs.append(value.tobytes())
        return {"$array": len(blobs) - 1}
    raise TypeError(f"a {type(value).__name__}; wanted JSON values, text or arrays of numbers")


def _rich(value: Any, arrays: Any, blobs: Sequence[bytes]) -> Any:
    if isinstance(value, list):
        return [_rich(item, arrays, blobs) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" not in value:
        return {k[1:] if k.startswith("$") else k: _rich(v, arrays, blobs) for k, v in value.items()}
    import numpy

    dtype, shape = arrays[value["$array"]]
    kind = numpy.dtype(str(dtype))
    if kind.kind not in _ARRAY_KINDS or kind.itemsize == 0:
        raise ValueError(f"dtype {kind} may not pass")
    return numpy.frombuffer(blobs[value["$array"]], dtype=kind).reshape([int(n) for n in shape]).copy()


def send(fd: int, raw: bytes) -> None:
    """Write all of `raw` to a pipe."""
    view = memoryview(raw)
    while view:
        view = view[os.write(fd, view) :]


def _exactly(fd: int, count: int, deadline: float | None) -> bytes:
    pieces = []
    while count:
        if deadline is not None:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise Late("no answer in time")
        piece = os.read(fd, min(count, MEGABYTE))
        if not piece:
            raise Broken("the other side has closed")
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
