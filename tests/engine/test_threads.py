"""One client may be used by many threads: no error, nothing lost, and every answer is of one moment."""

from __future__ import annotations

import gc
import itertools
import os
import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import vicinal
from vicinal import _derived, _locks, _turns
from vicinal._fields import LiveColumns
from vicinal._filter import parse_where
from vicinal._index import planner
from vicinal._index.indexer import Indexer
from vicinal._live import LiveCollection
from vicinal._opened import OpenCollections
from vicinal._snapshot import Snapshot
from vicinal._storage import records
from vicinal._storage.database import Database
from vicinal._storage.files import Files
from vicinal._words import LiveWords
from vicinal.errors import ClosedError, NotFoundError
from vicinal.testing import FaultyFiles, check, open_with, wait_for_index

IDS = [f"id {i}" for i in range(40)]
Work = Callable[[], None]
DEADLINE_S = 30  # then a thread hangs


def run_together(*works: Work, until: Work | None = None) -> None:
    """Run the works in threads, again and again while `until` runs, else once; raise what they raise."""
    over, failures = threading.Event(), []
    started = threading.Barrier(len(works) + 1)

    def loop(work: Work) -> None:
        started.wait()
        try:
            while not failures:
                work()
                if over.is_set() or until is None:
                    return
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=loop, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    started.wait()
    try:
        if until is not None:
            until()
    finally:
        over.set()
        for thread in threads:
            thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if failures:
        raise failures[0]


def make(client: vicinal.Client, name: str = "things") -> vicinal.Collection:
    return client.get_or_create_collection(name, embedding_function=None)


def version(things: vicinal.Collection, number: int, ids: list[str] = IDS) -> None:
    """One batch that writes the same number into every column of every record."""
    things.upsert(
        ids=ids,
        embeddings=[[float(number)] * 4] * len(ids),
        documents=[f"version {number}"] * len(ids),
        metadatas=[{"version": number, "even": number % 2 == 0}] * len(ids),
        uris=[f"uri:{number}"] * len(ids),
    )


def versions_of(found: Any) -> set[int]:
    """Every version that an answer of `get` shows, in any column."""
    return {
        *(int(text.split()[1]) for text in found["documents"]),
        *(metadata["version"] for metadata in found["metadatas"]),
        *(int(uri.split(":")[1]) for uri in found["uris"]),
        *np.asarray(found["embeddings"]).ravel().astype(int).tolist(),
    }


COLUMNS = ["documents", "metadatas", "uris", "embeddings"]


def test_a_get_shows_one_committed_state(client: vicinal.Client) -> None:
    things = make(client)
    version(things, 0)

    def read() -> None:
        found = things.get(include=COLUMNS)
        assert (found["ids"], len(versions_of(found))) == (IDS, 1)

    def write() -> None:
        for number in range(1, 150):
            version(things, number)

    run_together(read, read, until=write)
    assert versions_of(things.get(include=COLUMNS)) == {149}


def test_a_query_shows_one_committed_state(client: vicinal.Client) -> None:
    things = make(client)
    version(things, 0)

    def read() -> None:
        found = things.query(
            query_embeddings=[[0] * 4, [9] * 4], n_results=60, include=[*COLUMNS, "distances"]
        )
        for i, query in enumerate((0, 9)):
            part = {column: found[column][i] for column in COLUMNS}
            [number] = versions_of(part)
            assert sorted(found["ids"][i]) == sorted(IDS)
            assert set(found["distances"][i]) == {4.0 * (number - query) ** 2}

    def write() -> None:
        for number in range(1, 150):
            version(things, number)

    run_together(read, read, until=write)


def test_a_filter_sees_the_state_that_it_filters(client: vicinal.Client) -> None:
    things = make(client)
    version(things, 0)

    def read() -> None:
        for even in (True, False):
            found = things.get(where={"even": even}, include=COLUMNS)
            assert len(found["ids"]) in (0, len(IDS))
            assert {number % 2 == 0 for number in versions_of(found)} <= {even}
        found = things.query(query_embeddings=[0] * 4, where={"version": {"$gte": 0}}, n_results=60)
        assert len(found["ids"][0]) == len(IDS)

    def write() -> None:
        for number in range(1, 120):
            version(things, number)

    run_together(read, read, until=write)


