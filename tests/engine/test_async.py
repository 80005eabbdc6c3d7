"""An async client does what the others do, and the event loop goes on while it does."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal.errors import (
    ArgumentTypeError,
    ClosedError,
    InvalidArgumentError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)
from vicinal.testing import HashEmbeddingFunction

TENANT: ContextVar[str] = ContextVar("TENANT", default="nobody")
PAIRS = [
    (vicinal.Client, vicinal.AsyncClient),
    (vicinal.Collection, vicinal.AsyncCollection),
]
OPENERS = [
    (vicinal.EphemeralClient, vicinal.AsyncEphemeralClient),
    (vicinal.PersistentClient, vicinal.AsyncPersistentClient),
]
AT_ONCE = {"get_settings", "clear_system_cache"}
"""Methods that are not awaited: they wait for nothing, and `get_settings` is not in Chroma either."""


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def public(cls: type) -> dict[str, Any]:
    return {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}


def test_a_function_that_ends_an_iteration_is_not_waited_for_for_ever():
    class Ends(vicinal.EmbeddingFunction):
        def __init__(self):
            pass

        def __call__(self, input):
            return [next(iter([]))]

    async def add() -> None:
        async with vicinal.AsyncEphemeralClient() as client:
            things = await client.create_collection("things", embedding_function=Ends())
            await things.add(ids=["a"], documents=["x"])

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(asyncio.wait_for(add(), timeout=30))


# --- the same methods --------------------------------------------------------------------------


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_nothing_is_missing_and_nothing_is_more(sync, asynchronous):
    assert public(asynchronous).keys() == public(sync).keys()


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_every_method_is_awaited_and_no_property_is(sync, asynchronous):
    theirs = public(asynchronous)
    for name, member in public(sync).items():
        is_method = callable(member)
        assert inspect.iscoroutinefunction(theirs[name]) == (is_method and name not in AT_ONCE), name
        assert isinstance(theirs[name], property) == isinstance(member, property), name


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS + OPENERS)
def test_signatures_and_docstrings_are_the_same(sync, asynchronous):
    names = public(sync) if (sync, asynchronous) in PAIRS else {"__init__": None}
    for name in names:
        ours, theirs = getattr(sync, name), getattr(asynchronous, name)
        if callable(ours):
            assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters, name
        assert theirs.__doc__ or name == "__init__", name


# --- the same answers --------------------------------------------------------------------------


@pytest.fixture(params=["ephemeral", "persistent"])
def opener(request, tmp_path) -> Callable[[], vicinal.AsyncClient]:
    if request.param == "ephemeral":
        return vicinal.AsyncEphemeralClient
    return lambda: vicinal.AsyncPersistentClient(tmp_path)


def test_a_collection_is_made_filled_and_searched(opener):
    async def story() -> Any:
        async with opener() as client:
            things = await client.create_collection("things", embedding_function=HashEmbeddingFunction())
            await things.add(ids=["a", "b"], documents=["one", "two"], metadatas=[{"n": 1}, {"n": 2}])
            await things.upsert(ids=["c"], documents=["three"])
            await things.update(ids=["a"], metadatas=[{"n": 9}])
            await things.delete(ids=["b"])
            found = await things.query(query_texts="three", n_results=1)
            return await things.count(), found["ids"], (await things.get(where={"n": 9}))["ids"]

    assert run(story()) == (2, [["c"]], ["a"])


def test_collections_are_handed_out_as_async_ones(opener):
    async def story() -> Any:
        async with opener() as client:
            made = await client.create_collection("things", embedding_function=None, metadata={"a": 1})
            again = await client.get_or_create_collection("things", embedding_function=None)
            by_id = await client.get_collection_by_id(made.id)
            (listed,) = await client.list_collections()
            forked = await made.fork("copied")
            assert made == again == by_id == listed != forked
            assert len({made, again, by_id, listed}) == 1
            await client.delete_collection("copied")
            return [type(one).__name__ for one in (made, again, by_id, listed, forked)], repr(made)

    assert run(story()) == (["AsyncCollection"] * 5, "AsyncCollection(name=things)")


def test_what_a_collection_is_needs_no_awaiting(opener):
    async def story() -> None:
        async with opener() as client:
            things = await client.create_collection("things", embedding_function=None, metadata={"a": 1})
            assert (things.name, things.metadata, things.tenant) == ("things", {"a": 1}, client.tenant)
            assert (things.database, things.embedding_function) == (client.database, None)
            assert things.configuration == things.configuration_json
            assert things.schema == (await client.get_collection("things")).schema
            await things.modify(name="others")
            assert things.name == "others"

    run(story())


def test_tenants_are_managed(opener):
    async def story() -> Any:
        async with opener() as client:
            await client.create_tenant("acme")
            await client.create_database("one", tenant="acme")
            await client.set_tenant("acme", "one")
            await client.create_collection("things", embedding_function=None)
            names = [space["name"] for space in await client.list_databases()]
            return client.tenant, client.database, names, await client.count_collections()

    assert run(story()) == ("acme", "one", ["one"], 1)


def test_errors_are_the_same(opener):
    async def story() -> None:
        async with opener() as client:
            with pytest.raises(NotFoundError):
                await client.get_collection("nothing")
            with pytest.raises(TypeError):
                await client.get_collection(5)

    run(story())


def test_a_persistent_one_shares_its_directory(tmp_path):
    async def story() -> None:
        async with vicinal.AsyncPersistentClient(tmp_path) as client:
            things = await client.create_collection("things", embedding_function=None)
            await things.add(ids="a", embeddings=[1.0])

    run(story())
    with vicinal.PersistentClient(tmp_path) as client:
        assert client.get_collection("things").get()["ids"] == ["a"]


def test_it_can_be_opened_to_read(tmp_path):
    async def story() -> None:
        with pytest.raises(StorageError, match="holds no Vicinal database"):
            await vicinal.AsyncPersistentClient(tmp_path, read_only=True)
        vicinal.PersistentClient(tmp_path).close()
        async with vicinal.AsyncPersistentClient(tmp_path, read_only=True) as client:
            with pytest.raises(ReadOnlyError):
                await client.create_collection("things", embedding_function=None)

    run(story())


# --- opening and closing -----------------------------------------------------------------------


def test_it_can_be_awaited_entered_or_just_used():
    async def story() -> list[int]:
        awaited, used = await vicinal.AsyncEphemeralClient(), vicinal.AsyncEphemeralClient()
        async with vicinal.AsyncEphemeralClient() as entered:
            counts = [await client.count_collections() for client in (awaited, entered, used)]
        await awaited.close()
        await used.close()
        return counts

    assert run(story()) == [0, 0, 0]


def test_what_goes_wrong_when_opening_is_told_when_it_is_used(tmp_path):
    (tmp_path / "file").write_text("")

    async def story() -> None:
        client = vicinal.AsyncPersistentClient(tmp_path / "file")
        with pytest.raises(StorageError, match="is a file"):
            await client.count_collections()
        await client.close()
        with pytest.raises(StorageError, match="is a file"):
            async with vicinal.AsyncPersistentClient(tmp_path / "file"):
                pass

    run(story())


def slow_to_open(going_on: threading.Event) -> vicinal.AsyncClient:
    """A client that opens when it is let."""

    def opener() -> vicinal.Client:
        assert going_on.wait(30)
        return vicinal.EphemeralClient()

    return vicinal.AsyncClient(opener)


def test_who_gives_up_waiting_for_it_closes_it_for_nobody_else():
    async def story() -> int:
        going_on = threading.Event()
        client = slow_to_open(going_on)
        given_up, other = asyncio.ensure_future(client), asyncio.ensure_future(client)
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client, 0.05)
        with pytest.raises(asyncio.CancelledError):
            await given_up
        going_on.set()
        assert await other is client
        async with client:
            return await client.count_collections()

    assert run(story()) == 0


def test_nor_when_it_is_open_already(opener):
    async def story() -> int:
        client = await opener()
        given_up = asyncio.ensure_future(client)
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        async with client:
            return await client.count_collections()

    assert run(story()) == 0


def test_giving_up_entering_it_closes_it():
    """For nobody leaves it then."""

    async def story() -> None:
        going_on = threading.Event()
        client = slow_to_open(going_on)
        entering = asyncio.ensure_future(client.__aenter__())
        await asyncio.sleep(0)
        entering.cancel()
        await asyncio.sleep(0)
        going_on.set()
        with pytest.raises(asyncio.CancelledError):
            await entering
        with pytest.raises(ClosedError):
            await client.count_collections()

    run(story())


@pytest.fixture
def going_on(monkeypatch) -> threading.Event:
    """No thread of a pool does anything before this is set."""
    going_on = threading.Event()

    class Waiting(ThreadPoolExecutor):
        def submit(self, work: Any, /, *args: Any) -> Any:
            return super().submit(lambda: going_on.wait(30) and work(*args))

    monkeypatch.setattr(vicinal._async, "ThreadPoolExecutor", Waiting)
    return going_on


def test_it_opens_where_its_path_led_when_it_was_made(tmp_path, monkeypatch, going_on):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    client = vicinal.AsyncPersistentClient("data")
    monkeypatch.chdir(elsewhere)
    going_on.set()
    run(client.close())
    assert ([path.name for path in here.iterdir()], list(elsewhere.iterdir())) == (["data"], [])


def test_it_is_opened_with_the_settings_as_they_were(tmp_path, monkeypatch, going_on):
    monkeypatch.setenv("ALLOW_RESET", "true")
    settings = vicinal.Settings(allow_reset=False)
    clients = [
        vicinal.AsyncEphemeralClient(),
        vicinal.AsyncPersistentClient(tmp_path),
        vicinal.AsyncEphemeralClient(settings),
    ]
    monkeypatch.delenv("ALLOW_RESET")
    settings.allow_reset = True
    going_on.set()
    assert [client.get_settings().allow_reset for client in clients] == [True, True, False]
    for client in clients:
        run(client.close())


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no directory that somebody works in")
def test_without_a_working_directory_a_relative_path_leads_nowhere(tmp_path, monkeypatch, going_on):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    client = vicinal.AsyncPersistentClient("data")
    monkeypatch.chdir(tmp_path)
    going_on.set()
    with pytest.raises(StorageError, match="relative to the working directory, which cannot be found"):
        run(client.heartbeat())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("\0",), (5,), ("data", "settings")])
def test_what_is_wrong_with_its_arguments_is_told_when_it_is_awaited(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    client = vicinal.AsyncPersistentClient(*arguments)
    with pytest.raises((InvalidArgumentError, ArgumentTypeError)):
        run(client.heartbeat())
    assert list(tmp_path.iterdir()) == []


AT_EXIT = """
import asyncio, atexit, sys, vicinal

