"""A program written for Chroma's collections finds the same arguments, defaults, shapes and errors here."""

import inspect
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import errors

# Chroma 1.5.9: method → its arguments, in order, with their defaults.
RECORDS = "embeddings=None, metadatas=None, documents=None, images=None, uris=None"
SIGNATURES = {
    "add": f"ids, {RECORDS}",
    "upsert": f"ids, {RECORDS}",
    "update": f"ids=None, {RECORDS}",  # a filter may stand in for the ids
    "get": "ids=None, where=None, limit=None, offset=None, where_document=None, "
    "include=('metadatas', 'documents')",
    "peek": "limit=10",
    "query": "query_embeddings=None, query_texts=None, query_images=None, query_uris=None, ids=None, "
    "n_results=10, where=None, where_document=None, include=('metadatas', 'documents', 'distances')",
    "delete": "ids=None, where=None, where_document=None, limit=None",
    "count": f"read_level={vicinal.ReadLevel.INDEX_AND_WAL!r}",
    "modify": "name=None, metadata=None, configuration=None",
    "fork": "new_name",
    "fork_count": "",
    "get_indexing_status": "",
}
PROPERTIES = ["configuration", "configuration_json", "database", "id", "metadata", "name", "schema", "tenant"]
GET_KEYS = {"ids", "embeddings", "documents", "uris", "included", "data", "metadatas"}
V = [1.0, 2.0]


@pytest.fixture
def made(collection) -> vicinal.Collection:
    """a has everything, b a vector alone, c an empty document."""
    collection.add(
        ids=["a", "b", "c"],
        embeddings=[[1, 2], [3, 4], [5, 6]],
        documents=["x", None, ""],
        metadatas=[{"k": 1}, None, {"k": 2.5, "t": ["p", "q"]}],
        uris=["u", None, None],
    )
    return collection


# --- arguments -------------------------------------------------------------------------------


def parameters(method: str) -> list[inspect.Parameter]:
    return list(inspect.signature(getattr(vicinal.Collection, method)).parameters.values())[1:]


@pytest.mark.parametrize("method", SIGNATURES)
def test_arguments_have_chromas_order_names_and_defaults(method):
    shared = [p for p in parameters(method) if p.kind is not p.KEYWORD_ONLY]
    shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in shared]
    assert ", ".join(shown) == SIGNATURES[method]


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties_can_be_read_and_not_set(made, name):
    getattr(made, name)
    with pytest.raises(AttributeError):
        setattr(made, name, 1)


def test_everything_can_be_passed_by_position(made):
    made.add(["d"], [[7, 8]], [{"k": 3}], ["y"], None, ["v"])
    assert made.get(["d"], {"k": 3}, 1, 0, {"$contains": "y"}, ["uris"])["uris"] == ["v"]
    assert made.query([V], None, None, None, ["a", "d"], 1, {"k": 3}, None, [])["ids"] == [["d"]]
    assert made.delete(["d"], {"k": 3}, None, 1) == {"deleted": 1}


@pytest.mark.parametrize(
    "one",
    [
        {"ids": "d", "embeddings": V, "documents": "y", "metadatas": {"k": 3}, "uris": "v"},
        {"ids": ["d"], "embeddings": np.array(V), "documents": ["y"], "metadatas": [{"k": 3}], "uris": ["v"]},
        {
            "ids": ("d",),
            "embeddings": [np.array(V, np.float16)],
            "documents": ("y",),
            "metadatas": ({"k": 3},),
        },
        {
            "ids": ["d"],
            "embeddings": np.array([[1, 2]], np.int32),
            "documents": ["y"],
            "metadatas": [{"k": 3}],
        },
    ],
)
def test_one_record_needs_no_lists(made, one):
    made.add(**one)
    got = made.get("d", include=["embeddings", "documents", "metadatas"])
    assert (got["embeddings"].tolist(), got["documents"], got["metadatas"]) == ([V], ["y"], [{"k": 3}])


# --- results ---------------------------------------------------------------------------------


