"""A store opens the collection that its arguments name, or says which of them contradict each other."""

import warnings

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

import vicinal
from langchain_vicinal import VicinalEmbeddings, VicinalVectorStore
from vicinal.errors import (
    ArgumentTypeError,
    EmbeddingFunctionError,
    InvalidArgumentError,
    NotFoundError,
    StorageError,
)
from vicinal.testing import HashEmbeddingFunction

FAKE = DeterministicFakeEmbedding(size=4)


def space(store):
    return store.collection.configuration_json["hnsw"]["space"]


# --- where -------------------------------------------------------------------------------------


def test_two_unnamed_stores_share_nothing():
    one, other = VicinalVectorStore(FAKE), VicinalVectorStore(FAKE)
    one.add_texts(["a"])
    assert (one.count(), other.count()) == (1, 0)
    assert VicinalVectorStore.from_texts(["b"], FAKE).count() == 1


def test_a_path_is_found_again(tmp_path, films):
    with VicinalVectorStore.from_documents(films, FAKE, path=tmp_path / "data") as store:
        assert store.count() == 4
    with VicinalVectorStore(FAKE, path=str(tmp_path / "data")) as again:
        assert again.get_by_ids(["dune"]) == [films[3]]


def test_stores_of_one_client_share_a_collection_by_name():
    client = vicinal.EphemeralClient()
    VicinalVectorStore(FAKE, "films", client=client).add_texts(["a"])
    assert VicinalVectorStore(FAKE, "films", client=client).count() == 1
    assert VicinalVectorStore(FAKE, client=client).collection.name == "langchain"
    assert client.count_collections() == 2


def test_closing_a_store_leaves_a_given_client_open():
    client = vicinal.EphemeralClient()
    VicinalVectorStore(FAKE, client=client).close()
    assert client.count_collections() == 1


def test_closing_a_store_closes_its_own_client():
    store = VicinalVectorStore(FAKE)
    store.close()
    store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.count()


def test_a_missing_collection_is_an_error_on_request():
    client = vicinal.EphemeralClient()
    with pytest.raises(NotFoundError, match="films"):
        VicinalVectorStore(FAKE, "films", client=client, create_collection_if_not_exists=False)
    assert client.count_collections() == 0


def test_a_mistyped_path_does_not_become_a_database(tmp_path):
    with pytest.raises(StorageError, match="holds no Vicinal database"):
        VicinalVectorStore(FAKE, "films", path=tmp_path / "flims", create_collection_if_not_exists=False)
    assert not (tmp_path / "flims").exists()


def test_an_existing_collection_is_opened_without_making_one():
    client = vicinal.EphemeralClient()
    VicinalVectorStore(FAKE, "films", client=client).add_texts(["a"])
    store = VicinalVectorStore(FAKE, "films", client=client, create_collection_if_not_exists=False)
    assert store.count() == 1


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, "cosine"),
        ({"collection_configuration": {"hnsw": {"space": "l2"}}}, "l2"),
        ({"collection_configuration": {"hnsw": {"ef_search": 50}}}, "cosine"),
        ({"collection_configuration": {}}, "cosine"),
        ({"collection_configuration": {"spann": {"space": "l2"}}}, "l2"),
        ({"collection_configuration": {"spann": {"ef_search": 50}}}, "cosine"),
        ({"collection_metadata": {"hnsw:space": "ip"}}, "ip"),
        ({"collection_metadata": {"hnsw:M": 32}}, "cosine"),
        ({"collection_metadata": {"owner": "me"}}, "cosine"),
        ({"collection_metadata": {"hnsw:space": "ip"}, "collection_configuration": {}}, "ip"),
    ],
    ids=str,
)
def test_the_space_is_cosine_unless_said_otherwise(settings, wanted):
    assert space(VicinalVectorStore(FAKE, **settings)) == wanted


def test_other_settings_are_kept():
    store = VicinalVectorStore(FAKE, collection_metadata={"hnsw:M": 32, "owner": "me"})
    assert store.collection.configuration_json["hnsw"]["max_neighbors"] == 32
    assert store.collection.metadata["owner"] == "me"
    configuration = {"hnsw": {"ef_search": 50}}
    hnsw = VicinalVectorStore(FAKE, collection_configuration=configuration).collection.configuration_json
    assert hnsw["hnsw"]["ef_search"] == 50
    assert configuration == {"hnsw": {"ef_search": 50}}


