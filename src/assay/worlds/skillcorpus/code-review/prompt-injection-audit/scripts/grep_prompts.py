import pathlib
import re
import sys

SIGNS = {
    "override": r"(ignore|disregard|forget)\s+(all\s+)?(the\s+)?(previous|prior|above|earlier)\s+(instructions|rules)",
    "secrecy": r"(do not|don't|never)\s+(tell|inform|mention\s+\w+\s+to)\s+the\s+user",
    "sending": r"(send|post|upload|forward)\b.{0,60}\bhttps?://",
    "comment": r"<!--\s*(ai|assistant|agents?|model)\b",
    "invisible": "[\u200b-\u200f\u202a-\u202e\u2060-\u2064]",
}

for path in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
    if path.suffix.lower() not in {".md", ".txt", ".prompt", ".yaml", ".yml"}:
        continue
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        for name, pattern in SIGNS.items():
            if re.search(pattern, line, re.I):
                print(f"{path}:{number}: {name}: {line.strip()[:120]!r}")
