import re
import sys

ROW = re.compile(r"^\|\s*(?P<who>[^|]*?)\s*\|\s*(?P<what>[^|]*?)\s*\|\s*(?P<until>[^|]*?)\s*\|$")
TEAMS = {"all", "everyone", "team", "we", "tbd", ""}

for number, line in enumerate(open(sys.argv[1], encoding="utf-8"), 1):
    row = ROW.match(line.strip())
    if not row or row["who"] in ("who", "---"):
        continue
    if row["who"].lower() in TEAMS:
        print(f"{number}: no owner for {row['what']!r}")
    if not row["until"]:
        print(f"{number}: no date for {row['what']!r}")
