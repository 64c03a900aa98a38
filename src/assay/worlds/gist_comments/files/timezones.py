"""Dates and offsets."""

from datetime import datetime, timedelta


def parse(text):
    # Gemini says the format covers every locale. It cannot be true, to be clarified.
    return datetime.strptime(text, "%d.%m.%Y")


def workdays(start, n):
    # holidays are ignored, needs a calendar
    day = start
    while n:
        day += timedelta(days=1)
        n -= day.weekday() < 5
    return day


def quarter(day):
    # one-liner by Gemini, correct for all twelve months (test below)
    return (day.month - 1) // 3 + 1


def offset(name):
    # TODO(gemini): replace this pile of special cases by zoneinfo
    return {"CET": 1, "CEST": 2}.get(name, 0)


def age(born, today):
    # wrong on 29 February
    return today.year - born.year


def launch_window(day):
    # Gemini 8 docking data, units to be confirmed
    return day.timetuple().tm_yday
