"""A search goes by the words of the query, alone or with its vector; words alone need no vector."""

import json
import math

import pytest
from langchain_classic.retrievers import ParentDocumentRetriever
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.stores import InMemoryByteStore
from langchain_core.vectorstores import VectorStoreRetriever
from langchain_text_splitters import CharacterTextSplitter

import vicinal
from langchain_vicinal import VicinalVectorStore
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError, InvalidArgumentError

VECTORS = {
    "the mast of the ship": [1.0, 0.0],
    "a ship and another ship": [0.6, 0.8],
    "a horse in the field": [0.8, 0.6],
    "a quiet field": [-1.0, 0.0],
}
METADATA = [{"n": i, "note": note} for i, note in enumerate(["oak", "steel", "oak oak", "grass"])]
TEXTS = list(VECTORS)
QUERY = "ship field"


class NoQueries(Embeddings):
    """Embeds the four texts, and no query but one."""

    queries = 0

    def embed_documents(self, texts):
        return [VECTORS[text] for text in texts]

    def embed_query(self, text):
        assert text == QUERY, "this query was to be searched by its words alone"
        self.queries += 1
        return [1.0, 0.1]


@pytest.fixture(params=["memory", "reopened"])
def store(request, open_store):
    store = open_store(request.param, NoQueries())
    store.add_texts(TEXTS, METADATA, ids=["mast", "ships", "horse", "field"])
    return store


def ids(found):
    return [(hit[0] if isinstance(hit, tuple) else hit).id for hit in found]


# --- words alone ---------------------------------------------------------------------------------


def test_text_search_finds_what_has_the_words_and_embeds_nothing(store):
    assert ids(store.similarity_search("ships", mode="text")) == ["ships", "mast"]
    assert store.similarity_search("submarine", mode="text") == []
    assert store.similarity_search("", mode="text") == []


async def test_no_form_of_text_search_embeds(store):
    wanted = ids(store.similarity_search("horse ship", mode="text"))
    words = {"mode": "text"}
    assert ids(await store.asimilarity_search("horse ship", **words)) == wanted
    assert ids(store.similarity_search_with_score("horse ship", **words)) == wanted
    assert ids(await store.asimilarity_search_with_score("horse ship", **words)) == wanted
    assert ids(store.similarity_search_with_relevance_scores("horse ship", **words)) == wanted
    assert ids(await store.asimilarity_search_with_relevance_scores("horse ship", **words)) == wanted
    assert ids(store.similarity_search_with_vectors("horse ship", **words)) == wanted
    assert ids(await store.asimilarity_search_with_vectors("horse ship", **words)) == wanted
    assert set(ids(store.max_marginal_relevance_search("horse ship", **words))) == set(wanted)
    assert set(ids(await store.amax_marginal_relevance_search("horse ship", **words))) == set(wanted)
    assert ids(store.search("horse ship", "text")) == ids(await store.asearch("horse ship", "text")) == wanted
    retriever = store.as_retriever(search_type="text")
    assert ids(retriever.invoke("horse ship")) == ids(await retriever.ainvoke("horse ship")) == wanted


def test_a_store_without_an_embedding_searches_words():
    notes = vicinal.EphemeralClient().create_collection("notes", embedding_function=None)
    notes.add(ids=["a", "b"], embeddings=[[1.0], [2.0]], documents=["one bird", "two birds and a bird"])
    store = VicinalVectorStore(collection=notes)
    assert ids(store.similarity_search("birds", mode="text")) == ["b", "a"]
    with pytest.raises(EmbeddingFunctionError, match="Nothing can embed text here"):
        store.similarity_search("birds", mode="hybrid")


def test_the_scores_are_those_of_the_engine(store):
    hits = store.similarity_search_with_score("horse ship", mode="text")
    answer = store.collection.query(query_texts="horse ship", mode="text")
    assert [score for _, score in hits] == answer["scores"][0]
    assert {type(score) for _, score in hits} == {float}