@pytest.mark.parametrize("include", [[], ["documents"], ["uris", "embeddings"], ["metadatas", "documents"]])
def test_every_key_is_there_and_what_was_not_included_is_none(made, include):
    got, found = made.get(include=include), made.query(V, include=include)
    assert (set(got), set(found)) == (GET_KEYS, GET_KEYS | {"distances"})
    for name in GET_KEYS - {"ids", "included"}:
        assert ((got[name] is None), (found[name] is None)) == (name not in include,) * 2
    assert (got["included"], found["included"], found["distances"]) == (include, include, None)


@pytest.mark.parametrize("include", [["data"], ["documents", "data"], ["data", "uris"]])
def test_data_brings_its_uris_along(client, include):
    made = client.create_collection(
        "seen", embedding_function=None, data_loader=lambda uris: [uri and uri * 2 for uri in uris]
    )
    made.add(ids=["a", "b"], embeddings=[V, V], uris=["u", None])
    got, found = made.get(include=include), made.query(V, include=include)
    assert (got["uris"], got["data"], found["uris"]) == (["u", None], ["uu", None], [["u", None]])
    listed = include if "uris" in include else [*include, "uris"]
    assert (got["included"], found["included"], found["data"]) == (listed, listed, [["uu", None]])


def test_columns_are_lists_and_embeddings_arrays(made):
    got = made.get(include=["embeddings", "documents", "metadatas", "uris"])
    assert {name: type(got[name]) for name in ("ids", "documents", "metadatas", "uris")} == dict.fromkeys(
        ("ids", "documents", "metadatas", "uris"), list
    )
    found = made.query([V, V], include=["embeddings", "distances"], n_results=2)
    assert (got["embeddings"].shape, type(found["embeddings"])) == ((3, 2), list)
    assert [part.shape for part in found["embeddings"]] == [(2, 2), (2, 2)]
    assert [type(x) for x in found["distances"][0]] == [float, float]


def test_what_a_record_does_not_have_is_none(made):
    got = made.get("b", include=["documents", "metadatas", "uris"])
    assert (got["documents"], got["metadatas"], got["uris"]) == ([None], [None], [None])


def test_peek_has_embeddings_documents_and_metadata(made):
    got = made.peek(2)
    assert (got["ids"], got["embeddings"].shape, got["included"]) == (
        ["a", "b"],
        (2, 2),
        ["metadatas", "documents", "embeddings"],
    )


def test_an_empty_collection_has_empty_columns(collection):
    got, found = collection.get(include=["embeddings", "uris"]), collection.query([V, V])
    assert (len(got["embeddings"]), got["uris"], got["documents"]) == (0, [], None)
    assert (found["ids"], found["documents"], found["distances"]) == ([[], []],) * 3


def test_records_come_in_the_order_of_adding_not_of_asking(made):
    assert made.get(ids=["c", "nobody", "a", "a"])["ids"] == ["a", "c"]


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [(0, None, ""), (2, None, "ab"), (1, 1, "b"), (None, 2, "c"), (None, 9, ""), (9, 0, "abc")],
)
def test_limit_and_offset(made, limit, offset, expected):
    assert "".join(made.get(limit=limit, offset=offset)["ids"]) == expected


def test_n_results_beyond_what_there_is(made):
    assert [len(made.query(V, n_results=n)["ids"][0]) for n in (1, 3, 4, 10**9)] == [1, 3, 3, 3]


# --- writes ----------------------------------------------------------------------------------


def test_add_keeps_what_exists(made):
    made.add(ids=["a", "d"], embeddings=[[9, 9], [9, 9]], documents=["new", "new"])
    assert made.get(include=["documents"])["documents"] == ["x", None, "", "new"]


def test_upsert_merges_and_keeps_what_is_not_given(made):
    made.upsert(ids="a", embeddings=[9, 9], metadatas={"n": 1})
    got = made.get("a", include=["documents", "metadatas", "uris", "embeddings"])
    assert (got["documents"], got["metadatas"], got["uris"]) == (["x"], [{"k": 1, "n": 1}], ["u"])
    assert got["embeddings"].tolist() == [[9, 9]]