def test_an_existing_collection_keeps_its_space():
    client = vicinal.EphemeralClient()
    client.create_collection("films", embedding_function=None)
    assert space(VicinalVectorStore(FAKE, "films", client=client)) == "l2"


# --- names that ported code uses ---------------------------------------------------------------


@pytest.mark.parametrize("alias", ["embedding", "embedding_function", "embeddings"])
def test_the_embedding_goes_by_three_names(alias):
    store = VicinalVectorStore(**{alias: FAKE})
    assert store.embeddings is FAKE
    assert store.similarity_search("x") == []


def test_the_path_goes_by_two_names(tmp_path):
    VicinalVectorStore(FAKE, persist_directory=str(tmp_path / "data")).add_texts(["a"])
    assert VicinalVectorStore(FAKE, path=tmp_path / "data").count() == 1


def test_code_written_for_chroma_runs(tmp_path):
    store = VicinalVectorStore.from_documents(
        documents=[Document("foo", metadata={"n": 1}), Document("bar")],
        embedding=FAKE,
        collection_name="docs",
        persist_directory=str(tmp_path / "data"),
        collection_metadata={"hnsw:space": "cosine"},
        ids=["1", "2"],
    )
    assert store.similarity_search("foo", k=1, filter={"n": 1})[0].id == "1"
    assert store._collection.get()["ids"] == store.get()["ids"] == ["1", "2"]


# --- contradictions ----------------------------------------------------------------------------

CLIENT = vicinal.EphemeralClient()
COLLECTION = CLIENT.create_collection("given", embedding_function=None)
CONTRADICTIONS = [
    ({"path": "x", "client": CLIENT}, "path= and client= each say where the collection is"),
    ({"path": "x", "collection": COLLECTION}, "path= and collection="),
    ({"client": CLIENT, "collection": COLLECTION}, "client= and collection="),
    ({"persist_directory": "x", "client": CLIENT}, "path= and client="),
    ({"path": "x", "persist_directory": "y"}, "path= and persist_directory= are names of one argument"),
    ({"embedding": FAKE, "embeddings": DeterministicFakeEmbedding(size=3)}, "embedding= and embeddings="),
    ({"collection": COLLECTION, "collection_name": "other"}, 'collection= is "given"'),
    ({"collection": COLLECTION, "collection_metadata": {"a": 1}}, "collection= exists already"),
    ({"collection": COLLECTION, "collection_configuration": {}}, "collection= exists already"),
]


@pytest.mark.parametrize(("arguments", "text"), CONTRADICTIONS, ids=[text for _, text in CONTRADICTIONS])
def test_arguments_that_contradict_each_other_are_refused(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgumentError, match=text):
        VicinalVectorStore(**arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"embedding": "name"}, "embedding to be a LangChain Embeddings object"),
        ({"embedding": HashEmbeddingFunction()}, r"VicinalEmbeddings\(f\) makes one"),
        ({"client": "localhost"}, "client to be a client of Vicinal's"),
        ({"collection": "films"}, "collection to be a collection of Vicinal's"),
        ({"collection_name": 7}, "name to be a str"),
        ({"path": 7}, "path to be a str or Path"),
    ],
    ids=str,
)
def test_arguments_of_the_wrong_type_are_refused(arguments, text):
    with pytest.raises(ArgumentTypeError, match=text):
        VicinalVectorStore(**arguments)


def test_a_bad_name_or_configuration_is_refused():
    with pytest.raises(ValueError, match="Expected a name"):
        VicinalVectorStore(FAKE, "a")
    with pytest.raises(ValueError, match="unknown variant `euclid`"):
        VicinalVectorStore(FAKE, collection_configuration={"hnsw": {"space": "euclid"}})
    with pytest.raises(ArgumentTypeError, match="to be a dict, got 'l2'"):
        VicinalVectorStore(FAKE, collection_configuration={"hnsw": "l2"})


# --- without an embedding ----------------------------------------------------------------------


def test_a_collection_of_the_plain_engine_embeds_with_its_own_function():
    notes = vicinal.EphemeralClient().create_collection("notes", embedding_function=HashEmbeddingFunction())
    notes.add(ids=["a", "b"], documents=["cats and dogs", "stars and planets"])
    store = VicinalVectorStore(collection=notes)
    store.add_texts(["planets and moons"], ids=["c"])
    assert [doc.id for doc in store.similarity_search("planets and moons", k=2)] == ["c", "b"]
    assert isinstance(store.embeddings, VicinalEmbeddings)
    assert store.as_retriever().tags == ["VicinalVectorStore", "VicinalEmbeddings"]


