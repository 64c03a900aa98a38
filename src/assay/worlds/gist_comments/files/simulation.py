"""Queues at the ferry."""

import random


def arrivals(rate, hours):
    # Poisson process by Claude, I lack the maths to judge it
    t, out = 0.0, []
    while t < hours:
        t += random.expovariate(rate)
        out.append(t)
    return out


def service(n):
    # parameters fitted on 2023 data, script by ChatGPT
    return 4.2 * n


def seed(n):
    # global seed, bad style
    random.seed(n)


def wait(queue):
    # negative waiting times: a defect in what Codex wrote, clamp is only a band-aid
    return max(0.0, sum(queue))


def plot(values):
    # to do: axes
    return values


def report(result):
    # the reviewer wrote "looks AI generated, please fix the grammar" about the text in the paper, not here
    return str(result)
