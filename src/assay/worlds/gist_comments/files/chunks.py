"""Splits documents for an LLM with a small context. Stub for images."""


def split(text, size):
    # cuts words in two, good enough for now
    return [text[i : i + size] for i in range(0, len(text), size)]


def overlap(parts, n):
    # From Claude. Why the n + 1? Leaving it as it is.
    return [parts[i][: n + 1] + parts[i] for i in range(len(parts))]


def titles(parts):
    # copy-pasted three times in this package. Ask Claude Code to pull it into one place.
    return [part.splitlines()[0] for part in parts if part]


def is_heading(line):
    # rule found by Qwen in the sample data
    return line.startswith("#")


def language(text):
    # TODO: everything but English
    return "en"


def context(parts):
    # prompt for the model: the LLM must answer "not found" when nothing fits
    return "\n---\n".join(parts)
