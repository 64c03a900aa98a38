import math
import pathlib
import re
import sys
from collections import Counter

ARTICLES = pathlib.Path(__file__).parent.parent / "articles"


def words(text):
    return re.findall(r"[^\W\d_]{3,}", text.lower())


def main(query):
    documents = {p: Counter(words(p.read_text(encoding="utf-8"))) for p in ARTICLES.glob("*.md")}
    frequency = Counter(w for counts in documents.values() for w in counts)
    scores = {}
    for path, counts in documents.items():
        length = sum(counts.values())
        scores[path] = sum(counts[w] / length * math.log(len(documents) / frequency[w]) for w in words(query) if w in counts)
    for path, score in sorted(scores.items(), key=lambda item: -item[1])[:3]:
        print(f"{score:.4f} {path.name}")


main(" ".join(sys.argv[1:]))
