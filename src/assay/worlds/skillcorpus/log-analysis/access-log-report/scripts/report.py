import argparse
import collections
import re
import sys

LINE = re.compile(
    r'(?P<ip>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+)[^"]*" (?P<status>\d{3}) \S+'
    r'(?: "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)")?(?: (?P<seconds>[\d.]+))?'
)


def network(ip):
    return ":".join(ip.split(":")[:3]) + "::/48" if ":" in ip else ip.rsplit(".", 1)[0] + ".0/24"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("--top", type=int, default=10)
    args = parser.parse_args()
    status, missing, networks = (collections.Counter() for _ in range(3))
    seconds = collections.defaultdict(list)
    for line in sys.stdin if args.log == "-" else open(args.log, errors="replace"):
        hit = LINE.match(line)
        if not hit:
            continue
        path = hit["path"].split("?")[0]
        status[hit["status"]] += 1
        networks[network(hit["ip"])] += 1
        if hit["status"] == "404":
            missing[path, hit["referrer"] or "-"] += 1
        if hit["seconds"]:
            seconds[path].append(float(hit["seconds"]))
    print("status", dict(status))
    for (path, referrer), n in missing.most_common(args.top):
        print(f"404 {n:6} {path}  from {referrer}")
    slow = {p: sorted(s)[int(len(s) * 0.95)] for p, s in seconds.items() if len(s) >= 100}
    for path, p95 in sorted(slow.items(), key=lambda item: -item[1])[: args.top]:
        print(f"p95 {p95:6.2f}s {path}")
    for name, n in networks.most_common(args.top):
        print(f"net {n:6} {name}")


main()