def test_another_text_of_the_record_can_be_searched(store):
    assert ids(store.similarity_search("oak", mode="text", text_key="note")) == ["horse", "mast"]


# --- words and vectors ---------------------------------------------------------------------------


async def test_every_form_of_hybrid_search_finds_the_same(store):
    wanted = ids(store.similarity_search(QUERY, mode="hybrid"))
    assert set(wanted) == {"mast", "ships", "horse", "field"}
    assert ids(await store.asimilarity_search(QUERY, mode="hybrid")) == wanted
    assert ids(store.similarity_search_with_score(QUERY, mode="hybrid")) == wanted
    assert ids(store.similarity_search_with_vectors(QUERY, mode="hybrid")) == wanted
    assert ids(store.search(QUERY, "hybrid")) == ids(await store.asearch(QUERY, "hybrid")) == wanted
    retriever = store.as_retriever(search_type="hybrid")
    assert ids(retriever.invoke(QUERY)) == ids(await retriever.ainvoke(QUERY)) == wanted


def test_the_ends_of_alpha_are_the_parts(store):
    by_words, by_vector = ids(store.search(QUERY, "text")), ids(store.similarity_search(QUERY))
    assert ids(store.search(QUERY, "hybrid", alpha=0.0))[: len(by_words)] == by_words
    assert ids(store.search(QUERY, "hybrid", alpha=1.0)) == by_vector != by_words


@pytest.mark.parametrize("fusion", ["relative", "rrf"])
def test_hybrid_scores_are_those_of_the_engine(store, fusion):
    hits = store.similarity_search_with_score(QUERY, mode="hybrid", fusion=fusion, alpha=0.3)
    answer = store.collection.query([1.0, 0.1], QUERY, mode="hybrid", fusion=fusion, alpha=0.3)
    assert list(zip(ids(hits), [score for _, score in hits], strict=True)) == list(
        zip(answer["ids"][0], answer["scores"][0], strict=True)
    )


def test_a_query_is_embedded_once(store):
    store.similarity_search(QUERY, mode="hybrid")
    assert store.embeddings.queries == 1


def test_distances_of_a_mixture_come_on_request_in_its_order(store):
    hits = store.similarity_search_with_score(QUERY, mode="hybrid", return_distance=True)
    plain = store.similarity_search_with_score(QUERY, return_distance=True)
    distances = {document.id: distance for document, distance in plain}
    assert ids(hits) == ids(store.similarity_search(QUERY, mode="hybrid"))
    assert {document.id: d for document, d in hits} == pytest.approx(distances, abs=1e-6)


def test_mmr_chooses_after_the_mixture(store):
    mixed = ids(store.similarity_search(QUERY, mode="hybrid"))
    near = store.max_marginal_relevance_search(QUERY, mode="hybrid", lambda_mult=1.0)
    assert ids(near) == mixed
    varied = store.max_marginal_relevance_search(QUERY, k=2, mode="hybrid", lambda_mult=0.0)
    assert ids(varied) == [mixed[0], "field"]
    retriever = store.as_retriever(
        search_type="mmr", search_kwargs={"mode": "hybrid", "k": 2, "lambda_mult": 0.0}
    )
    assert ids(retriever.invoke(QUERY)) == ids(varied)


def test_fetch_k_is_how_deep_a_mixture_looks(store):
    shallow = store.search(QUERY, "hybrid", k=1, fetch_k=1, fusion="rrf", alpha=1.0)
    assert ids(shallow) == ids(store.similarity_search(QUERY, k=1))


# --- filters, k, thresholds, rerankers -----------------------------------------------------------


