import json
import sys


def operations(spec):
    return {(path, method): op for path, item in spec["paths"].items() for method, op in item.items() if method != "parameters"}


def required(op):
    return {p["name"] for p in op.get("parameters", []) if p.get("required")}


def answer_fields(op):
    fields = {}
    for status, reply in op.get("responses", {}).items():
        for media in reply.get("content", {}).values():
            for name, prop in media.get("schema", {}).get("properties", {}).items():
                fields[status, name] = prop.get("type")
    return fields


old, new = (operations(json.load(open(p))) for p in sys.argv[1:3])
for key in sorted(old.keys() - new.keys()):
    print("BREAKS", *key, "is gone")
for key in sorted(old.keys() & new.keys()):
    for name in sorted(required(new[key]) - required(old[key])):
        print("BREAKS", *key, f"parameter {name} is now required")
    before, after = answer_fields(old[key]), answer_fields(new[key])
    for field in sorted(before):
        if field not in after:
            print("BREAKS", *key, f"answer {field[0]} lost {field[1]}")
        elif before[field] != after[field]:
            print("BREAKS", *key, f"{field[1]}: {before[field]} became {after[field]}")
for key in sorted(new.keys() - old.keys()):
    print("new   ", *key)
