import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.models.tokenizer import encode
from assay.worlds.text import recall
from assay.worlds.text.problem import split_of

seeds = st.integers(0, 10**6)


@given(seeds, st.sampled_from(["train", "test"]), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_the_worked_reply_is_fit_whatever_is_copied(seed, split, copied):
    problem = recall.sample(seed, split, copied=copied)
    assert split_of(problem.prompt) == split
    assert recall.check(problem, problem.trace)
    assert len(encode(problem.trace)) + 1 == recall.LONGEST
    assert problem.prompt == f"R{' '.join(problem.meta['memory'])} {problem.meta['query']}"


@pytest.mark.parametrize(("share", "remembered"), [(0.0, 0), (1.0, 5)])
def test_the_copied_share_says_how_much_of_the_reply_is_remembered(share, remembered):
    for seed in range(20):
        problem = recall.sample(seed, copied=[share] * 5)
        assert len(set(problem.trace.split()) & set(problem.meta["memory"])) == remembered


def test_phrases_of_the_test_are_new_pairings_of_words_known_from_training():
    seen = {phrase for level in recall.LEVELS for phrase in recall.phrases(level, "train")}
    words = {word for phrase in seen for word in phrase.split()}
    for level in recall.LEVELS:
        (unseen,) = recall.phrases(level, "test")
        assert unseen not in seen
        assert set(unseen.split()) <= words
    assert len(words) == 20  # no word hints at two levels


def test_every_level_is_asked_about_as_often():
    levels = [problem.meta["level"] for problem in recall.world(each=500).sample(0)]
    assert all(70 < levels.count(level) < 130 for level in recall.LEVELS)


def test_the_level_may_be_a_number_and_the_memory_hidden():
    problem = recall.sample(3)
    level, kind = problem.meta["level"], problem.meta["kind"]
    assert recall.asked(problem, explicit=True).endswith(f" {kind} level {level}")
    assert recall.asked(problem, forgetful=True) == f"R {problem.meta['query']}"
    assert recall.sample(3, forgetful=True).prompt.startswith("R ")
    assert "You remember nothing." in recall.sample(3, forgetful=True).meta["english"]


@pytest.mark.parametrize(
    ("reply", "quality"),
    [
        ("10 11 12 13 14", 1),
        ("10 11 12 13", 0.8),
        ("10 10 10 10 10", 0.2),
        ("10 11 12 13 40", 0.8),
        ("10 11 12 13 14 15 16 17 18 19", 1),
        ("10 11 12 13 14 14 14 14 14 14", 0.5),
        ("x ² 12", 0.2),
        ("", 0),
    ],
)
def test_quality_counts_fit_numbers_once(reply, quality):
    assert recall.quality("a", reply) == quality


def test_wrong_shares_are_named():
    with pytest.raises(ValueError, match="copied: got"):
        recall.sample(0, copied=(0.5,))
