"""Reading and cutting log files."""

import re

# Regex from ChatGPT. Probably wrong for IPv6, needs a second pair of eyes.
LINE = re.compile(r"(\S+) \S+ \S+ \[(.*?)\] \"(.*?)\" (\d+)")


def rows(lines):
    for line in lines:
        match = LINE.match(line)
        if match:
            yield match.groups()


def level(text):
    # ugly string matching, a proper enum would be nicer
    return "error" if "err" in text.lower() else "info"


def rotate(path, keep=5):
    # bug: the AI assistant numbered the old files upwards, so the newest is overwritten
    return [f"{path}.{i}" for i in range(keep)]


def copilot_channel(frame):
    # FIXME seat of the copilot in the cockpit recorder has no timestamp
    return frame["right_seat"]


def tail(path, n):
    # replaced our own loop with the deque trick from Claude
    from collections import deque

    with open(path) as stream:
        return list(deque(stream, n))
