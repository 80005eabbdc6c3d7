"""Records are changed and deleted by what is true of them, in one step, and nothing else is touched."""

import time
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import vicinal
from vicinal import WriteInfo
from vicinal._index import planner
from vicinal.errors import (
    ArgumentTypeError,
    InvalidArgumentError,
    InvalidFilterError,
    UniqueConstraintError,
)
from vicinal.testing import dump, wait_for_index


@pytest.fixture
def made(store) -> vicinal.Collection:
    """Four records: a and b are odd and even in "n", c has none, d has no metadata."""
    return store.collection(
        ids=["a", "b", "c", "d"],
        embeddings=[[1, 0], [2, 0], [3, 0], [4, 0]],
        documents=["one", "two", "three", None],
        metadatas=[{"n": 1, "k": "x"}, {"n": 2, "k": "x"}, {"k": "y"}, None],
        uris=["file:///a", None, None, None],
    )


def metadatas(collection: vicinal.Collection) -> dict:
    got = collection.get(include=["metadatas"])
    return dict(zip(got["ids"], got["metadatas"], strict=True))


# --- update ----------------------------------------------------------------------------------


def test_one_dictionary_goes_to_every_record_that_matches(store, made):
    assert made.update(where={"k": "x"}, metadatas={"seen": True}) == WriteInfo(0, 2, 0)
    assert metadatas(store.reopen(made)) == {
        "a": {"n": 1, "k": "x", "seen": True},
        "b": {"n": 2, "k": "x", "seen": True},
        "c": {"k": "y"},
        "d": None,
    }


def test_a_record_without_metadata_is_given_some(store, made):
    assert made.update(where={"k": {"$exists": False}}, metadatas={"seen": True}) == WriteInfo(0, 1, 0)
    assert metadatas(store.reopen(made))["d"] == {"seen": True}


def test_none_deletes_the_key_and_the_last_key_the_metadata(made):
    made.update(where={"k": {"$exists": True}}, metadatas={"k": None})
    assert metadatas(made) == {"a": {"n": 1}, "b": {"n": 2}, "c": None, "d": None}


def test_metadata_can_be_replaced_whole(made):
    made.update(where={"n": 1}, metadatas={"z": None}, merge_metadata=False)
    assert metadatas(made)["a"] == {"z": None}


def test_a_filter_on_documents_and_ids_narrow_the_choice(made):
    made.update(
        ids=["a", "b", "nobody"], where={"k": "x"}, where_document={"$contains": "w"}, metadatas={"k": 1}
    )
    assert metadatas(made) == {"a": {"n": 1, "k": "x"}, "b": {"n": 2, "k": 1}, "c": {"k": "y"}, "d": None}


def test_nothing_else_of_a_record_changes_and_it_keeps_its_place(made):
    before = dump(made)
    made.update(where={"n": {"$gt": 0}}, metadatas={"k": "x"})
    assert dump(made) == before


def test_what_was_changed_by_filter_is_found_by_filter(made):
    made.get(where={"seen": True})
    made.update(where={"n": 2}, metadatas={"seen": True, "n": 7})
    assert (made.get(where={"seen": True})["ids"], made.get(where={"n": 2})["ids"]) == (["b"], [])


def test_no_match_changes_nothing(made):
    assert made.update(where={"n": 99}, metadatas={"z": 1}) == WriteInfo(0, 0, 0)