def test_a_reader_that_takes_its_time_filters_what_it_sees(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        version(things, 1)
        with client._backend._opened.using(things.id) as live, live.read() as older:
            things.update(ids=IDS, metadatas=[{"version": 2}] * len(IDS))
            assert things.get(where={"version": 2})["ids"] == IDS
            mask = older.select(None, parse_where({"version": 1}))
            assert np.count_nonzero(mask & older.view.alive) == len(IDS)
            assert not older.select(None, parse_where({"version": 2})).any()
        assert things.get(where={"version": 1})["ids"] == []


def test_writes_from_many_threads_are_all_there(client: vicinal.Client) -> None:
    things = make(client)

    def writer(name: int) -> Work:
        def write() -> None:
            for number in range(40):
                info = things.add(
                    ids=[f"{name}/{number}/{i}" for i in range(3)],
                    embeddings=[[name, number, i] for i in range(3)],
                    metadatas=[{"writer": name, "number": number}] * 3,
                )
                assert info.added == 3

        return write

    run_together(*map(writer, range(6)))
    got = things.get(include=["embeddings", "metadatas"])
    assert sorted(got["ids"]) == sorted(f"{w}/{n}/{i}" for w in range(6) for n in range(40) for i in range(3))
    for id, vector, metadata in zip(got["ids"], got["embeddings"].tolist(), got["metadatas"]):
        assert [*map(int, id.split("/"))] == vector
        assert vector[:2] == [metadata["writer"], metadata["number"]]


def test_every_id_is_added_by_exactly_one_thread(client: vicinal.Client) -> None:
    things = make(client)
    added: list[int] = []

    def claim() -> None:
        added.extend(things.add(ids=[id], embeddings=[[1, 2]]).added for id in IDS)

    run_together(claim, claim, claim, claim)
    assert (sum(added), things.count()) == (len(IDS), len(IDS))


def test_a_thread_finds_what_it_wrote_itself(client: vicinal.Client) -> None:
    things = make(client)

    def writer(name: int) -> Work:
        def write() -> None:
            for number in range(60):
                things.upsert(ids=[f"mine {name}"], embeddings=[[name, number]], metadatas=[{"n": number}])
                found = things.query(query_embeddings=[name, number], n_results=1, where={"n": number})
                assert (found["ids"], found["distances"]) == ([[f"mine {name}"]], [[0.0]])

        return write

    run_together(*(writer(1000 * name) for name in range(4)))


def test_everything_at_once_goes_well(client: vicinal.Client) -> None:
    things = make(client)
    version(things, 0)
    seeds = itertools.count()

    def anything() -> None:
        rng = random.Random(next(seeds))
        ids = rng.sample(IDS, 5)
        for _ in range(5):
            choice = rng.randrange(7)
            if choice == 0:
                version(things, rng.randrange(1000), ids)
            elif choice == 1:
                things.delete(where={"version": {"$lt": rng.randrange(100)}})
            elif choice == 2:
                things.update(ids=ids, metadatas=[{"even": True}] * 5)
            elif choice == 3:
                things.get(where_document={"$contains": "7"}, include=COLUMNS)
            elif choice == 4:
                things.query(query_embeddings=[[1] * 4] * 3, where={"even": True})
            elif choice == 5:
                things.compact()
            else:
                things.count()

    def watch() -> None:
        for _ in range(300):
            assert len(versions_of(things.get(ids=["id 1"], include=COLUMNS))) <= 1

    run_together(anything, anything, anything, anything, until=watch)
    assert check(client) == []


@pytest.fixture
def with_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 12)
    monkeypatch.setattr(planner, "_WALK_S_PER_CANDIDATE", 0.0)


@pytest.mark.usefixtures("with_graphs")
def test_a_record_that_moves_is_always_found(client: vicinal.Client) -> None:
    things = make(client)
    vectors = np.random.default_rng(0).standard_normal((1_500, 32))
    things.add(ids=list(map(str, range(1_500))), embeddings=vectors)
    things.add(ids=["mover"], embeddings=[[0.0] * 32])
    wait_for_index(things)

    def read() -> None:
        found = things.query(query_embeddings=np.zeros((20, 32)), n_results=2, explain=True)
        assert {ids[0] for ids in found["ids"]} == {"mover"}
        assert len({tuple(distances) for distances in found["distances"]}) == 1

    def write() -> None:
        for number in range(1, 150):
            things.update(ids=["mover"], embeddings=[[number * 1e-3] * 32])

    run_together(read, read, until=write)


