import collections
import hashlib
import json
import sys


def key(text):
    return hashlib.sha1(" ".join(text.lower().split()).encode()).hexdigest()


def report(path, limit=512):
    rows = [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]
    labels = collections.Counter(row["label"] for row in rows)
    seen = collections.defaultdict(set)
    for row in rows:
        seen[key(row["text"])].add(row["label"])
    print("rows", len(rows), "different", len(seen))
    for label, count in labels.most_common():
        print(f"  {label}: {count} ({count / len(rows):.1%})")
    print("two labels:", sum(len(found) > 1 for found in seen.values()))
    print("long:", sum(len(row["text"].split()) > limit for row in rows))
    print(f"always answering {labels.most_common(1)[0][0]!r} is right {labels.most_common(1)[0][1] / len(rows):.1%} of the time")


if __name__ == "__main__":
    report(sys.argv[1])
