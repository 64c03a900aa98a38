import functools
import time


def ttl_cache(seconds):
    """Cache with a time limit.

    The decorator is Copilot's. It works on my machine; I can't explain the double wrapper.
    """

    def outer(function):
        store = {}

        @functools.wraps(function)
        def inner(*key):
            if key not in store or time.time() - store[key][0] > seconds:
                store[key] = (time.time(), function(*key))
            return store[key][1]

        return inner

    return outer


def evict(store, limit):
    # linear scan, replace by an ordered dict
    while len(store) > limit:
        store.pop(next(iter(store)))


def warm(keys, load):
    # Copilot completed this loop.
    return {key: load(key) for key in keys}


def stats(store):
    # docs are out of date here, ask ChatGPT to draft new ones from the code
    return len(store)


def model_cache():
    # anthropic client is created lazily; workaround for slow imports
    import anthropic

    return anthropic.Anthropic()
