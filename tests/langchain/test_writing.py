"""After any write the store holds of each id the last text, metadata and vector given, and nothing else."""

from collections import deque

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

import vicinal
from langchain_vicinal import VicinalVectorStore


def texts(store, *ids):
    return [doc.page_content for doc in store.get_by_ids(list(ids))]


# --- adding ------------------------------------------------------------------------------------


def test_an_added_document_comes_back_equal_and_with_its_id(store, films):
    assert store.add_documents(films) == ["alien", "brazil", "contact", "dune"]
    assert store.get_by_ids(["alien", "brazil", "contact", "dune"]) == films
    assert store.similarity_search("desert planet and its spice", k=1) == [films[3]]


def test_any_iterable_is_read_once(store):
    ids = store.add_texts(iter(["a", "b"]), metadatas=iter([{"n": 1}, None]), ids=iter(["1", "2"]))
    assert ids == ["1", "2"]
    assert store.get_by_ids(ids) == [
        Document("a", id="1", metadata={"n": 1}),
        Document("b", id="2"),
    ]


def test_documents_may_come_from_a_generator(embedding, films):
    store = VicinalVectorStore.from_documents(iter(films), embedding)
    assert store.add_documents(document for document in films) == [film.id for film in films]
    assert store.get_by_ids(["dune"]) == [films[3]]


def test_ids_that_are_missing_are_made_up(store):
    given = store.add_texts(["a", "b", "c"], ids=["1", None, "3"])
    assert (given[0], given[2], len(set(given))) == ("1", "3", 3)
    assert texts(store, *given) == ["a", "b", "c"]
    assert len(store.add_texts(["d", "e"])[1]) == 36


def test_a_documents_own_id_gives_way_to_the_ids_of_the_call(store):
    assert store.add_documents([Document("a", id="own"), Document("b")], ids=["x", "y"]) == ["x", "y"]
    assert store.get_by_ids(["own", "y"]) == [Document("b", id="y")]


def test_an_empty_list_of_ids_is_as_good_as_none(store):
    assert store.add_documents([Document("a", id="own")], ids=[]) == ["own"]
    store.update_documents([], [Document("b", id="own")])
    assert store.get_by_ids(["own"]) == [Document("b", id="own")]


def test_of_texts_with_one_id_the_last_wins(store):
    assert store.add_texts(["old", "other", "new"], [{"a": 1}, {}, {"b": 2}], ids=["1", "2", "1"]) == [
        "1",
        "2",
        "1",
    ]
    assert store.get_by_ids(["1", "2"]) == [
        Document("new", id="1", metadata={"b": 2}),
        Document("other", id="2"),
    ]


def test_adding_an_id_again_replaces_its_metadata_whole(store):
    store.add_texts(["old"], [{"a": 1, "b": {"c": 2}}], ids=["1"])
    store.add_texts(["new"], [{"d": 4}], ids=["1"])
    assert store.get_by_ids(["1"]) == [Document("new", id="1", metadata={"d": 4})]
    store.add_texts(["newer"], ids=["1"])
    assert store.get_by_ids(["1"]) == [Document("newer", id="1")]


def test_adding_an_id_again_moves_its_vector(store):
    store.add_texts(["north", "south"], ids=["1", "2"])
    store.add_texts(["west"], ids=["1"])
    [(doc, score)] = store.similarity_search_with_score("west", k=1)
    assert (doc.id, score, store.count()) == ("1", pytest.approx(1.0), 2)


def test_nothing_to_add_is_no_error(store):
    assert store.add_texts([]) == store.add_documents([]) == store.add_texts([], [], ids=[]) == []
    assert store.count() == 0


def test_the_callers_objects_are_left_alone(store):
    document = Document("a", metadata={"tags": ["x"], "n": 1})
    store.add_documents([document])
    store.similarity_search("a", k=1)[0].metadata["tags"].append("y")
    assert document == Document("a", metadata={"tags": ["x"], "n": 1})
    assert store.similarity_search("a", k=1)[0].metadata["tags"] == ["x"]


