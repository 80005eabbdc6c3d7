"""Text is embedded by the collection's function, and nothing is ever downloaded to do so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vicinal.embedding import (
    DefaultEmbeddingFunction,
    EmbeddingFunction,
    WordLlamaEmbeddingFunction,
    known_embedding_functions,
    register_embedding_function,
)
from vicinal.errors import EmbeddingFunctionError
from vicinal.testing import HashEmbeddingFunction

TEXTS = ["threads in Python", "the interpreter lock", "a recipe for bread", ""]

BLOCKED = """
import socket, sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def refuse(*args, **kwargs):
    raise AssertionError("a connection was tried")

sys.meta_path.insert(0, Absent())
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse

import vicinal
client = vicinal.EphemeralClient()
collection = client.create_collection("things")
{body}
"""


def run(body: str, home: Path, absent: tuple[str, ...] = ()) -> str:
    """What a fresh interpreter prints that has no network, no home and lacks some packages."""
    env = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"HF_HOME": str(home)}
    command = [sys.executable, "-W", "error", "-c", BLOCKED.format(absent=absent, body=body)]
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.strip()


CAUGHT = """
try:
    {call}
except vicinal.errors.MissingDependencyError as error:
    print(isinstance(error, ImportError), error.package, error.extra, error)
"""


class Lengths(EmbeddingFunction):
    """A text's length and a constant."""

    def __call__(self, input):
        return [[float(len(text)), 1.0] for text in input]


# --- the protocol ----------------------------------------------------------------------------


def test_a_function_need_only_be_called(client):
    collection = client.create_collection("things", embedding_function=Lengths())
    collection.add(ids="a", documents="four")
    assert [[4.0, 1.0]] == collection.get(include=["embeddings"])["embeddings"].tolist()


def test_a_function_that_overrides_nothing_says_what_it_lacks():
    with pytest.raises(NotImplementedError, match="EmbeddingFunction must implement __call__"):
        EmbeddingFunction()(["text"])


def test_queries_are_embedded_as_documents_unless_overridden():
    assert [[4.0, 1.0]] == Lengths().embed_query(["four"])


def test_a_function_has_chromas_defaults():
    assert ("l2", ["l2", "cosine", "ip"]) == (Lengths().default_space(), Lengths().supported_spaces())


@pytest.mark.parametrize(
    "answer",
    [
        [[4.0, 1.0]],
        [(4, 1)],
        ([4.0, 1.0],),
        np.array([[4.0, 1.0]]),
        np.array([[4, 1]], dtype=np.int8),
        [np.array([4.0, 1.0])],
        ({0: [4.0, 1.0]}).values(),
    ],
)
def test_a_function_may_answer_in_every_form(client, answer):
    collection = client.create_collection("things", embedding_function=lambda texts: answer)
    collection.add(ids="a", documents="four")
    assert [[4.0, 1.0]] == collection.get(include=["embeddings"])["embeddings"].tolist()


def test_a_function_gets_a_list_of_all_texts_at_once(client):
    given: list[Any] = []
    collection = client.create_collection(
        "things", embedding_function=lambda t: given.append(t) or [[1.0]] * len(t)
    )
    collection.add(ids=["a", "b"], documents=("one", "two"))
    collection.query(query_texts=("three", "four"))
    assert [["one", "two"], ["three", "four"]] == given


def test_a_functions_own_error_passes_through_and_nothing_is_written(client):
    def fail(texts: Any) -> Any:
        raise ConnectionError("the model is away")

    collection = client.create_collection("things", embedding_function=fail)
    with pytest.raises(ConnectionError, match="the model is away"):
        collection.add(ids="a", documents="text")
    assert 0 == collection.count()


def test_a_function_is_not_called_when_embeddings_are_given(client):
    collection = client.create_collection("things", embedding_function=lambda texts: 1 / 0)
    collection.add(ids="a", documents="text", embeddings=[1, 2])
    assert [["a"]] == collection.query([1, 2], ["text"])["ids"]


def test_a_function_is_not_called_for_a_batch_that_is_refused(client):
    collection = client.create_collection("things", embedding_function=lambda texts: 1 / 0)
    with pytest.raises(ValueError, match="Unequal lengths"):
        collection.add(ids=["a", "b"], documents=["text"])


def test_a_changed_dimension_is_refused(client):
    lengths = iter([2, 3])
    collection = client.create_collection("things", embedding_function=lambda texts: [[1.0] * next(lengths)])
    collection.add(ids="a", documents="one")
    with pytest.raises(ValueError, match="dimension of 2, got 3"):
        collection.add(ids="b", documents="two")
    assert ["a"] == collection.get()["ids"]


def test_a_class_is_no_function(client):
    with pytest.raises(ValueError, match="Lengths"):
        client.create_collection("things", embedding_function=Lengths).add(ids="a", documents="text")


@pytest.mark.parametrize("config", [{"a": object()}, {"a": np.float32(1)}, {"a": {1}}, [1]])
def test_a_configuration_that_is_no_json_is_refused(client, monkeypatch, config):
    class Named(Lengths):
        name = staticmethod(lambda: "tests-named")

        def get_config(self):
            return config

    monkeypatch.setitem(known_embedding_functions, "tests-named", Named)
    with pytest.raises(EmbeddingFunctionError, match="tests-named"):
        client.create_collection("things", embedding_function=Named())
    assert 0 == client.count_collections()


