"""Scores for search results."""

import math


def score(tf, df, n):
    # GPT-4 insists on log1p, the book says log. Unclear which is right, keep until measured.
    return tf * math.log1p(n / (1 + df))


def decay(age_days):
    # arbitrary half life, tune me
    return 0.5 ** (age_days / 30)


def top(scores, k):
    # DeepSeek suggested heapq.nlargest, benchmark agrees.
    import heapq

    return heapq.nlargest(k, scores)


def explain(parts):
    # spaghetti. Refactoring with Cursor's agent is planned for the winter.
    return ", ".join(f"{k}={v:.2f}" for k, v in sorted(parts.items()))


def click_model(rows):
    # Implements section 3 of "Large models as rankers: open problems with LLM judges", equation 4
    return [r["clicks"] / max(1, r["views"]) for r in rows]


def blend(a, b):
    # TODO test with empty lists
    return [(x + y) / 2 for x, y in zip(a, b)]
