import re
import sys

PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sdif]|\{\w*\}|</?\w+>")


def entries(path):
    block = {}
    for line in open(path, encoding="utf-8"):
        line = line.strip()
        if not line:
            if block:
                yield block
            block = {}
        elif match := re.match(r'(msgid|msgid_plural|msgstr(?:\[\d\])?) "(.*)"$', line):
            key = match[1]
            block[key] = match[2]
        elif line.startswith('"') and block:
            block[key] += line.strip('"')
    if block:
        yield block


for entry in entries(sys.argv[1]):
    if not entry.get("msgid"):
        continue
    want = sorted(PLACEHOLDER.findall(entry["msgid"]))
    for key, text in entry.items():
        if key.startswith("msgstr") and text and sorted(PLACEHOLDER.findall(text)) != want:
            print(f"{entry['msgid']!r}: placeholders differ in {key}")
