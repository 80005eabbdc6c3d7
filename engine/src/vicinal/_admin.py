"""How are tenants and databases made, found and deleted, and how is a whole store looked after?

A collection's name is unique in its database, a database's in its tenant. Tenants share nothing but the
directory: this is order among names, not protection, for whoever has the directory has it all.
"""

from __future__ import annotations

import os
import shlex
import warnings
from pathlib import Path
from typing import Any, TypeVar

from vicinal import _request as r
from vicinal import _validate as check
from vicinal._backend import Backend
from vicinal._local import LocalBackend
from vicinal._readonly import ReadOnlyBackend
from vicinal._settings import Settings, directory_of, settings_of
from vicinal._storage.files import exists
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, NotFoundError, StorageError
from vicinal.types import DEFAULT_TENANT

_CATALOG = "catalog.sqlite3"
_NAME_MIN = 3
_Admin = TypeVar("_Admin", bound="AdminClient")


class Tenancy:
    """The operations on tenants, databases and the whole store, which every client has."""

    _backend: Backend

    # --- tenants and databases -----------------------------------------------------------------

    @property
    def _home(self) -> str:
        """The tenant that is meant when none is named."""
        return DEFAULT_TENANT

    def create_tenant(self, name: str) -> None:
        """Make a tenant, which has no database yet.

        Raises:
            UniqueConstraintError: The name is taken.
            InvalidArgumentError: The name has fewer than 3 characters.
        """
        self._backend.organize(r.Organize("create", "tenant", name=_space_name(name)))

    def get_tenant(self, name: str) -> dict[str, Any]:
        """`{"name": name}` of an existing tenant, or `NotFoundError`."""
        name = text_of(name, "name")
        if not self._backend.organize(r.Organize("list", "tenant", name=name)):
            raise NotFoundError(kind="Tenant", key=name, hint="create_tenant() makes it")
        return {"name": name}

    def list_tenants(self, limit: int | None = None, offset: int | None = None) -> list[dict[str, Any]]:
        """`{"name"}` of every tenant, in order of name."""
        found = self._backend.organize(r.Organize("list", "tenant", **check.bounds(limit, offset)))
        return [{"name": space.tenant} for space in found]

    def delete_tenant(self, name: str) -> None:
        """Delete a tenant with its databases and all their collections. Raises `NotFoundError`."""
        self._backend.organize(r.Organize("delete", "tenant", name=text_of(name, "name")))

    def create_database(self, name: str, tenant: str | None = None) -> None:
        """Make a database in a tenant: the client's own, unless another is named.

        Raises:
            NotFoundError: There is no such tenant.
            UniqueConstraintError: The tenant has a database of that name.
            InvalidArgumentError: The name has fewer than 3 characters.
        """
        name = _space_name(name)
        self._backend.organize(r.Organize("create", "database", self._tenant(tenant), name))

    def get_database(self, name: str, tenant: str | None = None) -> dict[str, Any]:
        """`{"id", "name", "tenant"}` of an existing database, or `NotFoundError`."""
        name, tenant = text_of(name, "name"), self._tenant(tenant)
        found = self._backend.organize(r.Organize("list", "database", tenant, name))
        if not found:
            hint = f"create_database() makes it in tenant {tenant}"
            raise NotFoundError(kind="Database", key=name, hint=hint)
        return _database(found[0])

    def list_databases(
        self, limit: int | None = None, offset: int | None = None, tenant: str | None = None
    ) -> list[dict[str, Any]]:
        """`{"id", "name", "tenant"}` of a tenant's databases, in order of name."""
        request = r.Organize("list", "database", self._tenant(tenant), **check.bounds(limit, offset))
        return [_database(space) for space in self._backend.organize(request)]

    def delete_database(self, name: str, tenant: str | None = None) -> None:
        """Delete a database with all its collections, and free their disk. Raises `NotFoundError`."""
        name = text_of(name, "name")
        self._backend.organize(r.Organize("delete", "database", self._tenant(tenant), name))

    # --- the whole store -----------------------------------------------------------------------

    def check(self) -> list[str]:
        """Read everything and compare it with its checksums: one sentence for each contradiction.

        An empty list means that every record's texts and vector are what was written, and that rows,
        vectors, the change log and the catalog agree. Changes nothing. Costs one pass over the data.
        """
        return self._backend.maintain(r.Maintain("check"))

    def backup(self, target: str | os.PathLike[str]) -> None:
        """Copy the database to a directory, while others write to it; open the copy to restore it.

        Each collection is copied as of one commit. A target that is an earlier backup is brought up to
        date: of the vectors, only those that it lacks are written. Any other directory that is not empty
        is refused with a `StorageError`, and so is a database in memory.
        """
        self._backend.maintain(r.Maintain("backup", target=directory_of(target, "target")))

    def repair(self) -> list[str]:
        """Save what is whole of damaged collections; returns what was done and what was lost.

        The damaged files are kept, in `damaged/` inside the directory. Where only checkpoints are
        damaged, they are removed, and made anew. Nobody else may have the database open meanwhile.
        `check()` says beforehand what is damaged. What the catalog says of a
        collection is not repaired; where it cannot be read, the answer says what can be done.
        """
        return self._backend.maintain(r.Maintain("repair"))

    def close(self) -> None:
        """Release files and threads; safe to call twice. Everything acknowledged is on disk already."""
        self._backend.close()

    def _tenant(self, given: str | None) -> str:
        return self._home if given is None else text_of(given, "tenant")


