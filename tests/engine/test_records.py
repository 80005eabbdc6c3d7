"""Records are added, changed, listed and deleted exactly as asked, a whole batch or nothing of it."""

import itertools
from enum import Enum
from types import MappingProxyType

import numpy as np
import pytest

import vicinal
from vicinal import SparseVector, WriteInfo
from vicinal.errors import DuplicateIDError, InvalidDimensionError
from vicinal.testing import HashEmbeddingFunction, dump

ABC = {
    "ids": ["a", "b", "c"],
    "embeddings": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    "documents": ["doc a", "doc b", None],
    "metadatas": [{"n": 1, "kind": "x"}, {"n": 2}, None],
}
STRANGE_IDS = [
    *(
        "'",
        '"',
        "%",
        "_",
        "a\0b",
        "\0",
        " ",
        "\n",
        "a,b",
        "?1",
        ":id",
        "NULL",
        "0",
        "é",
        "e\u0301",
        "日本",
        "😀",
    ),
    *("'; DROP TABLE records; --", "x" * 100_000),
]


class Word(str, Enum):
    APPLE = "apple"


class Text(str):
    """A string that shows itself as something else."""

    def __str__(self) -> str:
        return "shown"


@pytest.fixture
def abc(store):
    """Three records: a, b and c."""
    return store.collection(**ABC)


@pytest.fixture
def texts(client):
    """A collection that embeds its documents."""
    return client.create_collection("texts", embedding_function=HashEmbeddingFunction(8))


def embedded(text: str) -> list[float]:
    return HashEmbeddingFunction(8)([text])[0].tolist()


def vectors(collection, **selection) -> list[list[float]]:
    return collection.get(**selection, include=["embeddings"])["embeddings"].tolist()


def metadata_of(collection, id: str):
    return collection.get(ids=id)["metadatas"][0]


# --- add -------------------------------------------------------------------------------------


def test_added_records_come_back_whole(store, abc):
    expected = [
        {
            "id": "a",
            "documents": "doc a",
            "metadatas": {"n": 1, "kind": "x"},
            "embeddings": [1.0, 0.0],
            "uris": None,
        },
        {"id": "b", "documents": "doc b", "metadatas": {"n": 2}, "embeddings": [0.0, 1.0], "uris": None},
        {"id": "c", "documents": None, "metadatas": None, "embeddings": [1.0, 1.0], "uris": None},
    ]
    assert expected == dump(store.reopen(abc))


def test_uris_come_back(store):
    made = store.collection(ids=["a", "b"], embeddings=[[1], [2]], uris=["file:///x", None])
    assert store.reopen(made).get(include=["uris"])["uris"] == ["file:///x", None]


def test_add_says_how_many_it_added(collection):
    assert WriteInfo(added=3, updated=0, kept=0) == collection.add(**ABC)


def test_add_keeps_existing_records_as_they_are(store, abc):
    before = dump(abc)[:1]
    abc.add(
        ids=["d", "a"], embeddings=[[5, 5], [6, 6]], documents=["doc d", "new"], metadatas=[None, {"n": 9}]
    )
    assert (before, ["a", "b", "c", "d"]) == (dump(abc)[:1], store.reopen(abc).get()["ids"])


def test_add_says_how_many_it_kept(abc):
    info = abc.add(ids=["d", "a", "b"], embeddings=[[5, 5], [6, 6], [7, 7]])
    assert WriteInfo(added=1, updated=0, kept=2) == info


def test_add_of_existing_records_only_changes_nothing(store, abc):
    before = dump(abc)
    abc.add(ids=["a", "b"], embeddings=[[5, 5], [6, 6]])
    assert before == dump(store.reopen(abc))


def test_on_conflict_error_adds_nothing(store, abc):
    before = dump(abc)
    with pytest.raises(DuplicateIDError) as caught:
        abc.add(ids=["d", "b", "a"], embeddings=[[5, 5], [6, 6], [7, 7]], on_conflict="error")
    assert (["b", "a"], "things", before) == (
        caught.value.ids,
        caught.value.existing,
        dump(store.reopen(abc)),
    )


def test_on_conflict_error_adds_when_all_ids_are_new(abc):
    assert WriteInfo(1, 0, 0) == abc.add(ids="d", embeddings=[5, 5], on_conflict="error")


