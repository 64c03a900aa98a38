"""Python that cannot be parsed (Python 2, fragments, files built to break a parser), searched line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .code import Code
from .facts import CREDENTIAL_PATH, Fact

_LINE_RULES = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"\b(?:exec|eval)\b.{0,80}\b(?:b64decode|decode\(|fromhex|decompress|unhexlify)", "decoded->exec"),
        (r"\b(?:exec|eval)\b.{0,80}\b(?:urlopen|requests\.get|urllib)", "network->exec"),
        (r"\b(?:urlopen|requests\.\w+|urllib2?\.)\b.{0,120}\bos\.environ\b(?!\[|\.get)", "environ->network"),
        (r"\bdict\(os\.environ\)|os\.environ\.(?:copy|items)\(", "environ-read"),
        (r"\bos\.set(?:e|re)?[ug]id\(\s*0", "setuid"),
    )
)


def line_facts(code: Code) -> Iterator[Fact]:
    """Facts by line, for Python that cannot be parsed (Python 2, fragments, files built to break a parser)."""
    for number, line in enumerate(code.text.split("\n"), code.line):
        line = line[:2000]
        for pattern, what in _LINE_RULES:
            if pattern.search(line):
                yield Fact(what, "", code.path, number, weight=code.weight)
        path = CREDENTIAL_PATH.search(line)
        if path and re.search(r"\bopen\s*\(|\bread", line):
            yield Fact("credential-read", path.group(), code.path, number, weight=code.weight)
