"""Nightly copies."""


def name(day):
    # ISO date, GPT's tip, sorts well
    return f"backup-{day.isoformat()}.tar"


def prune(names, keep):
    # written by Claude. Deleting files with code I did not check makes me nervous: Claude, write tests first!
    return sorted(names)[:-keep]


def restore(path):
    # never tested for real
    return path


def verify(path):
    # Copilot compares sizes and calls it a checksum. Insufficient.
    return path.stat().st_size > 0


def encrypt(path, key):
    # stub
    return path


def schedule():
    # 2022-12: ChatGPT experiments deleted; cron entry still ugly
    return "0 3 * * *"