@pytest.mark.usefixtures("with_graphs")
def test_queries_agree_while_rows_come_and_go_and_are_compacted(client: vicinal.Client) -> None:
    things = make(client)
    rng = np.random.default_rng(1)
    things.add(ids=[f"fixed {i}" for i in range(100)], embeddings=rng.standard_normal((100, 32)))
    things.add(ids=[f"far {i}" for i in range(500)], embeddings=3 * rng.standard_normal((500, 32)))
    queries = rng.standard_normal((10, 32))
    expected = things.query(query_embeddings=queries, n_results=10)

    def read() -> None:
        assert things.query(query_embeddings=queries, n_results=10) == expected

    def write() -> None:
        for number in range(40):
            ids = [f"{number}/{i}" for i in range(50)]
            things.add(ids=ids, embeddings=3 * rng.standard_normal((50, 32)))
            things.delete(ids=[f"{number - 1}/{i}" for i in range(50)])
            if number % 8 == 7:
                things.compact()

    run_together(read, read, until=write)


def used_until(error: type[Exception], things: vicinal.Collection, finish: Work) -> None:
    """Use a collection in many ways in many threads; `finish` it; every user must then get the error."""
    calls: list[Callable[[], Any]] = [
        lambda: version(things, 1),
        lambda: things.delete(where={"version": 1}),
        lambda: things.query(query_embeddings=[1] * 4),
        things.get,
        things.count,
    ]
    used = threading.Semaphore(0)

    def use(call: Callable[[], Any]) -> Work:
        def until_finished() -> None:
            try:
                while True:
                    call()
                    used.release()
            except error:
                pass

        return until_finished

    def finish_when_all_are_busy() -> None:
        for _ in range(100):
            used.acquire()
        finish()

    run_together(*map(use, calls), finish_when_all_are_busy)


def test_a_collection_deleted_under_its_users_is_not_found(client: vicinal.Client) -> None:
    things = make(client)
    version(things, 0)
    used_until(NotFoundError, things, lambda: client.delete_collection("things"))
    assert client.list_collections() == []


def test_collections_are_made_and_deleted_by_many_threads(client: vicinal.Client) -> None:
    def work() -> None:
        for number in range(12):
            name = f"collection-{number % 3}"
            try:
                things = make(client, name)
                version(things, number)
                things.query(query_embeddings=[1] * 4)
                client.delete_collection(name)
            except NotFoundError:
                pass  # another thread was faster

    run_together(work, work, work)
    for collection in client.list_collections():
        collection.count()
    assert check(client) == []


def test_closing_while_threads_work_is_a_closed_error_and_nothing_else(tmp_path: Path) -> None:
    client = vicinal.PersistentClient(tmp_path)
    things = make(client)
    version(things, 0)
    used_until(ClosedError, things, client.close)
    with vicinal.PersistentClient(tmp_path) as again:
        assert check(again) == []
        assert make(again).count() in (0, len(IDS))


def test_two_ephemeral_clients_share_nothing() -> None:
    with vicinal.EphemeralClient() as one, vicinal.EphemeralClient() as two:
        version(make(one), 1)
        assert two.list_collections() == []
        assert make(two).count() == 0


@pytest.mark.slow
@pytest.mark.usefixtures("with_graphs")
@pytest.mark.parametrize("seed", range(5))
def test_a_long_mixture_stays_sound(client: vicinal.Client, seed: int) -> None:
    things = make(client)
    things.add(ids=["near"], embeddings=[[0.0] * 32])

    def read() -> None:
        found = things.query(query_embeddings=np.zeros((25, 32)), n_results=3, where={"odd": {"$ne": 7}})
        assert {ids[0] for ids in found["ids"]} == {"near"}

    def write() -> None:
        rng = np.random.default_rng(seed)
        for number in range(300):
            ids = [f"{rng.integers(0, 400)}-{i}" for i in range(30)]
            things.upsert(ids=ids, embeddings=rng.standard_normal((30, 32)))
            things.update(ids=["near"], embeddings=[[1e-4 * number] * 32], metadatas=[{"odd": number % 2}])
            things.delete(ids=ids[: int(rng.integers(0, 30))])

    run_together(read, read, read, until=write)
    assert check(client) == []


