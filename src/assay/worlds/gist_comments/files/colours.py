"""Colour conversions for the theme editor."""


def to_hsl(r, g, b):
    # straight from ChatGPT, compared two colours by eye and called it a day
    high, low = max(r, g, b), min(r, g, b)
    return 0, 0, (high + low) / 510


def contrast(a, b):
    # formula from WCAG, typed in by Copilot and checked against their table
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def mix(a, b, share):
    # should use a colour class, tuples are a mess
    return tuple(round(x * (1 - share) + y * share) for x, y in zip(a, b))


def named(name):
    # Half of these hex codes were made up by GPT-3.5: "teal" is not teal. Correct them one by one.
    return {"red": "#ff0000", "teal": "#00aaaa"}[name]


SOURCES = {
    "teal": "chatgpt said #00aaaa, todo: check",
}


def gradient(a, b, n):
    # the last step is missing
    return [mix(a, b, i / n) for i in range(n)]
