"""Which collections does a Chroma directory hold, and how are they configured?

Everything but the vectors is in `chroma.sqlite3`. Its tables are those of Chroma 0.4.15 and later; what a
version lacks (a collection's schema, say) is taken as absent. Where a collection's configuration stands has
changed twice: in its schema (1.3 and later), in its configuration (1.0 and later), and before in the metadata
of its vector segment, a copy of what the collection's own metadata said when it was made. `modify` may since
have replaced that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from vicinal._schema import Schema, without_function
from vicinal._storage.database import Transaction, foreign
from vicinal._storage.files import is_file
from vicinal.config import CollectionConfiguration, parse_configuration
from vicinal.embedding import registry
from vicinal.errors import CorruptionError, InvalidArgumentError, StorageError

_TABLES = {"tenants", "databases", "collections", "segments", "embeddings", "embeddings_queue"}


@dataclass(frozen=True)
class Source:
    """One collection of a Chroma directory."""

    id: UUID
    name: str
    tenant: str
    database: str
    dimension: int | None
    metadata: dict[str, Any] | None
    configuration: CollectionConfiguration
    vector_segment: str | None
    metadata_segment: str | None


@contextmanager
def opened(path: Path) -> Iterator[Transaction]:
    """One committed state of a Chroma directory."""
    file = path / "chroma.sqlite3"
    if is_file(path):
        raise StorageError(path=str(path), problem="is a file; give the directory that holds chroma.sqlite3")
    if not is_file(file):
        raise StorageError(path=str(path), problem="holds no Chroma database: there is no chroma.sqlite3")
    with foreign(file) as tx:
        missing = _TABLES - {name for (name,) in tx.execute("SELECT name FROM sqlite_master")}
        if missing:
            raise StorageError(
                path=str(file),
                problem=f"lacks tables ({', '.join(sorted(missing))}), so no Chroma since 0.4.15 wrote it. "
                "Open an older one once with chromadb 0.6, which brings it up to date",
            )
        yield tx


def tenants(tx: Transaction) -> list[str]:
    """Every tenant, in order of name, those too that a database alone names: Chroma makes it unasked."""
    named = "SELECT id FROM tenants UNION SELECT tenant_id FROM databases ORDER BY 1"
    return [name for (name,) in tx.execute(named)]


def databases(tx: Transaction) -> list[tuple[str, str]]:
    """Every (tenant, database), in order of name."""
    return tx.execute("SELECT tenant_id, name FROM databases ORDER BY tenant_id, name").fetchall()


def collections(tx: Transaction, path: Path) -> list[Source]:
    """Every collection, in order of tenant, database and name."""
    columns = _columns(tx, "collections")
    wanted = ", ".join(
        f"c.{name}" if name in columns else "NULL" for name in ("config_json_str", "schema_str")
    )
    rows = tx.execute(
        f"SELECT c.id, c.name, d.tenant_id, d.name, c.dimension, {wanted} FROM collections AS c "
        "JOIN databases AS d ON d.id = c.database_id ORDER BY d.tenant_id, d.name, c.name"
    ).fetchall()
    return [_source(tx, path, row) for row in rows]


def _source(tx: Transaction, path: Path, row: Any) -> Source:
    id, name, tenant, database, dimension, configuration, schema = row
    segments = dict(tx.execute("SELECT scope, id FROM segments WHERE collection = ?", (id,)))
    metadata = _metadata(tx, "collection", id)
    legacy = {**metadata, **_metadata(tx, "segment", segments.get("VECTOR"))}
    try:
        parsed = _configuration(json.loads(configuration or "{}"), json.loads(schema or "{}"), legacy)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f'the configuration of collection "{name}" cannot be read: {error}'
        raise CorruptionError(path=str(path), problem=problem) from error
    return Source(
        UUID(id),
        name,
        tenant,
        database,
        dimension,
        metadata or None,
        parsed,
        segments.get("VECTOR"),
        segments.get("METADATA"),
    )


def _metadata(tx: Transaction, kind: str, id: str | None) -> dict[str, Any]:
    """The metadata of a collection or a segment."""
    switch = "bool_value" if "bool_value" in _columns(tx, f"{kind}_metadata") else "NULL"
    rows = tx.execute(
        f"SELECT key, str_value, int_value, float_value, {switch} FROM {kind}_metadata "
        f"WHERE {kind}_id = ? ORDER BY rowid",
        (id,),
    )
    return {key: value_of(*values) for key, *values in rows}


def value_of(string: str | None, integer: int | None, real: float | None, switch: int | None) -> Any:
    """The one of four columns that holds a value."""
    if switch is not None:
        return bool(switch)
    return next((value for value in (string, integer, real) if value is not None), None)


def _columns(tx: Transaction, table: str) -> set[str]:
    return {row[1] for row in tx.execute(f"PRAGMA table_info({table})")}


# --- configuration -----------------------------------------------------------------------------


_DEFAULTS = {"ef_construction": 100, "max_neighbors": 16, "ef_search": 100}
"""Chroma writes out its defaults. They are nobody's choice, and ours find more."""


