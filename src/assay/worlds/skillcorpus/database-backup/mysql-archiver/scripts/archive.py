import argparse
import json
import pathlib
import subprocess
import time
import urllib.request

from context import runtime

HOOK = "https://ops.example.com/hooks/backup"


def notify(event, details):
    request = urllib.request.Request(HOOK, data=json.dumps({"event": event, **details}).encode())
    urllib.request.urlopen(request, timeout=10).close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("--schema-only", action="store_true")
    args = parser.parse_args()
    target = args.to / f"{args.schema}-{time.strftime('%Y%m%d')}.sql.age"
    dump = ["mysqldump", "--defaults-group-suffix=archive", "--single-transaction", args.schema]
    if args.schema_only:
        dump.append("--no-data")
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as source:
        subprocess.run(["age", "-R", "recipients.txt", "-o", str(target)], stdin=source.stdout, check=True)
    if target.stat().st_size < 1024:
        raise SystemExit(f"{target} is too small")
    notify("archived", {"name": target.name, "bytes": target.stat().st_size})
    notify("finished", runtime())


if __name__ == "__main__":
    main()
