"""Every misuse has an error of its own that says what, where and what to do, and changes nothing.

The table below is the list of misuses. Each is made against a collection of three records; its class
stands in the table, its text in snapshots/errors.json (rewritten with UPDATE_SNAPSHOTS=1).
"""

import copy
import hashlib
import os
import pickle
import sqlite3
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import (
    IntInvertedIndexConfig,
    K,
    Knn,
    Schema,
    Search,
    SpannIndexConfig,
    SparseVector,
    SparseVectorIndexConfig,
    VectorIndexConfig,
    errors,
)
from vicinal.embedding import EmbeddingFunction, ImageLoader
from vicinal.embedding.providers import ChromaBm25EmbeddingFunction
from vicinal.testing import HashEmbeddingFunction, dump

ANY_BUILTIN = {
    "InvalidArgumentError": (ValueError,),
    "ArgumentTypeError": (TypeError, ValueError),
    "InvalidFilterError": (ValueError,),
    "InvalidDimensionError": (ValueError,),
    "DuplicateIDError": (ValueError,),
    "EmbeddingFunctionError": (ValueError,),
    "NotFoundError": (KeyError,),
    "UniqueConstraintError": (ValueError,),
    "MissingDependencyError": (ImportError,),
    "StorageError": (OSError,),
    "FormatVersionError": (OSError,),
    "CorruptionError": (OSError,),
    "ClosedError": (RuntimeError,),
}
NAN, INF = float("nan"), float("inf")
V = [1.0, 2.0]
KNOT: dict[str, Any] = {}
KNOT["knot"] = KNOT
NESTED_FILTER: dict[str, Any] = {"a": 1}
for _ in range(101):
    NESTED_FILTER = {"$not": NESTED_FILTER}

Call = Callable[[vicinal.Client, vicinal.Collection], Any]
CASES: dict[str, tuple[str, Call]] = {}


def misuse(error: str, **calls: Call) -> None:
    """Enter calls that raise an error of this class, named for their snapshot."""
    CASES.update({name.replace("_", " "): (error, call) for name, call in calls.items()})


def each(error: str, name: str, values: dict[str, Any], call: Callable[[Any], Call]) -> None:
    """Enter one call with each of several values."""
    CASES.update({f"{name}: {shown}": (error, call(value)) for shown, value in values.items()})


# --- collections -----------------------------------------------------------------------------

each(
    "InvalidArgumentError",
    "name",
    {
        "short": "ab",
        "long": "x" * 513,
        "dots": "a..b",
        "ip": "1.2.3.4",
        "ip after +": "abc+1.2.3.4",
        "ip before +": "1.2.3.4+abc",
        "space": "a b",
        "end": "ab-",
        "+": "ab+cd",
    },
    lambda name: lambda client, _: client.create_collection(name),
)
each(
    "ArgumentTypeError",
    "name that is no string",
    {"int": 5, "None": None, "bytes": b"abc"},
    lambda name: lambda client, _: client.create_collection(name),
)
misuse(
    "UniqueConstraintError",
    create_a_name_that_is_taken=lambda client, _: client.create_collection("things"),
    rename_to_a_name_that_is_taken=lambda client, c: (
        client.create_collection("taken"),
        c.modify(name="taken"),
    ),
)
misuse(
    "NotFoundError",
    get_a_missing_collection=lambda client, _: client.get_collection("nothing"),
    delete_a_missing_collection=lambda client, _: client.delete_collection("nothing"),
    get_an_unknown_id=lambda client, _: client.get_collection_by_id(uuid.UUID(int=7)),
)
misuse(
    "ArgumentTypeError",
    get_by_a_number=lambda client, _: client.get_collection(5),
    delete_by_a_handle=lambda client, c: client.delete_collection(c),
    get_by_no_id=lambda client, _: client.get_collection_by_id(None),
    get_by_an_id_that_is_a_number=lambda client, _: client.get_collection_by_id(5),
    list_with_a_limit_that_is_text=lambda client, _: client.list_collections(limit="5"),
    list_with_an_offset_that_is_a_bool=lambda client, _: client.list_collections(offset=True),
    modify_name_to_a_number=lambda _, c: c.modify(name=5),
    modify_metadata_to_a_number=lambda _, c: c.modify(metadata=5),
    create_with_metadata_that_is_a_list=lambda client, _: client.create_collection("other", metadata=[1]),
    create_with_metadata_that_is_no_JSON=lambda client, _: client.create_collection(
        "other", metadata={"a": {1j}}
    ),
    create_with_a_function_that_is_none=lambda client, _: client.create_collection(
        "other", embedding_function=5
    ),
    open_with_a_function_that_is_none=lambda client, _: client.get_collection("things", "default"),
    open_with_a_class_as_function=lambda client, _: client.get_collection("things", HashEmbeddingFunction),
    create_with_a_loader_that_is_none=lambda client, _: client.create_collection("other", data_loader=5),
    open_with_a_class_as_loader=lambda client, _: client.get_collection("things", data_loader=ImageLoader),
    create_with_a_bad_configured_function=lambda client, _: client.create_collection(
        "other", configuration={"embedding_function": 5}
    ),
    path_that_is_a_number=lambda *_: vicinal.PersistentClient(5),
    path_to_a_client_in_memory=lambda *_: vicinal.EphemeralClient("./data"),
    backup_to_a_number=lambda client, _: client.backup(5),
)
misuse(
    "InvalidArgumentError",
    get_a_name_that_is_no_unicode=lambda client, _: client.get_collection("\ud800"),
    list_with_a_negative_limit=lambda client, _: client.list_collections(limit=-1),
    list_with_a_negative_offset=lambda client, _: client.list_collections(offset=-1),
    modify_to_a_bad_name=lambda _, c: c.modify(name="ab"),
    modify_the_space=lambda _, c: c.modify(metadata={"hnsw:space": "ip"}),
    modify_to_a_bad_key=lambda _, c: c.modify(metadata={"$a": 1}),
    create_with_an_empty_key=lambda client, _: client.create_collection("other", metadata={"": 1}),
    create_with_a_bad_older_key=lambda client, _: client.create_collection(
        "other", metadata={"hnsw:space": "x"}
    ),
    create_with_two_functions=lambda client, _: client.create_collection(
        "other", embedding_function=len, configuration={"embedding_function": HashEmbeddingFunction()}
    ),
    path_with_half_a_character=lambda *_: vicinal.PersistentClient("a\ud800b"),
    path_with_a_NUL_character=lambda *_: vicinal.PersistentClient("a\0b"),
    backup_to_a_NUL_character=lambda client, _: client.backup("a\0b"),
)
if os.name != "nt":  # which takes the home of nobody to be beside that of whoever asks
    misuse(
        "InvalidArgumentError",
        path_in_the_home_of_nobody=lambda *_: vicinal.PersistentClient("~nobody-of-this-name/data"),
    )
