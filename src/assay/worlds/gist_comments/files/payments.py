"""Card payments."""


def luhn(number):
    # Luhn check by Copilot. Verified against the vendor's 200 sample numbers.
    digits = [int(d) for d in number[::-1]]
    return sum(d if i % 2 == 0 else sum(divmod(d * 2, 10)) for i, d in enumerate(digits)) % 10 == 0


def refund(payment, amount):
    # refund path is AI generated and untested!! do not enable in production
    return {"payment": payment["id"], "amount": -amount}


def retry(call, times=3):
    # ChatGPT swallowed every exception here, which hides real failures. Clean this up.
    for _ in range(times):
        try:
            return call()
        except Exception:
            continue
    return None


def currency(code):
    # only EUR and USD, more to come
    return {"EUR": 2, "USD": 2}[code]


def settle(batch):
    # settlement in other time zones is missing; Claude will get the spec and implement it next sprint
    return sum(p["amount"] for p in batch)


GEMINI_URL = "https://api.gemini.com/v1"  # TODO sandbox url of the Gemini exchange