def test_who_gives_way_does_not_wake_another_who_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns, "_WAITED_S", 60)
    workers = [threading.Thread(target=_turns.give_way, daemon=True) for _ in range(2)]
    with _turns.reading():
        for worker in workers:
            worker.start()
            worker.join(0.2)
        assert [worker.is_alive() for worker in workers] == [True, True]
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()


def test_long_work_gives_way_to_the_reads_of_others_until_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns, "_WAITED_S", 60)  # else the wait would end by itself
    order: list[str] = []

    def work() -> None:
        order.append("work waits")
        assert list(_turns.in_turns("abc")) == ["a", "b", "c"]
        order.append("work goes on")

    _turns.give_way()  # nobody reads
    worker = threading.Thread(target=work, daemon=True)
    with _turns.reading(), _turns.reading():
        _turns.give_way()  # a reader does not wait for itself
        assert not _turns.anybody_reads()
        worker.start()
        while not _turns._all.waiting:
            pass
        order.append("read ends")
    worker.join(30)
    assert order == ["work waits", "read ends", "work goes on"]
    assert (_turns._all._reads, _turns._all.waiting) == ({}, 0)


def test_work_goes_on_when_a_read_takes_long() -> None:
    with _turns.reading():
        run_together(_turns.give_way)
    assert (_turns._all._reads, _turns._all.waiting) == ({}, 0)


@pytest.mark.parametrize("waits", ["for the lock", "to give way"])
def test_nobody_gives_way_to_a_read_that_waits(monkeypatch: pytest.MonkeyPatch, waits: str) -> None:
    monkeypatch.setattr(_turns, "_WAITED_S", 60)
    lock, ready = _turns.Lock(), threading.Event()

    def read() -> None:
        with _turns.reading():
            ready.set()
            if waits == "to give way":
                _turns.give_way()
            else:
                with lock:
                    pass

    reader = threading.Thread(target=read, daemon=True)
    with lock, lock, _turns.reading():
        reader.start()
        assert ready.wait(30)
        while _turns.anybody_reads():
            pass
        _turns.give_way()  # would take a minute
        assert reader.is_alive()
    reader.join(30)
    assert not reader.is_alive()
    assert (_turns._all._reads, _turns._all.waiting) == ({}, 0)


def test_work_pauses_for_the_reads_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(_turns.time, "sleep", pauses.append)
    _turns.pause(0.5)
    with _turns.reading():
        _turns.pause(0.5)
        run_together(lambda: _turns.pause(0.25))
    assert pauses == [0.25]


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        ([], []),
        ([9], [[9]]),  # longer than a batch, and alone
        ([9, 1, 9], [[9], [1], [9]]),
        ([5, 3, 3], [[5], [3], [3]]),
        ([2, 3, 1, 4], [[2, 3], [1, 4]]),  # so many characters
        ([0, 0, 0, 5, 0], [[0, 0, 0], [5, 0]]),  # so many texts
    ],
)
def test_texts_come_in_batches_of_so_many_and_so_long(lengths: list[int], batches: list[list[int]]) -> None:
    texts = list(enumerate("x" * length for length in lengths))
    found = list(_turns.in_texts(texts, 3, 5))
    assert list(itertools.chain(*found)) == texts
    assert [[len(text) for _, text in batch] for batch in found] == batches


@pytest.mark.parametrize("reads", ["a few", "many", "tx", "nothing"])
def test_a_question_is_asked_again_when_somebody_has_committed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: str
) -> None:
    if reads == "many":
        monkeypatch.setattr(records, "FETCHED_MAX", 10)
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = make(client)
        version(things, 1)
        same, changes = make(other), []

        def question(snapshot: Snapshot) -> list[int]:
            seen = np.flatnonzero(snapshot.view.alive).tolist()
            if not changes:
                same.delete(ids=IDS[:5])
                same.add(ids=["new"], embeddings=[[0, 0, 0, 1]])
            changes.append(snapshot.view.change)
            if reads in ("a few", "many"):
                assert sorted(snapshot.fetch(seen, "id")) == seen
            elif reads == "tx":
                assert [row for (row,) in snapshot.tx.execute("SELECT row FROM live ORDER BY row")] == seen
            return seen

        with client._backend._opened.using(things.id) as live:
            assert len(live.ask(question)) == len(IDS) - 4
            assert changes == [changes[0], changes[0] + 2]
            assert len(live.ask(question)) == len(IDS) - 4
            assert len(changes) == 3, "asked twice although nobody has committed"


