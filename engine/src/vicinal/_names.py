"""Which collections, databases and tenants are there, and how do they come and go?

The catalog is the truth about names: its commit makes or deletes a collection, and whatever lies in a
directory that it does not know is removed. So deletions commit first and remove files afterwards, and a
fork's files are whole before its commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from vicinal import _request as r
from vicinal._copy import staged
from vicinal._opened import OpenCollections, info_of
from vicinal._storage import catalog
from vicinal._storage.catalog import Entry
from vicinal._storage.database import Transaction
from vicinal._storage.files import Files
from vicinal._text.analysis import Analyser
from vicinal.errors import NotFoundError, UniqueConstraintError
from vicinal.types import DEFAULT_DATABASE, DEFAULT_TENANT

_TAKEN = "Use get_collection() to open it, or get_or_create_collection()"


# --- collections -------------------------------------------------------------------------------


def create(opened: OpenCollections, files: Files, request: r.Create) -> r.CollectionInfo:
    """Enter a collection; its files are made when it is first used."""
    space = request.namespace
    with opened.catalog.write() as tx:
        database = _database(tx, space.tenant, space.database)
        found = catalog.find(tx, space.tenant, space.database, name=request.name)
        if found and not request.get_or_create:
            raise UniqueConstraintError(kind="Collection", key=request.name, hint=_TAKEN)
        if found:
            return info_of(found[0], space)
        if request.configuration.text is not None:
            Analyser(request.configuration.text)  # refuses what could cut no text: it cannot be changed later
        entry = Entry(uuid4(), request.name, request.metadata, request.configuration)
        catalog.insert(tx, database, entry)
        files.step("create: before commit")
    files.step("create: committed")
    return info_of(entry, space)


def list_collections(opened: OpenCollections, request: r.List) -> list[r.CollectionInfo]:
    """The collections of a database, in order of name."""
    space = request.namespace
    with opened.catalog.read() as tx:
        found = catalog.find(
            tx,
            space.tenant,
            space.database,
            name=request.name,
            id=None if request.id is None else str(request.id),
            limit=request.limit,
            offset=request.offset,
        )
        if not found:
            _database(tx, space.tenant, space.database)
    return [info_of(entry, space) for entry in found]


def modify(opened: OpenCollections, files: Files, request: r.Modify) -> r.CollectionInfo:
    """Change a collection's name, metadata or configuration."""
    with opened.catalog.write() as tx:
        tenant, database, entry = _entry(tx, request.collection)
        if request.name is not None and request.name != entry.name:
            _check_free(tx, tenant, database, request.name)
            entry = replace(entry, name=request.name)
        if request.metadata is not None:
            entry = replace(entry, metadata=request.metadata)
        if request.configuration is not None:
            entry = replace(entry, configuration=entry.configuration.changed(request.configuration))
        catalog.update(tx, entry)
        files.step("modify: before commit")
    info = info_of(entry, r.Namespace(tenant, database))
    opened.refresh(info)
    return info


def drop(opened: OpenCollections, files: Files, request: r.Drop) -> None:
    """Delete a collection; what is left of its files after a crash goes when the directory is opened."""
    with opened.catalog.write() as tx:
        space = request.namespace
        gone = catalog.delete_named(tx, _database(tx, space.tenant, space.database), request.name)
        if gone is None:
            raise NotFoundError(kind="Collection", key=request.name)
        files.step("drop: before commit")
    # COMMIT has returned: the collection is gone.
    files.step("drop: committed")
    _remove(opened, gone)


def fork(opened: OpenCollections, files: Files, request: r.Fork) -> r.CollectionInfo:
    """Copy one committed state of a collection; the copy has a name only when it is whole."""
    opened.catalog.check_place()  # else the copy would make the directory again
    with opened.catalog.read() as tx:
        tenant, database, _ = _entry(tx, request.collection)
        _check_free(tx, tenant, database, request.name)
    id = uuid4()
    with (
        opened.using(request.collection) as live,
        staged(opened, live, id, files) as copy,
        opened.catalog.write() as tx,
    ):
        tenant, database, source = _entry(tx, request.collection)
        _check_free(tx, tenant, database, request.name)
        lineage = source.configuration.lineage or source.id
        configuration = source.configuration.model_copy(update={"lineage": lineage})
        entry = Entry(id, request.name, source.metadata, configuration)
        info = info_of(entry, r.Namespace(tenant, database))
        copy.install(info)
        catalog.insert(tx, _database(tx, tenant, database), entry)
        files.step("fork: before commit")
    files.step("fork: committed")
    return info


