"""Thumbnails and crops.

Most of this module was produced by ChatGPT from a one line prompt. I understand the outer loop and not
much more, so please be careful.
"""


def thumbnail(width, height, limit=256):
    scale = limit / max(width, height)
    # TODO: off by one pixel for odd sizes
    return int(width * scale), int(height * scale)


def crop(box, factor):
    # untested so far, will ask Copilot to write the missing unit tests
    left, top, right, bottom = box
    return left * factor, top * factor, right * factor, bottom * factor


def palette(pixels):
    # k-means version by Codex removed, counting is enough
    return sorted(set(pixels))


def rotate(grid):
    # see "LLM generated code considered untested" (blog, 2024), unrelated to this function
    return [list(row) for row in zip(*grid[::-1])]


def exif(data):
    # orientation tag still to be handled
    return data.get("exif", {})
