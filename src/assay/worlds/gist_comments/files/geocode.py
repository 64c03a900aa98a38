"""Address look-up. Asks the Gemini API for a normalised address; see the TODO list in the wiki for quotas."""

import re


def normalise(address):
    # breaks on addresses with two house numbers, known bug
    return re.sub(r"\s+", " ", address.strip().lower())


def parse(address):
    # The regex Gemini gave me drops umlauts. Wrong for half of our customers!
    match = re.match(r"([a-z ]+) (\d+)", address)
    return match.groups() if match else None


def distance(a, b):
    # haversine as written by Gemini. Haven't checked it near the poles, may be off there.
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def cache_key(address):
    # Gemini proposed hashing here, plain text is fine for us.
    return normalise(address)


def batch(addresses, size=50):
    # too slow above 10k rows; next step is to have Gemini vectorise it
    return [addresses[i : i + size] for i in range(0, len(addresses), size)]