# --- tenants and databases ---------------------------------------------------------------------


def organize(opened: OpenCollections, files: Files, request: r.Organize) -> list[r.NamespaceInfo]:
    """Make, list or delete tenants and databases; the answer lists those that were meant."""
    if request.task == "list":
        with opened.catalog.read() as tx:
            return _listed(tx, request)
    with opened.catalog.write() as tx:
        gone = _insert(tx, request) if request.task == "create" else _delete(tx, request)
        files.step(f"{request.task} {request.kind}: before commit")
    files.step(f"{request.task} {request.kind}: committed")
    _remove(opened, gone)
    return []


def reset(opened: OpenCollections, files: Files) -> None:
    """Leave nothing but the default tenant with its default database, which is empty."""
    with opened.catalog.write() as tx:
        gone = [id for tenant in catalog.tenants(tx) for id in catalog.delete_tenant(tx, tenant)]
        catalog.insert_tenant(tx, DEFAULT_TENANT)
        catalog.insert_database(tx, uuid4(), DEFAULT_DATABASE, DEFAULT_TENANT)
        files.step("reset: before commit")
    files.step("reset: committed")
    _remove(opened, gone)


def _listed(tx: Transaction, request: r.Organize) -> list[r.NamespaceInfo]:
    bounds = (request.name, request.limit, request.offset)
    if request.kind == "tenant":
        return [r.NamespaceInfo(name) for name in catalog.tenants(tx, *bounds)]
    tenant = _tenant(tx, request)
    return [r.NamespaceInfo(tenant, name, id) for id, name in catalog.databases(tx, tenant, *bounds)]


def _insert(tx: Transaction, request: r.Organize) -> list[UUID]:
    assert request.name is not None
    if request.kind == "tenant":
        if catalog.tenants(tx, request.name):
            raise UniqueConstraintError(kind="Tenant", key=request.name)
        catalog.insert_tenant(tx, request.name)
    else:
        tenant = _tenant(tx, request)
        if catalog.databases(tx, tenant, request.name):
            raise UniqueConstraintError(kind="Database", key=request.name)
        catalog.insert_database(tx, uuid4(), request.name, tenant)
    return []


def _delete(tx: Transaction, request: r.Organize) -> list[UUID]:
    """The ids of the collections that go with it."""
    assert request.name is not None
    if request.kind == "database":
        return catalog.delete_database(tx, _database(tx, _tenant(tx, request), request.name))
    if not catalog.tenants(tx, request.name):
        raise NotFoundError(kind="Tenant", key=request.name)
    return catalog.delete_tenant(tx, request.name)


def _remove(opened: OpenCollections, gone: Sequence[UUID]) -> None:
    """Remove the files of collections that the catalog has forgotten."""
    for id in gone:
        opened.remove(id)


# --- how ---------------------------------------------------------------------------------------


def _entry(tx: Transaction, id: UUID) -> tuple[str, str, Entry]:
    found = catalog.get(tx, str(id))
    if found is None:
        raise NotFoundError(kind="Collection", key=str(id))
    return found


def _check_free(tx: Transaction, tenant: str, database: str, name: str) -> None:
    if catalog.find(tx, tenant, database, name=name):
        raise UniqueConstraintError(kind="Collection", key=name)


def _tenant(tx: Transaction, request: r.Organize) -> str:
    assert request.tenant is not None
    if not catalog.tenants(tx, request.tenant):
        raise NotFoundError(kind="Tenant", key=request.tenant, hint="create_tenant() makes it")
    return request.tenant


def _database(tx: Transaction, tenant: str, name: str) -> UUID:
    """The id of a database."""
    found = catalog.databases(tx, tenant, name)
    if not found:
        raise NotFoundError(kind="Database", key=name, hint=f"create_database() makes it in tenant {tenant}")
    return found[0][0]
