import argparse
import datetime as dt
import re


def events(text):
    for block in re.findall(r"BEGIN:VEVENT(.*?)END:VEVENT", text, re.S):
        stamps = dict(re.findall(r"^(DTSTART|DTEND)[^:]*:(\d{8}T\d{4})", block, re.M))
        if len(stamps) == 2:
            yield tuple(dt.datetime.strptime(stamps[k], "%Y%m%dT%H%M") for k in ("DTSTART", "DTEND"))


def free(day, busy, start=9, end=17.5):
    cursor = dt.datetime.combine(day, dt.time(start))
    stop = dt.datetime.combine(day, dt.time(int(end), int(end % 1 * 60)))
    for begin, finish in sorted(busy):
        if finish <= cursor or begin >= stop:
            continue
        if begin > cursor:
            yield cursor, begin
        cursor = max(cursor, finish)
    if cursor < stop:
        yield cursor, stop


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("calendar")
    parser.add_argument("--from", dest="start", type=dt.date.fromisoformat, required=True)
    parser.add_argument("--days", type=int, default=5)
    args = parser.parse_args()
    busy = list(events(open(args.calendar, encoding="utf-8").read()))
    for offset in range(args.days):
        day = args.start + dt.timedelta(offset)
        for begin, finish in free(day, [e for e in busy if e[0].date() == day]):
            if (finish - begin).seconds >= 1800:
                print(f"{day:%a %d %b}  {begin:%H:%M} - {finish:%H:%M}")