def test_an_empty_collection_can_be_updated(collection):
    assert collection.update(where={"n": 1}, metadatas=[{"z": 1}]) == WriteInfo(0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"metadatas": {"z": 1}}, InvalidArgumentError, "update needs ids, where or where_document"),
        ({"where": {"n": 1}}, ArgumentTypeError, "metadatas"),
        ({"where": {"n": 1}, "metadatas": [{"z": 1}, {"z": 2}]}, InvalidArgumentError, "got 2"),
        ({"where": {"n": 1}, "metadatas": []}, InvalidArgumentError, "got 0"),
        ({"where": {"n": 1}, "metadatas": [None]}, ArgumentTypeError, "metadatas"),
        ({"where": {"n": 1}, "metadatas": {"$z": 1}}, InvalidArgumentError, "metadatas"),
        (
            {"where": {"n": 1}, "metadatas": {"z": 1}, "documents": ["x"]},
            InvalidArgumentError,
            "metadata alone",
        ),
        (
            {"where": {"n": 1}, "metadatas": {"z": 1}, "embeddings": [1, 2]},
            InvalidArgumentError,
            "metadata alone",
        ),
        ({"where": {"n": {"$x": 1}}, "metadatas": {"z": 1}}, InvalidFilterError, "x"),
    ],
)
def test_a_bad_update_is_refused_and_changes_nothing(made, arguments, error, text):
    before = dump(made)
    with pytest.raises(error, match=text):
        made.update(**arguments)
    assert dump(made) == before


# --- any history -----------------------------------------------------------------------------

NUMBERS = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("upsert"), st.sampled_from("abcd"), st.none() | NUMBERS),
    st.tuples(st.just("update"), NUMBERS, st.none() | NUMBERS),
    st.tuples(st.just("delete"), NUMBERS, st.none() | st.integers(0, 2)),
)


def apply(collection: Any, model: dict[str, Any], step: tuple[str, Any, Any]) -> tuple[int, int]:
    """One step in the collection and in a dictionary; how many records each says it touched."""
    verb, first, second = step
    if verb == "upsert":
        collection.upsert(ids=first, embeddings=[1.0, float(second or 0)], metadatas={"v": second})
        model[first] = second
        return 1, 1
    matching = [id for id, value in model.items() if value is not None and value >= first]
    if verb == "update":
        model.update(dict.fromkeys(matching, second))
        done = collection.update(where={"v": {"$gte": first}}, metadatas={"v": second}).updated
        return done, len(matching)
    for id in matching[:second]:
        del model[id]
    done = collection.delete(where={"v": {"$gte": first}}, limit=second)["deleted"]
    return done, len(matching[:second])


@hypothesis.given(st.lists(STEPS, max_size=15))
def test_any_history_leaves_what_a_dictionary_would_hold(steps):
    model: dict[str, Any] = {}
    with vicinal.EphemeralClient() as client:
        made = client.create_collection("things", embedding_function=None)
        for step in steps:
            ours, theirs = apply(made, model, step)
            assert ours == theirs
            assert {id: (m or {}).get("v") for id, m in metadatas(made).items()} == model
            assert list(metadatas(made)) == list(model)
            assert made.count(where={"v": {"$exists": True}}) == sum(v is not None for v in model.values())


# --- delete ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ({"where": {"k": "x"}}, ["c", "d"]),
        ({"where": {"k": {"$ne": "x"}}}, ["a", "b"]),
        ({"where_document": {"$contains": "o"}}, ["c", "d"]),
        ({"where_document": {"$not_contains": "o"}}, ["a", "b"]),
        ({"ids": ["a", "c"], "where": {"k": "x"}}, ["b", "c", "d"]),
        ({"where": {"k": "x"}, "limit": 1}, ["b", "c", "d"]),
        ({"where": {"k": "x"}, "limit": 0}, ["a", "b", "c", "d"]),
        ({"where": {"k": "x"}, "limit": 99}, ["c", "d"]),
        ({"ids": ["d", "a"], "limit": 1}, ["b", "c", "d"]),
        ({"ids": []}, ["a", "b", "c", "d"]),
        ({"ids": ["nobody", "b"]}, ["a", "c", "d"]),
    ],
)
def test_delete_removes_what_every_condition_selects_and_counts_it(store, made, condition, left):
    deleted = made.delete(**condition)
    assert (deleted, store.reopen(made).get()["ids"]) == ({"deleted": 4 - len(left)}, left)


@pytest.mark.parametrize("limit", [-1, 1.5, "1", True])
def test_a_limit_that_is_none_is_refused(made, limit):
    with pytest.raises(ValueError, match="limit"):
        made.delete(where={"k": "x"}, limit=limit)
    assert made.count() == 4


