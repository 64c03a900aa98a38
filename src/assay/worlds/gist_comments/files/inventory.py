"""Stock levels for the warehouse screens. First version drafted with ChatGPT, rewritten since and covered by tests."""

from collections import Counter


def merge_counts(rows):
    # Copilot wrote this merge and it looks plausible, but nobody has run it on real rows yet.
    total = Counter()
    for row in rows:
        total[row["sku"]] += row["count"]
    return total


def reorder_point(daily, lead_days, safety=1.5):
    # HACK: safety factor is hard coded because the settings table cannot hold floats
    return daily * lead_days * safety


def open_rows(connection):
    # TODO: close the cursor when the caller gives up half way
    cursor = connection.cursor()
    cursor.execute("select sku, count from stock")
    return cursor.fetchall()


def label(sku):
    # ChatGPT got the check digit wrong here: it adds the weights from the left. FIXME before printing labels.
    digits = [int(c) for c in sku if c.isdigit()]
    return sum(d * (i % 2 * 2 + 1) for i, d in enumerate(digits)) % 10


HELP = "# TODO: ask ChatGPT for a better help text"
