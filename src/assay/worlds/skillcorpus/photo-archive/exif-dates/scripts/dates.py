import argparse
import datetime as dt
import json
import pathlib

from PIL import Image

TAKEN, MODEL = 36867, 272


def photos(folder):
    for path in sorted(folder.rglob("*.jp*g")):
        exif = Image.open(path).getexif()
        text = exif.get_ifd(34665).get(TAKEN)
        if text:
            yield path, dt.datetime.strptime(text, "%Y:%m:%d %H:%M:%S"), exif.get(MODEL, "?").strip()


def show(args):
    seen = {}
    for _, when, model in photos(args.folder):
        first, last, count = seen.get(model, (when, when, 0))
        seen[model] = min(first, when), max(last, when), count + 1
    for model, (first, last, count) in seen.items():
        print(f"{model:20} {count:5}  {first} … {last}")


def rename(args):
    log = args.folder / "dates.log"
    for path, when, model in list(photos(args.folder)):
        if args.model and args.model not in model:
            continue
        when += dt.timedelta(hours=args.hours)
        target = path.with_name(args.pattern.format(date=when, model=model.replace(" ", "")) + path.suffix.lower())
        print(path.name, "->", target.name)
        if not args.dry_run and not target.exists():
            with log.open("a") as handle:
                handle.write(json.dumps([str(path), str(target)]) + "\n")
            path.rename(target)


def undo(args):
    for line in reversed((args.folder / "dates.log").read_text().splitlines()):
        old, new = json.loads(line)
        pathlib.Path(new).rename(old)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["show", "rename", "shift", "undo"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--pattern", default="{date:%Y%m%d_%H%M%S}")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    {"show": show, "rename": rename, "shift": rename, "undo": undo}[args.verb](args)
