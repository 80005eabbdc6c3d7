"""A wrong call gets an error of Vicinal's that says what, and changes nothing."""

import functools
import inspect

import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore

import vicinal
from langchain_vicinal import (
    VicinalByteStore,
    VicinalRecordManager,
    VicinalSemanticCache,
    VicinalVectorStore,
)
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, InvalidDimensionError

CALLS = {
    "negative k": (
        lambda s: s.similarity_search("a", k=-1),
        InvalidArgumentError,
        "k: expected at least 0, got -1",
    ),
    "k of another type": (
        lambda s: s.similarity_search("a", k="4"),
        ArgumentTypeError,
        "Expected k to be an int",
    ),
    "k is no flag": (
        lambda s: s.similarity_search("a", k=True),
        ArgumentTypeError,
        "Expected k to be an int",
    ),
    "k is None": (lambda s: s.similarity_search("a", k=None), ArgumentTypeError, "Expected k to be an int"),
    "unknown option": (
        lambda s: s.similarity_search("a", fitler={"a": 1}),
        InvalidArgumentError,
        "unknown search option 'fitler'; a search takes k, filter",
    ),
    "MMR's option for a search that is none": (
        lambda s: s.similarity_search("a", lambda_mult=0.5),
        InvalidArgumentError,
        "unknown search option 'lambda_mult'; .* one by MMR also fetch_k and lambda_mult",
    ),
    "FAISS's fetch_k beside a filter": (
        lambda s: s.similarity_search("a", filter={"a": 1}, fetch_k=20),
        InvalidArgumentError,
        'fetch_k goes with rerank, MMR or mode="hybrid"; a filter needs none',
    ),
    "MMR's option for a retriever that is none": (
        lambda s: s.as_retriever(search_kwargs={"fetch_k": 20, "lambda_mult": 0.5}).invoke("a"),
        InvalidArgumentError,
        "unknown search option 'lambda_mult'",
    ),
    "a retriever's type among its options": (
        lambda s: s.as_retriever(search_kwargs={"k": 2, "search_type": "mmr"}).invoke("a"),
        InvalidArgumentError,
        r"search_type is no search option, but got 'mmr'; .* as_retriever\(search_type=…\)",
    ),
    "filter and where": (
        lambda s: s.similarity_search("a", filter={"a": 1}, where={"a": 1}),
        InvalidArgumentError,
        "filter and where are names of one argument",
    ),
    "dimension of a query": (
        lambda s: s.similarity_search_by_vector([1.0, 2.0]),
        InvalidDimensionError,
        "dimension of .*, got 2",
    ),
    "dimension of a text": (
        lambda s: s.add_texts(["x"], embeddings=[[1.0]]),
        InvalidDimensionError,
        "dimension of .*, got 1",
    ),
    "two query vectors": (
        lambda s: s.similarity_search_by_vector([[1.0, 2.0]] * 2),
        InvalidArgumentError,
        "expected one vector|dimension",
    ),
    "no query vector": (
        lambda s: s.similarity_search_by_vector([]),
        InvalidArgumentError,
        "expected one vector",
    ),
    "a NaN": (lambda s: s.add_texts(["x"], embeddings=[[float("nan")] * 3]), InvalidArgumentError, "NaN"),
    "λ out of range": (
        lambda s: s.max_marginal_relevance_search("a", lambda_mult=1.5),
        InvalidArgumentError,
        "lambda_mult: expected a number from 0 to 1, got 1.5",
    ),
    "fetch_k of 0": (
        lambda s: s.max_marginal_relevance_search("a", fetch_k=0),
        InvalidArgumentError,
        "fetch_k: expected at least 1",
    ),
    "too few metadatas": (
        lambda s: s.add_texts(["x", "y"], [{}]),
        InvalidArgumentError,
        "Expected one item of metadatas for each of the 2 texts, got 1",
    ),
    "too many ids": (
        lambda s: s.add_texts(["x"], ids=["1", "2"]),
        InvalidArgumentError,
        "Expected one item of ids for each of the 1 texts, got 2",
    ),
    "too few embeddings": (
        lambda s: s.add_texts(["x", "y"], embeddings=[[1.0]]),
        InvalidArgumentError,
        "Expected one item of embeddings for each of the 2 texts, got 1",
    ),
    "one text in place of a list": (
        lambda s: s.add_texts("xyz"),
        ArgumentTypeError,
        "Expected texts to be a list of str",
    ),
    "a text that is none": (lambda s: s.add_texts(["x", None]), ArgumentTypeError, r"texts\[1\] to be a str"),
    "a document that is none": (
        lambda s: s.add_documents(["x"]),
        ArgumentTypeError,
        r"documents\[0\] to be a Document",
    ),
    "an id that is a number": (
        lambda s: s.add_texts(["x"], ids=[1]),
        ArgumentTypeError,
        r"ids\[0\] to be a str or None",
    ),
    "an empty id": (lambda s: s.add_texts(["x"], ids=[""]), InvalidArgumentError, r"ids\[0\]: Empty ID"),
    "metadata that is no dict": (
        lambda s: s.add_texts(["x"], ["y"]),
        ArgumentTypeError,
        r"metadatas\[0\] to be a dict",
    ),
    "a batch size of 0": (
        lambda s: s.add_texts(["x"], batch_size=0),
        InvalidArgumentError,
        "batch_size: expected at least 1, got 0",
    ),
    "a batch size that is a text": (
        lambda s: s.add_texts(["x"], batch_size="100"),
        ArgumentTypeError,
        "Expected batch_size to be an int, got '100'",
    ),
    "a batch size that is half a number": (
        lambda s: s.add_texts(["x", "y", "z"], batch_size=1.5),
        ArgumentTypeError,
        "Expected batch_size to be an int, got 1.5",
    ),
    "a batch size that is a flag": (
        lambda s: s.add_texts(["x"], batch_size=True),
        ArgumentTypeError,
        "Expected batch_size to be an int, got True",
    ),
    "texts that are none": (lambda s: s.add_texts(None), ArgumentTypeError, "Expected texts to be a list"),
    "documents that are none": (
        lambda s: s.add_documents(None),
        ArgumentTypeError,
        "Expected documents to be a list",
    ),
    "ids that are a number": (
        lambda s: s.add_texts(["x"], ids=5),
        ArgumentTypeError,
        "Expected ids to be a list, got 5",
    ),
    "ids to get that are none": (
        lambda s: s.get_by_ids(None),
        ArgumentTypeError,
        "Expected ids to be a list, got None",
    ),
    "embeddings that are a number": (
        lambda s: s.add_texts(["x"], embeddings=5),
        ArgumentTypeError,
        "Expected embeddings to be a list, got 5",
    ),
    "pairs that are none": (
        lambda s: s.add_embeddings([("x", [1.0, 2.0, 3.0]), ("y",)]),
        ArgumentTypeError,
        r"Expected text_embeddings\[1\] to be a pair of a text and its vector",
    ),
    "a pair that is a number": (
        lambda s: s.add_embeddings([("x", [1.0, 2.0, 3.0]), 5]),
        ArgumentTypeError,
        r"Expected text_embeddings\[1\] to be a pair of a text and its vector",
    ),
    "one text with its letters' vectors": (
        lambda s: s.add_embeddings("ab", s.embeddings.embed_documents(["a", "b"])),
        ArgumentTypeError,
        "Expected texts to be a list of str",
    ),
    "vectors without texts where texts are given": (
        lambda s: s.add_embeddings([], s.embeddings.embed_documents(["a"])),
        InvalidArgumentError,
        "Expected one item of embeddings for each of the 0 texts, got 1",
    ),
    "vectors by name": (
        lambda s: s.add_texts(["x"], embeddings={"x": [1.0, 2.0, 3.0]}),
        ArgumentTypeError,
        "Expected embeddings to be a list of vectors",
    ),
    "add_embeddings without any": (
        lambda s: s.add_embeddings(["x"]),
        InvalidArgumentError,
        "add_embeddings needs embeddings",
    ),
    "update without documents": (
        lambda s: s.update_documents(["a"]),
        InvalidArgumentError,
        "Expected one item of ids for each of the 0 documents, got 1",
    ),
    "update without any id": (
        lambda s: s.update_documents(documents=[Document("x")]),
        InvalidArgumentError,
        "an update needs ids, or documents that have their own",
    ),
    "update with an id missing": (
        lambda s: s.update_documents(["a", None], [Document("x"), Document("y")]),
        InvalidArgumentError,
        "an update needs ids, or documents that have their own",
    ),
    "update with two names": (
        lambda s: s.update_documents(["a"], document_id="b", document=Document("x")),
        InvalidArgumentError,
        "ids= and document_id= are names of one argument",
    ),
    "unknown condition of delete": (
        lambda s: s.delete(fitler={"a": 1}),
        InvalidArgumentError,
        "delete: unknown condition 'fitler'",
    ),
    "delete by a number": (lambda s: s.delete([1]), ArgumentTypeError, r"ids\[0\] to be a str"),
}


