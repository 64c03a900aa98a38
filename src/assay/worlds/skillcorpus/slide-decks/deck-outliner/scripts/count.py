import re
import sys

slides = re.split(r"^## ", open(sys.argv[1], encoding="utf-8").read(), flags=re.M)[1:]
for number, slide in enumerate(slides, 1):
    title, _, body = slide.partition("\n")
    visible = body.split("Notes:")[0]
    words = len(visible.split())
    bullets = len(re.findall(r"^\s*[-*] ", visible, re.M))
    if len(title) > 70:
        print(f"{number}: title has {len(title)} characters")
    if not re.search(r"\b(is|are|was|were|has|have|will|can|must|\w+ed|\w+s)\b", title):
        print(f"{number}: {title!r} is a heading, not a claim")
    if words > 40 or bullets > 4:
        print(f"{number}: {words} words, {bullets} bullets on the slide")
    if "Notes:" not in body:
        print(f"{number}: no notes")
print(f"{len(slides)} slides")
