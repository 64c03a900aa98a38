"""`assay papers` as a reader types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.cli.main import main

SAMPLE = Path(__file__).parents[1] / "papers" / "report" / "every_style.md"


@pytest.fixture(autouse=True)
def own_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the catalogue or the results of whoever runs it."""
    monkeypatch.setenv("ASSAY_CATALOGUE", str(tmp_path / "catalogue.sqlite"))
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "results.duckdb"))
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "catalogue.sqlite"


def test_the_list_ends_with_its_count(capsys):
    assert main(["papers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 125
    assert lines[-1].startswith("124 papers, ")


def test_a_day_and_a_field_narrow_the_list(capsys):
    assert main(["papers", "list", "--date", "2026-01-19", "--field", "post_training", "--json"]) == 0
    papers = json.loads(capsys.readouterr().out)
    assert {p["report_date"] for p in papers} == {"2026-01-19"}
    assert {p["field"] for p in papers} == {"post_training"}


def test_a_paper_is_shown_with_its_claims_and_how_it_stands(capsys):
    assert main(["papers", "show", "2601.08521"]) == 0
    text = capsys.readouterr().out
    assert "Your Group-Relative Advantage Is Biased" in text
    assert "2601.08521#2" in text
    assert "46.5" in text


def test_a_planned_paper_says_that_nothing_is_built(capsys):
    assert main(["papers", "show", "motive"]) == 0
    assert "Planned" in capsys.readouterr().out


def test_search_prints_what_holds_every_word(capsys):
    assert main(["papers", "search", "agent", "skills", "--no-semantic"]) == 0
    assert "2601.10338  Agent Skills in the Wild" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["papers", "list", "--date", "2025-01-01"], "2026-01-13"),
        (["papers", "list", "--field", "cooking"], "cooking"),
        (["papers", "show", "nothing-like-it"], "nearest"),
        (["papers", "search", "zebrafish", "--no-semantic"], "fewer words"),
        (["papers", "search", "???"], "nothing to search for in '???'"),
        (["papers", "search", "field:cooking"], "cooking"),
        (["papers", "search", "agent", "-n", "0"], "--limit 0"),
        (["papers", "similar", "2601.99999"], "nearest: "),
        (["papers", "show", "2601.08521", "--raw"], "no replies are kept"),
        (["papers", "check", "no-such-file.md"], "no-such-file.md cannot be read"),
        (["papers", "import", "no-such-file.md"], "cannot be read"),
        (["papers", "render", "."], "cannot be read"),
        (["papers", "export", "-o", "no-such-folder/x.json"], "cannot be written"),
        (["papers", "export", "--field", "cooking"], "cooking"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(words, told, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error


def test_imported_papers_are_listed_shown_and_searched_beside_the_packaged_ones(capsys, own_catalogue):
    assert main(["papers", "import", str(SAMPLE)]) == 0
    assert "8 papers new, 0 updated, 1 left out" in capsys.readouterr().out
    assert own_catalogue.exists()
    assert main(["papers", "list", "--json"]) == 0
    assert sum(p["origin"] == "user" for p in json.loads(capsys.readouterr().out)) == 8
    assert main(["papers", "show", "2503.99992"]) == 0
    assert "### " not in (shown := capsys.readouterr().out)
    assert "2. **一句话核心贡献**" in shown
    assert main(["papers", "search", "苔藓"]) == 0
    assert "Moss Maps" in capsys.readouterr().out
    assert main(["papers", "search", "苔藓", "--json"]) == 0
    (hit,) = json.loads(capsys.readouterr().out)
    assert hit["id"] == "2503.99992"
    assert "苔藓" in hit["snippet"]
    assert main(["papers", "import", str(SAMPLE)]) == 0  # and the index follows what is imported
    assert main(["papers", "search", "id:2503.99992"]) == 0


def test_a_report_that_cannot_be_imported_leaves_the_catalogue_as_it_was(capsys, own_catalogue, tmp_path):
    dateless = tmp_path / "dateless.md"
    dateless.write_text("hello\n")
    assert main(["papers", "import", str(SAMPLE), str(dateless)]) == 2
    assert "no date" in capsys.readouterr().err
    assert not own_catalogue.exists()


def test_check_says_where_and_what_and_ends_in_0_1_or_2(capsys, tmp_path):
    faulty, binary = tmp_path / "faulty.md", tmp_path / "binary.md"
    assert main(["papers", "check", str(SAMPLE)]) == 0
    assert capsys.readouterr().out == ""
    text = SAMPLE.read_text("utf-8").replace("### 1. 应用领域", "1) 应用领域", 1)
    faulty.write_text(text.replace(": HTML", ": PDF", 1), "utf-8")
    assert main(["papers", "check", str(SAMPLE), str(faulty)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[1] for line in told] == ["mixed_headings:", "read_from:", "heading:"]
    assert told[1].startswith(f"{faulty}:10: ")
    binary.write_bytes(b"\xff\xfe")
    assert main(["papers", "check", str(binary), str(faulty), "--json"]) == 2
    done = capsys.readouterr()
    assert len(json.loads(done.out)) == 3
    assert done.err.count("\n") == 1
    assert "not UTF-8" in done.err


def test_render_keeps_every_byte_or_writes_one_style(capsysbinary, tmp_path):
    windows = tmp_path / "windows.md"
    windows.write_bytes(b"\xef\xbb\xbf" + SAMPLE.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["papers", "render", str(windows), "--style", "keep"]) == 0
    assert capsysbinary.readouterr().out == windows.read_bytes()
    new = tmp_path / "new.md"
    assert main(["papers", "render", str(windows), "-o", str(new)]) == 0
    assert main(["papers", "render", str(new)]) == 0
    assert capsysbinary.readouterr().out == new.read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_stats_and_exports_cover_the_whole_catalogue(capsysbinary):
    assert main(["papers", "stats"]) == 0
    assert capsysbinary.readouterr().out.startswith(b"papers: 124\n")
    for format in ("json", "jsonl", "csv", "bibtex", "md"):
        assert main(["papers", "export", "--format", format]) == 0
        out = capsysbinary.readouterr().out.decode()
        assert all(p in out for p in ("2601.08521", "2602.07839"))
    assert main(["papers", "export", "--format", "jsonl", "--date", "2026-01-19"]) == 0
    assert capsysbinary.readouterr().out.count(b"\n") == 13
