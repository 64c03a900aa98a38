"""Write INPUT to OUTPUT with blanks trimmed, dates as YYYY-MM-DD, and empty rows left out."""

import csv
import sys

from dateutil.parser import ParserError, parse


def tidy(cell: str) -> str:
    cell = cell.strip()
    if not any(mark in cell for mark in "/-."):
        return cell
    try:
        return parse(cell).date().isoformat()
    except (ParserError, OverflowError):
        return cell


def main(source: str, target: str) -> None:
    with open(source, newline="", encoding="utf-8") as old, open(target, "w", newline="", encoding="utf-8") as new:
        rows = [[tidy(cell) for cell in row] for row in csv.reader(old)]
        kept = [row for row in rows if any(row)]
        csv.writer(new).writerows(kept)
    print(f"{len(rows) - len(kept)} of {len(rows)} rows dropped")


main(*sys.argv[1:3])
