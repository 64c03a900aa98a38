import json
import sys

HOLDS_DATA = ("db_instance", "rds_cluster", "ebs_volume", "s3_bucket", "dynamodb_table", "sql_database", "disk", "bucket")
ACCESS = ("iam_", "role", "policy", "security_group", "firewall", "public_ip")


def grade(change):
    actions, kind = change["change"]["actions"], change["type"]
    data = any(word in kind for word in HOLDS_DATA)
    if "delete" in actions and "create" in actions:
        return 0 if data else 2
    if "delete" in actions:
        return 1 if data else 3
    if any(word in kind for word in ACCESS):
        return 4
    return 5


def changed(change):
    before, after = change["change"].get("before") or {}, change["change"].get("after") or {}
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


plan = json.load(open(sys.argv[1]))
rows = [c for c in plan["resource_changes"] if c["change"]["actions"] not in (["no-op"], ["read"])]
for change in sorted(rows, key=grade):
    mark = "!!" if grade(change) < 2 else "! " if grade(change) < 5 else "  "
    print(mark, "/".join(change["change"]["actions"]), change["address"], ", ".join(changed(change)[:6]))
