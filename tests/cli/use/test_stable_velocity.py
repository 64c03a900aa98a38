import csv
import json

import numpy as np
import pytest
import yaml
from PIL import Image

from assay.cli.main import main

FAST = ("--times", "7", "--draws", "64")


@pytest.fixture
def latents(tmp_path):
    file = tmp_path / "latents.npy"
    np.save(file, np.random.default_rng(0).normal(size=(60, 4, 3, 3)).astype(np.float32))
    return file


def variance(*words) -> int:
    return main(["use", "stable_velocity", "variance", *map(str, words)])


def test_a_curve_is_printed_and_written_with_a_recommended_split(latents, tmp_path, capsys):
    assert variance(latents, "--out", tmp_path / "mine", *FAST) == 0
    shown = capsys.readouterr().out
    assert "60 examples of shape (4, 3, 3)" in shown and "recommended low_split" in shown
    rows = list(csv.DictReader((tmp_path / "mine.csv").open()))
    assert [float(row["t"]) for row in rows] == pytest.approx([i / 8 for i in range(1, 8)])
    assert max(float(row["share"]) for row in rows) == 1
    with Image.open(tmp_path / "mine.png") as picture:
        assert picture.format == "PNG" and picture.width > 400
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latents.npy", "mine.csv", "mine.png"]


def test_json_repeats_with_the_seed_and_a_given_split_is_judged(latents, tmp_path, capsys):
    out = ("--out", tmp_path / "v")
    variance(latents, *out, *FAST, "--json")
    first = capsys.readouterr().out
    variance(latents, *out, *FAST, "--json")
    assert capsys.readouterr().out == first
    split = json.loads(first)["low_split"]
    assert variance(latents, *out, *FAST, "--split", "0.99") == 0
    shown = capsys.readouterr().out
    assert "not low: large steps below it will lose" in shown and f"recommended {split:.3f}" in shown


def test_a_folder_of_images_is_read(tmp_path, capsys):
    draws = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(draws.integers(0, 255, (6, 8, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    assert variance(tmp_path, "--out", tmp_path / "v", *FAST) == 0
    assert "5 examples of shape (3, 6, 8)" in capsys.readouterr().out


def test_more_examples_than_wanted_are_drawn_from(latents, tmp_path, capsys):
    assert variance(latents, "--refs", "20", "--out", tmp_path / "v", *FAST) == 0
    assert "20 examples" in capsys.readouterr().out


def test_wrong_input_is_one_line_and_leaves_nothing_behind(latents, tmp_path, capsys):
    def complaint(*words) -> str:
        assert variance(*words) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    whole = tmp_path / "whole.npy"
    np.save(whole, np.zeros((4, 3), dtype=np.uint8))
    flat = tmp_path / "flat.npy"
    np.save(flat, np.zeros(4, dtype=np.float32))
    same = tmp_path / "same.npy"
    np.save(same, np.ones((4, 3), dtype=np.float32))
    text = tmp_path / "text.npy"
    text.write_text("no numbers")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for i, size in enumerate(((6, 6), (6, 7))):
        Image.new("RGB", size).save(mixed / f"{i}.png")
    out = ("--out", tmp_path / "v")
    assert "no such file or folder" in complaint(tmp_path / "absent.npy", *out)
    assert "got uint8, wanted floats" in complaint(whole, *out)
    assert "got (4,), wanted one array of shape (N, ...)" in complaint(flat, *out)
    assert "not a .npy file" in complaint(text, *out)
    assert "more than one distinct" in complaint(same, *out, *FAST)
    assert "is 6x7, the first image is 6x6" in complaint(mixed, *out)
    assert "--split: got '2'" in complaint(latents, *out, "--split", "2")
    assert "--draws: got 1" in complaint(latents, *out, "--draws", "1")
    assert "xi: got 3.0" in complaint(latents, *out, *FAST, "--xi", "3")
    assert "there is no folder" in complaint(latents, "--out", tmp_path / "nowhere" / "v")
    assert not list(tmp_path.glob("v*"))


def test_the_recipe_is_yaml_of_the_full_size(capsys):
    assert main(["use", "stable_velocity", "recipe"]) == 0
    recipe = yaml.safe_load(capsys.readouterr().out)
    assert recipe["layers"] == 28 and recipe["latent_shape"] == [4, 32, 32] and recipe["tau"] == 0.7
