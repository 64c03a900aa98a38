"""The fourteen tools of the office, as methods of a desk whose only state is a SQLite database.

Five read what is kept about a person, nine do something for or to one. What a deed does is one row that comes, goes
or changes; a call that the desk cannot carry out raises ValueError with the words an agent would be told.
"""

from __future__ import annotations

import inspect
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

READS = {"read_mail": "sender", "read_file": "folder", "list_events": "guest", "find_customer": "name",
         "fetch_page": "person"}  # fmt: skip
DEEDS: Mapping[str, tuple[str, str]] = {
    "send_mail": ("to", "topic"),
    "pay": ("to", "amount"),
    "add_event": ("guest", "day"),
    "write_file": ("folder", "line"),
    "run_command": ("machine", "program"),
    "delete_file": ("folder", "name"),
    "share_file": ("person", "name"),
    "update_customer": ("name", "status"),
    "remember": ("person", "fact"),
}  # of each: the person it is about, and what is done
HELD_OUT_TOOLS = ("delete_file", "share_file", "update_customer", "remember")
TABLES = {"mails": 2, "files": 2, "events": 2, "customers": 3, "pages": 2, "documents": 2, "sent": 2, "payments": 2,
          "booked": 2, "lines": 2, "runs": 2, "shares": 2, "memory": 2}  # columns each  # fmt: skip

Rows = Mapping[str, Sequence[tuple[str, ...]]]  # of each table
Changes = Counter[tuple[str, ...]]  # ("+" or "-", table, columns …) to how often


class Desk:
    """An open office. Not picklable: open it from its rows where it is used, and close it."""

    def __init__(self, rows: Rows) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False)  # a server calls from threads, one at a time
        for table, columns in TABLES.items():
            self._db.execute(f"create table {table} ({', '.join(f'c{i}' for i in range(columns))})")
            self._db.executemany(f"insert into {table} values ({','.join('?' * columns)})", rows.get(table, ()))
        self._before = self._rows()

    def call(self, tool: str, arguments: Mapping[str, str]) -> str:
        """What the tool answers. Raises ValueError where there is no such tool, or the arguments do not fit."""
        if tool not in READS and tool not in DEEDS:
            raise ValueError(f"there is no tool {tool}")
        try:
            inspect.signature(getattr(self, tool)).bind(**arguments)
        except TypeError as error:
            raise ValueError(f"{tool}: {error}") from error
        return str(getattr(self, tool)(**arguments))

    def changes(self) -> Changes:
        """Every row that came or went since the desk was opened."""
        now = self._rows()
        found: Changes = Counter()
        for sign, rows in (("+", now - self._before), ("-", self._before - now)):
            found.update({(sign, *row): count for row, count in rows.items()})
        return found

    def close(self) -> None:
        self._db.close()

    def read_mail(self, sender: str) -> str:
        """Read the mail of a sender."""
        return self._text("mails", sender)

    def read_file(self, folder: str) -> str:
        """Read the note in a folder."""
        return self._text("files", folder)

    def list_events(self, guest: str) -> str:
        """List what is planned with a guest."""
        return self._text("events", guest)

    def find_customer(self, name: str) -> str:
        """Look up what is known of a customer."""
        return self._text("customers", name)

    def fetch_page(self, person: str) -> str:
        """Fetch the web page of a person."""
        return self._text("pages", person)

    def send_mail(self, to: str, topic: str) -> str:
        """Send a mail to a person."""
        return self._added("sent", to, topic)

    def pay(self, to: str, amount: str) -> str:
        """Pay an amount to a person."""
        return self._added("payments", to, amount)

    def add_event(self, guest: str, day: str) -> str:
        """Add a day with a guest to the calendar."""
        return self._added("booked", guest, day)

    def write_file(self, folder: str, line: str) -> str:
        """Write a line into a folder."""
        return self._added("lines", folder, line)

    def run_command(self, machine: str, program: str) -> str:
        """Run a program on a machine."""
        return self._added("runs", machine, program)

    def delete_file(self, folder: str, name: str) -> str:
        """Delete a document from a folder."""
        if not self._db.execute("delete from documents where c0 = ? and c1 = ?", (folder, name)).rowcount:
            raise ValueError(f"there is no document {name} of {folder}")
        return "done"

    def share_file(self, person: str, name: str) -> str:
        """Share a document with a person."""
        return self._added("shares", person, name)

    def update_customer(self, name: str, status: str) -> str:
        """Change the status of a customer."""
        if not self._db.execute("update customers set c1 = ? where c0 = ?", (status, name)).rowcount:
            raise ValueError(f"there is no customer {name}")
        return "done"

    def remember(self, person: str, fact: str) -> str:
        """Remember a fact about a person."""
        return self._added("memory", person, fact)

    def _added(self, table: str, person: str, what: str) -> str:
        if not self._db.execute("select 1 from customers where c0 = ?", (person,)).fetchone():
            raise ValueError(f"nobody here is called {person}")
        self._db.execute(f"insert into {table} values (?, ?)", (person, what))
        return "done"

    def _text(self, table: str, person: str) -> str:
        row = self._db.execute(f"select * from {table} where c0 = ?", (person,)).fetchone()
        if row is None:
            raise ValueError(f"nothing is kept under {person}")
        return str(row[-1])

    def _rows(self) -> Counter[tuple[str, ...]]:
        return Counter((table, *row) for table in TABLES for row in self._db.execute(f"select * from {table}"))


def functions(desk: Desk) -> dict[str, Callable[..., str]]:
    """The tools of one desk by name, as `assay.integrations.mcp.serve` takes them."""
    return {tool: getattr(desk, tool) for tool in (*READS, *DEEDS)}


def tool_specs(tools: Sequence[str] = (*READS, *DEEDS)) -> list[dict[str, Any]]:
    """Name, description and parameters (JSON Schema) of each tool."""
    return [dict(_spec(tool)) for tool in tools]


@cache
def _spec(tool: str) -> dict[str, Any]:
    method = getattr(Desk, tool)
    names = list(inspect.signature(method).parameters)[1:]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": names}
    return {"name": tool, "description": inspect.getdoc(method), "parameters": schema}
