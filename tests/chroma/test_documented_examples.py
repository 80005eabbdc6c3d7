"""What Chroma's documentation shows works here as it does there.

Each example retells what the documentation teaches, and runs on Vicinal, and on chromadb where installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import vicinal

TOPICS = ("fruit", "animal", "city")
WORDS = {
    **dict.fromkeys(["pineapple", "orange", "oranges", "apple", "fruit", "citrus"], 0),
    **dict.fromkeys(["whale", "cat", "dog", "animal", "pet"], 1),
    **dict.fromkeys(["hawaii", "florida", "paris", "city", "sea"], 2),
}


@pytest.fixture(
    params=[
        "vicinal",
        pytest.param(
            "chromadb",
            marks=pytest.mark.skipif(
                not importlib.util.find_spec("chromadb"), reason="chromadb is not installed"
            ),
        ),
    ]
)
def chroma(request: Any) -> ModuleType:
    """The package under the name that a program gave it."""
    return vicinal if request.param == "vicinal" else importlib.import_module("chromadb")


@pytest.fixture
def client(chroma: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """One on disk, because Chroma's ephemeral clients are one store."""
    settings = chroma.Settings(allow_reset=True, anonymized_telemetry=False)
    made = chroma.PersistentClient(tmp_path / "client", settings)
    yield made
    made.close()


@pytest.fixture
def topics(chroma: ModuleType) -> Callable[[], Any]:
    """An embedding function as the documentation has one write it: it counts words of three topics."""

    @chroma_registered(chroma)
    class Topics(chroma.EmbeddingFunction):  # type: ignore[name-defined]
        def __init__(self, scale: float = 1.0) -> None:
            self.scale = scale

        def __call__(self, input: list[str]) -> list[Any]:
            counts = np.zeros((len(input), len(TOPICS)), dtype=np.float32)
            for row, text in enumerate(input):
                for word in text.lower().replace(".", "").split():
                    if word in WORDS:
                        counts[row, WORDS[word]] += self.scale
            return list(counts)

        @staticmethod
        def name() -> str:
            return "topics-of-the-documentation"

        def get_config(self) -> dict[str, Any]:
            return {"scale": self.scale}

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> Any:
            return Topics(**config)

    return Topics


def chroma_registered(chroma: ModuleType) -> Callable[[Any], Any]:
    functions = importlib.import_module(f"{chroma.__name__}.utils.embedding_functions")
    return functions.register_embedding_function


@pytest.fixture
def collection(client: Any, topics: Any) -> Any:
    """The collection of most examples."""
    made = client.create_collection(name="my_collection", embedding_function=topics())
    made.add(
        ids=["id1", "id2", "id3"],
        documents=["A pineapple from Hawaii", "Oranges from Florida by the sea", "A whale and a cat"],
        metadatas=[{"chapter": 3, "verse": 16}, {"chapter": 3, "verse": 5}, {"chapter": 29, "verse": 11}],
    )
    return made


def test_getting_started(client: Any, topics: Any) -> None:
    collection = client.get_or_create_collection(name="first", embedding_function=topics())
    collection.upsert(documents=["pineapple fruit", "a whale"], ids=["id1", "id2"])
    results = collection.query(query_texts=["which fruit grows in Hawaii"], n_results=2)
    assert results["ids"] == [["id1", "id2"]]
    assert results["documents"] == [["pineapple fruit", "a whale"]]
    assert results["metadatas"] == [[None, None]]
    assert results["embeddings"] is None
    assert results["distances"][0][0] < results["distances"][0][1]


def test_a_persistent_client_finds_its_data_again(chroma: ModuleType, topics: Any, tmp_path: Path) -> None:
    with chroma.PersistentClient(path=str(tmp_path / "data")) as client:
        client.create_collection("kept", embedding_function=topics()).add(ids=["a"], documents=["apple"])
    with chroma.PersistentClient(path=str(tmp_path / "data")) as client:
        assert client.get_collection("kept").get() == {
            "ids": ["a"],
            "embeddings": None,
            "documents": ["apple"],
            "uris": None,
            "included": client.get_collection("kept").get()["included"],
            "data": None,
            "metadatas": [None],
        }


def test_heartbeat_and_reset(client: Any) -> None:
    client.create_collection("gone", embedding_function=None)
    assert client.heartbeat() > 10**18
    assert client.reset() is True
    assert client.count_collections() == 0


def test_collections_are_made_found_listed_and_deleted(client: Any) -> None:
    for name in ("beta", "alpha", "gamma"):
        client.create_collection(name, metadata={"description": f"about {name}"}, embedding_function=None)
    assert client.get_collection("alpha").metadata == {"description": "about alpha"}
    pages = [client.list_collections(limit=2, offset=offset) for offset in (0, 2)]  # Chroma's order varies
    assert sorted(one.name for page in pages for one in page) == ["alpha", "beta", "gamma"]
    client.delete_collection("alpha")
    assert client.count_collections() == 2
    with pytest.raises(Exception, match="does not exist"):
        client.get_collection("alpha")


