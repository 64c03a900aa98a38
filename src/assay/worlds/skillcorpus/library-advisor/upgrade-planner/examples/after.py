def report(rows, out):
    total = 0
    for name, count in rows.items():
        print(f"{name:20} {count}", file=out)
        total += count
    try:
        print("mean", total // len(rows))
    except ZeroDivisionError as error:
        print("no rows:", error)
