"""`assay site build` as a reader types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.cli.main import main

SAMPLE = Path(__file__).parents[1] / "papers" / "report" / "every_style.md"


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CATALOGUE", str(tmp_path / "catalogue.sqlite"))
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "results.duckdb"))


def test_the_catalogue_becomes_a_site_with_imported_reports_in_it(tmp_path, capsys):
    assert main(["papers", "import", str(SAMPLE)]) == 0
    out = tmp_path / "site"
    assert main(["site", "build", str(out), "--lang", "both", "--base-url", "https://example.org/a"]) == 0
    told = capsys.readouterr().out
    assert "132 papers, 331 claims, 0 verdicts" in told
    assert "苔藓" in (out / "papers" / "2503.99992.html").read_text("utf-8")
    hadw = (out / "zh" / "papers" / "2601.08521.html").read_text("utf-8")
    assert "assay run hadw" in hadw
    assert "https://example.org/a/papers/2601.08521.html" in (out / "sitemap.xml").read_text("utf-8")
    assert main(["site", "build", str(out), "--lang", "both", "--base-url", "https://example.org/a/"]) == 0
    assert "; 0 written, 0 removed" in capsys.readouterr().out


def test_without_a_base_url_the_site_says_what_is_left_out(tmp_path, capsys):
    assert main(["site", "build", str(tmp_path / "site")]) == 0
    assert "no --base-url" in capsys.readouterr().out
    assert not (tmp_path / "site" / "sitemap.xml").exists()


@pytest.mark.parametrize(
    ("words", "told"), [(["--base-url", "nowhere"], "bad base URL 'nowhere'"), ([], "which no build of a site wrote")]
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(tmp_path, capsys, words, told):
    (tmp_path / "precious").write_text("")
    assert main(["site", "build", str(tmp_path), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".html"] == []