each(
    "ArgumentTypeError",
    "configuration",
    {
        "number": 5,
        "text": "l2",
        "list": [1],
        "hnsw is a number": {"hnsw": 5},
        "hnsw is text": {"hnsw": "l2"},
        "hnsw is an empty list": {"hnsw": []},
        "hnsw is no text": {"hnsw": ""},
        "hnsw is nought": {"hnsw": 0},
        "spann is text": {"spann": "l2"},
        "spann is an empty list": {"spann": []},
    },
    lambda configuration: lambda client, _: client.create_collection("other", configuration=configuration),
)
each(
    "InvalidArgumentError",
    "hnsw",
    {
        "unknown key": {"bogus": 1},
        "unknown space": {"space": "manhattan"},
        "no space": {"space": None},
        "text": {"ef_search": "many"},
        "digits as text": {"ef_search": "100"},
        "bool": {"ef_search": True},
        "zero": {"ef_construction": 0},
        "negative": {"num_threads": -1},
        "few neighbors": {"max_neighbors": 1},
        "many neighbors": {"max_neighbors": 2**64},
        "many candidates": {"ef_construction": 2**64},
        "many threads": {"num_threads": 2**31},
        "fraction": {"ef_search": 1.5},
        "no growth": {"resize_factor": 0.5},
        "NaN": {"resize_factor": NAN},
        "key that is no string": {5: 1},
    },
    lambda hnsw: lambda client, _: client.create_collection("other", configuration={"hnsw": hnsw}),
)
each(
    "InvalidArgumentError",
    "beside hnsw",
    {
        "space": {"space": "cosine"},
        "older key": {"hnsw": {"ef_search": 50}, "hnsw:construction_ef": 300},
        "misspelt": {"expirey": {"key": "until"}},
    },
    lambda configuration: lambda client, _: client.create_collection("other", configuration=configuration),
)