def test_documents_without_embeddings_are_embedded(texts):
    texts.add(ids=["a", "b"], documents=["red apple", "blue sky"])
    assert [embedded("red apple"), embedded("blue sky")] == vectors(texts)


def test_given_embeddings_are_not_replaced_by_the_functions(texts):
    texts.add(ids="a", documents="red apple", embeddings=[1.0] * 8)
    assert vectors(texts) == [[1.0] * 8]


def test_an_empty_document_is_a_document(store):
    made = store.collection(ids=["a"], embeddings=[[1]], documents=[""])
    assert store.reopen(made).get()["documents"] == [""]


# --- upsert ----------------------------------------------------------------------------------


def test_upsert_adds_what_is_new_and_updates_what_exists(abc):
    info = abc.upsert(ids=["d", "a"], embeddings=[[5, 5], [6, 6]])
    assert (WriteInfo(added=1, updated=1, kept=0), [[6.0, 6.0]]) == (info, vectors(abc, ids="a"))


def test_upsert_leaves_what_is_not_given(store, abc):
    abc.upsert(ids="a", embeddings=[6, 6])
    changed = {**ABC, "embeddings": [[6.0, 6.0], [0.0, 1.0], [1.0, 1.0]]}
    assert dump(store.collection("expected", **changed)) == dump(store.reopen(abc))


def test_negative_zero_replaces_zero(store, abc):
    """They compare equal, and are not the same bits."""
    abc.upsert(ids="a", embeddings=[0.0, 1.0])
    abc.upsert(ids="a", embeddings=[-0.0, 1.0])
    got = store.reopen(abc).get("a", include=["embeddings"])["embeddings"]
    assert np.signbit(got[0][0])


def test_upsert_merges_metadata(store, abc):
    abc.upsert(ids="a", embeddings=[1, 0], metadatas={"kind": [1], "new": True})
    assert metadata_of(store.reopen(abc), "a") == {"n": 1, "kind": [1], "new": True}


def test_upserted_none_deletes_the_key(store, abc):
    abc.upsert(ids="a", embeddings=[1, 0], metadatas={"kind": None, "never": None})
    assert metadata_of(store.reopen(abc), "a") == {"n": 1}


def test_deleting_the_last_key_leaves_no_metadata(store, abc):
    abc.upsert(ids="b", embeddings=[0, 1], metadatas={"n": None})
    assert metadata_of(store.reopen(abc), "b") is None


def test_none_inside_a_nested_value_is_a_value(store, abc):
    abc.upsert(ids="a", embeddings=[1, 0], metadatas={"deep": {"x": None}, "list": [None]})
    expected = {"n": 1, "kind": "x", "deep": {"x": None}, "list": [None]}
    assert expected == metadata_of(store.reopen(abc), "a")


def test_nested_metadata_is_replaced_not_merged_inside(abc):
    abc.upsert(ids="a", embeddings=[1, 0], metadatas={"deep": {"x": 1}})
    abc.upsert(ids="a", embeddings=[1, 0], metadatas={"deep": {"y": 2}})
    assert metadata_of(abc, "a")["deep"] == {"y": 2}


def test_without_merging_metadata_is_replaced_whole(store, abc):
    given = {"other": None}
    abc.upsert(ids=["a", "new"], embeddings=[[1, 0], [1, 1]], metadatas=[given] * 2, merge_metadata=False)
    abc = store.reopen(abc)
    assert (metadata_of(abc, "a"), metadata_of(abc, "new")) == (given, given)


def test_without_merging_none_removes_metadata(store, abc):
    abc.upsert(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[None, {}], merge_metadata=False)
    assert store.reopen(abc).get()["metadatas"] == [None, {}, None]


def test_without_merging_ungiven_metadata_stays(abc):
    abc.upsert(ids="a", embeddings=[6, 6], merge_metadata=False)
    assert metadata_of(abc, "a") == {"n": 1, "kind": "x"}


def test_a_none_among_upserted_metadata_leaves_that_record_alone(abc):
    abc.upsert(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[None, {"m": 1}])
    assert abc.get()["metadatas"] == [{"n": 1, "kind": "x"}, {"n": 2, "m": 1}, None]


