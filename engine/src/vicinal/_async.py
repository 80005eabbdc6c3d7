"""How is a store used from an event loop without stalling it?

The async classes have the methods of the others, each run by a thread of the client's own small pool;
there is no second implementation, and every signature is the synchronous one's. Most of the engine's work
lets go of the interpreter's lock, so the loop goes on meanwhile.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, update_wrapper, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from vicinal._locks import RLock
from vicinal._schema import Schema
from vicinal._settings import Settings, directory_of, settings_of
from vicinal._storage import forks
from vicinal._storage.files import absolute
from vicinal.client import Client, EphemeralClient, PersistentClient
from vicinal.collection import Collection
from vicinal.embedding.protocol import Embedder
from vicinal.errors import ClosedError
from vicinal.types import DEFAULT_DATABASE, DEFAULT_TENANT

if TYPE_CHECKING:
    import asyncio

THREADS = 8
"""Calls of one client that run at the same time; more of them wait for their turn."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Self = TypeVar("_Self", bound="AsyncClient")
_Method = TypeVar("_Method", bound="Callable[..., Any]")


def _of_client(
    method: Callable[Concatenate[Client, _P], _T],
) -> Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, _T]]:
    @wraps(method)
    async def call(self: AsyncClient, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self._run(lambda: method(self._client(), *args, **kwargs))

    return call


def _opening(
    method: Callable[Concatenate[Client, _P], Collection],
) -> Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, AsyncCollection]]:
    @wraps(method)
    async def call(self: AsyncClient, /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncCollection:
        return AsyncCollection(self, await self._run(lambda: method(self._client(), *args, **kwargs)))

    return call


def _of_collection(
    method: Callable[Concatenate[Collection, _P], _T],
) -> Callable[Concatenate[AsyncCollection, _P], Coroutine[Any, Any, _T]]:
    @wraps(method)
    async def call(self: AsyncCollection, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await self._client._run(lambda: method(self._collection, *args, **kwargs))

    return call


def _described_by(method: Callable[..., Any]) -> Callable[[_Method], _Method]:
    """`wraps`, but to type checkers what it gives is still a method, with its own types."""

    def described(call: _Method) -> _Method:
        update_wrapper(call, method)
        return call

    return described


class AsyncCollection:
    """A collection whose methods are awaited; each does what `Collection`'s of that name does.

    Get one from an async client; do not construct it. Cancelling a call gives up waiting for it, not the
    call: a write that has begun may still be committed, whole.
    """

    def __init__(self, client: AsyncClient, collection: Collection) -> None:
        self._client, self._collection = client, collection

    @property
    def id(self) -> UUID:
        """The collection's identity; survives renaming."""
        return self._collection.id

    @property
    def name(self) -> str:
        """The name, unique in its database."""
        return self._collection.name

    @property
    def metadata(self) -> dict[str, Any] | None:
        """A copy of the collection's own metadata."""
        return self._collection.metadata

    @property
    def tenant(self) -> str:
        """The tenant whose database holds the collection."""
        return self._collection.tenant

    @property
    def database(self) -> str:
        """The database that holds the collection."""
        return self._collection.database

    @property
    def configuration(self) -> dict[str, Any]:
        """Like `configuration_json`, with the live embedding function in place of its description."""
        return self._collection.configuration

    @property
    def configuration_json(self) -> dict[str, Any]:
        """The stored configuration: `hnsw` parameters and the embedding function's name and config."""
        return self._collection.configuration_json

    @property
    def schema(self) -> Schema:
        """Which indexes the collection's keys have; a copy."""
        return self._collection.schema

    @property
    def embedding_function(self) -> Embedder | None:
        """The function that embeds this collection's text; None when there is none."""
        return self._collection.embedding_function

    def __repr__(self) -> str:
        return f"AsyncCollection(name={self.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncCollection) and self._collection == other._collection

    def __hash__(self) -> int:
        return hash(self._collection)

    add = _of_collection(Collection.add)
    upsert = _of_collection(Collection.upsert)
    update = _of_collection(Collection.update)
    delete = _of_collection(Collection.delete)
    get = _of_collection(Collection.get)
    peek = _of_collection(Collection.peek)
    query = _of_collection(Collection.query)
    search = _of_collection(Collection.search)
    count = _of_collection(Collection.count)
    modify = _of_collection(Collection.modify)
    compact = _of_collection(Collection.compact)
    optimize = _of_collection(Collection.optimize)
    expire = _of_collection(Collection.expire)
    facets = _of_collection(Collection.facets)
    stats = _of_collection(Collection.stats)
    fork_count = _of_collection(Collection.fork_count)
    get_indexing_status = _of_collection(Collection.get_indexing_status)

    @_described_by(Collection.fork)
    async def fork(self, new_name: str) -> AsyncCollection:
        forked = await self._client._run(lambda: self._collection.fork(new_name))
        return AsyncCollection(self._client, forked)


class AsyncClient:
    """The operations that every kind of async client has; each is `Client`'s of that name, awaited.

    Made anywhere, used from one event loop or several. It opens at once, on a thread of its own; awaiting
    it waits for that, and so does the first call. Who gives up waiting for it closes it for nobody else;
    `async with` closes it at the end, also where that is given up before it has begun. At the interpreter's
    end, which leaves no threads, its calls are done in the caller's.
    """

    def __init__(self, opener: Callable[[], Client]) -> None:
        self._closing: Future[None] | None = None
        self._opener = opener
        self._pid = os.getpid()
        self._start()
        self._opened = self._opening()

    create_collection = _opening(Client.create_collection)
    get_or_create_collection = _opening(Client.get_or_create_collection)
    get_collection = _opening(Client.get_collection)
    get_collection_by_id = _opening(Client.get_collection_by_id)
    count_collections = _of_client(Client.count_collections)
    delete_collection = _of_client(Client.delete_collection)

    @_described_by(Client.list_collections)
    async def list_collections(
        self, limit: int | None = None, offset: int | None = None
    ) -> Sequence[AsyncCollection]:
        found = await self._run(lambda: self._client().list_collections(limit, offset))
        return [AsyncCollection(self, collection) for collection in found]

    set_tenant = _of_client(Client.set_tenant)
    set_database = _of_client(Client.set_database)
    create_tenant = _of_client(Client.create_tenant)
    get_tenant = _of_client(Client.get_tenant)
    list_tenants = _of_client(Client.list_tenants)
    delete_tenant = _of_client(Client.delete_tenant)
    create_database = _of_client(Client.create_database)
    get_database = _of_client(Client.get_database)
    list_databases = _of_client(Client.list_databases)
    delete_database = _of_client(Client.delete_database)

    reset = _of_client(Client.reset)
    heartbeat = _of_client(Client.heartbeat)
    get_version = _of_client(Client.get_version)
    get_max_batch_size = _of_client(Client.get_max_batch_size)
    get_user_identity = _of_client(Client.get_user_identity)
    check = _of_client(Client.check)
    backup = _of_client(Client.backup)
    repair = _of_client(Client.repair)
    clear_system_cache = staticmethod(Client.clear_system_cache)

    @property
    def tenant(self) -> str:
        """The tenant that the client stands in. Waits until it is open."""
        return self._client().tenant

    @property
    def database(self) -> str:
        """The database that the client stands in. Waits until it is open."""
        return self._client().database

    def get_settings(self) -> Settings:
        """A copy of the settings that the client works by. Waits until it is open."""
        return self._client().get_settings()

    async def close(self) -> None:
        """Release files and threads; safe to call twice, and done also when waiting for it is cancelled.

        Calls that come later raise `ClosedError`; of those that wait for a thread, some may still be done.
        """
        import asyncio

        self._survive_fork()
        with self._lock:
            if self._closing is None:
                self._closing = self._submitted(self._close)
                self._pool.shutdown(wait=False)
        await asyncio.shield(_awaited(self._closing))

    def __await__(self: _Self) -> Generator[Any, None, _Self]:
        return self._ready().__await__()

    async def __aenter__(self: _Self) -> _Self:
        try:
            return await self._ready()
        except BaseException:  # no `__aexit__` comes
            await self.close()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- how -----------------------------------------------------------------------------------

    async def _ready(self: _Self) -> _Self:
        try:
            await _awaited(self._opened)
        finally:
            if self._opened.done() and self._opened.exception() is not None:
                await self.close()
        return self

    def _opening(self) -> Future[Client]:
        """The client that a thread opens.

        Under way from the beginning, so that nobody who gives up waiting for it can take it from the others.
        """
        opened: Future[Client] = Future()
        opened.set_running_or_notify_cancel()
        self._submitted(lambda: _tell(opened, self._opener))
        return opened

    def _submitted(self, work: Callable[[], _T]) -> Future[_T]:
        """What a thread of the pool makes of `work`, or this one as the interpreter ends and gives none."""
        try:
            return self._pool.submit(work)
        except RuntimeError:
            if threading.main_thread().is_alive():
                raise
        done: Future[_T] = Future()
        _tell(done, work)
        return done

    def _start(self) -> None:
        self._lock = RLock()  # of `_closing`, for event loops in several threads
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="vicinal-async")

    def _survive_fork(self) -> None:
        """In a forked child, where no thread of the pool is: make one that opens what was not open yet."""
        if self._pid == os.getpid():
            return
        with forks.restarting():
            if self._pid == os.getpid():
                return  # another thread was faster
            self._start()
            if not self._opened.done():
                self._opened = self._opening()
            if self._closing is not None and not self._closing.done():
                self._closing = Future()
                self._closing.set_result(None)
            self._pid = os.getpid()  # last: another thread goes on as soon as it reads this

    def _client(self) -> Client:
        self._survive_fork()
        return self._opened.result()

    def _close(self) -> None:
        if self._opened.exception() is None:
            self._opened.result().close()

    async def _run(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, done by a thread of the pool, in the caller's context."""
        self._survive_fork()
        context = contextvars.copy_context()
        with self._lock:
            if self._closing is not None:
                raise ClosedError
            future = self._submitted(lambda: context.run(_outcome, work))
        return await _awaited(future)


def _tell(future: Future[_T], work: Callable[[], _T]) -> None:
    """Do `work`, and let a future know what it returned or raised."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        future.set_exception(error)


def _outcome(work: Callable[[], _T]) -> _T:
    """What `work` returns or raises; not `StopIteration`, which no future of asyncio's takes."""
    try:
        return work()
    except StopIteration as error:
        raise RuntimeError("StopIteration was raised") from error


def _awaited(work: Future[_T]) -> asyncio.Future[_T]:
    """What a thread is at, for the running event loop."""
    import asyncio  # here, for whoever has a loop has it loaded, and others need not pay for it

    return asyncio.wrap_future(work)


class AsyncEphemeralClient(AsyncClient):
    """An `EphemeralClient` whose methods are awaited.

    Example:
        >>> import asyncio, vicinal
        >>> async def nearest() -> list[list[str]]:
        ...     async with vicinal.AsyncEphemeralClient() as client:
        ...         notes = await client.create_collection("notes", embedding_function=None)
        ...         await notes.add(ids=["a", "b"], embeddings=[[0.0, 1.0], [1.0, 0.0]])
        ...         return (await notes.query(query_embeddings=[0.9, 0.1], n_results=1))["ids"]
        >>> asyncio.run(nearest())
        [['b']]
    """

    def __init__(
        self,
        settings: Settings | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
    ) -> None:
        super().__init__(_given(lambda: partial(EphemeralClient, settings_of(settings), tenant, database)))


class AsyncPersistentClient(AsyncClient):
    """A `PersistentClient` whose methods are awaited. Arguments and errors are those of that class.

    Where the path leads, and what the environment says, is what holds when the client is made. The errors of
    opening are raised when it is awaited or first used:

        client = await vicinal.AsyncPersistentClient("./data")
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = "./vicinal",
        settings: Settings | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
        *,
        must_exist: bool = False,
        read_only: bool = False,
    ) -> None:
        super().__init__(
            _given(
                lambda: partial(
                    PersistentClient,
                    absolute(directory_of(path, "path")),
                    settings_of(settings),
                    tenant,
                    database,
                    must_exist=must_exist,
                    read_only=read_only,
                )
            )
        )


def _given(opener_of: Callable[[], Callable[[], Client]]) -> Callable[[], Client]:
    """What opens a client, with the arguments as they are now; or what raises their error when called."""
    try:
        return opener_of()
    except Exception as error:  # noqa: BLE001 - raised where the client is waited for
        failed: Future[Client] = Future()
        failed.set_exception(error)
        return failed.result