def test_vectors_that_are_there_already_are_not_made_again(table):
    store = VicinalVectorStore(table({"query": [0.0, 1.0]}))
    store.add_texts(["a", "b"], embeddings=np.array([[1.0, 0.0], [0.0, 1.0]]))
    store.add_documents([Document("c")], embeddings=[[0.6, 0.8]])
    assert [doc.page_content for doc in store.similarity_search("query")] == ["b", "c", "a"]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_vectors_in_a_column_with_labels_go_by_position(batch_size):
    pandas = pytest.importorskip("pandas")
    store = VicinalVectorStore(DeterministicFakeEmbedding(size=2))
    labels = [2, 1, 0, 9]
    texts, ids = (pandas.Series(list(column), index=labels) for column in ("wxyz", "abca"))
    vectors = [[float(i), 1.0] for i in range(4)]
    for given in (
        pandas.Series(vectors, index=labels),
        pandas.DataFrame(vectors, index=labels),
        deque(vectors),
    ):
        store.delete()
        store.add_texts(texts, ids=ids, embeddings=given, batch_size=batch_size)
        found = store.get(include=["documents", "embeddings"])
        rows = zip(found["ids"], found["documents"], found["embeddings"][:, 0].tolist(), strict=True)
        assert sorted(rows) == [("a", "z", 3.0), ("b", "x", 1.0), ("c", "y", 2.0)]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100, None])
def test_a_batch_size_changes_nothing_but_the_steps(store, batch_size):
    given = store.add_texts((f"text {i}" for i in range(7)), batch_size=batch_size, ids=map(str, range(7)))
    assert texts(store, *given) == [f"text {i}" for i in range(7)]


def test_thousands_of_texts_are_added_in_one_call():
    store = VicinalVectorStore(DeterministicFakeEmbedding(size=4))
    store.add_texts(f"text {i}" for i in range(6000))
    assert store.count() == 6000


def test_options_of_other_stores_are_ignored_when_adding(store):
    assert store.add_documents([Document("a", id="1")], current_time=None, timeout=3) == ["1"]


# --- add_embeddings ----------------------------------------------------------------------------