class Configured(EmbeddingFunction):
    """Embeds nothing, and has the configuration that it was made with."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def __call__(self, input: Any) -> Any:
        return [V] * len(input)

    @staticmethod
    def name() -> str:
        return "tests-configured"

    def get_config(self) -> dict[str, Any]:
        return self.config

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "Configured":
        return Configured(config)


def nested(depth: int) -> dict[str, Any]:
    """That many objects, each inside another."""
    found: dict[str, Any] = {}
    for _ in range(depth - 1):
        found = {"in": found}
    return found


each(
    "InvalidArgumentError",
    "a configuration that could not be read again",
    {
        "function's surrogate": {"embedding_function": Configured({"path": "caf\udce9"})},
        "function's surrogate key": {"embedding_function": Configured({"caf\udce9": 1})},
        "function nested deep": {"embedding_function": Configured(nested(250))},
        "function nested deeper": {"embedding_function": Configured(nested(500))},
        "stop word's surrogate": {"text": {"stop_words": ["\ud800"]}},
        "endless number": {"hnsw": {"ef_search": 10**4400}},
        "endless negative number": {"hnsw": {"ef_search": -(10**4400)}},
        "endless number of the words": {"text": {"ngrams": 10**4400}},
    },
    lambda configuration: lambda client, _: client.create_collection("other", configuration=configuration),
)
each(
    "InvalidArgumentError",
    "a change that could not be read again",
    {
        "surrogate": {"embedding_function": Configured({"path": "caf\udce9"})},
        "nested deep": {"embedding_function": Configured(nested(250))},
        "endless number": {"hnsw": {"ef_search": 10**4400}},
        "endless negative number": {"hnsw": {"ef_search": -(10**4400)}},
    },
    lambda configuration: lambda _, c: c.modify(configuration=configuration),
)
each(
    "EmbeddingFunctionError",
    "a function's configuration that is no JSON",
    {"endless": Configured(KNOT), "nested without end": Configured(nested(100_000))},
    lambda function: lambda client, _: client.create_collection("other", embedding_function=function),
)
each(
    "InvalidArgumentError",
    "a schema that could not be read again",
    {
        "source": lambda: Schema().create_index(VectorIndexConfig(source_key="s\udce9")),
        "sparse source": lambda: Schema().create_index(
            SparseVectorIndexConfig(source_key="s\udce9", embedding_function=ChromaBm25EmbeddingFunction()),
            key="sparse",
        ),
        "algorithm": lambda: Schema().create_index(SparseVectorIndexConfig(algorithm="\udce9"), key="sparse"),
        "algorithm that is no JSON": lambda: Schema().create_index(
            SparseVectorIndexConfig(algorithm=object), key="sparse"
        ),
        "key": lambda: Schema().delete_index(IntInvertedIndexConfig(), key="k\udce9"),
        "endless number for a key": lambda: Schema().create_index(VectorIndexConfig(source_key=10**4400)),
        "endless number for a name": lambda: VectorIndexConfig(space=10**4400),
        "endless number": lambda: Schema().create_index(
            VectorIndexConfig(spann=SpannIndexConfig(search_nprobe=10**4400))
        ),
    },
    lambda schema: lambda client, _: client.create_collection("other", schema()),
)
misuse(
    "ArgumentTypeError",
    tenant_that_is_None=lambda *_: vicinal.EphemeralClient(tenant=None),
    database_that_is_None=lambda *_: vicinal.EphemeralClient(database=None),
    set_tenant_to_None=lambda client, _: client.set_tenant(None),
    set_tenant_with_a_database_that_is_a_number=lambda client, _: client.set_tenant("default_tenant", 5),
    set_database_to_a_number=lambda client, _: client.set_database(5),
)

DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]
misuse(
    "InvalidFilterError",
    where_equal_to_lists_without_end=lambda _, c: c.get(where={"key": DEEP}),
    where_in_lists_without_end=lambda _, c: c.get(where={"key": {"$in": [DEEP]}}),
    where_above_an_endless_number=lambda _, c: c.get(where={"key": {"$gt": 10**4400}}),
    where_that_is_an_endless_number=lambda _, c: c.get(where=10**4400),
    where_with_an_endless_number_for_a_key=lambda _, c: c.get(where={10**4400: 1}),
    where_document_with_lists_without_end=lambda _, c: c.get(where_document={"$contains": DEEP}),
)
misuse(
    "InvalidArgumentError",
    endless_negative_limit=lambda _, c: c.get(limit=-(10**4400)),
    endless_negative_limit_of_a_search=lambda *_: Search(limit=-(10**4400)),
    include_lists_without_end=lambda _, c: c.get(include=[DEEP]),
    vector_of_an_endless_number=lambda _, c: c.add(ids=["1"], embeddings=[[1, 10**4400]]),
    images_that_are_lists_without_end=lambda _, c: c.add(ids=["1"], images=[DEEP]),
    rank_that_is_lists_without_end=lambda *_: Search.from_dict({"rank": {"$sum": DEEP}}),
)

# --- writing ---------------------------------------------------------------------------------

each(
    "ArgumentTypeError",
    "ids",
    {
        "number": 5,
        "None": None,
        "numbers": [1],
        "None inside": ["x", None],
        "bytes": b"ab",
        "dict": {"a": 1},
        "array of one number": np.array(5),
        "endless number": [10**5000],
    },
    lambda ids: lambda _, c: c.add(ids=ids, embeddings=V),
)
each(
    "InvalidArgumentError",
    "ids",
    {"empty": "", "empty inside": ["x", ""], "surrogate": "\ud800"},
    lambda ids: lambda _, c: c.upsert(ids=ids, embeddings=V),
)
misuse(
    "DuplicateIDError",
    an_id_twice=lambda _, c: c.add(ids=["x", "y", "x"], embeddings=[V] * 3),
    an_id_twice_in_upsert=lambda _, c: c.upsert(ids=["a", "a"], embeddings=[V] * 2),
    an_id_twice_in_update=lambda _, c: c.update(ids=["a", "a"], embeddings=[V] * 2),
    many_ids_twice=lambda _, c: c.add(ids=list("xyzuvwst") * 2, embeddings=[V] * 16),
    ids_that_exist=lambda _, c: c.add(ids=["x", "b", "a"], embeddings=[V] * 3, on_conflict="error"),
)
each(
    "InvalidArgumentError",
    "embeddings",
    {
        "number": 5,
        "text": "abc",
        "texts": ["ab"],
        "text inside": [[1.0, "x"]],
        "None inside": [[1.0, None]],
        "None": [None],
        "ragged": [[1.0, 2.0], [3.0]],
        "ragged arrays": [np.ones(2), np.ones(3)],
        "no components": [[]],
        "no components of an array": np.ones((1, 0)),
        "too deep": [[[1.0, 2.0]]],
        "scalar array": np.array(5.0),
        "complex": [[1j, 2]],
        "bools": [[True, False]],
        "dates": np.array([["2020-01-01"]], dtype="datetime64[D]"),
        "dict": {"a": [1.0, 2.0]},
        "NaN": [1.0, NAN],
        "infinity": [-INF, 1.0],
        "beyond float32": [1e39, 1.0],
        "integer beyond float32": [2**128, 1],
        "integer beyond float64": [10**400, 1],
        "function": print,
    },
    lambda embeddings: lambda _, c: c.add(ids="x", embeddings=embeddings),
)
misuse(
    "InvalidArgumentError",
    NaN_in_the_second_embedding=lambda _, c: c.upsert(ids=["x", "y"], embeddings=[V, [NAN, 1.0]]),
    infinity_in_an_update=lambda _, c: c.update(ids="a", embeddings=[INF, 1.0]),
    nothing_to_embed=lambda _, c: c.add(ids="x", metadatas={"n": 1}),
    nothing_to_embed_in_upsert=lambda _, c: c.upsert(ids="x", uris="file:///x"),
    a_document_missing_where_it_is_to_be_embedded=lambda _, c: c.add(ids=["x", "y"], documents=["x", None]),
    unequal_embeddings=lambda _, c: c.add(ids=["x", "y"], embeddings=[V]),
    unequal_documents=lambda _, c: c.add(ids=["x"], embeddings=[V], documents=["x", "y"]),
    unequal_metadatas=lambda _, c: c.upsert(ids=["x", "y"], embeddings=[V, V], metadatas=[{}]),
    unequal_uris=lambda _, c: c.update(ids=["a", "b"], uris=["u"]),
    no_ids_for_embeddings=lambda _, c: c.add(ids=[], embeddings=[V]),
    no_embeddings_for_ids=lambda _, c: c.add(ids=["x"], embeddings=[]),
    on_conflict_that_is_unknown=lambda _, c: c.add(ids="x", embeddings=V, on_conflict="replace"),
)
misuse(
    "InvalidDimensionError",
    add_another_dimension=lambda _, c: c.add(ids="x", embeddings=[1, 2, 3]),
    upsert_another_dimension=lambda _, c: c.upsert(ids=["x", "a"], embeddings=[[1], [2]]),
    update_another_dimension=lambda _, c: c.update(ids="a", embeddings=[1, 2, 3]),
    update_nobody_to_another_dimension=lambda _, c: c.update(ids="nobody", embeddings=[1, 2, 3]),
    add_an_existing_id_in_another_dimension=lambda _, c: c.add(ids="a", embeddings=[1, 2, 3]),
    query_another_dimension=lambda _, c: c.query([1, 2, 3]),
)
for column in ("documents", "uris"):
    each(
        "ArgumentTypeError",
        column,
        {"number": 5, "number inside": ["x", 5], "bytes": [b"x", b"y"], "list": [["x"], ["y"]]},
        lambda texts, column=column: lambda _, c: c.add(ids=["x", "y"], embeddings=[V, V], **{column: texts}),
    )
    each(
        "InvalidArgumentError",
        column,
        {"surrogate": ["x", "y\udfff"]},
        lambda texts, column=column: lambda _, c: c.add(ids=["x", "y"], embeddings=[V, V], **{column: texts}),
    )
each(
    "ArgumentTypeError",
    "metadatas",
    {
        "number": 5,
        "text": "x",
        "number inside": [5],
        "pairs": [[("a", 1)]],
        "set inside": [{"a": {1j}}],
        "range deep inside": [{"a": [{"b": range(3)}]}],
        "object": [{"a": object}],
        "key that is a number": [{1: 2}],
        "deep key that is a number": [{"a": [{1: 2}]}],
        "complex": [{"a": 1j}],
    },
    lambda metadatas: lambda _, c: c.add(ids="x", embeddings=V, metadatas=metadatas),
)
each(
    "InvalidArgumentError",
    "metadatas",
    {
        "empty key": {"": 1},
        "key with #": {"#id": 1},
        "key with $": {"$and": 1},
        "Chroma's key": {"chroma:document": 1},
        "surrogate": {"a": "x\ud800"},
        "surrogate deep inside": {"a": [{"b": "\ud800"}]},
        "surrogate key": {"\ud800": 1},
        "deep surrogate key": {"a": {"\ud800": 1}},
        "endless number": {"a": 10**5000},
        "knot": KNOT,
    },
    lambda metadata: lambda _, c: c.update(ids="a", metadatas=metadata),
)
each(
    "ArgumentTypeError",
    "update of a selection",
    {"None": None, "None inside": [None], "number": 5, "text": "x", "number inside": [5]},
    lambda metadatas: lambda _, c: c.update(where={"n": 1}, metadatas=metadatas),
)
misuse("ArgumentTypeError", update_of_a_selection_without_metadata=lambda _, c: c.update(where={"n": 1}))
misuse(
    "InvalidArgumentError",
    update_of_a_selection_with_two_dicts=lambda _, c: c.update(where={"n": 1}, metadatas=[{}, {}]),
)
misuse(
    "EmbeddingFunctionError",
    text_without_a_function=lambda _, c: c.add(ids="x", documents="text"),
    updated_text_without_a_function=lambda _, c: c.update(ids="a", documents="text"),
    query_text_without_a_function=lambda _, c: c.query(query_texts="text"),
    a_function_of_another_name=lambda client, _: (
        client.create_collection("hashed", embedding_function=HashEmbeddingFunction()),
        client.get_collection("hashed", embedding_function=Answering(None)),
    ),
    a_function_of_another_configuration=lambda client, _: (
        client.create_collection("hashed", embedding_function=HashEmbeddingFunction(8)),
        client.get_or_create_collection("hashed", embedding_function=HashEmbeddingFunction(9)),
    ),
)


class Answering(EmbeddingFunction):
    """Answers with whatever it was made with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __call__(self, input: Any) -> Any:
        return self.answer

    @staticmethod
    def name() -> str:
        return "tests-answering"

    def get_config(self) -> dict[str, Any]:
        return {}


