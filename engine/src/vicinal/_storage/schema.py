"""What is in the two SQLite files?

`catalog.sqlite3` holds the names: tenants, databases, collections. `records.sqlite3`, one in each
collection's directory, holds the records and the log of changes. Their version is SQLite's
`user_version`; docs/file-format.md describes every column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vicinal._storage import checksums
from vicinal.types import DEFAULT_DATABASE, DEFAULT_TENANT

_DEFAULT_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Schema:
    """The newest tables, and the way there from every older version, one step at a time."""

    create: str
    migrations: tuple[Callable[[Any], None], ...] = ()
    """Step i leads from version i + 1 to version i + 2. Forward only; all in one transaction."""

    @property
    def version(self) -> int:
        return 1 + len(self.migrations)


def statements(script: str) -> Iterator[str]:
    """One by one; SQLite's own way to run several commits first."""
    return filter(str.strip, script.split(";"))


CATALOG = Schema(f"""
CREATE TABLE identity (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL
);
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
CREATE TABLE tenants (
    name TEXT PRIMARY KEY NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE databases (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL REFERENCES tenants (name),
    checksum INTEGER NOT NULL,
    UNIQUE (tenant, name)
);
CREATE TABLE collections (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    database TEXT NOT NULL REFERENCES databases (id),
    metadata TEXT,
    configuration TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (database, name)
);
INSERT INTO tenants VALUES ('{DEFAULT_TENANT}', {checksums.of((DEFAULT_TENANT,))});
INSERT INTO databases VALUES ('{_DEFAULT_ID}', '{DEFAULT_DATABASE}', '{DEFAULT_TENANT}',
    {checksums.of((_DEFAULT_ID, DEFAULT_DATABASE, DEFAULT_TENANT))});
""")

RECORDS_TABLE = """
CREATE TABLE records (
    row INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    document TEXT,
    metadata TEXT,
    uri TEXT,
    checksum INTEGER NOT NULL
)"""

_PLACES = """
CREATE TABLE ids (
    id TEXT PRIMARY KEY NOT NULL,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE live (
    position INTEGER PRIMARY KEY,
    row INTEGER NOT NULL
);
"""


def _leave_dead_records(tx: Any) -> None:
    """1 → 2: the table held living records alone, and the id was unique in it."""
    columns = "row, position, id, document, metadata, uri, checksum"
    tx.execute("ALTER TABLE records RENAME TO unique_ids")
    tx.execute(RECORDS_TABLE)
    tx.execute(f"INSERT INTO records ({columns}) SELECT {columns} FROM unique_ids ORDER BY row")
    tx.execute("DROP TABLE unique_ids")
    for statement in statements(_PLACES):
        tx.execute(statement)
    tx.execute("INSERT INTO ids SELECT id, position FROM records ORDER BY id")
    tx.execute("INSERT INTO live SELECT position, row FROM records ORDER BY position")


RECORDS = Schema(
    f"""
{RECORDS_TABLE};
{_PLACES}
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    change INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    records INTEGER NOT NULL,
    positions INTEGER NOT NULL,
    dimension INTEGER,
    generation INTEGER NOT NULL,
    dropped INTEGER NOT NULL
);
CREATE TABLE changes (
    change INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL,
    removed BLOB NOT NULL,
    altered BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 0, 0, 0, NULL, 0, 0);
""",
    migrations=(_leave_dead_records,),
)