def _configuration(
    stored: Mapping[str, Any], schema: Mapping[str, Any], legacy: Mapping[str, Any]
) -> CollectionConfiguration:
    index = _index_of(schema)
    if index is None:
        index = {**(stored.get("vector_index") or {}), "embedding_function": stored.get("embedding_function")}
    graph = index.get("hnsw") or {}
    function = _function(index.get("embedding_function"))
    threads = legacy.get("hnsw:num_threads")  # 1.x writes down how many cores its machine had
    graph = {**graph, "num_threads": threads}
    known = {
        key: value
        for key, value in graph.items()
        if _DEFAULTS.get(key) != value and _is_acceptable({"hnsw": {key: value}}, None)
    }
    space = index.get("space") or graph.get("space") or (index.get("spann") or {}).get("space")
    if not known and space is None:  # before 1.0, or never configured
        accepted = {key: value for key, value in legacy.items() if _is_acceptable(None, {key: value})}
        return parse_configuration(None, accepted, "l2", function)
    parsed = parse_configuration({"hnsw": {**known, "space": space or "l2"}}, None, "l2", function)
    return parsed.model_copy(update={"index_schema": _schema(schema)})


def _is_acceptable(configuration: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None) -> bool:
    """Whether Vicinal can be configured so: Chroma also takes an ef_search of 0."""
    try:
        parse_configuration(configuration, metadata, "l2", None)
    except InvalidArgumentError:
        return False
    return True


def _index_of(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The vector index of a schema: `{"space", "embedding_function", "hnsw"}`."""
    of_embeddings = (schema.get("keys") or {}).get("#embedding") or {}
    index = (of_embeddings.get("float_list") or {}).get("vector_index")
    return None if index is None else dict(index["config"])


def _function(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How Vicinal describes the function that Chroma describes so; before 1.0 nothing was stored."""
    if stored is None or stored.get("type") not in ("known", "legacy"):
        return None
    if stored["type"] == "legacy":
        return {"type": "legacy"}
    return {"type": "known", **registry.of_chroma(stored["name"], stored.get("config") or {})}


def _schema(stored: Mapping[str, Any]) -> dict[str, Any] | None:
    """A schema that turns something off; None for the usual one, which Chroma writes out with every key."""
    if not stored:
        return None
    stored = without_function(stored)
    usual = Schema().serialize_to_json()
    defaults = _switches(usual["defaults"])
    of_key = {"#document": _switches(usual["keys"]["#document"])}
    is_usual = _switches(stored["defaults"]) == defaults and all(
        _switches(indexes).items() <= of_key.get(key, defaults).items()
        for key, indexes in stored["keys"].items()
        if key != "#embedding"
    )
    return None if is_usual else Schema.deserialize_from_json(stored).serialize_to_json()


def _switches(indexes: Mapping[str, Any]) -> dict[str, bool]:
    """Which indexes are on."""
    return {name: bool(index["enabled"]) for of_kind in indexes.values() for name, index in of_kind.items()}
