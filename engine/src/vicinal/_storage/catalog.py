"""Which collections are there?  The statements on `catalog.sqlite3`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from vicinal._storage import checksums
from vicinal._storage.database import Transaction
from vicinal._storage.metadata import decode, encode
from vicinal.config import CollectionConfiguration
from vicinal.errors import CorruptionError, InvalidArgumentError
from vicinal.types import DEFAULT_DATABASE, DEFAULT_TENANT


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
    asked = {column: value for column, value in (("c.name", name), ("c.id", id)) if value is not None}
    equal = "".join(f" AND {column} = ?" for column in asked)  # "? IS NULL OR …" would look at each of them
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM {_FROM}{equal} ORDER BY c.name LIMIT ? OFFSET ?",
        (tenant, database, *asked.values(), _bound(limit, -1), _bound(offset, 0)),
    )
    return [_entry(*row) for row in rows.fetchall()]


def _entry(id: str, name: str, metadata: str | None, configuration: str) -> Entry:
    try:
        parsed = CollectionConfiguration.model_validate_json(configuration)
        return Entry(UUID(id), str(name), decode(metadata), parsed)
    except (ValueError, TypeError, AttributeError) as error:
        problem = (
            f"the entry of collection {name!r} cannot be read: {_why(error)}; open a backup in which it can "
            f"be, or let delete_collection({name!r}) remove the collection"
        )
        raise CorruptionError(path="catalog.sqlite3", problem=problem) from error


def _written(configuration: CollectionConfiguration) -> str:
    """A configuration as JSON text that can be read again, or `InvalidArgumentError`."""
    try:
        written = configuration.model_dump(mode="json")
        json.dumps(written, ensure_ascii=False).encode()
        text = json.dumps(written)
        CollectionConfiguration.model_validate_json(text)
    except UnicodeEncodeError as error:
        before = error.object[max(0, error.start - 20) : error.end]
        raise InvalidArgumentError(
            f"configuration: not valid Unicode text (a lone surrogate at the end of {before!r})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"configuration: it could not be read again if it were stored: {_why(error)}"
        ) from None
    return text


def _why(error: Exception) -> str:
    """What is wrong with an entry, in a line."""
    return str(error.errors()[0]["msg"] if isinstance(error, ValidationError) else error)


def _bound(number: int | None, default: int) -> int:
    """A limit or offset that SQLite can hold."""
    return default if number is None else min(number, 2**62)


def identity(tx: Transaction) -> str:
    """What a database and its backups have in common."""
    found = tx.execute("SELECT id FROM identity").fetchone()
    if found is None:
        raise CorruptionError(path="catalog.sqlite3", problem="its identity is missing")
    return str(found[0])


def insert(tx: Transaction, database: UUID, new: Entry) -> None:
    """Enter a collection, whose name is known to be free, in the database of that id."""
    entry = (str(new.id), new.name, str(database), encode(new.metadata), _written(new.configuration))
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


def update(tx: Transaction, changed: Entry) -> None:
    """Replace the name, the metadata and the configuration of a collection."""
    id, configuration = str(changed.id), _written(changed.configuration)
    (database,) = tx.execute("SELECT database FROM collections WHERE id = ?", (id,)).fetchone()
    entry = (id, changed.name, database, encode(changed.metadata), configuration)
    tx.execute(
        "UPDATE collections SET name = ?, metadata = ?, configuration = ?, checksum = ? WHERE id = ?",
        (changed.name, entry[3], configuration, checksums.of(entry), id),
    )


def damaged(tx: Transaction) -> list[str]:
    """What is not what was written, in sentences."""
    columns = {
        "tenant": "name",
        "database": "id, name, tenant",
        "collection": "id, name, database, metadata, configuration",
    }
    found = [
        f"the entry of {kind} {entry[min(1, len(entry) - 1)]!r} is damaged"
        for kind, listed in columns.items()
        for *entry, checksum in tx.execute(f"SELECT {listed}, checksum FROM {kind}s")
        if checksums.of(entry) != checksum
    ]
    found += unreadable(tx).values()
    if tx.execute("SELECT id FROM identity").fetchone() is None:
        found.append("its identity is missing, so it cannot be backed up")
    return found


def unreadable(tx: Transaction) -> dict[str, str]:
    """id → what is wrong, and what can be done, for the collections whose entries cannot be read."""
    found = {}
    for id, *entry in tx.execute("SELECT id, name, metadata, configuration FROM collections").fetchall():
        try:
            _entry(id, *entry)
        except CorruptionError as error:
            found[str(id)] = error.problem
    return found


def delete(tx: Transaction, id: str) -> bool:
    """Take a collection out; False when it was not there."""
    return tx.execute("DELETE FROM collections WHERE id = ?", (id,)).rowcount > 0


def delete_named(tx: Transaction, database: UUID, name: str) -> list[UUID] | None:
    """Take a collection out, whether or not its entry can be read; returns its id, unless that cannot.

    None when it was not there.
    """
    place = (str(database), name)
    gone = tx.execute("SELECT id FROM collections WHERE database = ? AND name = ?", place).fetchall()
    tx.execute("DELETE FROM collections WHERE database = ? AND name = ?", place)
    return [UUID(id) for (id,) in gone if _is_uuid(id)] if gone else None


# --- tenants and databases ---------------------------------------------------------------------


def tenants(tx: Transaction, name: str | None = None, limit: int | None = None, offset: int = 0) -> list[str]:
    """The names of tenants, in order."""
    rows = tx.execute(
        "SELECT name FROM tenants WHERE ? IS NULL OR name = ? ORDER BY name LIMIT ? OFFSET ?",
        (name, name, _bound(limit, -1), _bound(offset, 0)),
    )
    return [str(found) for (found,) in rows.fetchall()]


def databases(
    tx: Transaction, tenant: str, name: str | None = None, limit: int | None = None, offset: int = 0
) -> list[tuple[UUID, str]]:
    """(id, name) of a tenant's databases, in order of name."""
    rows = tx.execute(
        "SELECT id, name FROM databases WHERE tenant = ? AND (? IS NULL OR name = ?) "
        "ORDER BY name LIMIT ? OFFSET ?",
        (tenant, name, name, _bound(limit, -1), _bound(offset, 0)),
    )
    return [(_id(id, found), str(found)) for id, found in rows.fetchall()]


