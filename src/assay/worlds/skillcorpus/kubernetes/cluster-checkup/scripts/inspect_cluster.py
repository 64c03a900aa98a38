import json
import subprocess
import sys


def get(path):
    """Ask the API through kubectl, which does the signing in; this script never sees a token or a key."""
    done = subprocess.run(["kubectl", "get", "--raw", path], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise SystemExit(done.stderr.strip() or "kubectl failed")
    return json.loads(done.stdout)["items"]


def pods(namespace=None):
    for pod in get(f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"):
        states = pod["status"].get("containerStatuses", [])
        restarts = sum(s["restartCount"] for s in states)
        waiting = [s["state"]["waiting"]["reason"] for s in states if "waiting" in s["state"]]
        if restarts > 3 or waiting or pod["status"]["phase"] == "Pending":
            print(pod["metadata"]["namespace"], pod["metadata"]["name"], pod["status"]["phase"], restarts, *waiting)


if __name__ == "__main__":
    if sys.argv[1] == "overview":
        for node in get("/api/v1/nodes"):
            bad = [c["type"] for c in node["status"]["conditions"] if (c["status"] == "True") == (c["type"] != "Ready")]
            print(node["metadata"]["name"], "ok" if not bad else " ".join(bad))
        pods()
    else:
        pods(sys.argv[sys.argv.index("-n") + 1])
