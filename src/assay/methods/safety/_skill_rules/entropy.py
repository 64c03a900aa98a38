"""Pattern SC3, the part that needs no syntax: long strings of high entropy, unpacked up to five layers deep."""

from __future__ import annotations

import base64
import binascii
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from .._skill_files import Skill, SkillFile
from .model import Evidence, Rule, evidence

MIN_LENGTH = 40  # characters
MIN_ENTROPY = 4.5  # bits per character
MAX_LAYERS = 5
MAX_BLOB = 200_000  # characters of one string that are unpacked
MAX_UNPACKED = 1_000_000  # bytes that one layer may grow to
_BLOB = re.compile(
    rf"(?<![A-Za-z0-9+/=_-])(?:[A-Za-z0-9+/_-]{{{MIN_LENGTH},}}+={{0,2}}|(?:\\x[0-9a-fA-F]{{2}}){{12,5000}}+|(?:[0-9a-fA-F]{{2}}){{32,}}+)"
)
_CODE = re.compile(
    rb"\b(?:import |exec\(|eval\(|os\.|subprocess|socket|requests|urllib|curl |wget |/bin/(?:ba)?sh|bash -"
    rb"|child_process|require\(|fetch\("
    rb"|powershell|nc -|base64 -d|b64decode|chmod \+x|printenv|\.ssh/|\.aws/)"
)
_EVALUATES = re.compile(
    r"\b(?:exec|eval|compile|__import__|new Function|Function|runpy\.\w+)\s{0,3}\(|\b(?:marshal|pickle)\.loads"
    r"|vm\.runIn\w+|\|\s{0,3}(?:ba)?sh\b|eval [\"$]"
)
_CHARS = re.compile(
    r"(?:chr\(\s{0,2}(?:0x)?[0-9a-fA-F]{1,6}\s{0,2}\)\s{0,3}[+.,]\s{0,3}){5}"
    r"|String\.fromCharCode\((?:\s{0,2}\d{1,7}\s{0,2},){6}|(?:\[\s{0,2}|\(\s{0,2})(?:\d{2,3}\s{0,2},\s{0,2}){16,400}"
)
_PACKED = re.compile(
    r"eval\(function\(p,a,c,k,e|_0x[0-9a-f]{4,6}\b.{0,200}_0x[0-9a-f]{4,6}\b.{0,200}_0x[0-9a-f]{4,6}\b"
    r"|(?:\\x[0-9a-f]{2}){10}|(?:\\u00[0-9a-f]{2}){10}",
    re.IGNORECASE,
)
CODE_KINDS = ("python", "shell", "javascript", "data", "manifest", "instruction")


def entropy_rules() -> tuple[Rule, ...]:
    """The rules of this module."""
    return (
        Rule("SS-SC3-05", "SC3", "critical", "Encoded string that unpacks to code", CODE_KINDS, _unpacks_to_code),
        Rule(
            "SS-SC3-06",
            "SC3",
            "high",
            "String of high entropy in a file that evaluates code",
            ("python", "shell", "javascript"),
            _high_entropy,
        ),
        Rule(
            "SS-SC3-07",
            "SC3",
            "high",
            "Text built from character codes",
            ("python", "javascript", "shell"),
            _characters,
        ),
        Rule("SS-SC3-08", "SC3", "high", "Packed or escaped code", ("python", "javascript", "shell"), _packed),
    )


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits per character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) if text else 0.0


def unpack(blob: str) -> tuple[bytes, int]:
    """(innermost content, number of layers) behind a string: base64, hex, escapes, zlib and gzip, in any order."""
    data: bytes = blob[:MAX_BLOB].encode("ascii", errors="ignore")
    for layer in range(MAX_LAYERS):
        inner = _one_layer(data.strip())
        if inner is None or inner == data:
            return data, layer
        data = inner
    return data, MAX_LAYERS


def _one_layer(data: bytes) -> bytes | None:
    if data[:2] in (b"x\x9c", b"x\xda", b"x\x01", b"\x1f\x8b"):
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, MAX_UNPACKED)
        except zlib.error:
            return None
    if re.fullmatch(rb"(?:\\x[0-9a-fA-F]{2})+", data):
        return bytes.fromhex(data.decode().replace("\\x", ""))
    if len(data) % 2 == 0 and re.fullmatch(rb"[0-9a-fA-F]{24,}", data):
        return _if_plausible(binascii.unhexlify(data))
    if re.fullmatch(rb"[A-Za-z0-9+/_\s-]{16,}={0,2}", data):
        compact = re.sub(rb"\s", b"", data).rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        for candidate in (compact, compact[::-1]):
            try:
                decoded = _if_plausible(base64.b64decode(candidate + b"=" * (-len(candidate) % 4), validate=True))
            except (binascii.Error, ValueError):
                continue
            if decoded is not None:
                return decoded
    return None


def _if_plausible(data: bytes) -> bytes | None:
    """Decoded bytes that are text or a known packing; random bytes mean that it was no encoding."""
    if data[:2] in (b"x\x9c", b"x\xda", b"x\x01", b"\x1f\x8b"):
        return data
    printable = sum(32 <= b < 127 or b in (9, 10, 13) for b in data)
    return data if data and printable >= 0.95 * len(data) else None


@lru_cache(maxsize=64)
def _blobs(text: str) -> tuple[tuple[int, str], ...]:
    """(line, string) of the long encoded strings of a text; neighbours in one expression are joined."""
    joined = re.sub(
        r"[\"']\s{0,40}\+?\s{0,4}\\?\n?\s{0,40}[\"']",
        lambda m: "\n" * m.group().count("\n") if "\n" not in m.group() else "",
        text,
    )
    source = text if joined == text else joined
    return tuple((source.count("\n", 0, m.start()) + 1, m.group()) for m in list(_BLOB.finditer(source))[:200])


def _unpacks_to_code(file: SkillFile, skill: Skill) -> Iterator[Evidence]:
    for line, blob in _blobs(file.text):
        content, layers = unpack(blob)
        if layers and _CODE.search(content):
            shown = content.decode("utf-8", errors="replace")
            weight = 1.0 if layers > 1 or _EVALUATES.search(file.text) else 0.7
            yield evidence(
                "SS-SC3-05", file, line, 1, line, 10**6, f"{layers} layers deep: {' '.join(shown.split())[:80]}", weight
            )


def _high_entropy(file: SkillFile, skill: Skill) -> Iterator[Evidence]:
    if not _EVALUATES.search(file.text):
        return
    for line, blob in _blobs(file.text):
        bits = entropy(blob[:4000])
        if bits >= MIN_ENTROPY and "/" not in blob[:1]:
            yield evidence(
                "SS-SC3-06", file, line, 1, line, 10**6, f"{len(blob)} characters at {bits:.1f} bits each", 0.6
            )


def _characters(file: SkillFile, skill: Skill) -> Iterator[Evidence]:
    for number, line in enumerate(file.lines, 1):
        match = _CHARS.search(line[:20_000])
        if match:
            told = re.search(r"chr|fromCharCode|bytes\(", line) is not None
            yield evidence(
                "SS-SC3-07",
                file,
                number,
                match.start() + 1,
                number,
                match.end() + 1,
                "characters by their codes",
                1.0 if told else 0.5,
            )


def _packed(file: SkillFile, skill: Skill) -> Iterator[Evidence]:
    for number, line in enumerate(file.lines, 1):
        match = _PACKED.search(line[:20_000])
        if match:
            yield evidence("SS-SC3-08", file, number, match.start() + 1, number, match.end() + 1, "packed code", 0.9)