def test_registered_functions_are_known_by_name():
    expected = {
        "default": DefaultEmbeddingFunction,
        "wordllama": WordLlamaEmbeddingFunction,
        "vicinal-testing-hash": HashEmbeddingFunction,
    }
    assert expected == {name: known_embedding_functions.get(name) for name in expected}


def test_registering_returns_the_class(monkeypatch):
    monkeypatch.setattr("vicinal.embedding.registry.known_embedding_functions", {})
    assert HashEmbeddingFunction is register_embedding_function(HashEmbeddingFunction)


@pytest.mark.parametrize(
    "function", [DefaultEmbeddingFunction(), WordLlamaEmbeddingFunction(), HashEmbeddingFunction(7)]
)
def test_a_function_is_rebuilt_from_its_configuration(function):
    config = json.loads(json.dumps(function.get_config()))
    again = known_embedding_functions[function.name()].build_from_config(config)
    assert (type(function), config) == (type(again), again.get_config())


# --- for tests -------------------------------------------------------------------------------


def test_the_testing_function_is_deterministic():
    assert np.array_equal(HashEmbeddingFunction(16)(TEXTS), HashEmbeddingFunction(16)(TEXTS))


def test_the_testing_function_is_the_same_everywhere():
    (vector,) = HashEmbeddingFunction(4)(["red apple"])
    assert vector.tolist() == pytest.approx([0.25623515, 0.91778988, 0.20163994, -0.22659791])


def test_the_testing_functions_vectors_have_unit_length():
    lengths = np.linalg.norm(HashEmbeddingFunction(16)(TEXTS), axis=1)
    assert [1, 1, 1, 0] == pytest.approx(lengths.tolist())


# --- the default -----------------------------------------------------------------------------


def test_the_default_function_answers_with_256_dimensions():
    vectors = DefaultEmbeddingFunction()(TEXTS[:3])
    assert [(256,), (256,), (256,)] == [vector.shape for vector in vectors]


def test_the_default_functions_vectors_have_unit_length():
    vectors = np.array(DefaultEmbeddingFunction()(TEXTS[:3]))
    assert [1, 1, 1] == pytest.approx(np.linalg.norm(vectors, axis=1).tolist(), abs=1e-5)


def test_the_default_function_embeds_no_texts():
    assert [] == DefaultEmbeddingFunction()([])


def test_the_default_function_finds_what_is_meant(store):
    made = store.client.create_collection("things")
    made.add(ids=["a", "b", "c"], documents=TEXTS[:3])
    found = store.reopen(made).query(query_texts=["how to bake", "multithreading"], n_results=1)
    assert [["c"], ["a"]] == found["ids"]


@pytest.mark.parametrize("text", ["", " ", "\0", "😀" * 10, "word " * 5000, "<|endoftext|>"])
def test_the_default_function_embeds_any_text(client, text):
    collection = client.create_collection("things")
    collection.add(ids=["a", "b"], documents=[text, "other"])
    assert 2 == collection.count()


def test_a_batch_is_embedded_as_its_texts_are_one_by_one():
    function = DefaultEmbeddingFunction()
    one_by_one = [function([text])[0] for text in TEXTS[:3]]
    np.testing.assert_allclose(function(TEXTS[:3]), one_by_one, atol=1e-6)


def test_the_default_function_needs_no_network_and_leaves_no_files(tmp_path):
    body = "collection.add(ids='a', documents='text')\nprint(collection.query(query_texts='text')['ids'])"
    assert ("[['a']]", []) == (run(body, tmp_path), list(tmp_path.rglob("*")))


# --- without the optional packages -----------------------------------------------------------


@pytest.mark.parametrize(
    "call", ["collection.add(ids='a', documents='text')", "collection.query(query_texts='text')"]
)
def test_without_wordllama_text_says_what_to_install(tmp_path, call):
    told = run(CAUGHT.format(call=call), tmp_path, absent=("wordllama",))
    expected = ("True wordllama wordllama", 'pip install "vicinal[wordllama]"')
    assert (True, True) == (told.startswith(expected[0]), told.endswith(expected[1]))


@pytest.mark.parametrize("filters", ["where={'a': {'$regex': 'x'}}", "where_document={'$not_regex': 'x'}"])
def test_without_re2_a_regular_expression_says_what_to_install(tmp_path, filters):
    told = run(CAUGHT.format(call=f"collection.get({filters})"), tmp_path, absent=("re2",))
    expected = ("True google-re2 regex", 'pip install "vicinal[regex]"')
    assert (True, True) == (told.startswith(expected[0]), told.endswith(expected[1]))


def test_without_the_optional_packages_all_else_works(tmp_path):
    body = (
        "collection.add(ids='a', embeddings=[1, 2], documents='text', metadatas={'n': 'text'})\n"
        "where, where_document = {'n': {'$like': 't%'}}, {'$contains': 'ex'}\n"
        "print(collection.query([1, 2], where=where, where_document=where_document)['ids'])"
    )
    assert "[['a']]" == run(body, tmp_path, absent=("wordllama", "re2", "langchain_core", "llama_index"))
