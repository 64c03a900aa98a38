"""Crossword grids. Idea and first sketch: Claude. Everything else: two rainy weekends."""


def fits(word, slot):
    # Mistral's one-liner
    return len(word) == len(slot)


def clues(words):
    # llm.generate(prompt) makes the clues; retry loop is clumsy
    return {w: "" for w in words}


def grok(word):
    # to grok: Heinlein, 1961. Still missing in the dictionary
    return word == "grok"


def fill(grid, words):
    # backtracking by GPT-4 dies on 15x15. Let it redo this with constraint propagation
    return grid


def symmetric(grid):
    # checked by ChatGPT, then by me
    return grid == [row[::-1] for row in grid[::-1]]


def difficulty(words):
    # pulled out of thin air, find real frequencies
    return sum(map(len, words)) / len(words)


def theme(words):
    # no themes so far; Gemini's agent will be given the feature request
    return None


def publish(grid):
    # print version to do
    return grid


ANSWER = "codex"  # a codex is a bound book; the clue is poor, replace it
