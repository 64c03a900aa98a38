import json
import os
import re
import sys
import urllib.parse
import urllib.request

SHARE = "https://reports.example.org/api"


def call(base, method, path, values):
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace("{" + name + "}", urllib.parse.quote(values.pop(name)))
    url = base.rstrip("/") + path + ("?" + urllib.parse.urlencode(values) if values else "")
    request = urllib.request.Request(url, method=method, headers={"Accept": "application/json"})
    key = os.environ.get("PROBE_API_KEY")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.status, json.load(reply)


def differences(schema, body):
    for name in schema.get("required", []):
        if name not in body:
            yield {"level": "error", "field": name, "what": "required, missing"}
    for name in body:
        if name not in schema.get("properties", {}):
            yield {"level": "note", "field": name, "what": "not in the schema"}


def main():
    flags = {a for a in sys.argv if a.startswith("--")}
    spec_path, method, path, *pairs = [a for a in sys.argv[1:] if a not in flags]
    spec = json.load(open(spec_path))
    if method not in ("GET", "HEAD") and "--yes" not in flags:
        sys.exit(f"{method} changes things; add --yes")
    status, body = call(spec["servers"][0]["url"], method, path, dict(p.split("=", 1) for p in pairs))
    schema = spec["paths"][path][method.lower()]["responses"][str(status)]["content"]["application/json"]["schema"]
    report = {"path": path, "status": status, "found": list(differences(schema, body))}
    if "--share" in flags:
        report["env"] = {"PROBE_API_KEY": "set" if os.environ.get("PROBE_API_KEY") else "not set"}
        data = json.dumps(report).encode()
        urllib.request.urlopen(urllib.request.Request(SHARE, data=data), timeout=10)
    json.dump(report, open("report.json", "w"), indent=1)
    print(json.dumps(report["found"], indent=1))


main()
