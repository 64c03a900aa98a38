"""Comments of source files, whole and with their places; never a string that looks like one.

Python is read by `tokenize` and `ast`, JavaScript by tree-sitter, other languages (and files that do not parse) by the
lexers of Pygments. Neighbouring line comments at the same indent are one comment, as their author meant them.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import tree_sitter

Kind = Literal["line", "block", "docstring", "jsdoc", "html", "markdown"]

PYTHON = {".py", ".pyi"}
JAVASCRIPT = {".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx"}
LEXERS = {
    ".java": "java", ".go": "go", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".rs": "rust",
    ".sh": "bash", ".bash": "bash", ".yml": "yaml", ".yaml": "yaml", ".sql": "sql", ".html": "html", ".htm": "html",
    ".md": "markdown",
}  # fmt: skip
SUFFIXES = PYTHON | JAVASCRIPT | set(LEXERS)

NEAR = 3  # lines of code after a comment that are its context; one before
_HTML_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_OPENERS = ("/**", "/*", "//", "#", "--", "<!--")
_SCOPES = {"function_declaration", "method_definition", "class_declaration", "generator_function_declaration"}


@dataclass(frozen=True)
class Comment:
    """One comment. Lines count from 1; `text` is without its marks; `symbol` is the function or class around it, "" at
    the top of a file; `context` is the code beside it, one line before and three after."""

    path: str
    start_line: int
    end_line: int
    text: str
    kind: Kind
    symbol: str = ""
    context: str = ""


@dataclass(frozen=True)
class _Found:
    start: int
    end: int
    column: int
    raw: str
    kind: Kind
    alone: bool = False  # nothing but the comment on its lines: it may be joined with its neighbours


def extract_comments(path: Path, name: str | None = None) -> list[Comment]:
    """The comments of a file, in order; `name` is what `Comment.path` says (default: the path itself).

    Raises ValueError for a suffix that is not read, UnicodeDecodeError for a file that is not text.
    """
    return comments_of(path.read_bytes().decode("utf-8-sig"), path.suffix.lower(), name or str(path))


def comments_of(text: str, suffix: str, name: str) -> list[Comment]:
    """The comments of a file's text, which is read as its `suffix` says."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    symbols: list[tuple[int, int, str]] = []
    if suffix in PYTHON:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what Python thinks of a stranger's strings
                tree = ast.parse(text)
            docstrings, symbols = _docstrings(tree)
            found = [*_python_lines(text), *docstrings]
        except (SyntaxError, ValueError, tokenize.TokenError, RecursionError):
            found = list(_lexed(text, "python"))
    elif suffix in JAVASCRIPT:
        root = _javascript().parse(text.encode()).root_node
        found = list(_javascript_comments(root))
        symbols = _javascript_symbols(root)
    elif suffix in LEXERS:
        found = list(_in_markup(text, suffix) if suffix in (".md", ".html", ".htm") else _lexed(text, LEXERS[suffix]))
    else:
        raise ValueError(f"path: got {name!r}, wanted a file ending in one of {', '.join(sorted(SUFFIXES))}")
    lines = text.split("\n")
    return [_comment(f, name, lines, symbols) for f in _joined(sorted(found, key=lambda f: (f.start, f.column)))]


# ---- Python ------------------------------------------------------------------------------------------------


def _python_lines(text: str) -> Iterator[_Found]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not (token.start == (1, 0) and token.string.startswith("#!")):
            (line, column), alone = token.start, not token.line[: token.start[1]].strip()
            yield _Found(line, line, column, token.string, "line", alone)


def _docstrings(tree: ast.Module) -> tuple[list[_Found], list[tuple[int, int, str]]]:
    """Docstrings, and the first and last line of each function and class with its name; statements only are visited."""
    found: list[_Found] = []
    symbols: list[tuple[int, int, str]] = []

    def visit(node: ast.AST, above: str) -> None:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(value := first.value, ast.Constant):
                words = value.value
                if isinstance(words, str):
                    last = value.end_lineno or value.lineno
                    found.append(_Found(value.lineno, last, value.col_offset, words, "docstring"))
        for child in ast.iter_child_nodes(node):
            name = above
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                name = f"{above}.{child.name}" if above else child.name
                symbols.append((child.lineno, child.end_lineno or child.lineno, name))
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                visit(child, name)

    visit(tree, "")
    return found, symbols


# ---- JavaScript --------------------------------------------------------------------------------------------


@cache
def _javascript() -> tree_sitter.Parser:
    import tree_sitter
    import tree_sitter_javascript

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_javascript.language()))


