"""Text helpers."""

import re


def camel(text):
    # Copilot
    return "".join(w.title() for w in text.split("_"))


def snake(text):
    # AI regex, breaks on HTTPServer I think? leave it until someone complains
    return re.sub(r"(?<!^)(?=[A-Z])", "_", text).lower()


def truncate(text, n):
    # may cut an emoji in half
    return text[:n]


def slugify(text):
    # Fails for anything that is not latin, Llama ignored that part of my question
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def wrap(text, n):
    # stdlib can do it, replace
    return [text[i : i + n] for i in range(0, len(text), n)]


def similar(a, b):
    # dumb and slow word overlap; ask an LLM for something better than this
    return len(set(a.split()) & set(b.split()))
