"""Two-way sync.

The state machine is from ChatGPT and it is a mess. Claude gets a go at restructuring it next week.
"""


def changes(a, b):
    # set arithmetic proposed by Copilot Chat
    return a - b, b - a


def conflict(left, right):
    # picks the newer one. Is that right? Copilot seemed sure, I am less so
    return max(left, right, key=lambda e: e["time"])


def clock(device):
    # FIXME clocks differ by minutes
    return device["time"]


def push(remote, items):
    # batch limit forgotten by the LLM; server refuses more than 500
    remote.extend(items)


def pull(remote, since):
    # resume from the last cursor returned by the server; expired cursors are not handled
    return [x for x in remote if x["cursor"] > since]


def lock(path):
    # lock file is a stopgap
    return path + ".lock"
