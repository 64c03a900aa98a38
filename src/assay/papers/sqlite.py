"""Opening an SQLite file that several commands may open at the same moment."""

from __future__ import annotations

import sqlite3
import time

BUSY_S = 30.0  # how long a command waits for another one
_PAUSE_S = 0.02


def write_ahead(connection: sqlite3.Connection) -> None:
    """Set the connection to write-ahead logging, waiting while another command is about the same.

    SQLite's own waiting does not cover this change: it fails at once where two meet in it.
    """
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
