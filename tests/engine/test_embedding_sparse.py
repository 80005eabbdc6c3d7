"""A sparse vector is what its numbers say, and BM25's are those that Chroma makes."""

import itertools
import pickle

import numpy as np
import pytest

from vicinal.embedding import SparseEmbeddingFunction, register_sparse_embedding_function
from vicinal.embedding.providers.bm25 import STOP_WORDS, murmur3
from vicinal.embedding.sparse import build_sparse, from_dense, sparse_known_embedding_functions
from vicinal.errors import EmbeddingFunctionError, InvalidArgumentError
from vicinal.types import SparseVector
from vicinal.utils.embedding_functions import ChromaBm25EmbeddingFunction

TEXTS = [
    "The quick brown foxes jumped, running over don't-lazy dogs!",
    "running runs ran run runner",
    "naïve café straße 東京 x_y a1b2 И Ω",
    "the of and",
    "",
    "word " * 300,
    "antidisestablishmentarianism" * 2 + " short",
    "İstanbul ﬁne ½ don't",
]

# --- vectors ----------------------------------------------------------------------------------


def test_a_sparse_vector_is_read_as_it_was_written():
    for vector in (SparseVector([1, 5], [0.5, 2]), SparseVector([], []), SparseVector([7], [1.0], ["word"])):
        assert vector == SparseVector.from_dict(vector.to_dict())


def test_a_sparse_vector_is_written_as_chroma_writes_it():
    written = {"#type": "sparse_vector", "indices": [1, 5], "values": [0.5, 2.0], "tokens": ["a", "b"]}
    assert written == SparseVector([1, 5], [0.5, 2], ["a", "b"]).to_dict()


def test_a_sparse_vector_takes_any_numbers():
    vector = SparseVector(np.array([1, 5]), (np.float32(0.5), np.int64(2)))
    assert ([1, 5], [0.5, 2.0]) == (vector.indices, vector.values)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([1], [1.0, 2.0]), "same length, got 1 indices and 2 values"),
        (([1], [1.0], []), "same length, got 1 indices and 0 labels"),
        (([1.5], [1.0]), "indices must be integers, got float at position 0"),
        (([True], [1.0]), "indices must be integers, got bool at position 0"),
        (([1, 2], [1.0, "2"]), "values must be numbers, got str at position 1"),
        (([-1], [1.0]), "must not be negative, got -1"),
        (([2, 1], [1.0, 2.0]), r"must ascend strictly, got indices\[1\]=1 after 2"),
        (([2, 2], [1.0, 2.0]), r"must ascend strictly, got indices\[1\]=2 after 2"),
        (([1], [float("nan")]), "must be finite"),
    ],
)
def test_a_sparse_vector_that_is_none_is_refused(arguments, text):
    with pytest.raises(InvalidArgumentError, match=text):
        SparseVector(*arguments)


def test_another_type_is_no_sparse_vector():
    with pytest.raises(InvalidArgumentError, match="'dense'"):
        SparseVector.from_dict({"#type": "dense", "indices": [], "values": []})
    for lacking in ({"indices": []}, {"values": []}):
        with pytest.raises(InvalidArgumentError, match="of a sparse vector, got"):
            SparseVector.from_dict({"#type": "sparse_vector", **lacking})


def test_a_dense_vector_becomes_sparse():
    assert SparseVector([1, 3], [2.0, -1.0]) == from_dense(np.array([0, 2, 0, -1], np.float32))


# --- the registry -----------------------------------------------------------------------------


def test_a_registered_function_is_found_again(monkeypatch):
    @register_sparse_embedding_function()
    class Lengths(SparseEmbeddingFunction):
        def __call__(self, input):
            return [SparseVector([len(text)], [1.0]) for text in input]

        name = staticmethod(lambda: "tests-lengths")
        get_config = staticmethod(dict)
        build_from_config = staticmethod(lambda config: Lengths())

    monkeypatch.delitem(sparse_known_embedding_functions, "tests-lengths")
    register_sparse_embedding_function(Lengths)
    found = build_sparse({"type": "known", "name": "tests-lengths", "config": {}})
    assert [SparseVector([3], [1.0])] == found.embed_query(["abc"])