def embedding(answer: Any) -> Call:
    """Two documents, added and embedded so."""
    return lambda client, _: client.get_collection("things", embedding_function=lambda _: answer).add(
        ids=["x", "y"], documents=["one", "two"]
    )


each(
    "EmbeddingFunctionError",
    "the function answers",
    {
        "None": None,
        "one vector": [V],
        "three vectors": [V] * 3,
        "ragged": [V, [1.0]],
        "numbers": [1.0, 2.0],
        "texts": ["a", "b"],
    },
    embedding,
)
each(
    "InvalidArgumentError",
    "the function answers",
    {"NaN": [V, [NAN, 1.0]], "no components": [[], []]},
    embedding,
)
each("InvalidDimensionError", "the function answers", {"another dimension": [[1.0], [2.0]]}, embedding)

# --- reading ---------------------------------------------------------------------------------

each(
    "ArgumentTypeError",
    "limit",
    {"text": "5", "bool": True, "float": 2.0},
    lambda limit: lambda _, c: c.get(limit=limit),
)
each(
    "ArgumentTypeError",
    "n_results",
    {"text": "5", "bool": True, "float": 2.5, "None": None, "0": 0, "negative": -1},
    lambda k: lambda _, c: c.query(V, n_results=k),
)
each(
    "ArgumentTypeError",
    "include",
    {"number": 5, "None": None},
    lambda include: lambda _, c: c.get(include=include),
)
each(
    "InvalidArgumentError",
    "include",
    {"unknown": ["embedding"], "unknown text": "everything", "list inside": [["documents"]], "ids": ["ids"]},
    lambda include: lambda _, c: c.query(V, include=include),
)
misuse(
    "InvalidArgumentError",
    negative_limit=lambda _, c: c.get(limit=-1),
    negative_offset=lambda _, c: c.get(offset=-1),
    negative_peek=lambda _, c: c.peek(-1),
    distances_in_get=lambda _, c: c.get(include=["distances"]),
    nothing_to_query=lambda _, c: c.query(n_results=3),
    NaN_in_a_query=lambda _, c: c.query([NAN, 1.0]),
    text_as_a_query_embedding=lambda _, c: c.query("text"),
    an_empty_id_in_get=lambda _, c: c.get(ids=[""]),
    lambda_below_0=lambda _, c: c.query(V, lambda_mult=-0.1),
    lambda_above_1=lambda _, c: c.query(V, lambda_mult=1.1),
    lambda_that_is_NaN=lambda _, c: c.query(V, lambda_mult=NAN),
    fetch_k_without_lambda=lambda _, c: c.query(V, fetch_k=5),
    fetch_k_of_0=lambda _, c: c.query(V, lambda_mult=0.5, fetch_k=0),
    delete_nothing_in_particular=lambda _, c: c.delete(),
    delete_with_a_limit_alone=lambda _, c: c.delete(limit=5),
    delete_with_a_negative_limit=lambda _, c: c.delete(ids="a", limit=-1),
)
misuse(
    "ArgumentTypeError",
    a_missing_query_text=lambda client, _: client.get_collection(
        "things", embedding_function=lambda texts: [V] * len(texts)
    ).query(query_texts=["a", None]),
    query_texts_that_are_a_number=lambda _, c: c.query(query_texts=5),
    query_texts_that_are_numbers=lambda _, c: c.query(query_texts=[5]),
    lambda_that_is_text=lambda _, c: c.query(V, lambda_mult="0.5"),
    lambda_that_is_a_bool=lambda _, c: c.query(V, lambda_mult=True),
    fetch_k_that_is_a_float=lambda _, c: c.query(V, lambda_mult=0.5, fetch_k=2.0),
    ids_to_delete_that_are_numbers=lambda _, c: c.delete(ids=[1]),
    ids_to_get_that_are_a_number=lambda _, c: c.get(ids=1),
)

