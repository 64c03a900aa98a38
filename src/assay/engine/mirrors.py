"""The paper's headline as a ratio or difference of two arms, as measured here; shown, never judged."""

from __future__ import annotations

import numpy as np

from assay.engine.contrasts import resampling_seed
from assay.engine.pairing import Pairs, read
from assay.engine.stats import TOLERANCE, Floats, bca, bootstrap_weights, three_tests
from assay.engine.trial import Bar, Mirror, Mirrored, Trial


def mirrored(trial: Trial, mirror: Mirror, pairs: Pairs) -> Mirrored:
    """`mirror` on the seeds where both of its arms are ok, with a 95 % BCa interval.

    A ratio is one of means, and has no figure where its second arm touches zero; two seeds are needed.
    """
    look = Bar(absolute=0.0, metric=mirror.metric)
    both = []
    for seed in pairs.complete:
        values = [read(u, look) for arm in mirror.of if (u := pairs.rows[seed].get(arm)) and u.status == "ok"]
        if len(values) == 2 and None not in values:
            both.append(values)
    if len(both) < 2:
        return Mirrored(mirror, None, None, None)
    x, y = np.array(both, dtype=np.float64).T
    seed = resampling_seed(trial)
    if mirror.kind == "difference":
        tests = three_tests((x - y)[None], seed)
        return Mirrored(mirror, float(tests.estimate[0]), float(tests.low[0]), float(tests.high[0]))
    if not ((y > 0).all() or (y < 0).all()):
        return Mirrored(mirror, None, None, None)
    return Mirrored(mirror, *_ratio(x, y, bootstrap_weights(len(x), seed)))


def _ratio(x: Floats, y: Floats, weights: Floats) -> tuple[float, float, float]:
    """mean(x) / mean(y) of paired values and its BCa interval."""
    estimate = x.mean() / y.mean()
    left_out = (x.sum() - x) / (y.sum() - y)
    influence = left_out.mean() - left_out
    if np.abs(influence).max() <= TOLERANCE * abs(estimate):
        return float(estimate), float(estimate), float(estimate)
    draws = (weights @ x) / (weights @ y)
    low, high = bca(draws[None], np.array([estimate]), influence[None], np.array([TOLERANCE * abs(estimate)]))
    return float(estimate), float(low[0]), float(high[0])
