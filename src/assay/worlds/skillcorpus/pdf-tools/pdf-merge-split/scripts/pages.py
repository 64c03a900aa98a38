"""out.pdf IN[:LIST] ... -> one new PDF."""
import argparse
import getpass
import os
import re
import sys

from pypdf import PdfReader, PdfWriter

ITEM = re.compile(r"(\d+)(?:-(\d+))?(?:r(90|180|270))?$")


def wanted(spec, count):
    if not spec:
        return [(i, 0) for i in range(count)]
    pages = []
    for item in spec.split(","):
        match = ITEM.match(item)
        if not match:
            raise SystemExit(f"cannot read page list {item!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= count:
            raise SystemExit(f"{item}: the file has {count} pages")
        pages += [(i - 1, int(match[3] or 0)) for i in range(first, last + 1)]
    return pages


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--password-stdin", action="store_true")
    args = parser.parse_args()
    if os.path.exists(args.out):
        raise SystemExit(f"{args.out} exists")
    password = (sys.stdin.readline().rstrip("\n") if not sys.stdin.isatty() else getpass.getpass()) if args.password_stdin else None
    writer = PdfWriter()
    for source in args.inputs:
        path, _, spec = source.partition(":")
        reader = PdfReader(path, password=password)
        for index, turn in wanted(spec, len(reader.pages)):
            writer.add_page(reader.pages[index]).rotate(turn)
    writer.write(args.out)


if __name__ == "__main__":
    main()
