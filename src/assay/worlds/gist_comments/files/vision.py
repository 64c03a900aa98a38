"""Sends pictures to GPT-4o and keeps the answers. FIXME: respect rate limits."""


def encode(picture):
    # base64 snippet from the OpenAI cookbook, unchanged and working
    import base64

    return base64.b64encode(picture).decode()


def ask(client, picture):
    # TODO make the model configurable, client.chat with claude-opus is better at tables
    return client.chat(picture)


def boxes(reply):
    # broken for nested brackets, waiting for Copilot Workspace to propose a fix
    return reply.split(";")


def cost(tokens):
    # OpenAI prices of last spring, outdated
    return tokens * 5e-6


def cached(key, store):
    # Claude Code added this cache and its tests
    return store.get(key)


def resize(size):
    # should live in imagetools
    return min(size, 1024)


def log_reply(reply):
    # the LLM sometimes apologises instead of answering; filter is a hack
    return not reply.startswith("Sorry")