PAIRS = [("a", [1.0, 0.0]), ("b", [0.0, 1.0])]
WAYS = {
    "pgvector": lambda s: s.add_embeddings(["a", "b"], [[1.0, 0.0], [0.0, 1.0]], [{"n": 1}, {}], ["1", "2"]),
    "pgvector by name": lambda s: s.add_embeddings(
        texts=["a", "b"], embeddings=[[1.0, 0.0], [0.0, 1.0]], metadatas=[{"n": 1}, {}], ids=["1", "2"]
    ),
    "faiss": lambda s: s.add_embeddings(iter(PAIRS), [{"n": 1}, {}], ["1", "2"]),
    "faiss by name": lambda s: s.add_embeddings(
        text_embeddings=zip(["a", "b"], [[1.0, 0.0], [0.0, 1.0]], strict=True),
        metadatas=[{"n": 1}, {}],
        ids=["1", "2"],
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ready_vectors_are_added_in_each_stores_way(table, way):
    store = VicinalVectorStore(table({}))
    assert way(store) == ["1", "2"]
    assert store.get_by_ids(["1", "2"]) == [Document("a", id="1", metadata={"n": 1}), Document("b", id="2")]
    assert store.similarity_search_by_vector([0, 1], k=1)[0].id == "2"


def test_vectors_without_texts_are_documents_without_content(table):
    store = VicinalVectorStore(table({"a": [1.0, 1.0]}))
    store.add_texts(["a"], ids=["1"])
    store.add_embeddings(embeddings=[[1.0, 0.0]], metadatas=[{"n": 1}], ids=["1"])
    store.add_embeddings(None, [[0.0, 1.0]], [None], ["2"])
    assert store.get_by_ids(["1", "2"]) == [Document("", id="1", metadata={"n": 1}), Document("", id="2")]


async def test_no_pairs_are_no_error(table):
    store = VicinalVectorStore(table({}))
    assert store.add_embeddings(text_embeddings=[]) == store.add_embeddings(iter([])) == []
    assert VicinalVectorStore.from_embeddings(zip([], []), table({})).count() == 0
    assert (await VicinalVectorStore.afrom_embeddings([], table({}))).count() == 0


# --- updating ----------------------------------------------------------------------------------


def test_an_update_replaces_the_record_whole(store, films):
    store.add_documents(films)
    store.update_document("dune", Document("Worms", metadata={"part": 2}))
    assert store.get_by_ids(["dune"]) == [Document("Worms", id="dune", metadata={"part": 2})]
    assert store.similarity_search("worms", k=1)[0].id == "dune"


def test_several_are_updated_in_one_call(store, films):
    store.add_documents(films)
    store.update_documents(["alien", "dune"], [Document("x"), Document("y")])
    assert texts(store, "alien", "brazil", "dune") == ["x", films[1].page_content, "y"]


def test_updates_are_spelled_as_the_guides_spell_them(store, films):
    store.add_documents(films)
    store.update_documents(document_id="dune", document=Document("Sand"))
    store.update_documents(documents=[Document("Paper", id="brazil")])
    assert texts(store, "dune", "brazil") == ["Sand", "Paper"]


def test_an_update_of_nothing_is_no_error(table):
    VicinalVectorStore(table({})).update_documents([], [])


def test_an_update_of_an_unknown_id_adds_nothing(store):
    store.update_document("nobody", Document("x"))
    assert store.count() == 0


# --- deleting ----------------------------------------------------------------------------------


@pytest.fixture
def filled(store, films):
    store.add_documents(films)
    return store


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        ({"ids": ["alien", "nobody"]}, ["brazil", "contact", "dune"]),
        ({"ids": []}, ["alien", "brazil", "contact", "dune"]),
        ({"ids": ["nobody"]}, ["alien", "brazil", "contact", "dune"]),
        ({"ids": ("alien", "alien")}, ["brazil", "contact", "dune"]),
        ({"ids": "dune"}, ["alien", "brazil", "contact"]),
        ({"filter": {"genre": "sf"}}, ["alien", "brazil"]),
        ({"where": {"year": {"$gt": 1980, "$lt": 1990}}}, ["alien", "contact"]),
        ({"where_document": {"$contains": "space"}}, ["brazil"]),
        (
            {"filter": {"genre": "sf"}, "where_document": {"$contains": "desert"}},
            ["alien", "brazil", "contact"],
        ),
        ({"ids": ["alien", "dune"], "filter": {"genre": "sf"}}, ["alien", "brazil", "contact"]),
        ({"ids": ["dune"], "filter": {}}, ["alien", "brazil", "contact"]),
        ({"ids": [], "filter": {"genre": "sf"}}, ["alien", "brazil", "contact", "dune"]),
        ({"filter": {"genre": {"$in": []}}}, ["alien", "brazil", "contact", "dune"]),
        ({}, []),
        ({"ids": None}, []),
    ],
    ids=str,
)
def test_a_deletion_takes_what_satisfies_every_condition(store, films, conditions, left):
    store.add_documents(films)
    assert store.delete(**conditions) is True
    assert store.get()["ids"] == left


@pytest.mark.parametrize("filter", [{}, {"$and": []}, {"genre": {"$nin": []}}], ids=str)
def test_a_filter_that_excludes_nothing_deletes_nothing(filled, filter):
    with pytest.raises(ValueError, match="call delete\\(\\) without one"):
        filled.delete(filter=filter)
    assert filled.count() == 4


def test_an_emptied_store_is_filled_again(filled, films):
    filled.delete()
    assert filled.similarity_search("space") == []
    filled.add_documents(films[:1])
    assert filled.similarity_search("space") == films[:1]


def test_a_reset_collection_is_empty_and_keeps_its_settings(table):
    configuration = {"hnsw": {"space": "ip", "ef_search": 77, "num_threads": 1}}
    store = VicinalVectorStore(
        table({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}),
        collection_configuration=configuration,
        collection_metadata={"kind": "test"},
    )
    store.add_texts(["a"])
    schema = store.collection.schema
    store.reset_collection()
    store.add_texts(["b"])  # of another dimension
    assert store.collection.schema.serialize_to_json() == schema.serialize_to_json()
    hnsw = store.collection.configuration_json["hnsw"]
    assert (store.count(), hnsw["space"], hnsw["ef_search"]) == (1, "ip", 77)
    assert store.collection.metadata == {"kind": "test"}


