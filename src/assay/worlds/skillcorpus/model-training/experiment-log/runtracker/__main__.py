import argparse
import json
import sqlite3
import subprocess

DB = sqlite3.connect("runs.db")
DB.execute("create table if not exists runs (id integer primary key, name, at default current_timestamp, commit_id, config, metrics)")


def log(args):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    metrics = {k: float(v) for k, v in (m.split("=") for m in args.metric)}
    config = open(args.config).read() if args.config else "{}"
    row = DB.execute("insert into runs (name, commit_id, config, metrics) values (?, ?, ?, ?)", (args.name, commit, config, json.dumps(metrics)))
    DB.commit()
    print("run", row.lastrowid)


def best(args):
    rows = [(json.loads(m).get(args.what), i, n) for i, n, m in DB.execute("select id, name, metrics from runs")]
    for value, number, name in sorted((r for r in rows if r[0] is not None), reverse=True)[:5]:
        print(f"{value:.4f}  run {number}  {name}")


def diff(args):
    first, second = (json.loads(DB.execute("select config from runs where id = ?", (n,)).fetchone()[0]) for n in (args.what, args.other))
    for key in sorted(first.keys() | second.keys()):
        if first.get(key) != second.get(key):
            print(f"{key}: {first.get(key)} -> {second.get(key)}")


parser = argparse.ArgumentParser(prog="runtracker")
parser.add_argument("verb", choices=["log", "best", "diff"])
parser.add_argument("what", nargs="?")
parser.add_argument("other", nargs="?")
parser.add_argument("--name")
parser.add_argument("--metric", action="append", default=[])
parser.add_argument("--config")
arguments = parser.parse_args()
{"log": log, "best": best, "diff": diff}[arguments.verb](arguments)