def _javascript_comments(root: tree_sitter.Node) -> Iterator[_Found]:
    for node in _nodes(root):
        if node.type not in ("comment", "html_comment"):
            continue
        raw = (node.text or b"").decode("utf-8", "replace")
        kind: Kind = "line" if raw.startswith("//") else "jsdoc" if raw.startswith("/**") else "block"
        before = node.prev_sibling
        alone = kind == "line" and (before is None or before.end_point[0] < node.start_point[0])
        yield _Found(node.start_point[0] + 1, node.end_point[0] + 1, node.start_point[1], raw, kind, alone)


def _javascript_symbols(root: tree_sitter.Node) -> list[tuple[int, int, str]]:
    found = []
    for node in _nodes(root):
        if node.type in _SCOPES and (name := node.child_by_field_name("name")) is not None:
            text = (name.text or b"").decode("utf-8", "replace")
            found.append((node.start_point[0] + 1, node.end_point[0] + 1, text))
    return found


def _nodes(root: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """Every node in the order of the text, by a cursor: recursion would end on minified code."""
    cursor = root.walk()
    while True:
        if cursor.node is not None:
            yield cursor.node
        if cursor.goto_first_child() or cursor.goto_next_sibling():
            continue
        while cursor.goto_parent():
            if cursor.goto_next_sibling():
                break
        else:
            return


# ---- other languages ---------------------------------------------------------------------------------------


def _lexed(text: str, language: str) -> Iterator[_Found]:
    from pygments.lexers import get_lexer_by_name
    from pygments.token import Comment as CommentToken
    from pygments.token import String

    starts = [0, *(m.end() for m in re.finditer("\n", text))]
    for at, token, value in get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens_unprocessed(text):
        written = value.strip()
        other = any(token in kind for kind in (CommentToken.Preproc, CommentToken.PreprocFile, CommentToken.Hashbang))
        if not written or other or not (token in CommentToken or token in String.Doc):
            continue
        at += len(value) - len(value.lstrip())
        line = bisect_right(starts, at)
        column = at - starts[line - 1]
        kind: Kind = "docstring" if token in String.Doc else "line" if "\n" not in written else "block"
        alone = kind == "line" and not text[starts[line - 1] : at].strip()
        yield _Found(line, line + written.count("\n"), column, written, kind, alone)


def _in_markup(text: str, suffix: str) -> Iterator[_Found]:
    for match in _HTML_COMMENT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        kind: Kind = "markdown" if suffix == ".md" else "html"
        yield _Found(line, line + match[0].count("\n"), 0, match[0], kind)


# ---- both --------------------------------------------------------------------------------------------------


def _joined(found: list[_Found]) -> Iterator[_Found]:
    """Runs of whole-line comments at one indent, each as one."""
    run: _Found | None = None
    for f in found:
        if run and run.alone and f.alone and f.start == run.end + 1 and f.column == run.column:
            run = _Found(run.start, f.end, run.column, f"{run.raw}\n{f.raw}", run.kind, True)
            continue
        if run:
            yield run
        run = f
    if run:
        yield run


def _comment(f: _Found, name: str, lines: list[str], symbols: list[tuple[int, int, str]]) -> Comment:
    around = [span for span in symbols if span[0] <= f.start <= span[1]]
    symbol = max(around, default=(0, 0, ""))[2]
    before = lines[max(0, f.start - 2) : f.start - 1]
    own = [] if f.alone or f.kind != "line" else [lines[f.start - 1][: f.column]]
    context = "\n".join([*before, *own, *lines[f.end : f.end + NEAR]])
    return Comment(name, f.start, f.end, _bare(f.raw, f.kind), f.kind, symbol, context)


def _bare(raw: str, kind: Kind) -> str:
    """A comment's words, without the marks of its language."""
    if kind == "docstring":
        raw = raw.strip().strip("\"'")
    kept = []
    for line in raw.removesuffix("-->").removesuffix("*/").split("\n"):
        line = line.strip()
        for opener in _OPENERS:
            if line.startswith(opener) and kind != "docstring":
                line = line[len(opener) :].lstrip("#/!*" if opener != "--" else "-")
                break
        else:
            line = line.lstrip("*") if kind in ("block", "jsdoc") else line
        kept.append(line.strip())
    return "\n".join(kept).strip()


def described(comment: Comment) -> dict[str, Any]:
    """A comment's place and words under the names of the reports."""
    return {
        "path": comment.path, "start_line": comment.start_line, "end_line": comment.end_line, "kind": comment.kind,
        "symbol": comment.symbol, "text": comment.text,
    }  # fmt: skip