def test_upserting_an_empty_object_changes_nothing(store):
    made = store.collection(ids=["a"], embeddings=[[1]], metadatas=[{}])
    made.upsert(ids="a", embeddings=[1], metadatas={})
    assert store.reopen(made).get()["metadatas"] == [{}]


def test_none_in_a_new_records_metadata_is_not_stored_by_upsert(store):
    made = store.collection()
    made.upsert(ids="a", embeddings=[1], metadatas={"gone": None, "n": 1})
    assert store.reopen(made).get()["metadatas"] == [{"n": 1}]


def test_a_new_record_of_which_every_key_is_deleted_has_no_metadata(store):
    made = store.collection()
    made.upsert(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"gone": None}, {}])
    assert store.reopen(made).get()["metadatas"] == [None, {}]


def test_none_in_a_new_records_metadata_is_stored_by_add(store):
    made = store.collection(ids=["a"], embeddings=[[1]], metadatas=[{"kept": None}])
    assert store.reopen(made).get()["metadatas"] == [{"kept": None}]


def test_an_upserted_document_is_embedded_again(texts):
    texts.add(ids="a", documents="red apple")
    texts.upsert(ids="a", documents="blue sky")
    assert [embedded("blue sky")] == vectors(texts)


def test_upsert_leaves_the_collection_as_if_written_once(store):
    twice, once = store.collection("twice", **ABC), store.collection("once")
    again = {**ABC, "embeddings": [[7, 7], [8, 8], [9, 9]], "documents": ["x", "y", "z"]}
    twice.upsert(**again)
    once.upsert(**again)
    assert dump(once) == dump(store.reopen(twice))


# --- update ----------------------------------------------------------------------------------


def test_update_ignores_ids_that_do_not_exist(store, abc):
    info = abc.update(ids=["nobody", "a"], embeddings=[[9, 9], [6, 6]])
    assert (WriteInfo(added=0, updated=1, kept=0), ["a", "b", "c"]) == (info, store.reopen(abc).get()["ids"])


def test_update_in_an_empty_collection_writes_nothing(store):
    made = store.collection()
    made.update(ids="nobody", embeddings=[1, 2])
    made.add(ids=["a", "b"], embeddings=[[1, 2, 3], [4, 5, 6]])
    made.add(ids="c", embeddings=[7, 8, 9])
    assert vectors(store.reopen(made)) == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_update_of_ids_alone_changes_nothing(store, abc):
    before = dump(abc)
    abc.update(ids=["a", "b"])
    assert before == dump(store.reopen(abc))


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"embeddings": [6, 6]}, {"embeddings": [6.0, 6.0]}),
        ({"documents": "new", "embeddings": [1, 0]}, {"documents": "new"}),
        ({"metadatas": {"n": 5}}, {"metadatas": {"n": 5, "kind": "x"}}),
        ({"metadatas": {"n": None}}, {"metadatas": {"kind": "x"}}),
        ({"metadatas": {"n": 5}, "merge_metadata": False}, {"metadatas": {"n": 5}}),
        ({"uris": "file:///a"}, {"uris": "file:///a"}),
    ],
)
def test_update_changes_what_is_given_and_nothing_else(store, abc, given, changed):
    before = dump(abc)
    abc.update(ids="a", **given)
    assert [{**before[0], **changed}, *before[1:]] == dump(store.reopen(abc))


def test_an_updated_document_is_embedded_again(texts):
    texts.add(ids=["a", "b"], documents=["red apple", "blue sky"])
    texts.update(ids="a", documents="green grass")
    assert [embedded("green grass"), embedded("blue sky")] == vectors(texts)


def test_updating_metadata_alone_embeds_nothing(texts):
    texts.add(ids="a", documents="red apple", embeddings=[1.0] * 8)
    texts.update(ids="a", metadatas={"n": 1})
    assert vectors(texts) == [[1.0] * 8]


def test_an_updated_vector_is_found_where_it_is_now(store, abc):
    abc.update(ids="a", embeddings=[50, 50])
    found = store.reopen(abc)
    assert found.query([[50, 50], [1, 0]], n_results=1)["ids"] == [["a"], ["c"]]


def test_an_updated_record_is_counted_once(abc):
    abc.update(ids="a", embeddings=[6, 6])
    assert (abc.count(), len(abc.query([0, 0], n_results=10)["ids"][0])) == (3, 3)


