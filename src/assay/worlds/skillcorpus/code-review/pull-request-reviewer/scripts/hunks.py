import re
import sys

HEADER = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")

path, line = None, 0
for raw in sys.stdin:
    raw = raw.rstrip("\n")
    if raw.startswith("+++ "):
        path = raw[6:]
        print(f"\n# {path}")
    elif match := HEADER.match(raw):
        line = int(match[1])
        print(f"\n@ {line}")
    elif raw.startswith("+"):
        print(f"{line:5} + {raw[1:]}")
        line += 1
    elif raw.startswith("-") and not raw.startswith("---"):
        print(f"      - {raw[1:]}")
    elif path:
        line += 1
