"""Which collections are there?  The statements on `catalog.sqlite3`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from vicinal._storage import checksums
from vicinal._storage.database import Transaction
from vicinal._storage.metadata import decode, encode
from vicinal.config import CollectionConfiguration
from vicinal.errors import CorruptionError


@dataclass(frozen=True)
class Entry:
    """What the catalog holds of one collection."""

    id: UUID
    name: str
    metadata: dict[str, Any] | None
    configuration: CollectionConfiguration


_COLUMNS = "c.id, c.name, c.metadata, c.configuration"
_FROM = "collections c JOIN databases d ON d.id = c.database WHERE d.tenant = ? AND d.name = ?"


def find(
    tx: Transaction,
    tenant: str,
    database: str,
    *,
    name: str | None = None,
    id: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Entry]:
    """The entries of collections, in order of name."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM {_FROM} AND (? IS NULL OR c.name = ?) AND (? IS NULL OR c.id = ?) "
        "ORDER BY c.name LIMIT ? OFFSET ?",
        (tenant, database, name, name, id, id, _bound(limit, -1), _bound(offset, 0)),
    )
    return [_entry(*row) for row in rows.fetchall()]


def _entry(id: str, name: str, metadata: str | None, configuration: str) -> Entry:
    try:
        parsed = CollectionConfiguration.model_validate_json(configuration)
        return Entry(UUID(id), str(name), decode(metadata), parsed)
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptionError(
            path="catalog.sqlite3", problem=f"the entry of collection {name!r} cannot be read: {error}"
        ) from error


def _bound(number: int | None, default: int) -> int:
    """A limit or offset that SQLite can hold."""
    return default if number is None else min(number, 2**62)


def identity(tx: Transaction) -> str:
    """What a database and its backups have in common."""
    (id,) = tx.execute("SELECT id FROM identity").fetchone()
    return str(id)


def database_id(tx: Transaction, tenant: str, database: str) -> str | None:
    """The id of a tenant's database."""
    row = tx.execute("SELECT id FROM databases WHERE tenant = ? AND name = ?", (tenant, database)).fetchone()
    return None if row is None else str(row[0])


def insert(
    tx: Transaction,
    id: str,
    name: str,
    database: str,
    metadata: Mapping[str, Any] | None,
    configuration: Mapping[str, Any],
) -> None:
    """Enter a collection whose name is known to be free."""
    entry = (id, name, database, encode(metadata), json.dumps(configuration))
    tx.execute(
        "INSERT INTO collections (id, name, database, metadata, configuration, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (*entry, checksums.of(entry)),
    )


def get(tx: Transaction, id: str) -> tuple[str, str, Entry] | None:
    """(tenant, database, entry) of one collection."""
    row = tx.execute(
        f"SELECT d.tenant, d.name, {_COLUMNS} FROM collections c "
        "JOIN databases d ON d.id = c.database WHERE c.id = ?",
        (id,),
    ).fetchone()
    return None if row is None else (row[0], row[1], _entry(*row[2:]))


def update(tx: Transaction, id: str, name: str, metadata: Mapping[str, Any] | None) -> None:
    """Rename a collection and replace its metadata."""
    (database, configuration) = tx.execute(
        "SELECT database, configuration FROM collections WHERE id = ?", (id,)
    ).fetchone()
    entry = (id, name, database, encode(metadata), configuration)
    tx.execute(
        "UPDATE collections SET name = ?, metadata = ?, checksum = ? WHERE id = ?",
        (name, entry[3], checksums.of(entry), id),
    )


def damaged(tx: Transaction) -> list[str]:
    """The entries that are not what was written, by kind and name."""
    columns = {
        "tenant": "name",
        "database": "id, name, tenant",
        "collection": "id, name, database, metadata, configuration",
    }
    return [
        f"{kind} {entry[min(1, len(entry) - 1)]!r}"
        for kind, listed in columns.items()
        for *entry, checksum in tx.execute(f"SELECT {listed}, checksum FROM {kind}s")
        if checksums.of(entry) != checksum
    ]


def delete(tx: Transaction, id: str) -> bool:
    """Take a collection out; False when it was not there."""
    return tx.execute("DELETE FROM collections WHERE id = ?", (id,)).rowcount > 0


def names(tx: Transaction) -> dict[str, str]:
    """id → name of all collections of all databases, but for damaged ids, which `damaged` reports."""
    entries = tx.execute("SELECT id, name FROM collections ORDER BY name")
    return {id: str(name) for id, name in entries if _is_uuid(id)}


def _is_uuid(id: Any) -> bool:
    try:
        return bool(str(UUID(id)) == id)
    except (ValueError, TypeError, AttributeError):
        return False
