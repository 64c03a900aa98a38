import itertools
import pathlib
import re
import sys

CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)(?=[^{}]*\{)")
COLOUR = re.compile(r"#([0-9a-fA-F]{6})\b")


def distance(a, b):
    return sum(abs(int(a[i:i + 2], 16) - int(b[i:i + 2], 16)) for i in (0, 2, 4))


styles = {p: p.read_text(encoding="utf-8") for p in pathlib.Path(sys.argv[1]).rglob("*.css")}
others = "\n".join(
    path.read_text(encoding="utf-8", errors="replace")
    for root in sys.argv[2:]
    for path in pathlib.Path(root).rglob("*")
    if path.suffix in {".html", ".jinja", ".js", ".jsx", ".ts", ".tsx", ".vue", ".md"}
)
used = set(re.findall(r"-?[_a-zA-Z][\w-]*", others))
for path, text in sorted(styles.items()):
    for name in sorted(set(CLASS.findall(text)) - used):
        print(f"{path}: .{name}")
counts = {}
for text in styles.values():
    for colour in COLOUR.findall(text):
        counts[colour.lower()] = counts.get(colour.lower(), 0) + 1
for a, b in itertools.combinations(sorted(counts), 2):
    if 0 < distance(a, b) <= 6:
        print(f"#{a} ({counts[a]} times) and #{b} ({counts[b]} times)")
