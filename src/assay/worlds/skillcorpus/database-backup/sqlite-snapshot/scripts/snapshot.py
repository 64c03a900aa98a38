import argparse
import contextlib
import datetime
import pathlib
import sqlite3


def counts(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        names = [r[0] for r in db.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")]
        return {n: db.execute(f'select count(*) from "{n}"').fetchone()[0] for n in names}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("database", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--keep", type=int, default=10)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    older = sorted(args.folder.glob(f"{args.database.stem}-*.db"))
    target = args.folder / f"{args.database.stem}-{datetime.datetime.now():%Y%m%dT%H%M%S}.db"
    with contextlib.closing(sqlite3.connect(args.database)) as live, contextlib.closing(sqlite3.connect(target)) as copy:
        live.backup(copy, pages=256)
        print("integrity:", copy.execute("pragma integrity_check").fetchone()[0])
    before = counts(older[-1]) if older else {}
    for table, rows in counts(target).items():
        print(f"{table}: {rows} ({rows - before.get(table, 0):+d})")
    for table in before.keys() - counts(target).keys():
        print(f"{table}: gone")
    for path in (older + [target])[: -args.keep]:
        path.unlink()


if __name__ == "__main__":
    main()
