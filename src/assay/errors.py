"""Errors that a user can cause. The command line prints them as one line and exits with their code."""

import re


def first_line(error: BaseException) -> str:
    """What an error says, in a line; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def without_markup(error: BaseException) -> str:
    """What Inspect says of a model that cannot be had, without its marks for colours, in one line."""
    return " ".join(re.sub(r"\[/?[a-z ]+\]", "", str(error)).removeprefix("ERROR: ").split())


class AssayError(Exception):
    """Base of the errors below; `exit_code` is what the command returns."""

    exit_code = 1


class UserError(AssayError):
    """A word, option, file or argument that cannot be used. The message says what to do."""

    exit_code = 2


class StoreLocked(AssayError):
    """Another process holds the results store for writing, longer than we were willing to wait."""

    exit_code = 3


class EnvironmentFailed(AssayError):
    """The machine gave out: no space left, an unreachable cluster, an unwritable folder in mid-run."""

    exit_code = 5