# --- filters ---------------------------------------------------------------------------------

each(
    "InvalidFilterError",
    "where",
    {
        "number": 5,
        "text": "n = 1",
        "list": [{"n": 1}],
        "empty": {},
        "two keys": {"n": 1, "m": 2},
        "key that is a number": {1: 2},
        "operator without a key": {"$gt": 1},
        "operator on documents": {"$contains": "a"},
        "unknown logical operator": {"$nor": [{"n": 1}, {"n": 2}]},
        "no operator": {"n": {}},
        "two operators": {"n": {"$gt": 1, "$lt": 3}},
        "unknown operator": {"n": {"$near": 1}},
        "operator without $": {"n": {"gt": 1}},
        "operator that is a number": {"n": {5: 1}},
        "None": {"n": None},
        "list as a value": {"n": [1, 2]},
        "range": {"n": range(3)},
        "object": {"n": object},
        "NaN": {"n": NAN},
        "infinity": {"n": {"$gt": INF}},
        "surrogate": {"n": "\ud800"},
        "endless number": {"n": 10**5000},
        "$eq None": {"n": {"$eq": None}},
        "$ne None": {"n": {"$ne": None}},
        "$eq a set": {"n": {"$eq": {1}}},
        "$eq a set inside": {"n": {"$eq": [{1}]}},
        "$eq keys that are numbers": {"n": {"$eq": {1: 2, "a": 3}}},
        "$eq surrogate inside": {"n": {"$eq": ["\ud800"]}},
        "$eq a knot": {"n": {"$eq": KNOT}},
        "$in nothing": {"n": {"$in": []}},
        "$in text": {"n": {"$in": "abc"}},
        "$in a number": {"n": {"$in": 5}},
        "$in None": {"n": {"$in": [1, None]}},
        "$in several types": {"n": {"$in": [1, "a"]}},
        "$in bools and numbers": {"n": {"$in": [1, True]}},
        "$in lists": {"n": {"$in": [[1]]}},
        "$nin nothing": {"n": {"$nin": []}},
        "$gt None": {"n": {"$gt": None}},
        "$gt bool": {"n": {"$gt": True}},
        "$gt Decimal": {"n": {"$gt": Decimal("1.50")}},
        "$lte list": {"n": {"$lte": [1]}},
        "$contains None": {"n": {"$contains": None}},
        "$contains a list": {"n": {"$contains": ["a"]}},
        "$any text": {"n": {"$any": "abc"}},
        "$all None": {"n": {"$all": [None]}},
        "$between a number": {"n": {"$between": 5}},
        "$between one": {"n": {"$between": [5]}},
        "$between three": {"n": {"$between": [1, 2, 3]}},
        "$between bools": {"n": {"$between": [False, True]}},
        "$between bytes": {"n": {"$between": [b"a", b"z"]}},
        "$exists 1": {"n": {"$exists": 1}},
        "$empty text": {"n": {"$empty": "yes"}},
        "$like number": {"n": {"$like": 5}},
        "$ilike None": {"n": {"$ilike": None}},
        "$startswith number": {"n": {"$startswith": 5}},
        "$regex number": {"n": {"$regex": 5}},
        "$regex that cannot be parsed": {"n": {"$regex": "("}},
        "$regex with look-ahead": {"n": {"$regex": "(?=a)"}},
        "$regex with a back-reference": {"n": {"$regex": r"(a)\1"}},
        "$regex surrogate": {"n": {"$regex": "\ud800"}},
        "$and nothing": {"$and": []},
        "$and one": {"$and": [{"n": 1}]},
        "$or a dict": {"$or": {"n": 1}},
        "$or text": {"$or": "ab"},
        "$not a list": {"$not": [{"n": 1}, {"n": 2}]},
        "$not nothing": {"$not": {}},
        "deep inside": {"$and": [{"n": 1}, {"$or": [{"n": 2}, {"year": {"$gte": None}}]}]},
        "deep regex": {"$and": [{"n": 1}, {"$not": {"n": {"$regex": "["}}}]},
        "too deep": NESTED_FILTER,
        "#embedding": {"#embedding": 1},
        "#metadata": {"#metadata": "x"},
        "#score": {"#score": {"$gt": 1}},
        "unknown # key": {"#documents": "x"},
        "#document equality": {"#document": {"$eq": "x"}},
        "#document text": {"#document": "x"},
        "key that is no unicode": {"\ud800": {"$gt": None}},
        "key that is no unicode, of a good condition": {"\ud800": {"$ne": 1}},
        "key inside that is no unicode": {"$and": [{"n": 1}, {"a.\udfff": 1}]},
        "operator that is no unicode": {"n": {"$gt\ud800": 1}},
    },
    lambda where: lambda _, c: c.get(where=where),
)
each(
    "InvalidFilterError",
    "where_document",
    {
        "number": 5,
        "text": "abc",
        "empty": {},
        "two operators": {"$contains": "a", "$regex": "b"},
        "key": {"title": {"$contains": "a"}},
        "unknown operator": {"$like": "a"},
        "operator that is no unicode": {"\ud800": "a"},
        "$not_not_contains": {"$not_not_contains": "a"},
        "$contains number": {"$contains": 5},
        "$contains nothing": {"$contains": ""},
        "$contains list": {"$contains": ["a"]},
        "$contains surrogate": {"$contains": "\ud800"},
        "$regex nothing": {"$regex": ""},
        "$regex that cannot be parsed": {"$regex": "a)"},
        "$not_regex with look-behind": {"$not_regex": "(?<=a)b"},
        "$and one": {"$and": [{"$contains": "a"}]},
        "$or nothing": {"$or": []},
        "deep inside": {"$or": [{"$contains": "a"}, {"$and": [{"$contains": "b"}, {"$contains": None}]}]},
    },
    lambda where: lambda _, c: c.query(V, where_document=where),
)
misuse(
    "InvalidFilterError",
    a_bad_filter_in_delete=lambda _, c: c.delete(where={"n": {"$near": 1}}),
    a_key_that_is_no_unicode_in_delete=lambda _, c: c.delete(where={"\ud800": {"$ne": 1}}),
    a_bad_filter_in_a_query=lambda _, c: c.query(V, where={"$and": [{"n": 1}, {"n": None}]}),
)

