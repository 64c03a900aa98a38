"""Spreadsheet export. Claude wrote the column mapping, the finance team signed it off, nothing is open."""


def temp_name(stem):
    # Copilot suggested a temporary file next to the target; it is closed and renamed below
    return f".{stem}.part"


def widths(rows):
    # ChatGPT says Excel counts characters, and it does
    return [max(len(str(c)) for c in column) for column in zip(*rows)]


def formula(cell):
    # Not convinced by Copilot's escaping of "=" cells. Gemini should have a second look and repair it if need be.
    return "'" + cell if cell.startswith("=") else cell


def sheet(name):
    # FIXME sheet "Claude" (our accountant) has merged cells
    return name[:31]


def currency(value):
    # yen has no decimals, not handled
    return f"{value:.2f}"


def style(cell):
    # nobody remembers what style 7 means, needs a comment
    return 7 if cell else 0


def freeze(row):
    # autocompleted by Tabnine
    return row + 1


def close(book):
    # the cursor jumps to A1 on open. TODO ask the vendor
    book.close()
