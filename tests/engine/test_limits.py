"""The sizes that docs/limits.md limits end where it says, and where it names no limit, large things work.

Each is tried at its edge: the last value that is taken, and the first that is refused. Integers, and what is
refused for its form: test_errors.py, test_metadata.py, test_tenants.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import _opened, _validate
from vicinal._index import planner
from vicinal._live import LiveCollection
from vicinal._opened import DESCRIPTORS, OPEN_MAX
from vicinal._text import bm25, trigrams
from vicinal._text.analysis import Analyser
from vicinal.errors import InvalidArgumentError, InvalidFilterError, StorageError
from vicinal.testing import FaultyFiles, check, open_with, wait_for_index

BATCH = 50_000
COLLECTIONS = 2_000
HUGE = 10**30


def one(collection: vicinal.Collection, id: str = "a", **columns: Any) -> dict[str, Any]:
    """Add one record, and what `get` then says of it."""
    collection.add(ids=[id], embeddings=[[1, 2]], **{name: [value] for name, value in columns.items()})
    got = collection.get(ids=[id], include=["documents", "metadatas", "uris"])
    return {name: got[name][0] for name in ("ids", "documents", "metadatas", "uris")}


# --- texts -----------------------------------------------------------------------------------------


def test_an_id_of_a_megabyte_is_an_id(collection: vicinal.Collection) -> None:
    id = "é" * (1 << 19)
    assert one(collection, id)["ids"] == id
    assert collection.query(query_embeddings=[1, 2], n_results=1)["ids"] == [[id]]
    assert collection.get(where={"#id": id})["ids"] == [id]
    assert collection.delete(ids=[id]) == {"deleted": 1}


def test_a_document_of_ten_megabytes_is_stored_and_searched(collection: vicinal.Collection) -> None:
    text = "word " * (2 << 20) + "end"
    assert one(collection, documents=text, uris=text[: 1 << 20])["documents"] == text
    assert collection.get(where_document={"$contains": "end"})["ids"] == ["a"]


@pytest.mark.parametrize("where", [None, {"n": {"$lt": 7}}])
def test_documents_are_looked_through_one_after_the_other(
    tmp_path: Path, where: Any, monkeypatch: pytest.MonkeyPatch, peak_of: Any
) -> None:
    monkeypatch.setattr(LiveCollection, "wake", lambda *_: None)  # the background would be measured, too
    with vicinal.PersistentClient(tmp_path) as client:
        long = client.create_collection("long", embedding_function=None)
        numbers = range(64)
        texts = [f"{'word ' * 100_000}{n}" for n in numbers]
        long.add(list(map(str, numbers)), [[n, 1] for n in numbers], [{"n": n} for n in numbers], texts)
        del texts
        long.count(where=where)
        asked = {"where": where, "where_document": {"$contains": "word 5"}, "include": []}
        found, peak = peak_of(lambda: long.get(**asked)["ids"])  # type: ignore[arg-type]
        assert found[0] == "5"
        assert peak < 2 << 20


@pytest.mark.parametrize("index", ["words", "signatures"])
def test_long_documents_are_indexed_a_few_at_a_time(index: str, peak_of: Any) -> None:
    texts = ((row, "many words " * 30_000) for row in range(16))
    make = {
        "words": lambda: bm25.extend(bm25.empty(), Analyser(), 16, texts),
        "signatures": lambda: trigrams.extend(trigrams.EMPTY, 16, texts),
    }
    made, peak = peak_of(make[index])
    assert made.rows == 16
    assert peak < 32 << 20


@pytest.mark.parametrize("altered", [False, True])
def test_an_index_reads_one_document_after_the_other(
    tmp_path: Path, altered: bool, monkeypatch: pytest.MonkeyPatch, peak_of: Any
) -> None:
    monkeypatch.setattr(LiveCollection, "wake", lambda *_: None)
    with vicinal.PersistentClient(tmp_path) as client:
        long = client.create_collection("long", embedding_function=None)
        ids = list(map(str, range(100)))
        long.add(ids, [[n, 1] for n in range(100)], documents=["x" * 200_000] * 100)

        def asked() -> Any:
            return long.query(query_texts="x" * 200_000, mode="text", include=[], n_results=1)["ids"]

        if altered:
            asked()
            long.update(ids, metadatas=[{"n": 1}] * 100)
        found, peak = peak_of(asked)
        assert found == [["0"]]
        assert peak < 8 << 20


@pytest.mark.slow
def test_a_document_beyond_what_sqlite_holds_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with vicinal.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        one(things)
        with pytest.raises(StorageError):
            things.add(ids=["huge"], embeddings=[[1, 2]], documents=["x" * 1_000_000_001])
        assert (things.count(), check(client)) == (1, [])


# --- metadata --------------------------------------------------------------------------------------


def test_metadata_of_ten_megabytes_is_stored(collection: vicinal.Collection) -> None:
    metadata = {"text": "x" * (10 << 20), "numbers": list(range(10_000))}
    assert one(collection, metadatas=metadata)["metadatas"] == metadata


def nested(depth: int, leaf: Any = 1) -> Any:
    """Lists and objects in turn, so many deep."""
    for level in range(depth):
        leaf = {"k": leaf} if level % 2 else [leaf]
    return leaf


def test_metadata_nests_64_deep(collection: vicinal.Collection) -> None:
    assert one(collection, metadatas={"deep": nested(64)})["metadatas"] == {"deep": nested(64)}


@pytest.mark.parametrize("depth", [65, 100_000])
def test_metadata_that_nests_deeper_is_refused(collection: vicinal.Collection, depth: int) -> None:
    with pytest.raises(InvalidArgumentError, match="at most 64 deep"):
        one(collection, metadatas={"deep": nested(depth)})
    assert collection.count() == 0


def test_ten_thousand_keys_are_stored_and_any_is_filtered_on(collection: vicinal.Collection) -> None:
    ids = [f"{i}" for i in range(100)]
    metadatas = [{f"key {100 * i + j}": i for j in range(100)} for i in range(100)]
    collection.add(ids=ids, embeddings=np.ones((100, 2)), metadatas=metadatas)
    one(collection, "all", metadatas={f"key {i}": i for i in range(10_000)})
    for key in range(0, 10_000, 997):
        found = collection.get(where={f"key {key}": {"$exists": True}})["ids"]
        assert found == [f"{key // 100}", "all"]


# --- filters -----------------------------------------------------------------------------------------


def test_filters_nest_100_deep(collection: vicinal.Collection) -> None:
    one(collection, metadatas={"n": 1})
    where: Any = {"n": 1}
    for _ in range(100):
        where = {"$not": where}
    assert collection.get(where=where)["ids"] == ["a"]
    with pytest.raises(InvalidFilterError, match="at most 100 deep"):
        collection.get(where={"$not": where})


def test_document_filters_nest_100_deep(collection: vicinal.Collection) -> None:
    one(collection, documents="text")
    where: Any = {"$contains": "text"}
    for _ in range(100):
        where = {"$not": where}
    assert collection.get(where_document=where)["ids"] == ["a"]
    with pytest.raises(InvalidFilterError, match="at most 100 deep"):
        collection.get(where_document={"$not": where})


@pytest.mark.parametrize("depth", [101, 100_000])
def test_a_deep_filter_is_refused_not_a_crash(collection: vicinal.Collection, depth: int) -> None:
    where: Any = {"n": 1}
    for _ in range(depth):
        where = {"$and": [where, {"n": 1}]}
    with pytest.raises(InvalidFilterError, match="at most 100 deep"):
        collection.get(where=where)
    while isinstance(where, dict) and "$and" in where:
        where = where["$and"].pop(0)  # else the interpreter frees it recursively


@pytest.mark.parametrize("key", ["n", "s", "#id"])
def test_a_list_of_100_000_values_is_a_filter(collection: vicinal.Collection, key: str) -> None:
    ids = [f"id {i}" for i in range(0, 200_000, 1000)]
    metadatas = [{"n": i, "s": f"id {i}"} for i in range(0, 200_000, 1000)]
    collection.add(ids=ids, embeddings=np.ones((200, 2)), metadatas=metadatas)
    wanted: list[Any] = [i if key == "n" else f"id {i}" for i in range(100_000)]
    assert collection.get(where={key: {"$in": wanted}})["ids"] == ids[:100]
    assert collection.get(where={key: {"$nin": wanted}})["ids"] == ids[100:]


def test_a_thousand_conditions_are_a_filter(collection: vicinal.Collection) -> None:
    one(collection, metadatas={"n": 500})
    assert collection.get(where={"$or": [{"n": i} for i in range(1000)]})["ids"] == ["a"]


def test_100_000_ids_are_asked_for_at_once(collection: vicinal.Collection) -> None:
    one(collection, "id 77777")
    ids = [f"id {i}" for i in range(100_000)]
    assert collection.get(ids=ids)["ids"] == ["id 77777"]
    assert collection.query(query_embeddings=[1, 2], ids=ids, n_results=3)["ids"] == [["id 77777"]]
    assert collection.delete(ids=ids) == {"deleted": 1}


# --- batches and vectors -----------------------------------------------------------------------------


def test_a_batch_of_50_000_records_is_written(collection: vicinal.Collection) -> None:
    ids = [f"{i}" for i in range(BATCH)]
    vectors = np.arange(2 * BATCH, dtype=np.float32).reshape(BATCH, 2)
    info = collection.add(ids=ids, embeddings=vectors, metadatas=[{"n": i} for i in range(BATCH)])
    assert (info.added, collection.count()) == (BATCH, BATCH)
    assert collection.get(where={"n": {"$gte": BATCH - 2}})["ids"] == ids[-2:]


def test_a_batch_of_50_000_records_that_fails_leaves_none(tmp_path: Path) -> None:
    def fail(step: str) -> None:
        if step == "write: before commit":
            raise OSError("the disk is full")

    with open_with(tmp_path, FaultyFiles(fail)) as client:
        things = client.create_collection("things", embedding_function=None)
        with pytest.raises(OSError, match="full"):
            things.add(ids=[f"{i}" for i in range(BATCH)], embeddings=np.ones((BATCH, 2)))
        assert (things.count(), check(client)) == (0, [])


@pytest.mark.parametrize("dimension", [1, 16_384])
@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_vectors_have_any_number_of_components(client: vicinal.Client, dimension: int, space: str) -> None:
    configuration = {"hnsw": {"space": space}}
    things = client.create_collection("things", embedding_function=None, configuration=configuration)
    vectors = np.random.default_rng(1).standard_normal((20, dimension), dtype=np.float32)
    things.add(ids=[f"{i}" for i in range(20)], embeddings=vectors)
    found = things.get(ids=["7"], include=["embeddings"])["embeddings"]
    assert found.tobytes() == vectors[7].tobytes()
    assert len(things.query(query_embeddings=vectors[7], n_results=20)["ids"][0]) == 20


def test_a_vector_has_at_least_one_component(collection: vicinal.Collection) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one component"):
        collection.add(ids=["a"], embeddings=[[]])


# --- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**31, 2**63 - 1, 2**63, HUGE])
def test_any_number_may_be_asked_for(collection: vicinal.Collection, number: int) -> None:
    one(collection)
    assert collection.query(query_embeddings=[1, 2], n_results=number)["ids"] == [["a"]]
    mmr = collection.query(query_embeddings=[1, 2], n_results=number, lambda_mult=0.5, fetch_k=number)
    assert mmr["ids"] == [["a"]]
    assert collection.get(limit=number)["ids"] == ["a"]
    assert collection.get(offset=number)["ids"] == []
    assert collection.get(limit=number, offset=number)["ids"] == []
    assert collection.delete(where={"n": {"$exists": False}}, limit=number) == {"deleted": 1}


def test_any_number_of_collections_may_be_asked_for(client: vicinal.Client) -> None:
    client.create_collection("things", embedding_function=None)
    assert len(client.list_collections(limit=HUGE)) == 1
    assert len(client.list_collections(offset=HUGE)) == 0


def test_many_queries_are_answered_in_one_call(collection: vicinal.Collection) -> None:
    one(collection)
    found = collection.query(query_embeddings=np.ones((2_000, 2)), n_results=1)
    assert found["ids"] == [["a"]] * 2_000


# --- collections -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [3, 512])
def test_names_have_3_to_512_characters(client: vicinal.Client, length: int) -> None:
    client.create_collection("n" * length, embedding_function=None)
    assert [found.name for found in client.list_collections()] == ["n" * length]


@pytest.mark.parametrize("length", [0, 2, 513])
def test_other_names_are_refused(client: vicinal.Client, length: int) -> None:
    with pytest.raises(InvalidArgumentError, match="3-512 characters"):
        client.create_collection("n" * length, embedding_function=None)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts in /proc")
@pytest.mark.parametrize("count", [200, pytest.param(COLLECTIONS, marks=pytest.mark.slow)])
def test_many_collections_need_few_file_descriptors(tmp_path: Path, count: int) -> None:
    before, most = descriptors(), 0
    with vicinal.PersistentClient(tmp_path) as client:
        made = [client.create_collection(f"things-{i}", embedding_function=None) for i in range(count)]
        for i, things in enumerate(made):
            things.add(ids=["a"], embeddings=[[i]])
            most = max(most, descriptors() - before)
        for i, things in enumerate(made):
            assert things.get(include=["embeddings"])["embeddings"].tolist() == [[i]]
            most = max(most, descriptors() - before)
        assert len(client.list_collections()) == count
    assert most <= DESCRIPTORS * OPEN_MAX
    assert descriptors() <= before


FEW_FILES = """
import resource, sys
import vicinal
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
with vicinal.PersistentClient(sys.argv[1]) as client:
    made = [client.create_collection(f"things-{i}", embedding_function=None) for i in range(80)]
    for i, things in enumerate(made):
        things.add(ids="a", embeddings=[i])
    assert all(things.query(query_embeddings=[1], n_results=1)["ids"] == [["a"]] for things in made)
    assert client.check() == []
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not limit how many files are open")
def test_many_collections_get_on_with_as_few_files_as_macos_allows(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FEW_FILES, str(tmp_path)], check=True)