async def add(client):
    things = await client.get_or_create_collection("things", embedding_function=None)
    await things.add(ids="a", embeddings=[1, 2])
    print(await things.count(), await things.query(query_embeddings=[1, 2], include=[]) != {})

async def closed(client):
    try:
        await client.count_collections()
    except vicinal.errors.ClosedError:
        print("closed")

async def entered():
    async with vicinal.AsyncPersistentClient(sys.argv[1] + "/new") as another:
        print(await another.count_collections())

async def left(client):
    async with client:
        await add(client)

client = vicinal.AsyncPersistentClient(sys.argv[1] + "/old")
asyncio.run(client.heartbeat())
atexit.register(lambda: asyncio.run(closed(client)))
atexit.register(lambda: asyncio.run(client.close()))
atexit.register(lambda: asyncio.run(left(client)))
atexit.register(lambda: asyncio.run(entered()))
"""


def test_it_works_and_closes_when_the_interpreter_ends(tmp_path):
    command = [sys.executable, "-c", AT_EXIT, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert (ended.stdout.split(), ended.stderr) == ([b"0", b"1", b"True", b"closed"], b"")
    with vicinal.PersistentClient(tmp_path / "old") as client:
        assert client.get_collection("things").count() == 1


def test_closing_goes_on_though_nobody_waits_for_it(tmp_path):
    """Its turn comes after the calls that have all threads; giving up the waiting does not take it away."""
    going_on = threading.Event()

    async def work():
        client = await vicinal.AsyncPersistentClient(tmp_path)
        held = [asyncio.create_task(client._run(going_on.wait)) for _ in range(vicinal._async.THREADS)]
        await asyncio.sleep(0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.close(), 0.05)
        going_on.set()
        await asyncio.gather(*held)
        await client.close()
        with pytest.raises(ClosedError):
            client._client().count_collections()

    run(work())


def test_a_closed_one_says_so_and_closes_twice():
    async def story() -> None:
        client = await vicinal.AsyncEphemeralClient()
        things = await client.create_collection("things", embedding_function=None)
        await client.close()
        await client.close()
        for call in (client.count_collections, things.count):
            with pytest.raises(ClosedError):
                await call()

    run(story())


def test_leaving_the_context_closes_and_so_does_failing_to_open(tmp_path):
    async def story() -> None:
        async with vicinal.AsyncEphemeralClient() as left:
            pass
        unopened = vicinal.AsyncPersistentClient(tmp_path / "nothing", must_exist=True)
        with pytest.raises(StorageError):
            await unopened
        for client in (left, unopened):
            with pytest.raises(ClosedError):
                await client.count_collections()

    run(story())


def test_closing_leaves_no_thread():
    async def story() -> None:
        async with vicinal.AsyncEphemeralClient() as client:
            await asyncio.gather(*(client.heartbeat() for _ in range(20)))

    before = set(threading.enumerate())
    run(story())
    deadline = time.monotonic() + 60
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=1)
    assert set(threading.enumerate()) <= before


def test_it_serves_one_event_loop_after_the_other():
    client = vicinal.AsyncEphemeralClient()
    run(client.create_collection("things", embedding_function=None))
    assert run(client.count_collections()) == 1
    run(client.close())


def test_another_event_loop_closes_it_before_or_after_a_call_but_not_in_between():
    client = vicinal.AsyncEphemeralClient()
    run(client.heartbeat())
    submit, closer = client._pool.submit, threading.Thread(target=lambda: run(client.close()))

    def closed_meanwhile(*work: Any) -> Any:
        client._pool.submit = submit
        closer.start()
        closer.join(timeout=0.2)
        return submit(*work)

    client._pool.submit = closed_meanwhile
    assert run(client.count_collections()) == 0
    closer.join()
    with pytest.raises(ClosedError):
        run(client.count_collections())


# --- beside the loop ---------------------------------------------------------------------------


class Gate:
    """An embedding function that waits until it is let go, and says that it was reached."""

    def __init__(self) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self, input: Any) -> Any:
        self.reached.set()
        assert self.go_on.wait(30)
        return [[float(len(text)), 1.0] for text in input]


def test_the_loop_goes_on_while_a_batch_is_embedded_and_added(opener):
    async def story() -> Any:
        gate = Gate()
        async with opener() as client:
            things = await client.create_collection("things", embedding_function=gate)
            adding = asyncio.create_task(things.add(ids="a", documents="one"))
            while not gate.reached.is_set():
                await asyncio.sleep(0)
            turns = 0
            for _ in range(100):  # the loop turns, and others are served, while the batch waits
                await asyncio.sleep(0)
                turns += 1
            others = await things.count()
            gate.go_on.set()
            return turns, others, (await adding).added

    assert run(story()) == (100, 0, 1)


def test_the_loop_turns_while_much_is_written_and_searched(opener):
    async def turns_during(work: Any) -> int:
        turns, working = 0, asyncio.create_task(work)
        while not working.done():
            await asyncio.sleep(0)
            turns += 1
        await working
        return turns

    async def story() -> tuple[int, int, int]:
        vectors = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
        async with opener() as client:
            things = await client.create_collection("things", embedding_function=None)
            ids = [str(i) for i in range(len(vectors))]
            writing = await turns_during(things.add(ids=ids, embeddings=vectors))
            searching = await turns_during(things.query(query_embeddings=vectors[:500]))
            return writing, searching, await things.count()

    writing, searching, count = run(story())
    assert min(writing, searching) > 10, (writing, searching)  # it would be 1 if the loop did the work itself
    assert count == 20_000


def test_queries_run_at_the_same_time(opener):
    async def story() -> Any:
        meeting = threading.Barrier(4, timeout=30)  # all four are inside at once, or it breaks

        class Meeting:
            def __call__(self, input: Any) -> Any:
                return HashEmbeddingFunction()(input)

            def embed_query(self, input: Any) -> Any:
                meeting.wait()
                return self(input)

        async with opener() as client:
            things = await client.create_collection("things", embedding_function=Meeting())
            await things.add(ids=["a", "b"], documents=["one", "two"])
            answers = await asyncio.gather(
                *(things.query(query_texts=text, n_results=1) for text in ("one", "two", "one", "two"))
            )
            return [answer["ids"] for answer in answers]

    assert run(story()) == [[["a"]], [["b"]], [["a"]], [["b"]]]


def test_writers_take_turns(opener):
    async def story() -> int:
        async with opener() as client:
            things = await client.create_collection("things", embedding_function=None)
            await asyncio.gather(
                *(
                    things.add(ids=[f"{n}-{i}" for i in range(5)], embeddings=[[n, 1.0]] * 5)
                    for n in range(20)
                )
            )
            return await things.count()

    assert run(story()) == 100


def test_a_cancelled_call_is_left_alone_and_finishes(opener):
    async def story() -> int:
        gate = Gate()
        async with opener() as client:
            things = await client.create_collection("things", embedding_function=gate)
            adding = asyncio.create_task(things.add(ids="a", documents="one"))
            while not gate.reached.is_set():
                await asyncio.sleep(0)
            adding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await adding
            gate.go_on.set()
            while not await things.count():
                await asyncio.sleep(0)
            return await things.count()

    assert run(story()) == 1


def test_the_callers_context_goes_along(opener):
    seen = []

    def function(input: Any) -> Any:
        seen.append(TENANT.get())
        return [[1.0] for _ in input]

    async def story() -> None:
        async with opener() as client:
            things = await client.create_collection("things", embedding_function=function)
            TENANT.set("acme")
            await things.add(ids="a", documents="one")

    run(story())
    assert seen == ["acme"]
