import pytest

from assay.cli.rows import read_columns, read_jsonl
from assay.errors import UserError


def written(tmp_path, text, name="rows.jsonl"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_line_separator_inside_a_text_does_not_end_the_row(tmp_path):
    rows = read_jsonl(written(tmp_path, '{"text": "one\u2028two\x85"}\n\n{"text": "three"}'), ["text"])
    assert [row["text"] for row in rows] == ["one\u2028two\x85", "three"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n{"a": \n', "line 2: not JSON"),
        ("[1]\n", "line 1: got list, wanted a JSON object"),
        ('{"a": 1}\n{"b": 2}\n', "line 2: no field 'a'; it has b"),
        ("{}\n", "line 1: no field 'a'; it has none"),
        ("\n\n", "no rows"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_by_its_line(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        read_jsonl(written(tmp_path, text), ["a"])


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path):
    file = tmp_path / "bytes.jsonl"
    file.write_bytes(b'{"a": "\xff"}\n')
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_jsonl(file)
    with pytest.raises(UserError, match="no such file"):
        read_jsonl(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="not a Parquet file"):
        read_columns(written(tmp_path, "a,b\n", "x.parquet"), ["a"])
