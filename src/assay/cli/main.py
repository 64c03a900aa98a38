"""The `assay` command. Only the module of the command that was typed is imported, so `--help` stays quick."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from assay import __version__
from assay.cli.extras import install_hint
from assay.errors import AssayError, UserError, without_markup

# name -> what it does; the module is assay.cli.NAME. Grouped by the three questions Assay answers.
COMMANDS: dict[str, dict[str, str]] = {
    "read": {
        "digest": "write the report of a day's papers; score any report",
        "papers": "list, search and show papers and claims; read and check daily reports",
        "site": "papers, claims, verdicts and feeds as static pages",
    },
    "test": {
        "run": "try claims on this machine: baseline, placebo, method, paired seeds",
        "status": "what is running, and how every trial stands",
        "verdict": "the verdict on one trial, with its intervals",
        "power": "how many seeds a trial needs",
        "plot": "the estimation plot of a trial as PNG or SVG",
        "report": "one self-contained HTML page of the scoreboard",
        "trials": "list, show and check the trials",
        "store": "look into the results store; check, merge and export it",
    },
    "use": {
        "use": "a paper's own job on your data: `assay use --list`",
        "models": "the built-in language models: list, show, train",
        "serve": "the scoreboard in a browser; a paper's tools to agents over MCP",
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every error a user can cause becomes one line."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except AssayError as error:
        return _complain(error, error.exit_code)
    except ModuleNotFoundError as error:
        hint = install_hint(error.name or "")
        if hint is None:
            raise
        return _complain(UserError(f"{words[0]} needs {error.name}: {hint}"), UserError.exit_code)
    except KeyboardInterrupt:
        print("assay: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `assay papers | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # Inspect's word for a model without a key; known by its name, as importing Inspect takes a second
        if type(error).__name__ != "PrerequisiteError":
            raise
        return _complain(UserError(without_markup(error)), UserError.exit_code)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"assay {__version__}")
        return 0
    known = {name: text for group in COMMANDS.values() for name, text in group.items()}
    if words[0] not in known:
        raise UserError(f"unknown command {words[0]!r}{nearest(words[0], known)}; `assay --help` lists them all")
    module = importlib.import_module(f"assay.cli.{words[0]}")
    parser = argparse.ArgumentParser(
        prog=f"assay {words[0]}", description=known[words[0]].capitalize() + ".", allow_abbrev=False
    )
    module.configure(parser)
    arguments = parser.parse_args(words[1:])
    return int(arguments.run(arguments))


def overview() -> str:
    """The first screen: what Assay is and every command, by the question it answers."""
    lines = [
        "Assay reads the day's AI papers and puts them to the test.",
        "",
        "usage: assay COMMAND [...]      (assay COMMAND --help says more)",
    ]
    for group, commands in COMMANDS.items():
        lines += ["", group]
        lines += [f"  {name:<9} {text}" for name, text in commands.items()]
    lines += ["", "Begin with:  assay run hadw --quick"]
    return "\n".join(lines)


def nearest(word: str, known: Sequence[str] | dict[str, str], count: int = 3) -> str:
    """', did you mean a, b?' for an error line, or nothing where no name comes near."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=count, cutoff=0.5)
    return f", did you mean {' or '.join(close)}?" if close else ""


def _complain(error: Exception, code: int) -> int:
    if os.environ.get("ASSAY_DEBUG"):
        raise error
    print(f"assay: {' '.join(str(error).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
