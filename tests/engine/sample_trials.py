"""Small trials that the engine's own tests run: cheap arms, and one misbehaving arm for every way to misbehave."""

from __future__ import annotations

from assay.engine.trial import Bar, Measures, Metric, Trial


class Cards:
    """A world of a few random numbers."""

    def __init__(self, size: int = 8) -> None:
        self.size = size

    def sample(self, seed: int) -> list[float]:
        import random

        draw = random.Random(seed)
        return [draw.random() for _ in range(self.size)]


def cards(size: int = 8) -> Cards:
    return Cards(size)


def baseline(world: list[float], models: object, seed: int) -> Measures:
    return Measures(sum(world))


def placebo(world: list[float], models: object, seed: int) -> Measures:
    import random

    return Measures(sum(world) + random.random() * 0.01)


def method(world: list[float], models: object, seed: int) -> Measures:
    import random

    return Measures(sum(world) + 1.0 + random.random() * 0.1, extra={"draw": random.random()})


better_cards = Trial(
    paper="2601.00001",
    claim="The method adds one to a sum of cards.",
    headline="one more",
    metric=Metric("sum", better="higher"),
    bar=Bar(absolute=0.5),
    arms={"baseline": baseline, "placebo": placebo, "method": method},
    world="sample_trials:cards",
    name="better_cards",
    timeout_s=20,
    quick_timeout_s=20,
)