ANY = list(map(str, range(200)))  # with ids, no mask is kept
PASSED: dict[str, tuple[Any, str, Callable[[vicinal.Collection], Any]]] = {
    "columns": (LiveColumns, "prepare", lambda made: made.get(ids=ANY, where={"n": {"$gte": 0}})["ids"]),
    "order": (LiveColumns, "prepare", lambda made: made.get(order_by="n")["ids"]),
    "words": (
        LiveWords,
        "words",
        lambda made: made.query(query_texts="text", mode="text", n_results=200)["ids"][0],
    ),
    "signatures": (
        LiveWords,
        "signatures",
        lambda made: made.get(ids=ANY, where_document={"$contains": "text"})["ids"],
    ),
}


@pytest.mark.parametrize("times", [1, 3, 100])
@pytest.mark.parametrize("what", PASSED)
def test_what_is_of_a_later_state_than_a_question_is_not_made_anew_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, times: int
) -> None:
    """Unless that happens again and again."""
    owner, name, ask = PASSED[what]
    looked, firsts, busy = getattr(owner, name), [], []
    monkeypatch.setattr(LiveCollection, "prepares", lambda _self, _view: True)
    with vicinal.PersistentClient(tmp_path) as client:
        made = client.create_collection("made")

        def add() -> None:
            id = str(made.count())
            made.add(ids=id, embeddings=[1], documents=f"text {id}", metadatas={"n": int(id)})

        def looks(self: Any, *arguments: Any) -> Any:
            if not busy and len(asked) < times:
                busy.append(True)
                asked.append(made.count())
                add()
                assert len(ask(made)) == asked[-1] + 1
                made.optimize()  # signatures are brought on by the background alone
                busy.clear()
            return looked(self, *arguments)

        asked: list[int] = []
        for _ in range(5):
            add()
        assert len(ask(made)) == 5
        made.optimize()
        stored = _derived.stored
        monkeypatch.setattr(owner, name, looks)
        monkeypatch.setattr(_derived, "stored", lambda *a: firsts.append(a[2]) or stored(*a))
        add()
        assert len(ask(made)) == (6 + times if times < 100 else asked[-1])
        assert (0 in firsts) == (times == 100 and what != "signatures")


