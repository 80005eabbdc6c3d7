"""The store is a LlamaIndex vector store that opens where it is told to and says what is wrong."""

import copy
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery

import vicinal
from llama_index.vector_stores.vicinal import VicinalVectorStore
from vicinal.errors import (
    ArgumentTypeError,
    InvalidArgumentError,
    InvalidDimensionError,
    NotFoundError,
    StorageError,
)


def test_class():
    names = [cls.__name__ for cls in VicinalVectorStore.__mro__]
    assert BasePydanticVectorStore.__name__ in names


def test_it_keeps_text_and_any_metadata():
    store = VicinalVectorStore()
    assert (store.stores_text, store.is_embedding_query, store.flat_metadata) == (True, True, False)
    assert VicinalVectorStore.class_name() == "VicinalVectorStore"


def test_two_unnamed_stores_share_nothing(node):
    one, other = VicinalVectorStore(), VicinalVectorStore()
    one.add([node("a")])
    assert other.get_nodes() == []


def test_stores_of_one_client_share_a_collection_by_name(node):
    client = vicinal.EphemeralClient()
    VicinalVectorStore("films", client=client).add([node("a")])
    assert len(VicinalVectorStore("films", client=client).get_nodes()) == 1
    assert VicinalVectorStore("books", client=client).get_nodes() == []


def test_a_given_collection_is_used_as_it_is(node):
    collection = vicinal.EphemeralClient().create_collection("mine", embedding_function=None)
    store = VicinalVectorStore(collection=collection)
    store.add([node("a")])
    assert (store.collection_name, store.client, store.collection) == ("mine", None, collection)
    assert collection.count() == 1


def test_the_space_of_a_new_collection_is_cosine():
    assert VicinalVectorStore().collection.configuration_json["hnsw"]["space"] == "cosine"


def test_the_configuration_of_a_new_collection_can_be_given():
    configuration = {"hnsw": {"ef_search": 50}}
    store = VicinalVectorStore(collection_configuration=configuration)
    stored = store.collection.configuration_json["hnsw"]
    assert (stored["space"], stored["ef_search"]) == ("cosine", 50)
    assert configuration == {"hnsw": {"ef_search": 50}}


OTHER_KIND = [({}, "cosine"), ({"ef_search": 50}, "cosine"), ({"space": "ip"}, "ip")]


@pytest.mark.parametrize(("given", "space"), OTHER_KIND)
def test_an_index_configured_as_spann_is_cosine_too_unless_it_names_a_space(given, space):
    store = VicinalVectorStore(collection_configuration={"spann": given})
    assert store.collection.configuration_json["hnsw"]["space"] == space  # there it is kept


def test_what_was_added_is_there_after_reopening(store, node, reopen):
    store.add([node("a", year=1)])
    assert [n.metadata for n in reopen(store).get_nodes()] == [{"year": 1}]


def test_from_params_is_the_constructor(tmp_path):
    store = VicinalVectorStore.from_params("films", path=tmp_path)
    assert (store.collection_name, store.path) == ("films", str(tmp_path))
    store.close()


def test_from_persist_dir_opens_the_directory_that_path_named(tmp_path, node):
    first = VicinalVectorStore(path=tmp_path)
    first.add([node("a")])
    first.close()
    second = VicinalVectorStore.from_persist_dir(str(tmp_path))
    assert [n.node_id for n in second.get_nodes()] == ["a"]
    second.close()


def test_from_persist_dir_makes_nothing(tmp_path):
    with pytest.raises(NotFoundError, match="Directory"):
        VicinalVectorStore.from_persist_dir(str(tmp_path / "typo"))
    VicinalVectorStore(path=tmp_path).close()
    with pytest.raises(NotFoundError, match="Collection"):
        VicinalVectorStore.from_persist_dir(str(tmp_path), "typo")
    assert not (tmp_path / "typo").exists()


@pytest.mark.skipif(os.name == "nt", reason="there any name may be")
def test_from_persist_dir_of_a_home_that_nobody_has_finds_nothing():
    with pytest.raises(NotFoundError, match="~nobody-of-this-name/data"):
        VicinalVectorStore.from_persist_dir("~nobody-of-this-name/data")


def test_from_persist_dir_of_nothing_says_so():
    with pytest.raises(ArgumentTypeError, match="Expected persist_dir to be a str or Path, got None"):
        VicinalVectorStore.from_persist_dir(None)


@pytest.mark.skipif(os.name == "nt", reason="there any name may be")
def test_from_persist_dir_of_a_place_that_cannot_be_looked_into_says_what_the_engine_says(tmp_path):
    """A directory that may not be entered is another such place, but not for a superuser."""
    with pytest.raises(StorageError, match="too long"):
        VicinalVectorStore.from_persist_dir(tmp_path / ("x" * 300))
    with pytest.raises(InvalidArgumentError, match="NUL"):
        VicinalVectorStore.from_persist_dir("films\0")


