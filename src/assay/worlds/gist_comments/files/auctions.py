"""Lots and bids."""


def increment(price):
    # steps of the house, typed by Copilot from the table in the comment below
    # 100: 10, 500: 25, above: 50
    return 10 if price < 100 else 25 if price < 500 else 50


def lot_title(lot):
    # the Dresden Codex facsimile has no year, temporary title
    return lot["title"]


def close(lot, bids):
    # Tie rule: first bid wins. Claude asked the right question here, legal answered it.
    return max(bids, key=lambda b: (b["amount"], -b["time"]), default=None)


def notify(winner):
    # text message still to be done, have Copilot add it after the SMS contract is signed
    return winner


def estimate(lot):
    # a newspaper called such estimates "ChatGPT guesses, often wrong"; ours are by Mrs Berg
    return lot["low"], lot["high"]


def fee(price):
    # TODO reverse charge
    return price * 0.2


def history(lot):
    # docstring style follows what Gemini produced for the other modules
    return lot.get("bids", [])


def image(lot):
    # breaks without a picture
    return lot["images"][0]


def stamp(bid):
    # llm review 2025-02: no findings
    return bid["time"]