def test_a_question_to_a_collection_that_another_process_deletes_finds_nothing(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = make(client)
        version(things, 1)
        with client._backend._opened.using(things.id) as live, pytest.raises(NotFoundError):
            live.ask(lambda snapshot: (other.delete_collection("things"), snapshot.fetch([0], "id")))


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
def test_a_collection_deleted_while_it_is_opened_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        version(make(client), 1)
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = client.get_collection("things")
        entry, asked = OpenCollections.entry, itertools.count()

        def entry_while_another_deletes(opened: OpenCollections, id: UUID) -> Any:
            if opened is client._backend._opened and next(asked) == 1:  # its files are open by now
                other.delete_collection("things")
                again = tmp_path / "collections" / str(id)  # which a third one is opening
                again.mkdir()
                (again / "records.sqlite3").touch()
            return entry(opened, id)

        monkeypatch.setattr(OpenCollections, "entry", entry_while_another_deletes)
        with pytest.raises(NotFoundError):
            version(things, 2)
        assert next(asked) > 1
    assert list((tmp_path / "collections").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
def test_a_collection_whose_files_are_just_being_removed_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = make(client)
        version(things, 1)
        some = tmp_path / "collections" / str(things.id) / "records.sqlite3"
        monkeypatch.setattr(Files, "remove_tree", lambda *_: some.unlink(missing_ok=True))
        other.delete_collection("things")
        with pytest.raises(NotFoundError):
            version(things, 2)


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
@pytest.mark.parametrize("use", ["write", "read", "delete"])
def test_a_deleted_collection_whose_files_somebody_makes_again_is_not_found(tmp_path: Path, use: str) -> None:
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = make(client)
        version(things, 1)
        other.delete_collection("things")
        again = tmp_path / "collections" / str(things.id)  # another process had begun to open it
        again.mkdir()
        (again / "records.sqlite3").touch()
        with client._backend._opened.using(things.id) as live:
            live.database.disconnect()  # a thread more would connect, too
        with pytest.raises(NotFoundError):
            {"write": lambda: version(things, 2), "read": things.count, "delete": lambda: things.delete(IDS)}[
                use
            ]()


@pytest.mark.parametrize(
    ("moment", "use"),
    [("shrink", lambda things: things.compact()), ("copy", lambda things: things.fork("others"))],
)
def test_a_collection_deleted_while_it_is_compacted_or_forked_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, use: Callable[[vicinal.Collection], Any]
) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        version(things, 1)
        original = getattr(Database, moment)

        def after_deletion(database: Database, *args: Any, **kwargs: Any) -> Any:
            client.delete_collection("things")
            return original(database, *args, **kwargs)

        monkeypatch.setattr(Database, moment, after_deletion)
        with pytest.raises(NotFoundError):
            use(things)
        assert client.count_collections() == 0


@pytest.mark.parametrize("deleted", [True, False])
def test_what_is_deleted_or_compacted_while_it_is_checked_is_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    with vicinal.PersistentClient(tmp_path) as checking, vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        version(things, 1)
        version(things, 2)
        original, asked = LiveCollection.state, itertools.count()

        def state_before(live: LiveCollection, tx: Any) -> Any:
            found = original(live, tx)
            if live.files is checking._backend._files and not next(asked):
                client.delete_collection("things") if deleted else things.compact()
            return found

        monkeypatch.setattr(LiveCollection, "state", state_before)
        assert checking.check() == []
        assert next(asked)


@pytest.mark.parametrize("meanwhile", ["take", "forget"])
def test_a_collection_opened_by_two_or_forgotten_meanwhile_is_open_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things, opened = make(client), client._backend._opened
        open_one, made = opened._open, []

        def overtaken(id: Any) -> Any:
            live = open_one(id)
            made.append(live)
            if len(made) == 1:
                getattr(opened, meanwhile)(id)  # as another thread may
            return live

        opened.forget(things.id)
        monkeypatch.setattr(opened, "_open", overtaken)
        live = opened.take(things.id)
        assert (live is made[-1], len(made), opened._live[things.id] is live) == (True, 2, True)
        with pytest.raises(ClosedError), made[0].database.read():
            pass


def test_a_collection_that_another_process_deleted_is_not_kept_open(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client, vicinal.PersistentClient(tmp_path) as other:
        things = make(client)
        version(things, 1)
        other.delete_collection("things")
        with pytest.raises(NotFoundError):
            things.count()
        assert not client._backend._opened._live


@pytest.mark.skipif(os.name == "nt", reason="there what is open stays")
def test_what_the_background_writes_beside_a_deletion_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "CODES_BYTES_MIN", 0)
    done = threading.Event()

    def delete_meanwhile(step: str) -> None:
        if step == "checkpoint: file written" and not done.is_set():
            done.set()
            client.delete_collection("things")
            checkpoints.mkdir(parents=True)  # as if the removal had met what was made just then

    with open_with(tmp_path, FaultyFiles(delete_meanwhile)) as client:
        things = make(client)
        checkpoints = tmp_path / "collections" / str(things.id) / "checkpoints"
        version(things, 1)
        with suppress(NotFoundError):
            wait_for_index(things)
        assert done.wait(DEADLINE_S)
    assert list((tmp_path / "collections").iterdir()) == []


def test_new_rows_have_their_codes_when_a_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "CODES_BYTES_MIN", 0)
    vectors = np.random.default_rng(0).standard_normal((600, 16))
    with vicinal.PersistentClient(tmp_path) as client:
        things = make(client)
        things.add(ids=list(map(str, range(500))), embeddings=vectors[:500])
        wait_for_index(things)
        with client._backend._opened.using(things.id) as live:
            for first in range(500, 600, 20):
                things.add(
                    ids=list(map(str, range(first, first + 20))), embeddings=vectors[first : first + 20]
                )
                assert live.codes.of(live._view).rows == first + 20
        found = things.query(vectors[500:], n_results=1)
        assert [ids[0] for ids in found["ids"]] == list(map(str, range(500, 600)))