@pytest.mark.parametrize("search_type", ["text", "hybrid"])
def test_filters_come_before_the_ranking(store, search_type):
    options = {"k": 1, "fetch_k": 1} if search_type == "hybrid" else {"k": 1}
    assert ids(store.search(QUERY, search_type, filter={"n": {"$gt": 2}}, **options)) == ["field"]
    assert ids(store.search(QUERY, search_type, where_document={"$contains": "horse"}, **options)) == [
        "horse"
    ]
    assert ids(store.search(QUERY, search_type, ids=["mast"], **options)) == ["mast"]
    retriever = store.as_retriever(search_type=search_type, search_kwargs={"filter": {"n": 3}, **options})
    assert ids(retriever.invoke(QUERY)) == ["field"]
    assert ids(retriever.invoke(QUERY, filter={"n": 0})) == ["mast"]


@pytest.mark.parametrize("search_type", ["text", "hybrid"])
def test_an_empty_store_or_a_k_of_0_is_no_error(store, search_type):
    assert store.search(QUERY, search_type, k=0) == []
    assert len(store.search(QUERY, search_type, k=100)) == 4
    store.delete()
    assert store.search(QUERY, search_type, **SNIPPETS) == []
    assert store.similarity_search_with_score(QUERY, mode=search_type) == []


MODES = {
    "text": {"mode": "text"},
    "relative": {"mode": "hybrid"},
    "rrf": {"mode": "hybrid", "fusion": "rrf"},
}
RELEVANCE = {"text": lambda s: s / (1 + s), "relative": lambda s: s, "rrf": lambda s: 61 * s}


@pytest.mark.parametrize("name", MODES)
async def test_relevance_lies_between_0_and_1_and_follows_the_table(store, name):
    hits = store.similarity_search_with_relevance_scores(QUERY, **MODES[name])
    scores = store.similarity_search_with_score(QUERY, **MODES[name])
    assert [r for _, r in hits] == pytest.approx([RELEVANCE[name](score) for _, score in scores])
    assert hits
    assert all(0 <= relevance <= 1 for _, relevance in hits)
    assert hits == await store.asimilarity_search_with_relevance_scores(QUERY, **MODES[name])


@pytest.mark.parametrize("name", MODES)
def test_a_threshold_keeps_what_is_at_least_as_relevant(store, name):
    everything = store.similarity_search_with_relevance_scores(QUERY, **MODES[name])
    least = everything[1][1]
    kept = {"score_threshold": least, **MODES[name]}
    wanted = [doc.id for doc, relevance in everything if relevance >= least]
    assert ids(store.similarity_search_with_relevance_scores(QUERY, **kept)) == wanted
    retriever = store.as_retriever(search_type="similarity_score_threshold", search_kwargs=kept)
    assert ids(retriever.invoke(QUERY)) == wanted


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1 / 3, 0.7, 0.9999999999, 1.0])
def test_the_best_of_both_parts_has_relevance_1(store, alpha):
    store.add_texts(["ship field"], embeddings=[[1.0, 0.1]], ids=["best"])
    hits = store.similarity_search_with_relevance_scores(QUERY, 1, mode="hybrid", alpha=alpha)
    assert (ids(hits), hits[0][1]) == (["best"], pytest.approx(1.0))
    assert hits[0][1] <= 1


def test_an_own_relevance_function_is_for_distances(table):
    vectors = {"cat": [1.0, 0.0], "cats": [1.0, 0.0]}
    store = VicinalVectorStore(table(vectors), relevance_score_fn=lambda d: 0.25)
    store.add_texts(["cat"])
    assert store.similarity_search_with_relevance_scores("cats")[0][1] == 0.25
    assert store.similarity_search_with_relevance_scores("cats", mode="hybrid")[0][1] == 1.0


@pytest.mark.parametrize("mode", ["text", "hybrid"])
async def test_a_reranker_chooses_from_the_words(store, mode):
    def longest(query, texts):
        return [len(text) for text in texts]

    options = {"k": 1, "mode": mode, "rerank": longest}
    assert ids(store.similarity_search(QUERY, **options)) == ["ships"]
    hits = store.similarity_search_with_score(QUERY, **options)
    assert [score for _, score in hits] == [23.0]
    assert hits == await store.asimilarity_search_with_score(QUERY, **options)


# --- snippets ------------------------------------------------------------------------------------

SNIPPETS = {"snippets": 1}


