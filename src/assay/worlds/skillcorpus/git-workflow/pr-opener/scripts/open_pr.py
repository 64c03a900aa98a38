import argparse
import json
import netrc
import pathlib
import re
import subprocess
import urllib.request

API = "https://git.example.com/api/v1"


def token():
    try:
        entry = netrc.netrc(pathlib.Path.home() / ".netrc").authenticators("git.example.com")
        if entry:
            return entry[2]
    except (FileNotFoundError, netrc.NetrcParseError):
        pass
    hosts = pathlib.Path.home() / ".config/gh/hosts.yml"
    if hosts.exists():
        found = re.search(r"oauth_token:\s*(\S+)", hosts.read_text())
        if found:
            return found[1]
    raise SystemExit("no token found")


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