def test_a_stored_function_is_found_again_by_the_store(tmp_path):
    with vicinal.PersistentClient(tmp_path / "data") as client:
        notes = client.create_collection("notes", embedding_function=HashEmbeddingFunction())
        notes.add(ids=["a"], documents=["cats"])
    with VicinalVectorStore(None, "notes", path=tmp_path / "data") as store:
        assert store.similarity_search("cats")[0].id == "a"


def test_without_any_function_vectors_work_and_texts_say_what_to_do():
    notes = vicinal.EphemeralClient().create_collection("notes", embedding_function=None)
    notes.add(ids=["a"], embeddings=[[1.0, 0.0]])
    store = VicinalVectorStore(collection=notes)
    assert store.similarity_search_by_vector([1.0, 0.0]) == [Document("", id="a")]
    assert store.embeddings is None
    with pytest.raises(EmbeddingFunctionError, match='no embedding=, and collection "notes" has no embed'):
        store.similarity_search("cats")


def test_nothing_at_all_is_a_store_with_the_default_function():
    store = VicinalVectorStore()
    assert store.collection.configuration_json["embedding_function"]["name"] == "default"
    store.add_texts(["a cat and a dog", "stars and planets"])
    assert store.similarity_search("astronomy", k=1)[0].page_content == "stars and planets"


def test_a_collection_made_for_a_langchain_embedding_stores_no_function():
    assert VicinalVectorStore(FAKE).collection.configuration_json["embedding_function"] is None


def test_a_given_collection_is_reset_by_its_client_only():
    notes = vicinal.EphemeralClient().create_collection("notes", embedding_function=None)
    store = VicinalVectorStore(FAKE, collection=notes)
    for method in (store.reset_collection, store.delete_collection):
        with pytest.raises(InvalidArgumentError, match="was given a collection, not the client"):
            method()


def test_an_embedding_function_is_a_langchain_model():
    model = VicinalEmbeddings(lambda texts: [(len(text), 1) for text in texts])
    assert model.embed_documents(["ab", "c"]) == [[2.0, 1.0], [1.0, 1.0]]
    assert model.embed_query("abc") == [3.0, 1.0]
    assert model.embed_documents([]) == []


def test_a_function_that_gives_no_vector_for_each_text_is_refused_by_name():
    def too_few(texts):
        return [[1.0, 2.0]] * (len(texts) - 1)

    for call in (lambda model: model.embed_documents(["a", "b"]), lambda model: model.embed_query("a")):
        with pytest.raises(EmbeddingFunctionError, match="Embedding function function returned shape"):
            call(VicinalEmbeddings(too_few))
    with pytest.raises(ArgumentTypeError, match="Expected function to be a function from texts to vectors"):
        VicinalEmbeddings("default")


def test_queries_are_embedded_as_queries():
    class Two(HashEmbeddingFunction):
        def __call__(self, input):
            return [[1.0, 0.0] for _ in input]

        def embed_query(self, input):
            return [[0.0, 1.0] for _ in input]

    model = VicinalEmbeddings(Two())
    assert (model.embed_documents(["a"]), model.embed_query("a")) == ([[1.0, 0.0]], [0.0, 1.0])


def test_importing_and_opening_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VicinalVectorStore(FAKE).as_retriever(search_kwargs={"k": 1}).invoke("x")


@pytest.mark.parametrize("made", ["from_texts", "from_documents", "afrom_texts", "afrom_documents"])
async def test_a_store_that_could_not_be_filled_is_closed(tmp_path, monkeypatch, made):
    class Broken(DeterministicFakeEmbedding):
        def embed_documents(self, texts):
            raise OSError("no model")

    closed = []
    close = VicinalVectorStore.close
    monkeypatch.setattr(VicinalVectorStore, "close", lambda self: [closed.append(1), close(self)])
    given = ["a"] if made.endswith("texts") else [Document("a")]

    async def make():
        store = getattr(VicinalVectorStore, made)(given, Broken(size=4), path=tmp_path)
        return await store if made.startswith("a") else store

    with pytest.raises(OSError, match="no model"):
        await make()
    assert closed == [1]
