"""Print the commits between two tags, one JSON object per line."""
import json
import re
import subprocess
import sys

SUBJECT = re.compile(r"^(?P<type>\w+)(\((?P<scope>[^)]+)\))?(?P<breaking>!)?: (?P<text>.+)$")


def commits(old, new):
    out = subprocess.run(
        ["git", "log", "--format=%H%x1f%an%x1f%s%x1f%b%x1e", f"{old}..{new}"],
        capture_output=True, text=True, check=True,
    ).stdout
    for record in out.split("\x1e"):
        if not record.strip():
            continue
        sha, author, subject, body = record.strip().split("\x1f")
        match = SUBJECT.match(subject)
        yield {
            "sha": sha[:10],
            "author": author,
            "type": match["type"] if match else "other",
            "scope": match["scope"] if match else None,
            "breaking": bool(match and match["breaking"]) or "BREAKING CHANGE" in body,
            "text": match["text"] if match else subject,
        }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: collect.py OLD NEW")
    for commit in commits(sys.argv[1], sys.argv[2]):
        print(json.dumps(commit, ensure_ascii=False))