# --- delete ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "left", "deleted"),
    [
        ({"ids": "a"}, ["b", "c"], 1),
        ({"ids": ["c", "a"]}, ["b"], 2),
        ({"ids": ["a", "a", "nobody"]}, ["b", "c"], 1),
        ({"ids": ["nobody"]}, ["a", "b", "c"], 0),
        ({"ids": []}, ["a", "b", "c"], 0),
        ({"where": {"n": {"$gte": 2}}}, ["a", "c"], 1),
        ({"where": {"n": {"$ne": 1}}}, ["a"], 2),
        ({"where_document": {"$contains": "doc"}}, ["c"], 2),
        ({"where_document": {"$contains": "b"}, "where": {"n": 1}}, ["a", "b", "c"], 0),
        ({"ids": ["a", "b"], "where": {"n": 2}}, ["a", "c"], 1),
        ({"where": {"n": {"$exists": True}}, "limit": 1}, ["b", "c"], 1),
        ({"where": {"#id": {"$in": ["b", "c"]}}, "limit": 9}, ["a"], 2),
        ({"ids": ["c", "b", "a"], "limit": 2}, ["c"], 2),
        ({"ids": ["a"], "limit": 0}, ["a", "b", "c"], 0),
    ],
)
def test_delete_deletes_what_it_selects_and_counts_it(store, abc, selection, left, deleted):
    answer = abc.delete(**selection)
    found = store.reopen(abc)
    assert ({"deleted": deleted}, left, len(left)) == (answer, found.get()["ids"], found.count())


def test_deleted_records_are_not_found(store, abc):
    abc.delete(ids="a")
    assert store.reopen(abc).query([1, 0])["ids"] == [["c", "b"]]


def test_everything_can_be_deleted_and_the_collection_still_works(store, abc):
    abc.delete(ids=["a", "b", "c"])
    found = store.reopen(abc)
    found.add(ids="d", embeddings=[1, 2])
    assert (found.get()["ids"], found.query([1, 2])["ids"]) == (["d"], [["d"]])


def test_the_dimension_survives_deleting_everything(store, abc):
    abc.delete(where={"#id": {"$in": ["a", "b", "c"]}})
    with pytest.raises(InvalidDimensionError):
        store.reopen(abc).add(ids="d", embeddings=[1, 2, 3])


# --- order -----------------------------------------------------------------------------------


def test_get_lists_records_in_order_of_insertion(store):
    made = store.collection(ids=["z"], embeddings=[[1]])
    made.add(ids=["m", "a"], embeddings=[[2], [3]])
    assert store.reopen(made).get(ids=["a", "m", "z"])["ids"] == ["z", "m", "a"]


def test_a_changed_vector_does_not_move_the_record(store, abc):
    abc.update(ids="a", embeddings=[9, 9])
    abc.upsert(ids="b", embeddings=[8, 8])
    assert store.reopen(abc).get()["ids"] == ["a", "b", "c"]


def test_a_changed_vector_does_not_move_the_record_in_later_writes(store, abc):
    abc.update(ids="a", embeddings=[9, 9])
    abc.add(ids="d", embeddings=[1, 2])
    abc.update(ids="c", embeddings=[7, 7])
    assert store.reopen(abc).get()["ids"] == ["a", "b", "c", "d"]


def test_delete_and_add_again_moves_the_record_to_the_end(store, abc):
    abc.delete(ids="a")
    abc.add(ids="a", embeddings=[1, 0])
    assert store.reopen(abc).get()["ids"] == ["b", "c", "a"]


@pytest.mark.parametrize("limit", [None, 0, 1, 2, 3, 100])
@pytest.mark.parametrize("offset", [None, 0, 1, 2, 3, 100])
def test_a_page_is_a_slice_of_everything(abc, limit, offset):
    start = offset or 0
    expected = ["a", "b", "c"][start : None if limit is None else start + limit]
    assert expected == abc.get(limit=limit, offset=offset)["ids"]


def test_pages_follow_the_order_also_after_updates(abc):
    abc.update(ids="a", embeddings=[9, 9])
    pages = [abc.get(limit=1, offset=i)["ids"] for i in range(4)]
    assert pages == [["a"], ["b"], ["c"], []]


def test_a_page_of_filtered_records(abc):
    assert abc.get(where={"n": {"$exists": True}}, limit=1, offset=1)["ids"] == ["b"]


