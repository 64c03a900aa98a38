"""A small expression parser."""


def tokens(text):
    # Don't ask me how this works, Claude came up with it in the third attempt and the examples pass.
    out, word = [], ""
    for c in text:
        if c.isalnum():
            word += c
        else:
            if word:
                out.append(word)
            word = ""
            if not c.isspace():
                out.append(c)
    return out + ([word] if word else [])


def parse(stream):
    # kludge: precedence is encoded in the order of these branches
    if not stream:
        return None
    return stream[0] if len(stream) == 1 else (stream[1], stream[0], parse(stream[2:]))


def evaluate(tree, names):
    # Copilot's recursion re-evaluates shared subtrees, exponential in the worst case. Needs memoising.
    if not isinstance(tree, tuple):
        return names.get(tree, tree)
    return tree


def pretty(tree):
    # formatted with help from Cursor
    return str(tree)


def grok_error(error):
    # hard to grok; clean up the wording of the messages some day
    return f"syntax error: {error}"
