import argparse
import json
import os
import re
import subprocess
import urllib.request

API = "https://git.example.com/api/v1"


def token():
    given = os.environ.get("FORGEJO_TOKEN")
    if given:
        return given
    raise SystemExit("set FORGEJO_TOKEN to an access token with the scope write:repository")


def git(*args):
    return subprocess.run(["git", *args], capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--title", required=True)
    parser.add_argument("--body-file", required=True)
    parser.add_argument("--draft", action="store_true")
    args = parser.parse_args()
    remote = git("remote", "get-url", "origin")
    owner, repo = re.search(r"[:/]([^/:]+)/([^/]+?)(?:\.git)?$", remote).groups()
    body = {
        "title": ("WIP: " if args.draft else "") + args.title,
        "body": open(args.body_file, encoding="utf-8").read(),
        "head": git("branch", "--show-current"),
        "base": "main",
    }
    request = urllib.request.Request(
        f"{API}/repos/{owner}/{repo}/pulls",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"token {token()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        print(json.load(reply)["html_url"])


if __name__ == "__main__":
    main()