# --- get and peek ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, ["a", "b", "c"]),
        ({"ids": "b"}, ["b"]),
        ({"ids": ["c", "nobody", "a"]}, ["a", "c"]),
        ({"ids": ["a", "a"]}, ["a"]),
        ({"ids": []}, []),
        ({"ids": ["nobody"]}, []),
        ({"where": {"n": 2}}, ["b"]),
        ({"where_document": {"$contains": "doc"}}, ["a", "b"]),
        ({"ids": ["b", "c"], "where": {"n": {"$ne": 7}}, "where_document": {"$contains": "doc"}}, ["b"]),
    ],
)
def test_get_selects(abc, selection, expected):
    assert expected == abc.get(**selection)["ids"]


def test_get_includes_metadata_and_documents_unless_told(abc):
    got = abc.get(ids="a")
    expected = {
        "ids": ["a"],
        "documents": ["doc a"],
        "metadatas": [{"n": 1, "kind": "x"}],
        "included": ["metadatas", "documents"],
    }
    assert {**expected, "embeddings": None, "uris": None, "data": None} == got


@pytest.mark.parametrize("count", range(5))
def test_get_fills_exactly_the_included_columns(abc, count):
    for include in itertools.combinations(["documents", "embeddings", "metadatas", "uris"], count):
        got = abc.get(include=include)
        filled = {name for name, column in got.items() if column is not None} - {"ids", "included"}
        assert (set(include), list(include), 3) == (filled, got["included"], len(got["ids"]))


@pytest.mark.parametrize("form", [list, tuple, iter, lambda names: names[0]])
def test_included_says_what_was_asked_for(collection, form):
    got = collection.get(include=form(["documents"]))
    assert (got["included"], got["documents"]) == (["documents"], [])


def test_a_query_says_what_was_asked_for(abc):
    assert abc.query([1, 0], include="uris")["included"] == ["uris"]


def test_the_callers_include_is_not_changed(abc):
    include = ["documents"]
    abc.query([1, 0], include=include)
    assert include == ["documents"]


def test_embeddings_come_back_as_a_float32_array(abc):
    got = abc.get(include=["embeddings"])["embeddings"]
    assert (np.ndarray, np.float32, (3, 2)) == (type(got), got.dtype, got.shape)


def test_changing_returned_embeddings_changes_nothing(store, abc):
    got = abc.get(include=["embeddings"])["embeddings"]
    got[:] = 7
    assert vectors(store.reopen(abc)) == [[1, 0], [0, 1], [1, 1]]


def test_changing_returned_metadata_changes_nothing(abc):
    abc.get()["metadatas"][0]["n"] = 7
    assert metadata_of(abc, "a") == {"n": 1, "kind": "x"}


def test_peek_shows_the_first_records_whole(abc):
    got = abc.peek(2)
    assert (
        *(got["ids"], got["documents"], got["embeddings"].shape),
        got["uris"],
    ) == (["a", "b"], ["doc a", "doc b"], (2, 2), None)


def test_peek_shows_ten_unless_told(collection):
    collection.add(ids=[str(i) for i in range(12)], embeddings=[[i] for i in range(12)])
    assert len(collection.peek()["ids"]) == 10


def test_an_empty_collection_answers_with_empty_columns(collection):
    got = collection.get(include=["documents", "metadatas", "embeddings", "uris"])
    assert (
        *(got["ids"], got["documents"], got["metadatas"], len(got["embeddings"]), got["uris"]),
        collection.count(),
    ) == ([], [], [], 0, [], 0)


def test_results_are_plain_dictionaries_with_chromas_keys(abc):
    keys = {"ids", "embeddings", "documents", "uris", "included", "data", "metadatas"}
    assert (keys, {*keys, "distances"}) == (set(abc.get()), set(abc.query([1, 0])))


# --- what may be passed ----------------------------------------------------------------------


