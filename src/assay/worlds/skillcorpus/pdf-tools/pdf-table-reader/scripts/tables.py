import argparse
import csv
import json
import pathlib

import pdfplumber


def confidence(rows):
    widths = [len([c for c in row if c]) for row in rows]
    return round(widths.count(max(set(widths), key=widths.count)) / len(widths), 2) if widths else 0.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pdf")
    parser.add_argument("--pages", default="")
    parser.add_argument("--out", default="tables", type=pathlib.Path)
    args = parser.parse_args()
    first, _, last = args.pages.partition("-")
    args.out.mkdir(exist_ok=True)
    index = []
    with pdfplumber.open(args.pdf) as pdf:
        chosen = pdf.pages[int(first) - 1:int(last or first)] if first else pdf.pages
        for page in chosen:
            for number, rows in enumerate(page.extract_tables(), 1):
                name = f"p{page.page_number}_{number}.csv"
                with open(args.out / name, "w", newline="", encoding="utf-8") as handle:
                    csv.writer(handle).writerows(rows)
                index.append({"file": name, "columns": rows[0], "rows": len(rows) - 1, "confidence": confidence(rows)})
    (args.out / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main()
