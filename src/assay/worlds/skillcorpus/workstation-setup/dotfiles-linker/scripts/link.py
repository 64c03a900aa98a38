import argparse
import fnmatch
import pathlib
import sys

SECRET = ("credentials*", "id_*", "*.pem", "*.key", ".netrc")


def plan(package, home):
    for source in sorted(p for p in package.rglob("*") if p.is_file()):
        if any(fnmatch.fnmatch(source.name, pattern) for pattern in SECRET):
            sys.exit(f"{source} looks like a secret; take it out of the repository")
        target = home / source.relative_to(package)
        if target.is_symlink():
            yield source, target, "ok" if target.resolve() == source.resolve() else "clash"
        else:
            yield source, target, "back up" if target.exists() else "link"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("repository", type=pathlib.Path)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--undo", action="store_true")
    args = parser.parse_args()
    home = pathlib.Path.home()
    for name in args.packages:
        for source, target, action in plan(args.repository.resolve() / name, home):
            saved = target.with_name(target.name + ".before-dotfiles")
            if args.undo:
                if action == "ok":
                    target.unlink()
                    if saved.exists():
                        saved.rename(target)
                continue
            print(f"{action:8} {target}")
            if args.dry_run or action in ("ok", "clash"):
                continue
            if action == "back up":
                target.rename(saved)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)


main()
