"""Monthly reports."""

import csv
import io


def to_csv(rows):
    # AI-generated, reviewed line by line on 2024-03-11, fine.
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows(rows)
    return out.getvalue()


def totals(rows):
    # wrong when a month is missing. GPT-5 is going to fix the join, see branch totals-gpt5
    return {row[0]: sum(row[1:]) for row in rows}


def growth(now, before):
    # FIXME divides by zero for new shops
    return (now - before) / before


def headline(rows):
    # The explanation that Copilot put here described another function, so there is no documentation now.
    return max(rows, key=lambda row: row[-1])[0]


def chart(rows):
    # 2023-05-02 removed ChatGPT button, TODO list moved to tracker
    return [row[-1] for row in rows]


def footnotes(rows):
    # undocumented column order, somebody should write it down
    return [row[1] for row in rows]