class AdminClient(Tenancy):
    """Tenants and databases of the directory that `settings.persist_directory` names, and its upkeep.

    It stands in no database, so it opens a directory whatever its databases are called. Every client can
    do the same for its own collections; those in memory can be reached in no other way.

    Example:
        >>> import vicinal
        >>> client = vicinal.EphemeralClient()
        >>> client.create_tenant("acme")
        >>> client.create_database("papers", tenant="acme")
        >>> client.set_tenant("acme", database="papers")
        >>> client.count_collections()
        0
    """

    def __init__(
        self, settings: Settings | None = None, *, must_exist: bool = False, read_only: bool = False
    ) -> None:
        place = place_of(settings_of(settings))
        self._backend: Backend = opened_at(place, must_exist=must_exist, read_only=read_only)

    def __enter__(self: _Admin) -> _Admin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def place_of(settings: Settings) -> Path | None:
    """The directory that settings name; None for memory."""
    return directory_of(settings.persist_directory, "persist_directory") if settings.is_persistent else None


def opened_at(place: Path | None, *, must_exist: bool = False, read_only: bool = False) -> Backend:
    """What a client works on. A `UserWarning` when it begins a new database beside one of Chroma's."""
    begins = place is not None and not (must_exist or read_only or os.path.exists(place / _CATALOG))
    if begins and (hint := foreign(place)):
        warnings.warn(f"This begins a new, empty Vicinal database: {hint}", stacklevel=3)
    return backend_at(place, must_exist=must_exist, read_only=read_only)


def foreign(place: Path | None) -> str:
    """How the collections of Chroma's that a directory holds come to Vicinal; "" when it holds none."""
    if place is None or not os.path.exists(place / "chroma.sqlite3"):
        return ""
    command = f"vicinal import {shlex.quote(f'chroma://{place}')} --into NEWDIR"
    return f"{place} holds a Chroma database, whose collections `{command}` copies to another directory"


def backend_at(place: Path | None, *, must_exist: bool = False, read_only: bool = False) -> Backend:
    """The collections of a directory, or new ones in memory."""
    if place is None:
        return LocalBackend(None)
    if (must_exist or read_only) and not exists(place / _CATALOG):
        raise StorageError(path=str(place), problem="holds no Vicinal database")
    return ReadOnlyBackend(place) if read_only else LocalBackend(place)


def _database(space: r.NamespaceInfo) -> dict[str, Any]:
    return {"id": space.id, "name": space.database, "tenant": space.tenant}


def text_of(name: Any, argument: str) -> str:
    """A name, of which only what it is made of is checked."""
    if not isinstance(name, str):
        raise ArgumentTypeError(argument=argument, expected="a str", got=name)
    return check.unicode(name, argument)


def _space_name(name: Any) -> str:
    if len(text_of(name, "name")) < _NAME_MIN:
        raise InvalidArgumentError(f"name: Expected at least {_NAME_MIN} characters, got {name!r}")
    return str(name)
