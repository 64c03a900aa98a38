import numpy as np
import pytest

from assay.worlds import _draw
from assay.worlds.shapes.scenes import GROUNDS, HUES, RADII, SHAPES, TEXTURES, Scene, Thing, render, world


def thing(**changes) -> Thing:
    return Thing(
        **{"shape": "square", "hue": "red", "size": "large", "texture": "flat", "x": 0.25, "y": 0.25, **changes}
    )


def test_a_mask_covers_the_area_of_its_outline():
    circle = _draw.coverage(_draw.mask(_draw.regular_polygon(48, (0.5, 0.5), 0.3), 32)).mean()
    assert circle == pytest.approx(np.pi * 0.09, rel=0.05)
    square = _draw.coverage(_draw.mask(_draw.regular_polygon(4, (0.5, 0.5), 0.3, np.pi / 4), 32)).mean()
    assert square == pytest.approx(2 * 0.09, rel=0.08)
    assert _draw.coverage(_draw.mask(_draw.star(5, (0.5, 0.5), 0.3), 32)).mean() < 0.6 * circle


def test_a_thing_shows_its_hue_at_its_place_and_nothing_elsewhere():
    empty = render(Scene((), "flat", 0.5))
    picture = render(Scene((thing(),), "flat", 0.5))
    np.testing.assert_allclose((picture[:, 8, 8] + 1) / 2, HUES["red"], atol=1e-5)
    np.testing.assert_array_equal(picture[:, 16:], empty[:, 16:])
    np.testing.assert_array_equal(picture[:, :, 16:], empty[:, :, 16:])


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_thing_stays_inside_its_quadrant(shape, size):
    far = thing(shape=shape, x=0.30, y=0.30)
    difference = np.abs(render(Scene((far,), "checker", 0.3), size) - render(Scene((), "checker", 0.3), size)).sum(0)
    assert difference.any()
    difference[: size // 2, : size // 2] = 0
    assert not difference.any()


def test_every_attribute_changes_the_picture():
    base = thing(size="medium")
    for changed in (
        {"shape": "star"},
        {"hue": "blue"},
        {"size": "small"},
        {"texture": "dots"},
        {"texture": "stripes"},
        {"x": 0.26},
    ):
        other = Thing(**{**vars(base), **changed})
        assert not np.array_equal(render(Scene((base,), "flat", 0.5)), render(Scene((other,), "flat", 0.5)))
    pictures = [render(Scene((), ground, 0.5)) for ground in GROUNDS]
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_scenes_use_every_attribute_and_no_quadrant_twice():
    sample = world(count=300).sample(0)
    things = [thing for scene in sample.scenes for thing in scene.things]
    assert {t.shape for t in things} == set(SHAPES) and {t.hue for t in things} == set(HUES)
    assert {t.size for t in things} == set(RADII) and {t.texture for t in things} == set(TEXTURES)
    assert {len(scene.things) for scene in sample.scenes} == {1, 2, 3, 4}
    assert all(len({t.quadrant for t in scene.things}) == len(scene.things) for scene in sample.scenes)


def test_images_are_floats_in_range_and_repeat_with_the_seed():
    a, b = world(count=40).sample(5), world(count=40).sample(5)
    np.testing.assert_array_equal(a.images, b.images)
    assert a.images.shape == (40, 3, 32, 32) and a.images.dtype == np.float32
    assert a.images.min() >= -1 and a.images.max() <= 1
    assert not np.array_equal(a.images, world(count=40).sample(6).images)


def test_check_measures_the_distance_from_the_true_render():
    chosen = world(count=1)
    sample = chosen.sample(0)
    assert chosen.check(sample.images[0], sample.scenes[0]) == 0
    assert chosen.check(sample.images[0] + 0.1, sample.scenes[0]) == pytest.approx(0.1, rel=1e-4)
    with pytest.raises(ValueError, match=r"image: got \(3, 16, 16\)"):
        chosen.check(np.zeros((3, 16, 16)), sample.scenes[0])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="count: got 0"):
        world(count=0)
    with pytest.raises(ValueError, match="size: got 24"):
        world(size=24)