def test_an_unknown_function_says_what_to_do():
    with pytest.raises(EmbeddingFunctionError, match="tests-unknown not found"):
        build_sparse({"type": "known", "name": "tests-unknown"})


@pytest.mark.parametrize("description", [None, {"type": "unknown"}, {"type": "legacy"}])
def test_no_function_is_built_where_none_is_named(description):
    assert build_sparse(description) is None


def test_a_function_that_overrides_nothing_says_what_it_lacks():
    with pytest.raises(NotImplementedError, match="must implement __call__"):
        SparseEmbeddingFunction()(["text"])


# --- BM25 --------------------------------------------------------------------------------------


@pytest.fixture
def bm25() -> ChromaBm25EmbeddingFunction:
    pytest.importorskip("snowballstemmer")
    return ChromaBm25EmbeddingFunction(include_tokens=True)


@pytest.mark.parametrize(
    ("data", "hash"),
    [
        (b"", 0),
        (b"a", 0x3C2569B2),
        (b"Hello, world!", 0xC0363E43),
        (b"The quick brown fox jumps over the lazy dog", 0x2E4FF723),
    ],
)
def test_the_hash_is_murmur3(data, hash):
    assert hash == murmur3(data)


def test_words_are_stemmed_and_stop_words_left_out(bm25):
    (vector,) = bm25(["The runners were running"])
    assert {"runner", "run"} == set(vector.labels)


def test_the_weight_of_a_word_is_bm25s(bm25):
    (vector,) = bm25(["fox fox dog"])
    weights = dict(zip(vector.labels, vector.values))
    damping = 1.2 * (1 - 0.75 + 0.75 * 3 / 256)
    expected = {"fox": 2 * 2.2 / (2 + damping), "dog": 2.2 / (1 + damping)}
    assert expected == pytest.approx(weights)


@pytest.mark.parametrize(
    "strange",
    [
        {"avg_doc_length": 0},
        {"avg_doc_length": "long"},
        {"k": -1},
        {"k": float("nan")},
        {"b": True},
        {"token_max_length": 1.5},
        {"stopwords": 5},
        {"stopwords": "the"},
    ],
)
def test_what_bm25_cannot_be_made_of_is_refused(strange):
    with pytest.raises(InvalidArgumentError, match=next(iter(strange))):
        ChromaBm25EmbeddingFunction(**strange)


def test_a_text_without_words_is_the_empty_vector(bm25):
    assert [SparseVector([], []), SparseVector([], [])] == bm25(["", "the of !"])


def test_long_words_are_left_out(bm25):
    assert [SparseVector([], [])] == bm25(["x" * 41])


def test_the_stop_words_may_be_others(bm25):
    (vector,) = ChromaBm25EmbeddingFunction(stopwords=["Fox"], include_tokens=True)(["the fox"])
    assert ["the"] == vector.labels


def test_bm25_is_rebuilt_from_its_configuration(bm25):
    function = ChromaBm25EmbeddingFunction(k=2, stopwords=["x"], token_max_length=9)
    again = build_sparse({"type": "known", "name": "chroma_bm25", "config": function.get_config()})
    for other in (again, pickle.loads(pickle.dumps(function))):
        assert (function.get_config(), function(TEXTS)) == (other.get_config(), other(TEXTS))


@pytest.mark.filterwarnings("ignore")
def test_the_vectors_are_those_of_chroma():
    functions = pytest.importorskip("chromadb.utils.embedding_functions")
    for k, labels in itertools.product((1.2, 2.0), (False, True)):
        ours = ChromaBm25EmbeddingFunction(k=k, include_tokens=labels)
        theirs = functions.ChromaBm25EmbeddingFunction(k=k, include_tokens=labels)
        assert ours.get_config() == theirs.get_config()
        assert [v.to_dict() for v in theirs(TEXTS)] == [v.to_dict() for v in ours(TEXTS)]


@pytest.mark.filterwarnings("ignore")
def test_the_stop_words_are_those_of_chroma():
    tokenizer = pytest.importorskip("chromadb.utils.embedding_functions.schemas.bm25_tokenizer")
    assert {word for word in tokenizer.DEFAULT_CHROMA_BM25_STOPWORDS if "'" not in word} == STOP_WORDS