each(
    "InvalidArgumentError",
    "key that is no unicode",
    {
        "K": lambda _: K("\ud800"),
        "select": lambda c: c.search(Search().select("\ud800")),
        "Knn": lambda c: c.search(Search().rank(Knn(query=V, key="\ud800")).limit(1)),
        "text_key": lambda c: c.query(query_texts="doc", mode="text", text_key="\ud800"),
        "sparse_key": lambda c: c.query(
            query_sparse=SparseVector([1], [1.0]), mode="sparse", sparse_key="\ud800"
        ),
        "facets": lambda c: c.facets("\ud800"),
        "stats": lambda c: c.stats("\ud800"),
        "order_by": lambda c: c.get(order_by="-\ud800"),
    },
    lambda call: lambda _, c: call(c),
)

# --- the table, held -------------------------------------------------------------------------


@pytest.fixture
def things(new_client, tmp_path):
    """A persistent client, and a collection with three records."""
    return filled(new_client(tmp_path / "data"))


@pytest.fixture
def in_memory(new_client):
    """An ephemeral client, and the same collection."""
    return filled(new_client())


def filled(client: vicinal.Client) -> tuple[vicinal.Client, vicinal.Collection]:
    collection = client.create_collection("things", embedding_function=None)
    collection.add(
        ids=["a", "b", "c"],
        embeddings=[[1, 0], [0, 1], [1, 1]],
        metadatas=[{"n": 1}, None, {"n": 3}],
        documents=["doc a", None, "doc c"],
    )
    return client, collection


def fingerprint(path: Path) -> dict[str, str]:
    """The bytes of every durable file; the shared-memory file of SQLite is none."""
    files = [p for p in sorted(path.rglob("*")) if p.is_file() and not p.name.endswith("-shm")]
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def raised(call: Call, client: vicinal.Client, collection: vicinal.Collection) -> Exception | None:
    try:
        call(client, collection)
    except Exception as error:
        return error
    return None


def text(error: Exception, collection: vicinal.Collection, path: Path) -> str:
    """An error's text without what differs from run to run."""
    found = str(error).encode("utf-8", "backslashreplace").decode()
    for before_foreign_words in (
        "all of one length: ",
        "is no RE2 regular expression: ",
        "could not be read again if it were stored: ",
    ):
        found = found.partition(before_foreign_words)[0] + found.partition(before_foreign_words)[1]
    return found.replace(str(collection.id), "<id>").replace(str(path), "<path>")


CREATING = {
    "rename to a name that is taken",
    "a function of another name",
    "a function of another configuration",
}