def test_snippets_stand_in_the_metadata_when_they_are_asked_for(store):
    [found] = store.search("mast", "text", snippets=True)
    [snippet] = found.metadata["snippets"]
    assert snippet["text"] == found.page_content[snippet["start"] : snippet["end"]]
    [(start, end)] = snippet["highlights"]
    assert found.page_content[start:end] == "mast"
    [plain] = store.search("mast", "text")
    assert plain.metadata == METADATA[0]


@pytest.mark.parametrize("mode", ["text", "hybrid"])
async def test_every_search_for_words_gives_snippets(store, mode):
    options = {"mode": mode, "snippets": 2}
    for found in (
        store.similarity_search(QUERY, **options),
        await store.asimilarity_search(QUERY, **options),
        store.max_marginal_relevance_search(QUERY, **options),
        store.as_retriever(search_kwargs=options).invoke(QUERY),
    ):
        assert len(found) == 4
        assert all(len(document.metadata["snippets"]) == 1 for document in found)


def test_a_document_with_snippets_is_json_and_can_be_written_back(store):
    [found] = store.search("mast", "text", **SNIPPETS)
    assert json.loads(json.dumps(found.metadata)) == found.metadata
    store.add_documents([found])
    assert store.get_by_ids(["mast"]) == [found]


def test_snippets_of_a_record_without_metadata_or_words_are_a_list(store):
    store.add_texts(["sails"], embeddings=[[1.0, 0.1]], ids=["sails"])
    found = store.search(QUERY, "hybrid", ids=["sails"], **SNIPPETS)
    assert found == [Document("sails", id="sails", metadata={"snippets": []})]


# --- retrievers ----------------------------------------------------------------------------------


def test_the_retriever_is_langchains(store):
    retriever = store.as_retriever(search_type="hybrid", tags=["mine"], search_kwargs={"k": 1})
    assert isinstance(retriever, VectorStoreRetriever)
    assert retriever.tags == ["mine"]
    assert len(retriever.batch([QUERY, QUERY])) == 2


def test_a_parent_is_found_by_the_words_of_a_part(embedding):
    parents = ParentDocumentRetriever(
        vectorstore=VicinalVectorStore(embedding),
        byte_store=InMemoryByteStore(),
        child_splitter=CharacterTextSplitter(separator=".", chunk_size=20, chunk_overlap=0),
        search_kwargs={"k": 1, "mode": "text"},
    )
    parents.add_documents([Document("The worms eat sand. The houses are at war."), Document("Peace.")])
    assert parents.invoke("war")[0].page_content == "The worms eat sand. The houses are at war."


# --- what cannot be --------------------------------------------------------------------------------