def test_delete_needs_a_condition(made):
    with pytest.raises(ValueError, match="delete needs ids, where or where_document"):
        made.delete(limit=1)


# --- the collection itself ---------------------------------------------------------------------


def test_the_configuration_of_the_search_can_be_changed(store, made):
    made.modify(configuration={"hnsw": {"ef_search": 77, "num_threads": 2}})
    assert store.reopen(made).configuration_json["hnsw"]["ef_search"] == 77


def test_changing_the_configuration_leaves_name_and_metadata(store, made):
    made.modify(metadata={"about": 1})
    made.modify(configuration={"hnsw": {"ef_search": 77}})
    assert (made.name, made.metadata) == ("things", {"about": 1})
    assert store.reopen(made).metadata == {"about": 1}


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ({"hnsw": {"space": "cosine"}}, "space"),
        ({"hnsw": {"max_neighbors": 9}}, "max_neighbors"),
        ({"hnsw": {"bogus": 9}}, "bogus"),
        ({"hnsw": {"ef_search": 0}}, "ef_search"),
        ({"hnsw": {"ef_search": "x"}}, "ef_search"),
        ({"spann": {}}, "spann"),
        ([], "configuration"),
    ],
)
def test_what_cannot_be_changed_is_refused(made, configuration, text):
    before = made.configuration_json
    with pytest.raises(InvalidArgumentError, match=text):
        made.modify(configuration=configuration)
    assert made.configuration_json == before


def test_a_fork_begins_equal_and_goes_its_own_way(made):
    fork = made.fork("others")
    same = dump(fork) == dump(made)
    fork.delete(ids="a")
    made.update(ids="b", metadatas={"n": 9})
    assert (same, fork.get()["ids"]) == (True, ["b", "c", "d"])
    assert (metadatas(made)["b"]["n"], metadatas(fork)["b"]["n"]) == (9, 2)


def test_forks_are_counted_by_all_that_share_an_origin(made):
    assert made.fork_count() == 0
    one = made.fork("fork-one")
    two = one.fork("fork-two")
    assert [c.fork_count() for c in (made, one, two)] == [2, 2, 2]


def test_a_fork_needs_a_free_and_good_name(made):
    with pytest.raises(UniqueConstraintError):
        made.fork("things")
    with pytest.raises(InvalidArgumentError, match="new_name"):
        made.fork("x")


def test_a_small_collection_is_indexed_by_definition(made, collection_of_nothing):
    assert made.get_indexing_status() == (4, 0, 4, 1.0)
    assert collection_of_nothing.get_indexing_status() == (0, 0, 0, 1.0)


def test_a_line_of_many_numbers_waits_for_no_graph(client, monkeypatch):
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 8)
    line = client.create_collection("line", embedding_function=None)
    line.add(ids=["a", "b", "c"], embeddings=[[1], [2], [3]])
    wait_for_index(line)
    assert line.get_indexing_status() == (3, 0, 3, 1.0)


def test_rows_that_another_client_has_numbered_anew_are_indexed_when_somebody_waits_for_that(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1 << 10)
    ids, vectors = [f"{i}" for i in range(300)], np.random.default_rng(1).normal(size=(300, 4))
    with vicinal.PersistentClient(tmp_path) as one, vicinal.PersistentClient(tmp_path) as other:
        things = one.create_collection("things", embedding_function=None)
        things.add(ids, vectors)
        seen = other.get_collection("things")
        seen.optimize()
        things.delete(ids[:100])
        things.compact()
        end = time.monotonic() + 30
        while seen.get_indexing_status().num_unindexed_ops:
            assert time.monotonic() < end
            time.sleep(0.01)
        with other._backend._opened.using(seen.id) as live:
            assert live.graph.generation == live.generation()


@pytest.fixture
def collection_of_nothing(client) -> vicinal.Collection:
    return client.create_collection("nothing", embedding_function=None)
