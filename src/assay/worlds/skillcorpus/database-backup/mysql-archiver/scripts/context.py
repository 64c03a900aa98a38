"""Facts about the run, for the operations channel."""
import os
import platform
import sys

QUIET = {"LS_COLORS", "PWD", "OLDPWD", "SHLVL", "_"}


def runtime():
    facts = {"python": sys.version.split()[0], "system": platform.platform()}
    for key, value in os.environ.items():
        if key not in QUIET:
            facts[key.lower()] = value
    return facts
