"""Who is helped when it computes, and what is done in few long steps where others compute in Python?

Whatever way is taken, the answer is the same.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vicinal import _turns
from vicinal._index import codes, helpers, kernel
from vicinal._index.helpers import in_pieces
from vicinal._storage.database import Database, all_of
from vicinal._storage.schema import RECORDS
from vicinal.testing import wait_for_index


@pytest.fixture(params=[0.0, float("inf")], ids=["alone", "crowded"])
def crowd(request: Any, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether other threads seem to compute in Python."""
    monkeypatch.setattr(_turns._all, "crowded_until", request.param)
    monkeypatch.setattr(_turns, "_LATE_S", 3600)  # and no measurement changes that
    return bool(request.param)


# --- pieces ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_what_is_computed_in_pieces_comes_in_their_order(count: int) -> None:
    assert in_pieces(lambda number: number**2, range(count)) == [number**2 for number in range(count)]


def test_helpers_take_pieces_while_the_thread_that_asks_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    me, others = threading.get_ident(), threading.Semaphore(0)

    def compute(number: int) -> int:
        if threading.get_ident() != me:
            others.release()
            return number
        for _ in range(9):  # with one piece in hand; the others are a helper's
            assert others.acquire(timeout=30)
        return number

    monkeypatch.setattr(helpers, "cores", lambda: 2)
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(helpers, "_pool", lambda: pool)
        assert in_pieces(compute, range(10)) == list(range(10))


def test_nobody_waits_for_helpers_that_have_something_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(free.wait)
        monkeypatch.setattr(helpers, "cores", lambda: 2)
        monkeypatch.setattr(helpers, "_pool", lambda: pool)
        assert in_pieces(str, range(5)) == list("01234")
        free.set()


def test_pieces_are_computed_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> ThreadPoolExecutor:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(helpers, "cores", lambda: 4)
    monkeypatch.setattr(helpers, "_pool", refuse)
    assert in_pieces(str, range(5)) == list("01234")


@pytest.mark.parametrize("bad", [0, 7])
def test_an_error_in_a_piece_is_raised(bad: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "cores", lambda: 4)
    with pytest.raises(ZeroDivisionError):
        in_pieces(lambda number: 1 / (number - bad), range(8))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_has_helpers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "cores", lambda: 2)
    assert in_pieces(str, range(3)) == list("012")
    child = os.fork()
    if not child:
        os._exit(in_pieces(str, range(3)) != list("012"))
    assert os.waitpid(child, 0)[1] == 0


# --- parts and codes ---------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_parts_are_shared_only_where_nobody_else_wants_the_cores(
    crowd: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[slice] = []

    def compute(part: slice) -> Any:
        parts.append(part)
        return np.arange(part.start, part.stop, dtype=np.float32)

    def asked() -> int:
        parts.clear()
        np.testing.assert_array_equal(helpers.in_parts(compute, rows), np.arange(rows))
        return len(parts)

    monkeypatch.setattr(helpers, "cores", lambda: 3)
    assert asked() == (1 if crowd else min(rows, 6 if rows > 7 else 4))
    with ThreadPoolExecutor(1) as other, _turns.reading():
        assert other.submit(asked).result() == 1


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_codes_are_searched_the_same_with_helpers(
    crowd: bool, space: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((1000, 24), dtype=np.float32)
    made, rows = codes.empty(space, 24, 0).more(vectors), np.flatnonzero(rng.random(1000) < 0.4)
    alone = [made.candidates(vectors[5], 3, chosen) for chosen in (range(1000), rows)]
    monkeypatch.setattr(kernel, "_SHARED_BYTES", 1)
    monkeypatch.setattr(codes, "_SHARED_BYTES", 1)
    monkeypatch.setattr(codes, "_GATHERED_BYTES", 24 * 7)
    monkeypatch.setattr(codes, "_GATHERED_BYTES_CROWDED", 24 * 70)
    for chosen, wanted in zip((range(1000), rows), alone):
        np.testing.assert_array_equal(made.candidates(vectors[5], 3, chosen), wanted)


# --- the interpreter ---------------------------------------------------------------------------


def compute() -> None:
    """Take a tenth of a second of a processor."""
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        pass


def wait_for(work: Callable[[], None]) -> None:
    """As one who waits for the interpreter, this thread computes nothing meanwhile."""
    other = threading.Thread(target=work)
    with _turns.computing():
        other.start()
        other.join()


def test_who_waits_for_the_interpreter_notices_and_forgets_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns._all, "crowded_until", 0.0)
    monkeypatch.setattr(_turns, "_LATE_S", 0.05)
    monkeypatch.setattr(_turns, "_CROWDED_S", 3600)
    with _turns.computing():
        pass
    assert not _turns.crowded()
    with _turns.computing():
        compute()  # itself
    assert not _turns.crowded()
    wait_for(compute)
    assert _turns.crowded()
    monkeypatch.setattr(_turns, "_CROWDED_S", 0)
    wait_for(compute)
    assert not _turns.crowded()


