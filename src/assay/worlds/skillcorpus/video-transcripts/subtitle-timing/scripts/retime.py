import bisect
import re
import sys

STAMP = re.compile(r"(\d{2}):(\d{2}):(\d{2})[,.](\d{3})")


def to_ms(text):
    h, m, s, ms = map(int, STAMP.fullmatch(text).groups())
    return ((h * 60 + m) * 60 + s) * 1000 + ms


def to_text(ms):
    ms = max(0, round(ms))
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


def mapping(pairs):
    if len(pairs) == 1:
        shift = pairs[0][1] - pairs[0][0]
        return lambda t: t + shift
    old = [p[0] for p in pairs]

    def moved(t):
        i = min(max(bisect.bisect(old, t), 1), len(pairs) - 1)
        (a, x), (b, y) = pairs[i - 1], pairs[i]
        return x + (t - a) * (y - x) / (b - a)

    return moved


if __name__ == "__main__":
    pairs = sorted(tuple(map(to_ms, arg.split("="))) for arg in sys.argv[2:])
    move = mapping(pairs)
    text = open(sys.argv[1], encoding="utf-8-sig").read()
    print(STAMP.sub(lambda m: to_text(move(to_ms(m[0]))), text), end="")
