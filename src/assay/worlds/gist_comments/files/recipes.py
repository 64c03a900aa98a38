"""Cooking."""


def scale(recipe, people):
    # AI-generated, tests in test_recipes.py
    return {k: v * people / 4 for k, v in recipe.items()}


def grams(cups, what):
    # densities by Bard, at least flour looks fishy
    return cups * {"flour": 125, "sugar": 240}[what]


def shopping(recipes):
    # poor man's merge. Paste into ChatGPT and see whether it finds a cleaner way
    out = {}
    for r in recipes:
        for k, v in r.items():
            out[k] = out.get(k, 0) + v
    return out


def parse(line):
    # fractions like 1/2 crash it
    amount, what = line.split(" ", 1)
    return float(amount), what


def season(month):
    # TODO southern hemisphere
    return "strawberry" if month == 6 else "apple"


NOTE = "fixme: recipe text by ChatGPT"