def test_a_reset_keeps_what_another_handle_has_changed(embedding):
    client = vicinal.EphemeralClient()
    store, other = (VicinalVectorStore(embedding, "shared", client=client) for _ in range(2))
    other.collection.modify("renamed", {"owner": "me"}, {"hnsw": {"ef_search": 333}})
    store.add_texts(["a"])
    store.reset_collection()
    [made] = client.list_collections()
    assert (made.name, made.metadata, made.count()) == ("renamed", {"owner": "me"}, 0)
    assert made.configuration_json["hnsw"]["ef_search"] == 333


SETTINGS = {
    "expiry": {"expiry": {"key": "until", "ttl_s": 60.0}},
    "text": {"text": {"language": None, "ngrams": 3}},
    "both": {"expiry": {"key": "until"}, "text": True},
}


@pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)
def test_a_reset_collection_expires_and_reads_words_as_before(embedding, given):
    store = VicinalVectorStore.from_texts(["a"], embedding, collection_configuration=given)
    before = store.collection.configuration
    store.reset_collection()
    assert store.collection.configuration == before
    assert store.count() == 0


def test_a_deleted_collection_is_gone_until_it_is_reset(embedding):
    store = VicinalVectorStore.from_texts(["a"], embedding)
    store.delete_collection()
    with pytest.raises(KeyError, match="does not exist"):
        store.similarity_search("a")
    store.reset_collection()
    assert store.similarity_search("a") == []


# --- reading -----------------------------------------------------------------------------------


def test_documents_come_by_id_in_the_order_asked_for_and_once(filled):
    found = filled.get_by_ids(["dune", "nobody", "alien", "dune"])
    assert [doc.id for doc in found] == ["dune", "alien"]
    assert filled.get_by_ids([]) == []


def test_records_come_in_pages_and_by_filter(filled):
    assert filled.get(limit=2, offset=1)["ids"] == ["brazil", "contact"]
    assert filled.get(["alien", "dune"], {"genre": "sf"})["ids"] == ["dune"]
    assert filled.get(filter={"year": {"$gte": 1985}})["ids"] == ["brazil", "contact"]
    assert filled.get(where_document={"$contains": "paper"})["metadatas"] == [
        {"year": 1985, "genre": "satire"}
    ]
    assert filled.get(include=["embeddings"])["embeddings"].shape[0] == filled.count() == 4
    assert filled.get(include=None) == filled.get()  # as Chroma's store has it


@pytest.mark.parametrize(("k", "count"), [(0, 0), (1, 1), (4, 4), (5, 4), (10**6, 4), (np.int64(2), 2)])
def test_any_number_of_results_may_be_asked_for(filled, k, count):
    assert len(filled.similarity_search("space", k=k)) == count


def test_an_empty_store_answers_with_nothing(store):
    assert store.similarity_search("x") == store.similarity_search_with_score("x") == []
    assert store.similarity_search_by_vector([0.1] * 3) == store.get_by_ids(["1"]) == []
    assert store.similarity_search_with_relevance_scores("x", score_threshold=0.0) == []
    assert store.similarity_search("x", filter={"a": 1}) == []


def test_a_search_may_be_restricted_to_ids(filled):
    assert {doc.id for doc in filled.similarity_search("space", ids=["alien", "brazil"])} == {
        "alien",
        "brazil",
    }


def test_vectors_may_be_lists_arrays_or_numpy_floats(filled, embedding):
    vector = embedding.embed_query("space")
    forms = [
        vector,
        np.array(vector),
        [np.float64(x) for x in vector],
        tuple(vector),
        [np.float32(x) for x in vector],
    ]
    found = [[doc.id for doc in filled.similarity_search_by_vector(form)] for form in forms]
    assert found[0]
    assert all(ids == found[0] for ids in found)


@pytest.mark.parametrize("id", ["1", "ünï ✓", "a'b\"c", "a/b?c=d", " ", "%", "x" * 1000])
def test_any_string_is_an_id(store, id):
    store.add_texts(["text"], ids=[id])
    assert store.similarity_search("text")[0].id == id
    store.delete([id])
    assert store.count() == 0
