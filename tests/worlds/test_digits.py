import numpy as np
import pytest
import torch

from assay.worlds.classifier import FEATURES, WorldClassifier, train_classifier
from assay.worlds.digits import world


def test_the_split_is_fixed_whole_and_without_overlap_of_rows():
    a, b = world().sample(0), world().sample(7)
    np.testing.assert_array_equal(a.train, b.train)
    assert a.train.shape == (1400, 1, 8, 8) and a.test.shape == (397, 1, 8, 8)
    assert a.train.dtype == np.float32 and a.train.min() == -1 and a.train.max() == 1
    assert set(a.train_labels) == set(a.test_labels) == set(range(10))
    seen = {image.tobytes() for image in a.train}
    assert sum(image.tobytes() in seen for image in a.test) == 0


def test_check_knows_images_of_this_world():
    assert world().check(world().sample(0).test)
    assert not world().check(np.zeros((2, 1, 8, 9)))
    assert not world().check(np.full((2, 1, 8, 8), 1.5))


def test_the_classifier_knows_unseen_digits_and_repeats_itself():
    digits = world().sample(0)
    model = train_classifier(digits.train, digits.train_labels)
    assert model.accuracy(digits.test, digits.test_labels) >= 0.97
    assert model.features(digits.test).shape == (397, FEATURES)
    short = [train_classifier(digits.train, digits.train_labels, steps=3, seed=5) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(short[0].parameters(), short[1].parameters()))


def test_training_a_classifier_leaves_the_callers_random_stream_alone():
    digits = world().sample(0)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    train_classifier(digits.train, digits.train_labels, steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_classifier_names_wrong_input():
    model = WorldClassifier(channels=1, size=8, classes=10)
    with pytest.raises(ValueError, match=r"images: got \(2, 3, 8, 8\), wanted \(n, 1, 8, 8\)"):
        model.features(np.zeros((2, 3, 8, 8)))
    with pytest.raises(ValueError, match="size: got 10"):
        WorldClassifier(channels=1, size=10, classes=2)
    with pytest.raises(ValueError, match="with 3 labels"):
        train_classifier(np.zeros((2, 1, 8, 8)), np.zeros(3))