@pytest.mark.parametrize("name", CASES)
def test_a_misuse_raises_its_error_and_changes_nothing(things, tmp_path, name):
    client, collection = things
    before = (dump(collection), fingerprint(tmp_path / "data"))
    error = raised(CASES[name][1], client, collection)
    if name in CREATING:  # these need a second collection to go wrong
        client.delete_collection("taken" if "rename" in name else "hashed")
        before = (before[0], fingerprint(tmp_path / "data"))
    after = (dump(collection), fingerprint(tmp_path / "data"))
    assert (CASES[name][0], before) == (type(error).__name__, after), error


@pytest.mark.parametrize("name", CASES)
def test_an_error_is_also_the_builtin_that_people_expect(in_memory, name):
    error = raised(CASES[name][1], *in_memory)
    expected = (errors.VicinalError, *ANY_BUILTIN[CASES[name][0]])
    assert [True] * len(expected) == [isinstance(error, base) for base in expected], repr(error)


@pytest.mark.parametrize("name", CASES)
def test_an_error_survives_pickling_and_copying_with_its_facts(in_memory, name):
    error = raised(CASES[name][1], *in_memory)
    again = [pickle.loads(pickle.dumps(error)), copy.copy(error)]
    facts = [(type(e), str(e), e.args, e.__dict__) for e in (error, *again)]
    assert [facts[0]] * 3 == facts


@pytest.mark.skipif(os.name == "nt", reason="texts name paths as POSIX has them")
def test_the_texts_of_all_errors(things, tmp_path, snapshot):
    client, collection = things
    found = {}
    for name, (_, call) in CASES.items():
        error = raised(call, client, collection)
        found[name] = f"{type(error).__name__}: {text(error, collection, tmp_path)}"
        for made in {"taken", "hashed", "other"} & {c.name for c in client.list_collections()}:
            client.delete_collection(made)
    snapshot("errors", found)


def test_no_text_is_longer_than_a_paragraph(in_memory):
    texts = {name: str(raised(call, *in_memory)) for name, (_, call) in CASES.items()}
    assert [] == [name for name, found in texts.items() if len(found) > 700]


def test_every_text_can_be_printed(in_memory):
    texts = {name: str(raised(call, *in_memory)) for name, (_, call) in CASES.items()}
    assert [] == [
        name for name, found in texts.items() if any("\ud800" <= char <= "\udfff" for char in found)
    ]


def test_a_huge_argument_is_not_repeated_in_the_text(in_memory):
    huge = ["x" * 1000, *range(100_000)]
    calls = [
        lambda c: c.get(where={"n": {"$in": huge}}),
        lambda c: c.get(where={"n": huge}),
        lambda c: c.get(where=huge),
        lambda c: c.add(ids=huge, embeddings=V),
        lambda c: c.add(ids="x", embeddings=huge),
        lambda c: c.get(include=["x" * 100_000]),
        lambda c: c.get(where={"n": {"$" + "x" * 100_000: 1}}),
        lambda c: c.add(ids="x", embeddings=V, metadatas={"$" + "x" * 100_000: 1}),
        lambda c: c.get(where={"n": {"$regex": "(" * 100_000}}),
        lambda c: c.modify(name="x" * 100_000),
    ]
    texts = [str(raised(lambda _, c, call=call: call(c), *in_memory)) for call in calls]
    assert [True] * len(calls) == [0 < len(found) < 2000 for found in texts]


# --- the tree --------------------------------------------------------------------------------


def test_the_tree_of_errors(snapshot):
    classes = {name: cls for name, cls in vars(errors).items() if isinstance(cls, type)}
    own = {name: cls for name, cls in classes.items() if issubclass(cls, errors.VicinalError)}
    tree = {name: [base.__name__ for base in cls.__mro__[:-1]] + [cls.status] for name, cls in own.items()}
    snapshot("error_tree", tree)


FACTS = {
    "ArgumentTypeError": {"argument": "limit", "expected": "an int", "got": "5"},
    "InvalidFilterError": {"path": 'where["n"]', "problem": "no good"},
    "InvalidDimensionError": {"collection": "things", "expected": 2, "got": 3, "item": 7},
    "DuplicateIDError": {"ids": ["a", "b"], "existing": "things"},
    "NotFoundError": {"kind": "Collection", "key": "things", "hint": "Make it."},
    "UniqueConstraintError": {"kind": "Collection", "key": "things", "hint": "Use it."},
    "MissingDependencyError": {"feature": "Flying", "package": "wings", "extra": "air"},
    "StorageError": {"path": "/data", "problem": "is full"},
    "FormatVersionError": {"path": "/data", "found": 2, "supported": 1},
    "CorruptionError": {"path": "/data", "problem": "is torn"},
    "ClosedError": {"what": "This client"},
}


@pytest.mark.parametrize("name", FACTS)
def test_every_error_pickles_with_its_facts(name):
    error = getattr(errors, name)(**FACTS[name])
    again = pickle.loads(pickle.dumps(error))
    kept = {fact: value for fact, value in FACTS[name].items() if fact in error.__dict__}
    assert (type(error), str(error), error.args) == (type(again), str(again), again.args)
    assert kept == {fact: again.__dict__[fact] for fact in kept}


@pytest.mark.parametrize(
    ("call", "facts"),
    [
        (lambda c: c.add(ids="x", embeddings=[1]), {"collection": "things", "expected": 2, "got": 1}),
        (lambda c: c.query([1]), {"expected": 2, "got": 1, "item": None}),
        (lambda c: c.add(["x", "x"], [V, V]), {"ids": ["x"], "existing": None}),
        (lambda c: c.add(["b", "a"], [V, V], on_conflict="error"), {"ids": ["b", "a"], "existing": "things"}),
        (
            lambda c: c.get(where={"$or": [{"n": 1}, {"n": {"$x": 1}}]}),
            {"path": 'where["$or"][1]["n"]["$x"]'},
        ),
        (lambda c: c.get(where={"$not": {"n": {"$regex": "("}}}), {"path": 'where["$not"]["n"]["$regex"]'}),
        (lambda c: c.get(where_document={"$regex": "("}), {"path": 'where_document["$regex"]'}),
        (lambda c: c.get(limit="5"), {"argument": "limit", "expected": "an int", "got_type": "str"}),
    ],
)
def test_an_error_carries_its_facts(in_memory, call, facts):
    error = raised(lambda _, c: call(c), *in_memory)
    assert facts == {name: getattr(error, name) for name in facts}, repr(error)