def test_update_merges_deletes_with_none_and_ignores_who_is_missing(made):
    made.update(ids=["a", "c", "nobody"], metadatas=[{"k": None}, {"t": ["z"], "k": "text"}, {"k": 1}])
    assert made.get()["metadatas"] == [None, None, {"k": "text", "t": ["z"]}]


def test_deleted_and_added_again_is_last(made):
    made.delete(ids="a")
    made.add(ids="a", embeddings=V)
    assert made.get()["ids"] == ["b", "c", "a"]


def test_the_dimension_outlives_the_records(made):
    made.delete(where={"k": {"$ne": "nothing"}})
    with pytest.raises(errors.InvalidDimensionException, match="dimension of 2, got 3"):
        made.add(ids="a", embeddings=[1, 2, 3])


def test_modify_replaces_metadata_and_renames(client, made):
    made.modify(metadata={"a": 1})
    made.modify(name="other", metadata={"b": 2})
    assert (made.name, made.metadata, client.get_collection("other").metadata) == (
        "other",
        {"b": 2},
        {"b": 2},
    )


# --- errors ----------------------------------------------------------------------------------

REFUSED: dict[str, tuple[type[Exception], str, Any]] = {
    "an id that is no str": (ValueError, "to be a str", lambda c: c.add(ids=[1], embeddings=[V])),
    "an empty id": (errors.InvalidArgumentError, "Empty ID", lambda c: c.add(ids=[""], embeddings=[V])),
    "an id twice": (
        errors.DuplicateIDError,
        "Expected IDs to be unique, found duplicates of: z",
        lambda c: c.add(ids=["z", "y", "z"], embeddings=[V, V, V]),
    ),
    "lengths": (ValueError, "Unequal lengths for fields", lambda c: c.add(ids=["y", "z"], embeddings=[V])),
    "nothing to embed": (ValueError, "none was given", lambda c: c.add(ids=["z"])),
    "nothing to ask": (ValueError, "query needs one of", lambda c: c.query()),
    "no vectors": (ValueError, "Expected embeddings", lambda c: c.add(ids="z", embeddings=["a"])),
    "a vector of nothing": (ValueError, "embeddings", lambda c: c.add(ids=["z"], embeddings=[[]])),
    "NaN": (
        errors.InvalidArgumentError,
        "Embeddings must not contain NaN or Infinity",
        lambda c: c.add(ids="z", embeddings=[float("nan"), 1]),
    ),
    "a number that float32 cannot hold": (
        errors.InvalidArgumentError,
        "NaN or Infinity",
        lambda c: c.upsert(ids="z", embeddings=[1e300, 1]),
    ),
    "another dimension": (
        errors.InvalidArgumentError,
        "expecting embedding with dimension of 2, got 3",
        lambda c: c.add(ids="z", embeddings=[1, 2, 3]),
    ),
    "a query of another dimension": (
        errors.InvalidArgumentError,
        "expecting embedding with dimension of 2, got 3",
        lambda c: c.query([1, 2, 3]),
    ),
    "ragged vectors": (
        errors.InvalidArgumentError,
        "Inconsistent dimensions in provided embeddings",
        lambda c: c.add(ids=["y", "z"], embeddings=[V, [1]]),
    ),
    "a document that is no str": (
        ValueError,
        "to be a str",
        lambda c: c.add(ids=["z"], embeddings=[V], documents=[5]),
    ),
    "metadata that is no dict": (
        ValueError,
        "to be a dict",
        lambda c: c.add(ids="z", embeddings=V, metadatas="x"),
    ),
    "a key that is no str": (
        TypeError,
        "key to be a str, got 1",
        lambda c: c.add(ids="z", embeddings=V, metadatas={1: 1}),
    ),
    "an empty key": (
        errors.InvalidArgumentError,
        "metadatas",
        lambda c: c.add(ids="z", embeddings=V, metadatas={"": 1}),
    ),
    "a key of the system": (
        errors.InvalidArgumentError,
        "metadatas",
        lambda c: c.add(ids="z", embeddings=V, metadatas={"#a": 1}),
    ),
    "the reserved key": (
        ValueError,
        "chroma:document",
        lambda c: c.add(ids="z", embeddings=V, metadatas={"chroma:document": "a"}),
    ),
    "an object": (ValueError, "metadatas", lambda c: c.add(ids="z", embeddings=V, metadatas={"a": object()})),
    "distances without a query": (ValueError, "got 'distances'", lambda c: c.get(include=["distances"])),
    "an unknown column": (ValueError, "got 'bogus'", lambda c: c.query(V, include=["bogus"])),
    "no results": (TypeError, "n_results", lambda c: c.query(V, n_results=0)),
    "half a result": (ValueError, "n_results", lambda c: c.query(V, n_results=1.5)),
    "a negative limit": (ValueError, "limit", lambda c: c.get(limit=-1)),
    "a negative offset": (ValueError, "offset", lambda c: c.get(offset=-1)),
    "a limit that is no int": (TypeError, "limit", lambda c: c.delete(where={"k": 1}, limit="x")),
    "delete without a condition": (ValueError, "where_document", lambda c: c.delete()),
    "another space": (ValueError, "distance function", lambda c: c.modify(metadata={"hnsw:space": "ip"})),
    "a bad name": (errors.InvalidArgumentError, "new_name", lambda c: c.modify(name="x")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_chroma_refuses_is_refused_with_a_class_that_its_users_catch(made, name):
    error, text, call = REFUSED[name]
    before = made.get(include=["documents", "metadatas", "uris"])
    with pytest.raises(error, match=text) as caught:
        call(made)
    assert isinstance(caught.value, errors.ChromaError)
    assert made.get(include=["documents", "metadatas", "uris"]) == before


def test_a_handle_of_a_deleted_collection_says_so(client, made):
    client.delete_collection("things")
    calls = (made.count, made.get, made.peek, made.get_indexing_status, lambda: made.facets("k"))
    for call in (*calls, lambda: made.add(ids="z", embeddings=V), made.expire, lambda: made.fork("other")):
        with pytest.raises(errors.NotFoundError, match=f"{made.id}.* does not exist"):
            call()


def test_errors_have_chromas_names_and_codes():
    codes = {
        "InvalidArgumentError": 400,
        "InvalidDimensionException": 400,
        "DuplicateIDError": 400,
        "NotFoundError": 404,
        "UniqueConstraintError": 409,
    }
    assert {name: getattr(errors, name).status for name in codes} == codes
    assert all(issubclass(getattr(errors, name), errors.ChromaError) for name in codes)


# --- what Chroma refuses by accident, and we accept ------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.get(ids=[]),
        lambda c: c.get(ids=["a", "a"]),
        lambda c: c.query(V, ids=["nobody", "a"]),
        lambda c: c.query(V, ids=[]),
        lambda c: c.delete(ids=[]),
        lambda c: c.add(ids=[], embeddings=[]),
        lambda c: c.add(ids=iter(["y", "z"]), embeddings=((1, 2), (3, 4))),
        lambda c: c.add(ids="z", embeddings=V, metadatas={}),
        lambda c: c.add(ids="z", embeddings=V, metadatas={"a": []}),
        lambda c: c.add(ids="z", embeddings=V, metadatas={"a": [1, "x", None]}),
        lambda c: c.add(ids="z", embeddings=V, metadatas={"a": {"b": {"c": 1}}}),
        lambda c: c.add(ids="z", embeddings=V, metadatas={"a": None}),
        lambda c: c.add(ids="z", embeddings=V, metadatas={"a": np.float32(1), "b": np.bool_(True)}),
        lambda c: c.add(ids="z", embeddings=V, metadatas={"a": 2**64, "b": float("inf")}),
        lambda c: c.query(V, where={"k": {"$in": [1, 2.5]}}),
        lambda c: c.modify(metadata={"a": [1, {"b": None}]}),
        lambda c: c.delete(ids="a", limit=1),
    ],
)
def test_good_input_is_never_refused(made, call):
    call(made)