@pytest.mark.parametrize(("call", "error", "text"), CALLS.values(), ids=CALLS)
def test_a_wrong_call_says_what_is_wrong_and_changes_nothing(embedding, call, error, text):
    store = VicinalVectorStore.from_texts(["a", "b"], embedding, ids=["a", "b"])
    before = store.get()
    with pytest.raises(error, match=text) as caught:
        call(store)
    assert isinstance(caught.value, vicinal.errors.VicinalError)
    assert isinstance(caught.value, ValueError)
    assert store.get() == before


ENDLESS = 10**5000
DEEP = functools.reduce(lambda inner, _: [inner], range(100_000), [])
ENDLESS_NUMBERS = {
    "in a filter": (
        lambda s: s.get(where={"$and": ENDLESS}),
        r'where\["\$and"\]: Expected a list of filters, got',
    ),
    "as a key": (
        lambda s: s.get(where={"a": 1, ENDLESS: {"$gt": 1}}),
        r'where\["\$and"\]\[1\]: Expected a key or a logical operator to be a str, got',
    ),
    "k": (lambda s: s.similarity_search("a", k=-ENDLESS), "k: expected at least 0, got"),
    "fetch_k": (
        lambda s: s.max_marginal_relevance_search("a", fetch_k=-ENDLESS),
        "fetch_k: expected at least 1, got",
    ),
    "batch size": (
        lambda s: s.add_texts(["x"], batch_size=-ENDLESS),
        "batch_size: expected at least 1, got",
    ),
    "a reranker's": (
        lambda s: s.similarity_search("a", rerank=lambda query, texts: ENDLESS),
        "rerank: expected one number for each text, got",
    ),
    "threshold": (
        lambda s: VicinalSemanticCache(s.embeddings, ENDLESS),
        "score_threshold: expected a number from 0 to 1, got",
    ),
    "time": (
        lambda s: VicinalRecordManager(store=s).update(["a"], time_at_least=ENDLESS),
        "time_at_least: .* has not come yet",
    ),
    "a byte store's key": (
        lambda s: VicinalByteStore().mset([(ENDLESS, "x")]),
        "Expected the value of .* bytes",
    ),
}
UNSHOWABLE = {
    "in a filter": (
        lambda s, value: s.get(where={"$and": [value]}),
        r'where\["\$and"\]\[0\]: Expected a dict, got',
    ),
    "mode": (lambda s, value: s.similarity_search("a", mode=value), "mode: expected .*, got"),
    "fusion": (
        lambda s, value: s.similarity_search("a", mode="hybrid", fusion=value),
        "fusion: expected .*, got",
    ),
    "search type": (lambda s, value: s.search("a", value), "search_type of .* not allowed"),
    "a retriever's query": (
        lambda s, value: s.as_retriever(search_kwargs={"query": value}).invoke("a"),
        "query is no search option, but got",
    ),
    "a retriever's mode": (
        lambda s, value: s.search("a", "text", mode=value),
        'search_type="text" and mode=.* contradict each other',
    ),
    "a reranker's": (
        lambda s, value: s.similarity_search("a", rerank=lambda query, texts: [value] * 2),
        "rerank: .*(too large for a float|too large to be shown)",
    ),
}