def test_a_collection_is_renamed_and_described_anew(collection: Any, client: Any) -> None:
    collection.modify(name="renamed", metadata={"description": "new"})
    assert client.get_collection("renamed").metadata == {"description": "new"}
    assert collection.name == "renamed"


def test_peek_and_count(collection: Any) -> None:
    assert collection.count() == 3
    assert collection.peek(limit=2)["ids"] == ["id1", "id2"]


def test_a_collection_is_configured(client: Any, topics: Any) -> None:
    made = client.create_collection(
        name="configured",
        embedding_function=topics(),
        configuration={"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 50}},
    )
    assert made.configuration["hnsw"]["space"] == "cosine"
    made.modify(configuration={"hnsw": {"ef_search": 80}})
    assert client.get_collection("configured").configuration["hnsw"]["ef_search"] == 80


def test_the_older_way_to_name_a_space(client: Any) -> None:
    made = client.create_collection("older", metadata={"hnsw:space": "ip"}, embedding_function=None)
    made.add(ids=["a"], embeddings=[[1.0, 2.0]])
    assert made.query(query_embeddings=[[3.0, 4.0]])["distances"] == [[-10.0]]


def test_an_embedding_function_is_remembered(client: Any, topics: Any) -> None:
    client.create_collection("remembers", embedding_function=topics(scale=2.0))
    found = client.get_collection("remembers")
    found.add(ids=["a", "b"], documents=["apple", "cat"])
    assert found.get(include=["embeddings"])["embeddings"].tolist() == [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]


def test_adding_embeddings_of_ones_own(client: Any) -> None:
    made = client.create_collection("own", embedding_function=None)
    made.add(
        ids=["id1", "id2"], embeddings=[[1.1, 2.3, 3.2], [4.5, 6.9, 4.4]], metadatas=[{"n": 1}, {"n": 2}]
    )
    made.add(ids=["id3"], embeddings=np.array([[0.0, 0.0, 1.0]]), documents=["with a text"])
    result = made.query(query_embeddings=[[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]], n_results=1)
    assert result["ids"] == [["id1"], ["id3"]]


def test_a_record_that_is_added_again_stays_as_it_was(collection: Any) -> None:
    collection.add(ids=["id1"], documents=["another text"])
    assert collection.get(ids="id1")["documents"] == ["A pineapple from Hawaii"]


def test_updating_changes_what_is_given_and_upserting_adds_what_is_new(collection: Any) -> None:
    collection.update(ids=["id1", "absent"], metadatas=[{"chapter": 4}, {"chapter": 5}])
    assert collection.get(ids=["id1"])["metadatas"] == [{"chapter": 4, "verse": 16}]
    collection.upsert(
        ids=["id1", "id4"], documents=["An apple", "A dog"], metadatas=[{"verse": 1}, {"verse": 2}]
    )
    assert collection.get(ids=["id1", "id4"])["documents"] == ["An apple", "A dog"]
    assert collection.query(query_texts="pet", n_results=1, where={"verse": 2})["ids"] == [["id4"]]


def test_a_key_of_the_metadata_is_removed(collection: Any) -> None:
    collection.update(ids=["id1"], metadatas=[{"verse": None}])
    assert collection.get(ids=["id1"])["metadatas"] == [{"chapter": 3}]


def test_deleting_by_id_and_by_filter(collection: Any) -> None:
    collection.delete(ids=["id1"])
    collection.delete(where={"chapter": 29})
    assert collection.get()["ids"] == ["id2"]


def test_several_texts_are_asked_at_once(collection: Any) -> None:
    result = collection.query(query_texts=["citrus fruit", "animal"], n_results=1)
    assert result["ids"] == [["id1"], ["id3"]]


def test_what_is_included(collection: Any) -> None:
    result = collection.query(query_texts=["fruit"], n_results=1, include=["documents", "embeddings"])
    assert result["metadatas"] is None
    assert result["distances"] is None
    assert np.asarray(result["embeddings"][0]).tolist() == [[1.0, 0.0, 1.0]]
    assert collection.get(include=[])["documents"] is None


def test_pages(collection: Any) -> None:
    assert collection.get(limit=1, offset=1)["ids"] == ["id2"]
    assert collection.get(limit=5, offset=2)["ids"] == ["id3"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"chapter": 3}, ["id1", "id2"]),
        ({"chapter": {"$eq": 29}}, ["id3"]),
        ({"chapter": {"$ne": 3}}, ["id3"]),
        ({"verse": {"$gt": 5}}, ["id1", "id3"]),
        ({"verse": {"$gte": 11}}, ["id1", "id3"]),
        ({"verse": {"$lt": 11}}, ["id2"]),
        ({"verse": {"$lte": 11}}, ["id2", "id3"]),
        ({"verse": {"$in": [5, 11]}}, ["id2", "id3"]),
        ({"verse": {"$nin": [5, 11]}}, ["id1"]),
        ({"absent": {"$ne": "x"}}, ["id1", "id2", "id3"]),
        ({"$and": [{"chapter": 3}, {"verse": {"$gt": 5}}]}, ["id1"]),
        ({"$or": [{"chapter": 29}, {"verse": 5}]}, ["id2", "id3"]),
        ({"$and": [{"chapter": {"$gte": 3}}, {"$or": [{"verse": 16}, {"verse": 11}]}]}, ["id1", "id3"]),
    ],
    ids=str,
)
def test_filters_on_metadata(collection: Any, where: Any, expected: list[str]) -> None:
    assert collection.get(where=where)["ids"] == expected
    assert sorted(collection.query(query_texts=["fruit"], where=where)["ids"][0]) == expected


