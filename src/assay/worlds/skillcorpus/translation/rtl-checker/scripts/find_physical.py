import pathlib
import re
import sys

PHYSICAL = re.compile(r"\b(?:(?:margin|padding|border)-(?:left|right)|(?:float|text-align):\s*(?:left|right)|(?:left|right):\s*\d)")
INSTEAD = {"margin-left": "margin-inline-start", "margin-right": "margin-inline-end",
           "padding-left": "padding-inline-start", "padding-right": "padding-inline-end"}

if __name__ == "__main__":
    total = 0
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.css")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in PHYSICAL.finditer(line):
                total += 1
                hint = INSTEAD.get(match[0], "use the logical property")
                print(f"{path}:{number}: {match[0]} ({hint})")
    print(f"{total} physical properties")
