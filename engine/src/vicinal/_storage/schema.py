"""What is in the two SQLite files?

`catalog.sqlite3` holds the names: tenants, databases, collections. `records.sqlite3`, one in each
collection's directory, holds the records and the log of changes. Their version is SQLite's
`user_version`; docs/file-format.md describes every column.
"""

FORMAT_VERSION = 1

CATALOG = """
CREATE TABLE tenants (name TEXT PRIMARY KEY NOT NULL);
CREATE TABLE databases (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL REFERENCES tenants (name),
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
INSERT INTO tenants VALUES ('default_tenant');
INSERT INTO databases VALUES
    ('00000000-0000-0000-0000-000000000000', 'default_database', 'default_tenant');
"""

RECORDS_TABLE = """CREATE TABLE records (
    row INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    document TEXT,
    metadata TEXT,
    uri TEXT,
    checksum INTEGER NOT NULL
)"""

RECORDS = f"""
{RECORDS_TABLE};
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
"""
