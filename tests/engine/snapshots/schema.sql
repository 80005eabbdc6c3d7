-- catalog.sqlite3: user_version 1, application_id 0x7669636e, wal
CREATE TABLE identity (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL
);
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

-- records.sqlite3: user_version 2, application_id 0x7669636e, wal
CREATE TABLE records (
    row INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    document TEXT,
    metadata TEXT,
    uri TEXT,
    checksum INTEGER NOT NULL
);
CREATE TABLE ids (
    id TEXT PRIMARY KEY NOT NULL,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE live (
    position INTEGER PRIMARY KEY,
    row INTEGER NOT NULL
);
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