@pytest.mark.parametrize("limit", ["none", "nobody says"])
def test_as_many_collections_stay_open_as_may_where_files_are_not_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    if limit == "none":
        resource = pytest.importorskip("resource")
        monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    else:
        monkeypatch.setitem(sys.modules, "resource", None)
    with vicinal.PersistentClient(tmp_path) as client:
        for i in range(3):
            client.create_collection(f"things-{i}", embedding_function=None).add(ids="a", embeddings=[i])
        assert client._backend._opened._most() == OPEN_MAX  # type: ignore[attr-defined]
        assert len(client._backend._opened._live) == 3  # type: ignore[attr-defined]


def test_a_client_that_only_reads_keeps_no_more_collections_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of those with a graph, whose changes its background never stops to follow."""
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 10)
    monkeypatch.setattr(_opened, "OPEN_MAX", 3)
    names = [f"things-{i}" for i in range(8)]
    with vicinal.PersistentClient(tmp_path) as client:
        for name in names:
            things = client.create_collection(name, embedding_function=None)
            things.add(ids=[str(i) for i in range(300)], embeddings=np.eye(300, 8))
            wait_for_index(things)
    with vicinal.PersistentClient(tmp_path, read_only=True) as client:
        for name in [*names, *names]:
            assert client.get_collection(name).query(query_embeddings=np.eye(1, 8), n_results=1)["ids"]
            assert len(client._backend._opened._live) <= 3  # type: ignore[attr-defined]


# --- what holds vectors ----------------------------------------------------------------------------


class Tensor:
    """An array of some library's, which numpy can read; iterating over it gives something else."""

    def __init__(self, numbers: list[Any]) -> None:
        self._numbers = np.array(numbers, dtype=np.float64)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._numbers.astype(dtype)

    def __iter__(self) -> Any:
        return iter(range(self._numbers.shape[1]))