def _id(text: Any, name: Any) -> UUID:
    if not _is_uuid(text):
        raise CorruptionError(path="catalog.sqlite3", problem=f"the id of database {name!r} is {text!r}")
    return UUID(text)


def insert_tenant(tx: Transaction, name: str) -> None:
    """Enter a tenant whose name is known to be free."""
    tx.execute("INSERT INTO tenants (name, checksum) VALUES (?, ?)", (name, checksums.of((name,))))


def insert_database(tx: Transaction, id: UUID, name: str, tenant: str) -> None:
    """Enter a database whose name is known to be free in its tenant."""
    entry = (str(id), name, tenant)
    tx.execute(
        "INSERT INTO databases (id, name, tenant, checksum) VALUES (?, ?, ?, ?)",
        (*entry, checksums.of(entry)),
    )


def delete_database(tx: Transaction, id: UUID) -> list[UUID]:
    """Take a database and its collections out; returns the ids of these."""
    gone = tx.execute("SELECT id FROM collections WHERE database = ?", (str(id),)).fetchall()
    tx.execute("DELETE FROM collections WHERE database = ?", (str(id),))
    tx.execute("DELETE FROM databases WHERE id = ?", (str(id),))
    return [UUID(collection) for (collection,) in gone if _is_uuid(collection)]


def delete_tenant(tx: Transaction, name: str) -> list[UUID]:
    """Take a tenant and its databases out; returns the ids of the collections that were in them."""
    gone = [id for database, _ in databases(tx, name) for id in delete_database(tx, database)]
    tx.execute("DELETE FROM tenants WHERE name = ?", (name,))
    return gone


def names(tx: Transaction) -> dict[str, str]:
    """id → name of all collections, but for damaged ids, which `damaged` reports.

    Outside of the default database a name is told with its tenant and database: `tenant/database/name`.
    """
    entries = tx.execute(
        "SELECT c.id, c.name, d.tenant, d.name FROM collections c LEFT JOIN databases d ON d.id = c.database "
        "ORDER BY d.tenant, d.name, c.name"
    )
    home = {(DEFAULT_TENANT, DEFAULT_DATABASE), (None, None)}
    return {
        id: str(name) if (tenant, database) in home else f"{tenant}/{database}/{name}"
        for id, name, tenant, database in entries
        if _is_uuid(id)
    }


def _is_uuid(id: Any) -> bool:
    try:
        return bool(str(UUID(id)) == id)
    except (ValueError, TypeError, AttributeError):
        return False
