"""Comments of source files: what is one, where it stands, and what only looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.evaluation._gist_comments import Comment, comments_of, extract_comments

PYTHON = '''"""Module
docstring."""
# one
# two
TEXT = "# TODO in a string"
URL = "https://example.com/#fixme"  # behind code
LONG = """
# not a comment
"""
F = f"{1} # nor this"


class Box:
    def open(self):
        """Opens."""
        # inside
        return r"#"
'''

JAVASCRIPT = """/** Doc
 * of a function. */
export function area(r) {
  // one
  // two
  const s = `// not ${r /* yes, this one */} a comment`;
  const re = /\\/\\/ nor this/;
  const url = "https://example.com"; // behind code
  return <p>{/* in markup */}{"// nor that"}</p>;
}
"""


def told(comments: list[Comment]) -> list[tuple[int, int, str, str]]:
    return [(c.start_line, c.end_line, c.kind, c.text) for c in comments]


def test_python_comments_and_docstrings_are_found_and_strings_are_not() -> None:
    found = comments_of(PYTHON, ".py", "a.py")
    assert told(found) == [
        (1, 2, "docstring", "Module\ndocstring."),
        (3, 4, "line", "one\ntwo"),
        (6, 6, "line", "behind code"),
        (15, 15, "docstring", "Opens."),
        (16, 16, "line", "inside"),
    ]
    assert [c.symbol for c in found] == ["", "", "", "Box.open", "Box.open"]


def test_neighbours_at_another_indent_are_another_comment() -> None:
    found = comments_of("# a\n# b\nif 1:\n    # c\n    pass\n", ".py", "a.py")
    assert told(found) == [(1, 2, "line", "a\nb"), (4, 4, "line", "c")]


def test_javascript_comments_are_found_and_templates_and_patterns_are_not() -> None:
    found = comments_of(JAVASCRIPT, ".jsx", "a.jsx")
    assert told(found) == [
        (1, 2, "jsdoc", "Doc\nof a function."),
        (4, 5, "line", "one\ntwo"),
        (6, 6, "block", "yes, this one"),
        (8, 8, "line", "behind code"),
        (9, 9, "block", "in markup"),
    ]
    assert found[1].symbol == "area"


def test_context_is_the_code_beside_the_comment() -> None:
    found = comments_of("a = 1\n# c\nb = 2\nc = 3\nd = 4\ne = 5\n", ".py", "a.py")
    assert found[0].context == "a = 1\nb = 2\nc = 3\nd = 4"


@pytest.mark.parametrize(
    ("suffix", "source", "text"),
    [
        (".java", 'class A { /* block */ String s = "// no"; }', "block"),
        (".go", 'package a\nvar s = "// no"\n// yes\n', "yes"),
        (".c", '#include <a.h>\nchar *s = "/* no */"; // yes\n', "yes"),
        (".rs", 'fn a() { let s = "// no"; } // yes\n', "yes"),
        (".sh", "#!/bin/sh\necho '# no' # yes\n", "yes"),
        (".yaml", "a: 'x # no'  # yes\n", "yes"),
        (".sql", "select '-- no'; -- yes\n", "yes"),
        (".html", "<p># no</p><!-- yes -->", "yes"),
        (".md", "# no\n\n<!-- yes -->\n", "yes"),
    ],
)
def test_other_languages_are_read_by_their_lexers(suffix: str, source: str, text: str) -> None:
    assert [c.text for c in comments_of(source, suffix, f"a{suffix}")] == [text]


def test_python_that_does_not_parse_is_read_by_a_lexer() -> None:
    found = comments_of("print 'a' # old\n# more\n", ".py", "a.py")
    assert [c.text for c in found] == ["old", "more"]


def test_a_file_is_read_by_its_suffix_and_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xef\xbb\xbf# a\r\n# b\r\n")
    assert told(extract_comments(tmp_path / "a.py", "x")) == [(1, 2, "line", "a\nb")]
    (tmp_path / "b.py").write_bytes(b"# \xff\xfe\n")
    with pytest.raises(UnicodeDecodeError):
        extract_comments(tmp_path / "b.py")
    (tmp_path / "c.doc").write_text("# a\n")
    with pytest.raises(ValueError, match="wanted a file ending in one of"):
        extract_comments(tmp_path / "c.doc")


@given(st.text(alphabet="ab#/*'\"`\n ${}\\", max_size=80), st.sampled_from([".py", ".js"]))
def test_any_text_is_read_without_an_error_and_places_lie_in_it(text: str, suffix: str) -> None:
    last = 0
    for c in comments_of(text, suffix, "a"):
        assert 1 <= c.start_line <= c.end_line <= text.count("\n") + 1
        assert c.start_line >= last
        last = c.start_line