@pytest.mark.parametrize(
    ("where_document", "expected"),
    [
        ({"$contains": "from"}, ["id1", "id2"]),
        ({"$contains": "From"}, []),
        ({"$not_contains": "from"}, ["id3"]),
        ({"$regex": "Haw.ii$"}, ["id1"]),
        ({"$not_regex": "^A "}, ["id2"]),
        ({"$and": [{"$contains": "from"}, {"$regex": "sea|lake"}]}, ["id2"]),
        ({"$or": [{"$contains": "whale"}, {"$contains": "pineapple"}]}, ["id1", "id3"]),
    ],
    ids=str,
)
def test_filters_on_documents(collection: Any, where_document: Any, expected: list[str]) -> None:
    assert collection.get(where_document=where_document)["ids"] == expected


def test_lists_in_metadata(client: Any) -> None:
    made = client.create_collection("films", embedding_function=None)
    made.add(
        ids=["m1", "m2"],
        embeddings=[[1.0, 0.0], [0.0, 1.0]],
        metadatas=[{"genres": ["action", "comedy"], "scores": [1, 9]}, {"genres": ["drama"], "scores": [5]}],
    )
    assert made.get(where={"genres": {"$contains": "action"}})["ids"] == ["m1"]
    assert made.get(where={"scores": {"$not_contains": 9}})["ids"] == ["m2"]
    assert made.get(ids="m1")["metadatas"] == [{"genres": ["action", "comedy"], "scores": [1, 9]}]


def test_a_query_among_some_ids(collection: Any) -> None:
    assert collection.query(query_texts=["fruit"], ids=["id3", "id2"])["ids"] == [["id2", "id3"]]


def test_images_are_loaded_from_their_uris(chroma: ModuleType, client: Any) -> None:
    class Brightness(chroma.EmbeddingFunction):  # type: ignore[name-defined]
        def __init__(self) -> None: ...

        def __call__(self, input: Any) -> Any:
            return [np.array([float(np.mean(image)), 1.0], dtype=np.float32) for image in input]

        @staticmethod
        def name() -> str:
            return "brightness-of-the-documentation"

        def get_config(self) -> dict[str, Any]:
            return {}

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> Any:
            return Brightness()

    def load(uris: Any) -> list[Any]:
        return [np.full((2, 2, 3), int(uri.rsplit("/", 1)[1]), dtype=np.uint8) for uri in uris]

    made = client.create_collection("pictures", embedding_function=Brightness(), data_loader=load)
    made.add(ids=["dark", "bright"], uris=["grey/10", "grey/250"])
    result = made.query(query_images=[np.full((2, 2, 3), 240)], n_results=1, include=["uris", "data"])
    assert result["uris"] == [["grey/250"]]
    assert result["data"][0][0].max() == 250


def test_a_tenant_and_a_database_for_every_user(chroma: ModuleType, tmp_path: Path) -> None:
    settings = chroma.Settings(is_persistent=True, persist_directory=str(tmp_path / "users"))
    admin = chroma.AdminClient(settings)
    for user in ("ada", "bob"):
        admin.create_tenant(f"tenant_{user}")
        admin.create_database("notes", f"tenant_{user}")
    client = chroma.PersistentClient(tmp_path / "users", settings, tenant="tenant_ada", database="notes")
    client.create_collection("mine", embedding_function=None)
    client.set_tenant("tenant_bob", "notes")
    assert client.count_collections() == 0
    with pytest.raises(Exception, match=r"not found|does not exist"):
        client.set_tenant("tenant_eve", "notes")
    assert client.tenant == "tenant_bob"
    client.close()


def test_records_are_written_in_batches(chroma: ModuleType, client: Any) -> None:
    batches = importlib.import_module(f"{chroma.__name__}.utils.batch_utils")
    made = client.create_collection("batches", embedding_function=None)
    ids, vectors = [str(n) for n in range(6000)], [[float(n), 0.0] for n in range(6000)]
    parts = batches.create_batches(client, ids=ids, embeddings=vectors)
    for part in parts:
        made.add(*part)
    assert made.count() == 6000


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Chroma's use of pandas
def test_results_become_data_frames(chroma: ModuleType, collection: Any) -> None:
    pytest.importorskip("pandas")
    results = importlib.import_module(f"{chroma.__name__}.utils.results")
    frame = results.get_result_to_df(collection.get())
    assert list(frame.index) == ["id1", "id2", "id3"]
    assert frame.loc["id3", "document"] == "A whale and a cat"
    (asked,) = results.query_result_to_dfs(collection.query(query_texts=["fruit"], n_results=2))
    assert len(asked) == 2
