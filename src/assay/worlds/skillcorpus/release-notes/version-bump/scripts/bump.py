import argparse
import pathlib
import re

PLACES = {
    "pyproject.toml": r'^version\s*=\s*"(?P<v>\d+\.\d+\.\d+)[^"]*"',
    "package.json": r'^\s*"version":\s*"(?P<v>\d+\.\d+\.\d+)[^"]*"',
}


def bumped(version, part):
    major, minor, patch = map(int, version.split("."))
    if part == "major":
        return f"{major + 1}.0.0"
    if part == "minor":
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=["major", "minor", "patch"], required=True)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    files = [(pathlib.Path(n), p) for n, p in PLACES.items() if pathlib.Path(n).exists()]
    files += [(p, r'^__version__\s*=\s*"(?P<v>\d+\.\d+\.\d+)[^"]*"') for p in pathlib.Path("src").glob("*/__init__.py")]
    seen = set()
    for path, pattern in files:
        text = path.read_text()
        match = re.search(pattern, text, re.M)
        if not match:
            continue
        seen.add(match["v"])
        new = bumped(match["v"], args.part)
        print(f"{path}: {match['v']} -> {new}")
        if not args.dry_run:
            path.write_text(text[: match.start("v")] + new + text[match.end("v"):])
    if len(seen) > 1:
        raise SystemExit(f"the files disagree: {sorted(seen)}")


if __name__ == "__main__":
    main()