FORMS = {
    "single": lambda: ("a", [1, 2], {"n": 1}, "doc"),
    "lists": lambda: (["a"], [[1, 2]], [{"n": 1}], ["doc"]),
    "tuples": lambda: (("a",), ((1, 2),), ({"n": 1},), ("doc",)),
    "iterators": lambda: (iter("a"), iter([[1, 2]]), iter([{"n": 1}]), iter(["doc"])),
    "views and sets": lambda: ({"a": 0}.keys(), {0: [1, 2]}.values(), {0: {"n": 1}}.values(), {"doc"}),
    "numpy": lambda: (np.array(["a"]), np.array([1, 2]), np.array([{"n": 1}]), np.array(["doc"])),
    "list of arrays": lambda: (["a"], [np.array([1, 2])], [{"n": 1}], ["doc"]),
    "ranges": lambda: (["a"], [range(1, 3)], [{"n": 1}], ["doc"]),
    "scalars": lambda: (np.str_("a"), [np.int64(1), np.float32(2)], {"n": np.int8(1)}, np.str_("doc")),
    "big-endian": lambda: ("a", np.array([[1, 2]], dtype=">f8"), {"n": 1}, "doc"),
    "columns first": lambda: ("a", np.array([[1], [2]]).T, {"n": 1}, "doc"),
    "arrays of no dimension": lambda: (np.array("a"), [1, 2], np.array({"n": 1}), np.array("doc")),
    "read-only mapping": lambda: ("a", [1, 2], MappingProxyType({"n": 1}), "doc"),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_record_in_every_form(collection, form):
    ids, embeddings, metadatas, documents = FORMS[form]()
    collection.add(ids, embeddings, metadatas, documents)
    expected = {"documents": "doc", "metadatas": {"n": 1}, "embeddings": [1.0, 2.0], "uris": None}
    assert [{"id": "a", **expected}] == dump(collection)


def test_an_array_of_no_dimension_is_the_value_in_it(client):
    made = client.create_collection("things", embedding_function=HashEmbeddingFunction(2))
    made.add(ids=np.array("a"), documents=np.array("doc"), uris=np.array("file:///a"))
    expected = {"ids": ["a"], "uris": ["file:///a"]}
    found = made.get(ids=np.array("a"), include=np.array("uris"), order_by=np.array("-#id"))
    assert expected == {"ids": found["ids"], "uris": found["uris"]}
    assert [["a"]] == made.query(query_texts=np.array("doc"), ids=np.array("a"))["ids"]
    made.update(ids=np.array("a"), metadatas=np.array({"words": SparseVector([1], [1.0])}))
    question = np.array(SparseVector([1], [1.0]).to_dict())
    assert [["a"]] == made.query(query_sparse=question, mode="sparse", sparse_key="words")["ids"]
    made.update(where={"#id": "a"}, metadatas=np.array({"n": 1}))
    assert 1 == made.get()["metadatas"][0]["n"]
    made.delete(ids=np.array("a"))
    assert 0 == made.count()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u8", ">f4", "<i4"])
def test_embeddings_of_every_number_type(store, dtype):
    given = np.array([[1, 2], [3, 4]], dtype=dtype)
    made = store.collection(ids=["a", "b"], embeddings=given)
    assert vectors(store.reopen(made)) == [[1, 2], [3, 4]]


def test_given_arrays_are_not_changed_and_not_kept(collection):
    given = np.ones((2, 3), dtype=np.float32)
    collection.add(ids=["a", "b"], embeddings=given)
    given[:] = 7
    assert vectors(collection) == [[1, 1, 1], [1, 1, 1]]


def test_given_metadata_is_not_kept(collection):
    given = {"deep": {"n": 1}}
    collection.add(ids="a", embeddings=[1], metadatas=given)
    given["deep"]["n"] = 2
    assert metadata_of(collection, "a") == {"deep": {"n": 1}}


@pytest.mark.parametrize("id", STRANGE_IDS, ids=lambda text: ascii(text[:20]))
def test_any_string_is_an_id(store, id):
    made = store.collection(ids=["other", id], embeddings=[[9, 9], [1, 2]])
    found = store.reopen(made)
    got = [found.get(ids=[id]), found.get(where={"#id": id})]
    assert [[id], [id], [[id]]] == [*(g["ids"] for g in got), found.query([1, 2], ids=id)["ids"]]


def test_strange_ids_are_all_different(collection):
    collection.add(ids=STRANGE_IDS, embeddings=[[i] for i in range(len(STRANGE_IDS))])
    collection.delete(ids=STRANGE_IDS[::2])
    assert STRANGE_IDS[1::2] == collection.get()["ids"]


@pytest.mark.parametrize("text", [Word.APPLE, Text("apple"), np.str_("apple")])
def test_strings_of_other_classes_are_the_strings_they_are(store, text):
    made = store.collection(
        ids=[text], embeddings=[[1]], documents=[text], uris=[text], metadatas=[{text: text}]
    )
    expected = {"id": "apple", "documents": "apple", "uris": "apple", "metadatas": {"apple": "apple"}}
    assert [{**expected, "embeddings": [1.0]}] == dump(store.reopen(made))


def test_documents_of_any_text_come_back_equal(store):
    documents = ["", " ", "\0", "a\0b", "\r\n", "ü😀\u2028", "x" * 1_000_000, "'%_\\", "NULL"]
    made = store.collection(
        ids=[f"{i}" for i in range(9)], embeddings=[[i] for i in range(9)], documents=documents
    )
    assert documents == store.reopen(made).get()["documents"]


@pytest.mark.parametrize("verb", ["add", "upsert", "update"])
@pytest.mark.parametrize("empty", [[], (), np.array([])])
def test_an_empty_batch_writes_nothing(collection, verb, empty):
    info = getattr(collection, verb)(ids=[], embeddings=empty, metadatas=empty, documents=empty)
    assert (WriteInfo(0, 0, 0), 0) == (info, collection.count())


def test_a_batch_of_twenty_thousand(store):
    count = 20_000
    given = np.random.default_rng(0).standard_normal((count, 4), dtype=np.float32)
    ids = [f"id{i}" for i in range(count)]
    made = store.collection(ids=ids, embeddings=given, metadatas=[{"n": i} for i in range(count)])
    got = store.reopen(made).get(ids=ids, include=["embeddings"])
    assert (ids, True) == (got["ids"], np.array_equal(given, got["embeddings"]))


def test_twenty_thousand_upserts_updates_and_deletes(collection):
    ids = [f"id{i}" for i in range(20_000)]
    zeros = np.zeros((20_000, 2))
    infos = [
        collection.upsert(ids=ids, embeddings=zeros),
        collection.upsert(ids=ids, embeddings=zeros + 1),
        collection.update(ids=ids, metadatas=[{"n": 1}] * 20_000),
        collection.delete(ids=ids),
    ]
    assert [
        WriteInfo(20_000, 0, 0),
        WriteInfo(0, 20_000, 0),
        WriteInfo(0, 20_000, 0),
        {"deleted": 20_000},
    ] == infos


def test_asking_for_more_than_there_is_returns_what_there_is(abc):
    assert (len(abc.query([1, 0], n_results=10**9)["ids"][0]), len(abc.get(limit=10**9)["ids"])) == (3, 3)


def test_a_thousand_dimensions_and_one(client):
    for dimension in (1, 1024):
        made = client.create_collection(f"dim-{dimension}", embedding_function=None)
        made.add(ids="a", embeddings=np.ones(dimension))
        assert (1, dimension) == made.get(include=["embeddings"])["embeddings"].shape


# --- all or nothing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        {"ids": ["d", "e"], "embeddings": [[1, 2, 3], [4, 5, 6]]},
        {"ids": ["d", "d"], "embeddings": [[1, 2], [4, 5]]},
        {"ids": ["d", ""], "embeddings": [[1, 2], [4, 5]]},
        {"ids": ["d", "e"], "embeddings": [[1, 2], [4, float("nan")]]},
        {"ids": ["d", "e"], "embeddings": [[1, 2], [4, 5]], "metadatas": [{"n": 1}, {"n": object()}]},
        {"ids": ["d", "e"], "embeddings": [[1, 2], [4, 5]], "documents": ["fine", 5]},
        {"ids": ["d", "e"], "embeddings": [[1, 2], [4, 5]], "documents": ["fine", "\ud800"]},
        {"ids": ["a", "d"], "embeddings": [[1, 2], [4, 5]], "documents": ["only one"]},
    ],
)
@pytest.mark.parametrize("verb", ["add", "upsert", "update"])
def test_a_bad_batch_changes_nothing(store, abc, verb, bad):
    before = dump(abc)
    with pytest.raises(vicinal.errors.InvalidArgumentError):
        getattr(abc, verb)(**bad)
    assert before == dump(store.reopen(abc))
