import argparse
import json
import pathlib
import urllib.request
import xml.etree.ElementTree as tree

import dates

SEEN = pathlib.Path("seen.json")


def text(node, *names):
    for child in node:
        if child.tag.rpartition("}")[2] in names:
            return (child.text or child.get("href") or "").strip()
    return ""


def entries(url):
    request = urllib.request.Request(url, headers={"User-Agent": "feed-reader"})
    with urllib.request.urlopen(request, timeout=15) as reply:
        root = tree.parse(reply).getroot()
    for node in root.iter():
        if node.tag.rpartition("}")[2] in ("item", "entry"):
            yield {
                "id": text(node, "guid", "id", "link"),
                "title": text(node, "title"),
                "link": text(node, "link"),
                "date": dates.parse(text(node, "pubDate", "updated", "published")),
            }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("list")
    parser.add_argument("--since", default="24h")
    args = parser.parse_args()
    seen = set(json.loads(SEEN.read_text())) if SEEN.exists() else set()
    fresh = [e for url in open(args.list).read().split() for e in entries(url) if e["id"] not in seen]
    SEEN.write_text(json.dumps(sorted(seen | {e["id"] for e in fresh})))
    oldest = dates.ago(args.since)
    print(json.dumps([e for e in fresh if not e["date"] or e["date"] >= oldest], indent=1))
