import pytest

from assay.cli.main import main

TEXT = "the cat sat on 12 mats and 7 dogs ran past 30 trees; " * 12


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mfa")
    (folder / "t.txt").write_text(TEXT)
    words = ["--text", str(folder / "t.txt"), "--layer", "1", "--k", "4", "--rank", "2", "--epochs", "3"]
    assert main(["use", "mfa", "fit", "--model", "nano", *words, "--out", str(folder / "m.safetensors")]) == 0
    return folder


def test_regions_are_explained_in_a_table_and_on_a_page(fitted, capsys):
    words = ["use", "mfa", "explain", str(fitted / "m.safetensors"), "--text", str(fitted / "t.txt")]
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "would write" in table and table.count("%") == 4
    assert main([*words, "--html", str(fitted / "m.html")]) == 0
    page = (fitted / "m.html").read_text()
    assert page.count("<section") == 4
    assert "nano, layer 1" in page
    assert "http" not in page


def test_a_prompt_is_continued_plainly_and_steered(fitted, capsys):
    words = ["use", "mfa", "steer", str(fitted / "m.safetensors"), "--prompt", "the cat", "--max-tokens", "5"]
    assert main([*words, "--region", "1", "--alpha", "1"]) == 0
    plain, steered = capsys.readouterr().out.splitlines()
    assert plain.removeprefix("plain: ") != steered.removeprefix("steered: ")
    assert main([*words, "--region", "1", "--alpha", "0", "--z", "0", "0"]) == 0
    plain, same = capsys.readouterr().out.splitlines()
    assert plain.removeprefix("plain: ") == same.removeprefix("steered: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["steer", "M", "--prompt", "a", "--region", "9"], "k: got 9, wanted 0 to 3"),
        (["steer", "M", "--prompt", "a", "--region", "1", "--alpha", "2"], "alpha: got 2.0"),
        (["steer", "M", "--prompt", "a", "--region", "1", "--z", "1"], "z: got shape (1,), wanted (2,)"),
        (["steer", "M", "--prompt", "a", "--region", "1", "--model", "micro"], "of 128 dimensions"),
        (["explain", "no.safetensors", "--text", "T"], "no.safetensors: no such file"),
        (["explain", "T", "--text", "T"], "not a safetensors file"),
        (["fit", "--model", "nano", "--text", "T", "--layer", "7", "--out", "O"], "layer: got 7, wanted 0 to 4"),
        (["fit", "--model", "nano", "--text", "T", "--layer", "1", "--k", "5000", "--out", "O"], "regions: got 5000"),
        (["fit", "--model", "nano", "--text", "no.txt", "--layer", "1", "--out", "O"], "no.txt: no such file"),
        (["fit", "--model", "nano", "--text", "T", "--layer", "1", "--length", "0", "--out", "O"], "--length: got 0"),
    ],
)
def test_wrong_use_ends_in_one_line_and_exit_2(fitted, capsys, words, said):
    places = {"M": str(fitted / "m.safetensors"), "T": str(fitted / "t.txt"), "O": str(fitted / "o.safetensors")}
    assert main(["use", "mfa", *(places.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (fitted / "o.safetensors").exists()