@pytest.mark.parametrize(("call", "text"), ENDLESS_NUMBERS.values(), ids=ENDLESS_NUMBERS)
def test_a_number_that_python_does_not_write_is_refused_by_name(embedding, call, text):
    with pytest.raises(InvalidArgumentError, match=text):
        call(VicinalVectorStore.from_texts(["a", "b"], embedding))


@pytest.mark.parametrize("value", [ENDLESS, DEEP], ids=["endless", "deep"])
@pytest.mark.parametrize(("call", "text"), UNSHOWABLE.values(), ids=UNSHOWABLE)
def test_a_value_that_python_does_not_show_is_refused_by_name(embedding, call, text, value):
    with pytest.raises(InvalidArgumentError, match=text):
        call(VicinalVectorStore.from_texts(["a", "b"], embedding), value)


def test_a_model_that_returns_too_few_vectors_is_caught(table):
    class Lazy(table):
        def embed_documents(self, texts):
            return [[1.0, 0.0]]

    store = VicinalVectorStore(Lazy({}))
    with pytest.raises(InvalidArgumentError, match="ids: 2, embeddings: 1"):
        store.add_texts(["a", "b"])
    assert store.count() == 0


def public(cls):
    return {name for name in dir(cls) if not name.startswith("_") and callable(getattr(cls, name))}


def test_every_method_of_the_interface_is_there_in_both_colours():
    methods = public(VicinalVectorStore)
    assert public(VectorStore) <= methods
    alone = {"as_retriever", "as_self_query_retriever", "close"}
    sync = {name for name in methods if not inspect.iscoroutinefunction(getattr(VicinalVectorStore, name))}
    assert {name for name in sync - alone if f"a{name}" not in methods} == set()


def positional(method):
    parameters = inspect.signature(method).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]


def test_async_methods_take_by_position_what_the_others_take():
    for name in public(VicinalVectorStore):
        method, twin = (getattr(VicinalVectorStore, known, None) for known in (name, f"a{name}"))
        inherited = twin is getattr(VectorStore, f"a{name}", None)
        if twin and not inherited and "args" not in inspect.signature(twin).parameters:
            assert positional(twin) == positional(method), name


def test_numbers_are_langchains_unless_given():
    usual = {"k": 4, "fetch_k": 20, "lambda_mult": 0.5}
    for name in public(VicinalVectorStore):
        for parameter in inspect.signature(getattr(VicinalVectorStore, name)).parameters.values():
            assert parameter.default == usual.get(parameter.name, parameter.default), name


def test_every_public_method_says_what_it_does():
    undocumented = [
        name for name in public(VicinalVectorStore) if not getattr(VicinalVectorStore, name).__doc__
    ]
    assert undocumented == []