def test_vectors_may_be_in_anything_that_is_an_array(client: vicinal.Client) -> None:
    things = client.create_collection("things", embedding_function=None)
    one, two = [0.0, 1.0], [5.0, 5.0]
    column = np.empty(2, dtype=object)
    column[:] = [one, np.array(two)]
    for held in (Tensor([one, two]), column, [Tensor(one), Tensor(two)], iter([one, two])):
        things.upsert(ids=["a", "b"], embeddings=held)  # type: ignore[arg-type]
        assert things.get(include=["embeddings"])["embeddings"].tolist() == [one, two]
    assert things.query(query_embeddings=Tensor([two]), n_results=1)["ids"] == [["b"]]  # type: ignore[arg-type]


@pytest.mark.parametrize("large", [2**64, -(2**63) - 1, 2**127, np.uint64(2**64 - 1)])
def test_an_integer_is_a_component_when_it_is_finite_as_float32(client: vicinal.Client, large: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=["a", "b"], embeddings=[[large, 1], [0, -1]])
    expected = [[float(large), 1.0], [0.0, -1.0]]
    assert things.get(include=["embeddings"])["embeddings"].tolist() == expected
    assert things.query(query_embeddings=[large, 1], n_results=1)["ids"] == [["a"]]


@pytest.mark.parametrize("bad", [None, "1", True, Decimal(1)], ids=repr)
def test_what_stands_beside_a_large_integer_is_a_number_too(client: vicinal.Client, bad: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    with pytest.raises(InvalidArgumentError, match="Expected embeddings to be a list of floats or ints"):
        things.add(ids="a", embeddings=[[2**64, bad]])


def test_lists_become_vectors_a_few_at_a_time(peak_of: Any) -> None:
    """All at once would be an array of float64 first, made in one step that lets no other thread run."""
    given = np.arange(4_000 * 100, dtype=np.float32).reshape(4_000, 100)
    lists = given.tolist()
    made, peak = peak_of(lambda: _validate.embeddings(lists))
    assert np.array_equal(given, made)
    assert peak < 2.5 * given.nbytes  # the pieces, and they in one


def test_lists_of_other_lengths_are_refused_wherever_they_stand(client: vicinal.Client) -> None:
    things = client.create_collection("things", embedding_function=None)
    ids = list(map(str, range(2_000)))
    for odd in (1, 1_999):
        vectors = [[1.0] * 100 for _ in ids]
        vectors[odd] = [1.0] * 99
        with pytest.raises(InvalidArgumentError, match=r"Inconsistent dimensions .* \[99, 100\]"):
            things.add(ids=ids, embeddings=vectors)
        vectors[odd] = ["1.0"] * 100  # type: ignore[list-item]
        with pytest.raises(InvalidArgumentError, match="a list of floats or ints"):
            things.add(ids=ids, embeddings=vectors)
    assert things.count() == 0


@pytest.mark.parametrize("held", [{0: [1.0, 2.0], 1: [3.0, 4.0]}, b"\x00\x01", bytearray(b"\x00\x01")])
def test_what_only_iterates_over_numbers_is_no_vector(client: vicinal.Client, held: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    things.add(ids="a", embeddings=[0, 1])
    with pytest.raises(InvalidArgumentError, match="embeddings"):
        things.query(query_embeddings=held)
    with pytest.raises(InvalidArgumentError, match="embeddings"):
        things.add(ids=["b", "c"], embeddings=held)
    assert things.count() == 1


def test_a_table_of_pandas_is_read_by_its_rows(client: vicinal.Client) -> None:
    pandas = pytest.importorskip("pandas")
    things = client.create_collection("things", embedding_function=None)
    table = pandas.DataFrame([[9.0, 9.0, 1.0], [5.0, 5.0, 1.0]])
    things.add(ids=["a", "b"], embeddings=table)
    assert things.get(include=["embeddings"])["embeddings"].tolist() == table.to_numpy().tolist()
    column = pandas.Series([[9.0, 9.0, 1.0], [5.0, 5.0, 1.0]])
    assert things.query(query_embeddings=column, n_results=1)["ids"] == [["a"], ["b"]]
