import math

import numpy as np
import pytest

from assay.methods.agreement import cohen_kappa, fleiss_kappa, gwet_ac1, krippendorff_alpha

YES_NEARLY_ALWAYS = [("yes", "yes")] * 118 + [("yes", "no")] * 5 + [("no", "yes")] * 2
THREE_CODERS = list(
    zip(  # the worked example of Krippendorff's reliability data with three coders and fifteen units
        [None, None, None, None, None, 3, 4, 1, 2, 1, 1, 3, 3, None, 3],
        [1, None, 2, 1, 3, 3, 4, 3, None, None, None, None, None, None, None],
        [None, None, 2, 1, 3, 4, 4, None, 2, 1, 1, 3, 3, None, 4],
    )
)


def test_kappa_falls_to_nothing_where_one_label_is_nearly_everywhere_and_ac1_does_not():
    kappa, ac1 = cohen_kappa(*zip(*YES_NEARLY_ALWAYS)), gwet_ac1(YES_NEARLY_ALWAYS)
    assert kappa.value == pytest.approx((0.944 - (0.984 * 0.96 + 0.016 * 0.04)) / (1 - (0.984 * 0.96 + 0.016 * 0.04)))
    assert ac1.value == pytest.approx((0.944 - 2 * 0.972 * 0.028) / (1 - 2 * 0.972 * 0.028))
    assert kappa.value < 0 < 0.9 < ac1.value
    assert kappa.observed == ac1.observed == pytest.approx(0.944)
    assert kappa.n == 125
    assert kappa.prevalence["no"] == pytest.approx(7 / 250)


def test_weighted_kappa_by_hand():
    # pairs (1,1) (2,3) (3,2) (3,3): linear disagreement 2/4; by chance, a: 1/4 1/4 2/4 and b: 1/4 1/4 2/4
    chance = 2 * (1 / 16 * 1 + 2 / 16 * 2 + 2 / 16 * 1)
    assert cohen_kappa([1, 2, 3, 3], [1, 3, 2, 3], weights="linear").value == pytest.approx(1 - 0.5 / chance)


def test_krippendorffs_published_example():
    assert krippendorff_alpha(THREE_CODERS).value == pytest.approx(0.691, abs=5e-4)
    assert krippendorff_alpha(THREE_CODERS, "interval").value == pytest.approx(0.811, abs=5e-4)
    assert krippendorff_alpha(THREE_CODERS, "ordinal").value == pytest.approx(0.807, abs=5e-4)
    assert krippendorff_alpha(THREE_CODERS).n == 12


def test_statsmodels_agrees_on_fleiss():
    from statsmodels.stats.inter_rater import aggregate_raters
    from statsmodels.stats.inter_rater import fleiss_kappa as theirs

    ratings = np.random.default_rng(0).integers(0, 4, (50, 5))
    ratings[:20] = ratings[:20, :1]
    assert fleiss_kappa(ratings.tolist()).value == pytest.approx(theirs(aggregate_raters(ratings)[0]))


@pytest.mark.parametrize("measure", [fleiss_kappa, gwet_ac1, krippendorff_alpha])
def test_full_agreement_is_one_and_random_labels_are_near_nothing(measure):
    assert measure([[1, 1, 1], [2, 2, 2], [1, 1, 1]]).value == pytest.approx(1)
    labels = np.random.default_rng(1).integers(0, 3, (3000, 3)).tolist()
    assert measure(labels).value == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("measure", [fleiss_kappa, gwet_ac1, krippendorff_alpha])
def test_one_label_alone_says_nothing_of_agreement(measure):
    assert math.isnan(measure([["a", "a"], ["a", "a"]]).value)
    assert math.isnan(cohen_kappa(["a"], ["a"]).value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cohen_kappa([1], [1, 2]), "b: got 2 labels"),
        (lambda: cohen_kappa([1], [1], weights="cubic"), "weights: got 'cubic'"),
        (lambda: fleiss_kappa([[1, 2], [1, 2, 3]]), "ratings: got 2 to 3"),
        (lambda: gwet_ac1([[1, None]]), "ratings: got no item"),
        (lambda: krippendorff_alpha([]), "ratings: got no item"),
        (lambda: krippendorff_alpha([[1, 2]], "ratio"), "level: got 'ratio'"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