def test_from_persist_dir_leaves_a_directory_that_is_no_store_as_it_was(tmp_path):
    """LlamaIndex' own storage is in the same default directory."""
    (tmp_path / "docstore.json").write_text("{}")
    with pytest.raises(NotFoundError, match="Directory with a Vicinal database"):
        VicinalVectorStore.from_persist_dir(str(tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == ["docstore.json"]


def test_a_pickled_store_opens_its_directory_again(tmp_path, node):
    store = VicinalVectorStore("films", path=tmp_path)
    store.add([node("a")])
    copy = pickle.loads(pickle.dumps(store))
    assert [n.node_id for n in copy.get_nodes()] == ["a"]
    copy.close()
    store.close()


def longest(question: str, texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


def test_a_pickled_store_keeps_its_reranker(tmp_path, caplog):
    store = VicinalVectorStore(path=tmp_path, rerank=longest)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.rerank is store.rerank is longest
    assert caplog.messages == []
    copy.close()
    store.close()


def test_a_store_whose_reranker_cannot_be_pickled_says_so_and_stays_as_it_is(tmp_path, node):
    store = VicinalVectorStore(path=tmp_path, rerank=lambda question, texts: [0.0] * len(texts))
    store.add([node("a")])
    with pytest.raises(
        TypeError, match=r"The reranker of this VicinalVectorStore cannot be pickled: .*lambda"
    ):
        pickle.dumps(store)
    assert store.query(VectorStoreQuery([1.0, 0.0], query_str="x", mode="semantic_hybrid")).ids == ["a"]
    store.close()


def test_a_pickled_store_that_cannot_be_opened_says_why(tmp_path):
    store = VicinalVectorStore(path=tmp_path / "store")
    store.close()
    pickled = pickle.dumps(store)
    (tmp_path / "store").rename(tmp_path / "moved")
    (tmp_path / "store").write_text("a file")
    with pytest.raises(OSError, match="store"):
        pickle.loads(pickled)


def test_a_store_in_memory_does_not_pickle_into_an_empty_one():
    with pytest.raises(TypeError, match="with a path"):
        pickle.dumps(VicinalVectorStore())


DEEP = [copy.deepcopy, lambda store: store.model_copy(deep=True)]
SHALLOW = [copy.copy, lambda store: store.model_copy()]


@pytest.mark.parametrize("copied", DEEP)
def test_a_deep_copy_opens_the_directory_again(tmp_path, node, copied):
    store = VicinalVectorStore("films", path=tmp_path, rerank=lambda question, texts: [0.0] * len(texts))
    store.add([node("a")])
    other = copied(store)
    store.close()
    assert (other.collection_name, other.rerank) == ("films", store.rerank)
    assert [n.node_id for n in other.get_nodes()] == ["a"]
    other.close()


def test_a_pipeline_is_copied_deep_with_its_store(tmp_path, node):
    store = VicinalVectorStore(path=tmp_path)
    store.add([node("a")])
    pipeline = copy.deepcopy(IngestionPipeline(transformations=[], vector_store=store))
    assert len(pipeline.vector_store.get_nodes()) == 1
    pipeline.vector_store.close()
    store.close()


@pytest.mark.parametrize("copied", DEEP)
def test_a_store_without_a_path_is_not_copied_deep(copied):
    client = vicinal.EphemeralClient()
    over = client.create_collection("mine", embedding_function=None)
    for place in ({}, {"client": client}, {"collection": over}):
        with pytest.raises(TypeError, match="Only a VicinalVectorStore with a path can be copied deep"):
            copied(VicinalVectorStore(**place))


@pytest.mark.parametrize("copied", SHALLOW)
def test_a_shallow_copy_shares_the_client_and_does_not_close_it(store, node, copied):
    other = copied(store)
    other.add([node("a")])
    other.close()
    assert [n.node_id for n in store.get_nodes()] == ["a"]
    assert other.collection is store.collection


def test_a_store_comes_back_from_its_dictionary(tmp_path):
    store = VicinalVectorStore("films", path=tmp_path)
    copy = VicinalVectorStore.from_dict(store.to_dict())
    assert (copy.collection_name, copy.path) == ("films", str(tmp_path))
    copy.close()
    store.close()


def test_a_keyword_says_where_a_store_comes_back_in_place_of_its_dictionary(tmp_path, node):
    store = VicinalVectorStore(
        "films", path=tmp_path / "one", collection_configuration={"hnsw": {"space": "ip"}}
    )
    client = vicinal.EphemeralClient()
    elsewhere = VicinalVectorStore("films", client=client)
    elsewhere.add([node("a")])
    for place in ({"client": client}, {"collection": elsewhere.collection}):
        copy = VicinalVectorStore.from_dict(store.to_dict(), **place)
        assert [each.node_id for each in copy.get_nodes()] == ["a"]
    copy = VicinalVectorStore.from_dict(store.to_dict(), path=tmp_path / "two")
    assert copy.path == str(tmp_path / "two")
    copy.close()
    store.close()


def test_a_store_without_a_path_does_not_come_back_empty_from_its_dictionary(node):
    client = vicinal.EphemeralClient()
    store = VicinalVectorStore("films", client=client)
    store.add([node("a")])
    for each in (store, VicinalVectorStore(collection=store.collection), VicinalVectorStore()):
        with pytest.raises(InvalidArgumentError, match="has no path"):
            VicinalVectorStore.from_dict(each.to_dict())
    copy = VicinalVectorStore.from_dict(store.to_dict(), client=client)
    assert [each.node_id for each in copy.get_nodes()] == ["a"]


def test_closing_leaves_a_client_of_the_user_open():
    client = vicinal.EphemeralClient()
    VicinalVectorStore(client=client).close()
    assert client.count_collections() == 1


def test_persist_writes_nothing(store, tmp_path, node, caplog):
    store.add([node("a")])
    store.persist(str(tmp_path / "default__vector_store.json"))
    assert not (tmp_path / "default__vector_store.json").exists()
    assert bool(caplog.text) == (store.path is None)


def test_persist_of_a_store_in_memory_warns(caplog):
    with caplog.at_level(logging.WARNING):
        VicinalVectorStore().persist("anywhere")
    assert "in memory" in caplog.text


@pytest.mark.parametrize("client", [vicinal.EphemeralClient, vicinal.Client])
def test_persist_of_a_store_whose_client_is_in_memory_warns_and_over_a_collection_does_not(caplog, client):
    store = VicinalVectorStore(client=client())
    store.persist("anywhere")
    assert "in memory" in caplog.text
    caplog.clear()
    VicinalVectorStore(collection=store.collection).persist("anywhere")
    assert caplog.text == ""


CLIENT = vicinal.EphemeralClient()
COLLECTION = CLIENT.create_collection("errors", embedding_function=None)
BAD_PLACES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"path": "x", "client": CLIENT}, InvalidArgumentError, "got path and client"),
    ({"client": CLIENT, "collection": COLLECTION}, ValueError, "got client and collection"),
    ({"client": object()}, TypeError, "client"),
    ({"collection": "films"}, TypeError, "collection"),
    ({"collection": COLLECTION, "collection_configuration": {}}, ValueError, "this one exists"),
    ({"collection_configuration": {"hnsw": {"space": "hamming"}}}, ValueError, "hamming"),
    ({"collection_configuration": {kind: {"space": "l2"} for kind in ("hnsw", "spann")}}, ValueError, "both"),
    ({"collection_name": "a"}, ValueError, "3-512 characters"),
    ({"collection_configuration": {"hnsw": 5}}, ValueError, "hnsw"),
    ({"path": 5}, ArgumentTypeError, "Expected path to be a str or Path, got 5"),
    ({"persist_dir": "x"}, ValueError, "persist_dir"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), BAD_PLACES)
def test_a_bad_place_is_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        VicinalVectorStore(**arguments)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks which files are open")
def test_a_store_that_cannot_be_made_keeps_no_file_open(tmp_path):
    with pytest.raises(InvalidArgumentError) as caught:
        VicinalVectorStore("bad name!", path=tmp_path)
    opened = map(os.path.realpath, Path("/proc/self/fd").iterdir())
    assert [file for file in opened if file.startswith(str(tmp_path.resolve()))] == []
    assert "bad name!" in str(caught.value)


def test_a_client_that_was_given_stays_open_when_the_store_cannot_be_made():
    client = vicinal.EphemeralClient()
    with pytest.raises(InvalidArgumentError):
        VicinalVectorStore("bad name!", client=client)
    assert client.count_collections() == 0


def test_a_path_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        VicinalVectorStore(path=tmp_path / "file")


def test_vectors_of_another_dimension_are_refused(store, node):
    store.add([node("a", at=[1.0, 0.0])])
    with pytest.raises(InvalidDimensionError):
        store.add([node("b", at=[1.0, 0.0, 0.0])])
    with pytest.raises(InvalidDimensionError):
        store.query(VectorStoreQuery(query_embedding=[1.0]))
