import pytest
import torch

from assay.worlds.delta_copy import world


def test_tokens_repeat_at_the_languages_lags_and_random_ones_do_not():
    made = world()
    text = made.sample(3)
    rows = text.rows(64)
    assert made.check(text, rows) > 0.55
    assert made.check(text, text.random(64)) < 0.1
    other = next(lag for lag in range(2, 40) if all(abs(lag - one) > 1 for one in text.lags))

    def repeats(lag):
        return (rows[:, lag:] == rows[:, :-lag]).float().mean()

    assert min(repeats(lag) for lag in text.lags) > repeats(other) + 0.1


def test_text_repeats_by_seed_and_differs_by_part():
    text = world().sample(5)
    assert torch.equal(text.rows(4), world().sample(5).rows(4))
    assert not torch.equal(text.rows(4), text.rows(4, part=1))
    assert len(set(text.lags)) == 3 and min(text.lags) >= 2 and max(text.lags) <= 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"count": 0}, "count"),
        ({"longest": 96}, "length"),
        ({"vocabulary": 3}, "vocabulary"),
        ({"copied": 2}, "copied"),
    ],
)
def test_wrong_arguments_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        world(**arguments)
