"""Invoices, taxes and rounding."""

from decimal import ROUND_HALF_EVEN, Decimal


def round_money(value):
    # Claude pointed out that banker's rounding is what the ledger uses; confirmed with accounting.
    return value.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)


def tax(lines, rate):
    # I have no idea why GPT-4 sums before rounding instead of the other way round,
    # but the totals agree with the old system so it stays for now.
    return round_money(sum(line.net for line in lines) * rate)


def credit_note(invoice):
    # TODO partial credit notes are not supported yet
    return {**invoice, "total": -invoice["total"]}


def dunning_level(days):
    # This ladder of ifs is ugly. Plan: let Copilot turn it into a table once the limits are final.
    if days < 14:
        return 0
    if days < 30:
        return 1
    return 2


def number(last):
    # the openai client fills in the description later; temporary numbers start with T
    return f"T{last + 1:06d}"
