import csv
import pathlib
import re
import sys

DATE = re.compile(r"\b(\d{2})\.(\d{2})\.(20\d{2})\b")
TOTAL = re.compile(r"(?:total|summe|gesamt)\D{0,20}(\d+[.,]\d{2})", re.I)

here = pathlib.Path(__file__).parent.parent
with open(here / "references" / "categories.csv", newline="") as handle:
    words = {row["word"]: row["category"] for row in csv.DictReader(handle)}

out = csv.writer(sys.stdout)
out.writerow(["file", "quarter", "category", "total"])
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.txt")):
    text = path.read_text(encoding="utf-8", errors="replace")
    date, total = DATE.search(text), TOTAL.search(text)
    quarter = f"{date[3]}Q{(int(date[2]) + 2) // 3}" if date else "?"
    category = next((c for w, c in words.items() if w in text.lower()), "?")
    out.writerow([path.name, quarter, category, total[1].replace(",", ".") if total else "?"])