VECTOR = [1.0, 0.0]
REFUSED = {
    "an unknown mode": (
        lambda s: s.similarity_search("x", mode="sparse"),
        'mode: expected "dense", "text" or "hybrid", got \'sparse\'',
    ),
    "alpha without hybrid": (
        lambda s: s.similarity_search("x", alpha=0.5),
        'alpha= goes with mode="hybrid"$',
    ),
    "alpha of words alone": (
        lambda s: s.similarity_search("x", mode="text", alpha=0.5),
        'alpha= mixes vectors and words: it goes with mode="hybrid", not "text"',
    ),
    "alpha out of range": (lambda s: s.similarity_search(QUERY, mode="hybrid", alpha=1.5), "alpha: expected"),
    "fusion of words alone": (
        lambda s: s.similarity_search("x", mode="text", fusion="rrf"),
        "fusion= mixes vectors and words",
    ),
    "an unknown fusion": (
        lambda s: s.similarity_search("x", mode="hybrid", fusion="sum"),
        'fusion: expected "relative" or "rrf", got \'sum\'',
    ),
    "snippets of a dense search": (
        lambda s: s.similarity_search("x", snippets=True),
        'snippets= goes with mode="hybrid" or "text"',
    ),
    "text_key of a dense search": (
        lambda s: s.similarity_search("x", text_key="note"),
        'text_key= goes with mode="hybrid" or "text"',
    ),
    "distances of words": (
        lambda s: s.similarity_search_with_score("x", mode="text", return_distance=True),
        'return_distance: mode="text" measures no distance',
    ),
    "fetch_k of 0 for no documents": (
        lambda s: s.similarity_search(QUERY, 0, mode="hybrid", fetch_k=0),
        "fetch_k: expected at least 1, got 0",
    ),
    "fetch_k of words": (
        lambda s: s.similarity_search("x", mode="text", fetch_k=50),
        "fetch_k goes with rerank, MMR",
    ),
    "words by vector": (
        lambda s: s.similarity_search_by_vector(VECTOR, mode="text"),
        'mode="text" reads the query\'s words, and this method is given a vector',
    ),
    "hybrid by vector": (
        lambda s: s.max_marginal_relevance_search_by_vector(VECTOR, mode="hybrid"),
        'mode="hybrid" reads the query\'s words',
    ),
    "hybrid relevance by vector": (
        lambda s: s.similarity_search_by_vector_with_relevance_scores(VECTOR, mode="hybrid"),
        'mode="hybrid" reads the query\'s words',
    ),
    "rerank and MMR": (
        lambda s: s.max_marginal_relevance_search("x", mode="text", rerank=lambda query, texts: texts),
        "rerank and MMR both decide the order",
    ),
    "two modes": (
        lambda s: s.search("x", "text", mode="hybrid"),
        'search_type="text" and mode="hybrid" contradict each other',
    ),
    "two modes of a retriever": (
        lambda s: s.as_retriever(search_type="hybrid", search_kwargs={"mode": "text"}).invoke("x"),
        'search_type="hybrid" and mode="text" contradict each other',
    ),
    "a search type": (
        lambda s: s.search("x", "sparse"),
        "search_type of sparse not allowed. Expected one of similarity, .*, mmr, hybrid, text",
    ),
}


@pytest.mark.parametrize(("call", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_by_name(store, call, text):
    with pytest.raises(InvalidArgumentError, match=text):
        call(store)


async def test_it_is_refused_alike_when_awaited(store):
    with pytest.raises(InvalidArgumentError, match="measures no distance"):
        await store.asimilarity_search_with_score("x", mode="text", return_distance=True)
    with pytest.raises(InvalidArgumentError, match="alpha= goes with"):
        await store.asearch("x", "similarity", alpha=0.5)
    with pytest.raises(InvalidArgumentError, match="search_type of sparse not allowed"):
        await store.asearch("x", "sparse")


@pytest.mark.parametrize("query", [["ship", "field"], None, 5, b"ship"])
@pytest.mark.parametrize("mode", ["text", "hybrid"])
async def test_what_is_no_text_has_no_words_and_is_not_embedded(store, mode, query):
    for search in (
        store.similarity_search,
        store.similarity_search_with_vectors,
        store.max_marginal_relevance_search,
    ):
        with pytest.raises(ArgumentTypeError, match="Expected query to be a str"):
            search(query, mode=mode)
        with pytest.raises(ArgumentTypeError, match="Expected query to be a str"):
            await getattr(store, f"a{search.__name__}")(query, mode=mode)
    assert store.embeddings.queries == 0


def test_a_number_of_snippets_is_a_number(store):
    with pytest.raises(ArgumentTypeError, match="snippets"):
        store.search("x", "text", snippets="many")


def test_a_retriever_with_an_unknown_type_is_not_made(store):
    with pytest.raises(ValueError, match=r"search_type of sparse not allowed.*hybrid"):
        store.as_retriever(search_type="sparse")


def test_scores_of_words_are_finite(store):
    store.add_texts(["ship " * 1000], embeddings=[VECTOR], ids=["many"])
    hits = store.similarity_search_with_relevance_scores("ship", mode="text")
    assert "many" in {document.id for document, _ in hits}
    assert all(math.isfinite(relevance) and relevance < 1 for _, relevance in hits)
