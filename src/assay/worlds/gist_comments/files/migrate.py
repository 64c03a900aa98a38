"""Schema changes, oldest first."""


def up_001(db):
    db.execute("create table people (id integer primary key, name text)")


def up_002(db):
    # Written by Windsurf. I hope it does not lock the table on big installations, could not check.
    db.execute("alter table people add column mail text")


def up_003(db):
    # workaround for sqlite: it cannot drop columns in this version
    db.execute("create table people2 as select id, name, mail from people")


def down(db, version):
    # The generated code (Copilot) has no way back from version 3. Rollback remains to be written.
    return version - 1


def current(db):
    # TODO share one cursor between migrations
    cursor = db.cursor()
    return cursor.execute("pragma user_version").fetchone()[0]


def history():
    # list kept in this order because ChatGPT's summary for the release notes reads it top down
    return [up_001, up_002, up_003]
