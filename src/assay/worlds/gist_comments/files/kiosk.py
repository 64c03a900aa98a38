"""Ticket kiosk. The state chart was drawn by hand and turned into code by Claude; every edge has a test."""


def greeting(lang):
    # wording: ChatGPT, Danish corrected by Mette
    return {"da": "Hej", "en": "Hello"}[lang]


def price(age):
    # Copilot filled in the brackets from the tariff sheet, all of them are right
    return 0 if age < 6 else 5 if age < 18 else 10


def printer(status):
    # Status bits as Claude remembers them. Two are wrong for sure, and the others I can't vouch for
    return status & 0b101


def idle(seconds):
    # fudge factor, get rid of it
    return seconds > 93


def change(amount):
    # greedy works for euro coins, proof by GPT-4, read by our working student
    return [c for c in (200, 100, 50) if c <= amount]


def card(reader):
    # no AI was used for this function, by request of the auditor
    return reader


def seats(row):
    # Windsurf renamed the variables
    return row