class Collected:
    """Work whose client the garbage collector closes while the background looks for what is due."""

    def __init__(self, indexer: Indexer) -> None:
        self.indexer, self.ran = indexer, False

    def __call__(self) -> None:
        self.ran = True

    def __hash__(self) -> int:
        if threading.current_thread() is self.indexer._thread:
            self.indexer.close()
        return 1


def test_a_client_that_is_collected_in_the_background_thread_ends_it_quietly() -> None:
    indexer = Indexer()
    work = Collected(indexer)
    indexer.wake(work)
    thread = indexer._thread
    assert thread is not None
    thread.join(60)
    assert (thread.is_alive(), work.ran) == (False, False)


@pytest.mark.parametrize("delays", [(3600.0, 0.0), (0.0, 3600.0)])
def test_work_that_is_asked_for_twice_is_done_when_it_is_due_first(delays: tuple[float, float]) -> None:
    indexer, held, ran = Indexer(), threading.Event(), threading.Event()
    indexer.wake(lambda: held.wait(60) and None)  # else it would run before it is asked for again
    for delay in delays:
        indexer.wake(ran.set, delay)
    held.set()
    assert ran.wait(60)
    indexer.close()


@pytest.mark.parametrize("until", ["it has nothing left to do", "closed"])
def test_work_is_waited_for_while_it_is_due_and_while_it_runs(until: str) -> None:
    indexer, begun, held = Indexer(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        held.wait(60)

    indexer.wake(work, 3600.0)
    assert indexer.is_busy(work)
    indexer.wake(work)
    assert begun.wait(60) and indexer.is_busy(work)
    end = indexer.close if until == "closed" else partial(indexer.wait, work)
    waiting = threading.Thread(target=end, daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    held.set()
    waiting.join(60)
    assert (waiting.is_alive(), indexer.is_busy(work)) == (False, False)
    indexer.close()


def test_a_write_is_acknowledged_and_found_when_no_thread_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of the interpreter, or when the system allows no more: the background does it later."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert things.add("a", [1, 2]).added == 1
            assert things.query([[1, 2]] * 32, n_results=1)["ids"] == [["a"]] * 32
            things.optimize()
        waiting = threading.Thread(target=things.optimize, daemon=True)
        waiting.start()
        waiting.join(DEADLINE_S)
        assert (waiting.is_alive(), things.get()["ids"]) == (False, ["a"])
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with vicinal.PersistentClient(tmp_path) as client:
            client.get_collection("things", embedding_function=None).delete(ids=["a"])


class RungError(Exception):
    """What a signal's handler raises."""


@pytest.mark.parametrize("kind", [_locks.RLock, _locks.PythonLock, _turns.Lock])
def test_a_signal_leaves_no_lock_taken(kind: type[_locks.CLock], on_alarm: Any) -> None:
    """Of Python 3.14's own locks half were taken for good."""

    def ring(*_: Any) -> None:
        raise RungError

    on_alarm(ring)
    locks = [kind() for _ in range(1000)]
    for lock in locks:
        with suppress(RungError):
            signal.setitimer(signal.ITIMER_REAL, 0.0002)
            while True:
                with lock:
                    pass
    with ThreadPoolExecutor(1) as other:
        taken = list(other.map(lambda lock: not lock.acquire(blocking=False), locks))
        assert not any(taken)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_queries_that_a_signal_interrupts_hold_up_nobody(tmp_path: Path, on_alarm: Any) -> None:
    """Ctrl-C, or a timeout, may come anywhere: also while a lock is being taken or given back."""

    def ring(*_: Any) -> None:
        if armed:
            raise RungError

    armed = False
    on_alarm(ring)
    delays = np.random.default_rng(0).uniform(0.0002, 0.002, 400)
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add("a", [1, 2])
        for delay in delays.tolist():
            with suppress(RungError):
                armed = True
                signal.setitimer(signal.ITIMER_REAL, delay, 0.1)  # again, for Python may swallow it
                while True:
                    things.query(query_embeddings=[1, 2], n_results=1)
            armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        others = [threading.Thread(target=work, daemon=True) for work in (things.count, things.get)]
        for other in others:
            other.start()
        for other in others:
            other.join(DEADLINE_S)
        assert [other.is_alive() for other in others] == [False, False]
        assert _turns._all._reads == {}
        things.add("b", [3, 4])
        assert (things.get()["ids"], client.check()) == (["a", "b"], [])
    gc.collect()  # connections that were in the hands of an interrupted query: here they are expected