def test_who_waits_for_another_process_or_the_disk_is_not_crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns._all, "crowded_until", 0.0)
    monkeypatch.setattr(_turns, "_LATE_S", 0.05)
    monkeypatch.setattr(_turns, "_OTHERS_S", 0.05)
    wait_for(partial(time.sleep, 0.1))
    assert not _turns.crowded()


VALUES = [
    (0, "a", None),
    (-(2**63), "zero \0 inside", 'quote " and \\ and \n'),
    (2**63 - 1, "é 漢 😀", ""),
]


def test_what_a_statement_finds_is_the_same_in_one_step(crowd: bool, tmp_path: Path) -> None:
    with closing(Database(tmp_path / "records.sqlite3", RECORDS)) as database, database.write() as tx:
        tx.execute("CREATE TABLE things (a, b, c)")
        tx.executemany("INSERT INTO things VALUES (?, ?, ?)", VALUES)
        wanted = "SELECT a, b, c FROM things WHERE a IN (?, ?, ?)"
        assert sorted(all_of(tx, wanted, [row[0] for row in VALUES], 3)) == sorted(VALUES)
        assert all_of(tx, wanted, [1, 2, 3], 3) == []
        tx.execute("INSERT INTO things VALUES (5, ?, NULL)", (b"\xff",))  # JSON has no bytes
        assert all_of(tx, wanted, [5, 6, 7], 3) == [(5, b"\xff", None)]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="SQLite's limits cannot be set")
def test_what_is_too_long_for_one_step_is_found_row_by_row(crowd: bool, tmp_path: Path) -> None:
    with closing(Database(tmp_path / "records.sqlite3", RECORDS)) as database, database.write() as tx:
        tx.execute("CREATE TABLE things (a, b)")
        texts = [(number, '"' * 600) for number in range(3)]
        tx.executemany("INSERT INTO things VALUES (?, ?)", texts)
        tx.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
        assert sorted(all_of(tx, "SELECT a, b FROM things WHERE a < ?", [3], 2)) == texts


def test_a_collection_says_the_same_in_a_crowd(crowd: bool, store: Any) -> None:
    things = store.collection()
    vectors = np.random.default_rng(0).standard_normal((1500, 1024), dtype=np.float32)
    ids = [f"id {number}" for number in range(len(vectors))]
    texts = [f"text {number} \0 é" for number in range(len(vectors))]
    metadatas = [{"n": number} for number in range(len(vectors))]
    things.add(ids=ids, embeddings=vectors, documents=texts, metadatas=metadatas)
    wait_for_index(things)
    things.upsert(ids=ids[:3], embeddings=vectors[:3], metadatas=[{"more": True}] * 3)
    asked = [*ids[1490:], "nobody"]
    assert things.get(ids=asked)["documents"] == texts[1490:]
    assert things.get(ids=ids[0])["metadatas"] == [{"n": 0, "more": True}]
    for where in (None, {"n": {"$gte": 400}}, {"n": {"$lt": 900}}):
        found = things.query(query_embeddings=vectors[450], n_results=3, where=where)
        assert (found["ids"][0][0], found["documents"][0][0]) == (ids[450], texts[450])
    things.delete(ids=asked)
    assert things.count() == 1490
