import argparse
import csv
import io

import pandas as pd
import psycopg

KINDS = {"int64": "bigint", "float64": "double precision", "datetime64[ns]": "timestamptz", "bool": "boolean"}


def guess(path):
    raw = open(path, "rb").read(100_000)
    encoding = "utf-8" if raw.decode("utf-8", "ignore").encode() == raw else "cp1252"
    dialect = csv.Sniffer().sniff(raw.decode(encoding, "replace"))
    frame = pd.read_csv(path, sep=dialect.delimiter, encoding=encoding, nrows=5000)
    return frame.convert_dtypes(), dialect.delimiter, encoding


def ddl(table, frame):
    columns = ",\n  ".join(f'"{c}" {KINDS.get(str(t).lower(), "text")}' for c, t in frame.dtypes.items())
    return f"create table {table} (\n  {columns}\n)"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["guess", "create", "copy"])
    parser.add_argument("path")
    parser.add_argument("--table", default="staging.new")
    parser.add_argument("--dsn", default="")
    args = parser.parse_args()
    frame, delimiter, encoding = guess(args.path)
    if args.verb == "guess":
        print(repr(delimiter), encoding, ddl(args.table, frame), sep="\n")
        return
    with psycopg.connect(args.dsn) as connection, connection.cursor() as cursor:
        if args.verb == "create":
            cursor.execute(ddl(args.table, frame))
        else:
            with cursor.copy(f"copy {args.table} from stdin (format csv, header, delimiter '{delimiter}')") as copy:
                copy.write(io.open(args.path, encoding=encoding).read())


main()
