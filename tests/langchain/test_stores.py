"""The byte store gives back the bytes that were put in, beside the vectors or on its own."""

import os

import pytest
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests

import vicinal
from langchain_vicinal import VicinalByteStore, VicinalVectorStore
from vicinal.errors import ArgumentTypeError, VicinalError


@pytest.fixture(params=["memory", "directory"])
def byte_store(request, tmp_path):
    with_path = {"path": tmp_path} if request.param == "directory" else {}
    store = VicinalByteStore(**with_path)
    yield store
    assert store._connection.client.check() == []
    store.close()


class TestStandard(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, byte_store):
        return byte_store

    @pytest.fixture
    def three_values(self):
        return b"foo", b"bar", b"buzz"


class TestStandardAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    async def kv_store(self, byte_store):
        return byte_store

    @pytest.fixture
    def three_values(self):
        return b"foo", b"bar", b"buzz"


@pytest.mark.parametrize(
    "value",
    [b"", bytes(range(256)), b"\x00", b"\r\n\x1a", "ünï ✓".encode(), os.urandom(10_000), b"x" * 2_000_000],
    ids=["empty", "all", "nul", "control", "utf-8", "random", "large"],
)
def test_any_bytes_come_back(byte_store, value):
    byte_store.mset([("key", value)])
    assert byte_store.mget(["key"]) == [value]


def test_of_pairs_with_one_key_the_last_counts(byte_store):
    byte_store.mset([("a", b"1"), ("b", b"2"), ("a", b"3")])
    assert byte_store.mget(["b", "a", "b", "c"]) == [b"2", b"3", b"2", None]


def test_keys_may_be_any_iterable(byte_store):
    byte_store.mset((key, b"1") for key in "ab")
    assert byte_store.mget(iter("acb")) == [b"1", None, b"1"]
    byte_store.mdelete(iter("a"))
    assert list(byte_store.yield_keys()) == ["b"]


def test_one_string_is_one_key_and_not_its_letters(byte_store):
    byte_store.mset([("a", b"1"), ("b", b"2"), ("ab", b"3")])
    assert byte_store.mget("ab") == [b"3"]
    byte_store.mdelete("ab")
    assert list(byte_store.yield_keys()) == ["a", "b"]


def test_nothing_is_nothing(byte_store):
    byte_store.mset([])
    byte_store.mdelete([])
    assert byte_store.mget([]) == []
    assert list(byte_store.yield_keys()) == []


def test_a_prefix_is_taken_literally(byte_store):
    byte_store.mset([("a%b", b""), ("axb", b""), ("A%b", b"")])
    assert list(byte_store.yield_keys(prefix="a%")) == ["a%b"]


def test_keys_may_be_deleted_while_they_are_read(byte_store):
    byte_store.mset([(str(i), b"") for i in range(5)])
    for key in byte_store.yield_keys():
        byte_store.mdelete([key])
    assert list(byte_store.yield_keys()) == []


@pytest.mark.parametrize("pair", [("a", "text"), ("a", None), ("", b""), (1, b"")], ids=repr)
def test_what_is_no_key_or_no_bytes_is_refused_and_nothing_written(byte_store, pair):
    with pytest.raises(VicinalError):
        byte_store.mset([("first", b"1"), pair])
    assert list(byte_store.yield_keys()) == []


@pytest.mark.parametrize("pairs", [5, [("a",)], ["abc"], None], ids=repr)
def test_what_is_no_pairs_is_refused_by_name(byte_store, pairs):
    with pytest.raises(ArgumentTypeError, match="key_value_pairs to be pairs of a key and bytes"):
        byte_store.mset(pairs)


def test_a_prefix_is_text(byte_store):
    with pytest.raises(ArgumentTypeError, match="prefix to be a str"):
        list(byte_store.yield_keys(prefix=b"k"))


def test_it_lives_beside_the_vectors_and_survives_with_them(tmp_path, embedding):
    with VicinalVectorStore(embedding, path=tmp_path) as store:
        store.add_texts(["text"], ids=["1"])
        VicinalByteStore(client=store.client).mset([("key", b"value")])
    with VicinalVectorStore(embedding, path=tmp_path) as store:
        assert VicinalByteStore(client=store.client).mget(["key"]) == [b"value"]
        assert store.count() == 1


def test_closing_closes_only_what_it_opened(tmp_path):
    client = vicinal.EphemeralClient()
    VicinalByteStore(client=client).close()
    assert client.count_collections() == 1
    own = VicinalByteStore(path=tmp_path)
    own.close()
    with pytest.raises(vicinal.errors.ClosedError):
        own.mget(["key"])
