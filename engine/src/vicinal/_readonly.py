"""How is a database read by a program that must not change it?

`ReadOnlyBackend` answers what can be answered without writing, and refuses the rest. A reading during
which a writer came or went is void and is done again, which ends soon: while a writer is there, readings
rest on what it shares.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from vicinal import _request as r
from vicinal._backup import backup
from vicinal._local import Findings, LocalBackend, Namespaces
from vicinal._storage.files import Files
from vicinal._storage.readonly import ReadOnlyFiles, UnsettledError
from vicinal.errors import ReadOnlyError, StorageError

_PATIENCE_S = 2.0
_PAUSE_S = 0.005

_VERBS: dict[type, str] = {
    r.Create: "create_collection()",
    r.Modify: "modify()",
    r.Drop: "delete_collection()",
    r.Fork: "fork()",
    r.Alter: "update()",
    r.Remove: "delete()",
}

_Answer = TypeVar("_Answer")


class ReadOnlyBackend(LocalBackend):
    """A directory that is read and never written, not even a lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _settled(lambda: super(ReadOnlyBackend, self).__init__(path, ReadOnlyFiles()))

    def list(self, request: r.List) -> list[r.CollectionInfo]:
        return _settled(lambda: super(ReadOnlyBackend, self).list(request))

    def status(self, request: r.Status) -> r.StatusInfo:
        return _settled(lambda: super(ReadOnlyBackend, self).status(request))

    def select(self, request: r.Select) -> r.Records:
        return _settled(lambda: super(ReadOnlyBackend, self).select(request))

    def summarize(self, request: r.Summarize) -> r.Summary:
        return _settled(lambda: super(ReadOnlyBackend, self).summarize(request))

    def search(self, request: r.Search) -> r.Answer:
        return _settled(lambda: super(ReadOnlyBackend, self).search(request))

    def rank(self, request: r.Rank) -> tuple[r.Records, ...]:
        return _settled(lambda: super(ReadOnlyBackend, self).rank(request))

    def organize(self, request: r.Organize) -> Namespaces:
        if request.task != "list":
            self._refuse(request)
        return _settled(lambda: super(ReadOnlyBackend, self).organize(request))

    def maintain(self, request: r.Maintain) -> Findings:
        if request.task == "check":
            return _settled(lambda: super(ReadOnlyBackend, self).maintain(request))
        if request.task != "backup" or request.target is None:
            self._refuse(request)
        target = request.target
        _settled(lambda: backup(self._opened, target, Files()))
        return []

    def create(self, request: r.Create) -> r.CollectionInfo:
        """An existing collection, if that will do."""
        found = self.list(r.List(request.namespace, name=request.name))
        if not found or not request.get_or_create:
            self._refuse(request)
        return found[0]

    def write(self, request: r.Write) -> NoReturn:
        self._refuse(request)

    def alter(self, request: r.Alter) -> NoReturn:
        self._refuse(request)

    def remove(self, request: r.Remove) -> NoReturn:
        self._refuse(request)

    def modify(self, request: r.Modify) -> NoReturn:
        self._refuse(request)

    def drop(self, request: r.Drop) -> NoReturn:
        self._refuse(request)

    def fork(self, request: r.Fork) -> NoReturn:
        self._refuse(request)

    def _refuse(self, request: object) -> NoReturn:
        raise ReadOnlyError(path=str(self._path), operation=_name_of(request))


def _name_of(request: object) -> str:
    """What the caller had called."""
    match request:
        case r.Write():
            return f"{request.mode}()"
        case r.Organize():
            return f"{request.task}_{request.kind}()"
        case r.Maintain():
            return f"{request.task}()"
    return _VERBS[type(request)]


def _settled(read: Callable[[], _Answer]) -> _Answer:
    """What `read` returns once nobody disturbs it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return read()
        except UnsettledError as error:
            if time.monotonic() > deadline:
                raise StorageError(path=str(error.path), problem=error.problem) from error
        time.sleep(_PAUSE_S)