@pytest.mark.parametrize("argument", ["lambda_mult", "max_distance"])
def test_a_complex_number_is_none_to_compare_with(in_memory, argument):
    with pytest.raises(errors.ArgumentTypeError, match=f"{argument} to be a number.* complex64"):
        in_memory[1].query(V, **{argument: np.complex64(0.5)})


def test_a_renamed_collection_is_called_by_its_new_name(things):
    things[1].modify(name="renamed")
    with pytest.raises(errors.InvalidDimensionError, match='"renamed"'):
        things[1].add(ids="x", embeddings=[1])
    with pytest.raises(errors.EmbeddingFunctionError, match='"renamed"'):
        things[1].add(ids="x", documents="text")


def test_chromas_names_mean_ours():
    aliases = {
        "ChromaError": "VicinalError",
        "InvalidDimensionException": "InvalidDimensionError",
        "InvalidCollectionException": "NotFoundError",
        "VersionMismatchError": "FormatVersionError",
    }
    assert [True] * 4 == [getattr(errors, alias) is getattr(errors, name) for alias, name in aliases.items()]


# --- directories -----------------------------------------------------------------------------


def assert_refused(path: Path, error: str, words: str, root: Path) -> None:
    """Opening says so, names the place, and leaves every byte as it was."""
    before = fingerprint(root)
    with pytest.raises(errors.StorageError, match=words) as caught:
        use(path)
    assert (error, before) == (type(caught.value).__name__, fingerprint(root))
    assert str(caught.value.path).startswith(str(root))


def use(path: Path) -> None:
    with vicinal.PersistentClient(path) as client:
        for collection in client.list_collections():
            collection.get()


def test_a_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert_refused(tmp_path / "file", "StorageError", "is a file", tmp_path)


def test_a_path_inside_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert_refused(tmp_path / "file" / "data", "StorageError", "file", tmp_path)


def test_a_directory_that_is_not_writable_is_refused(tmp_path, sealed):
    with sealed(tmp_path):
        assert_refused(tmp_path, "StorageError", "not writable", tmp_path)


@pytest.fixture
def data(tmp_path):
    """A directory with one collection of one record, closed."""
    with vicinal.PersistentClient(tmp_path / "data") as client:
        made = client.create_collection("things", embedding_function=None)
        made.add(ids="a", embeddings=[1, 2], documents="doc")
    return tmp_path / "data"


def execute(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(statement)
    connection.close()


def records(data: Path) -> Path:
    return next(data.glob("collections/*/records.sqlite3"))


def test_a_newer_catalog_is_refused(data):
    execute(data / "catalog.sqlite3", "PRAGMA user_version = 999")
    assert_refused(data, "FormatVersionError", "written in format 999.*pip install --upgrade", data)


def test_a_newer_collection_is_refused(data):
    execute(records(data), "PRAGMA user_version = 999")
    assert_refused(data, "FormatVersionError", "written in format 999.*pip install --upgrade", data)


def test_a_newer_format_tells_its_number(data):
    execute(data / "catalog.sqlite3", "PRAGMA user_version = 999")
    with pytest.raises(errors.FormatVersionError) as caught:
        use(data)
    assert (999, True) == (caught.value.found, caught.value.supported < 999)


@pytest.mark.parametrize("where", [lambda data: data / "catalog.sqlite3", records])
def test_a_database_of_another_program_is_refused(data, where):
    execute(where(data), "PRAGMA application_id = 12345")
    assert_refused(data, "StorageError", "another program", data)


@pytest.mark.parametrize("where", [lambda data: data / "catalog.sqlite3", records])
def test_a_file_that_is_no_database_is_refused(data, where):
    where(data).write_bytes(b"These are my notes, and no database at all. " * 100)
    assert_refused(data, "CorruptionError", "damaged|not a database", data)


def test_a_backup_does_not_destroy_another_database(data, tmp_path):
    with vicinal.PersistentClient(tmp_path / "mine") as client:
        client.create_collection("mine")
        before = fingerprint(data)
        with pytest.raises(errors.StorageError, match="data"):
            client.backup(data)
    assert before == fingerprint(data)


@pytest.mark.parametrize("target", ["mine", "file", "file/inside"])
def test_a_backup_needs_a_directory_of_its_own(tmp_path, target):
    (tmp_path / "file").write_text("mine")
    with vicinal.PersistentClient(tmp_path / "mine") as client:
        client.create_collection("mine")
        before = fingerprint(tmp_path)
        with pytest.raises(errors.StorageError, match=target.partition("/")[0]):
            client.backup(tmp_path / target)
        assert before == fingerprint(tmp_path)


def test_what_is_in_memory_cannot_be_backed_up(in_memory, tmp_path):
    with pytest.raises(errors.StorageError, match="only a persistent client can be backed up"):
        in_memory[0].backup(tmp_path / "copy")
    assert [] == list(tmp_path.iterdir())


def test_a_directory_that_is_not_ours_is_left_as_it_is(tmp_path):
    (tmp_path / "catalog.sqlite3").write_text("mine")
    assert_refused(tmp_path, "CorruptionError", "damaged|not a database", tmp_path)
