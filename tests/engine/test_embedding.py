"""Text is embedded by the collection's function, and nothing is ever downloaded to do so."""

import importlib
import json
import os
import re
import subprocess
import sys
import warnings
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenacity

import vicinal
from vicinal import Schema, SparseVector, VectorIndexConfig
from vicinal._chroma.catalog import _function
from vicinal._inputs import checked_sparse
from vicinal.embedding import (
    DefaultEmbeddingFunction,
    EmbeddingFunction,
    WordLlamaEmbeddingFunction,
    config_to_embedding_function,
    known_embedding_functions,
    register_embedding_function,
    register_sparse_embedding_function,
)
from vicinal.embedding.registry import build, check_agreement, describe
from vicinal.embedding.sparse import SparseEmbeddingFunction, sparse_known_embedding_functions
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError, InvalidArgumentError
from vicinal.testing import HashEmbeddingFunction, nearest
from vicinal.types import Documents
from vicinal.utils import embedding_functions

EXTRAS = re.findall(
    r"^([\w-]+) = \[",
    (Path(__file__).parents[2] / "engine" / "pyproject.toml").read_text(encoding="utf-8"),
    re.MULTILINE,
)
ALIASES = {
    "EmbeddingFunction",
    "SparseEmbeddingFunction",
    "GoogleGenaiEmbeddingFunction",
    "ChromaLangchainEmbeddingFunction",
}
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
    [vector] = Lengths().embed_query(["four"])
    assert [4.0, 1.0] == vector.tolist()


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


def _passed_on(function):
    @wraps(function)
    def traced(*given, **named):
        return function(*given, **named)

    return traced


def one_each(texts):
    return [[float(len(text)), 1.0] for text in texts]


@pytest.mark.parametrize(
    "embed",
    [
        lambda self, input: one_each(input),
        lambda self, *, input: one_each(input),
        lambda self, prefix="", input=(): one_each(input),
        lambda self, **named: one_each(named["input"]),
        lambda self, *given: one_each(given[0]),
        lambda self, texts, **options: one_each(texts),
        lambda self, texts=(), **options: one_each(texts),
        lambda self, input, /: one_each(input),
        _passed_on(lambda self, *, input: one_each(input)),
        _passed_on(lambda self, texts: one_each(texts)),
    ],
)
@pytest.mark.parametrize("base", [object, EmbeddingFunction])
def test_a_function_is_given_its_texts_by_the_name_they_have_in_chroma(client, base, embed):
    """By position where it has no argument of that name."""

    def collection(name, **methods):
        return client.create_collection(name, embedding_function=type("Made", (base,), methods)())

    for made in collection("one", __call__=embed), collection("two", __call__=embed, embed_query=embed):
        made.add(ids=["a", "b"], documents=["four", "fifteen"])
        assert [["b"]] == made.query(query_texts=["fifteen"], n_results=1)["ids"]


def test_a_decorator_that_renames_the_texts_is_given_them_by_position(client):
    def function(input):
        return one_each(input)

    renaming = wraps(function)(lambda texts: function(list(texts)))
    made = client.create_collection("things", embedding_function=renaming)
    made.add(ids=["a", "b"], documents=["four", "fifteen"])
    assert [["b"]] == made.query(query_texts=["fifteen"], n_results=1)["ids"]


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


@pytest.mark.parametrize(
    "config", [{"a": object()}, {"a": np.float32(1)}, {"a": {1}}, {"a": float("nan")}, [1]]
)
def test_a_configuration_that_is_no_json_is_refused(client, monkeypatch, config):
    class Named(Lengths):
        name = staticmethod(lambda: "tests-named")
        build_from_config = staticmethod(lambda config: Named())

        def get_config(self):
            return config

    monkeypatch.setitem(known_embedding_functions, "tests-named", Named)
    with pytest.raises(EmbeddingFunctionError, match="tests-named"):
        client.create_collection("things", embedding_function=Named())
    assert 0 == client.count_collections()


@pytest.mark.parametrize("method", ["name", "get_config"])
def test_a_function_that_fails_to_describe_itself_works_and_is_not_remembered(store, method):
    class Failing(HashEmbeddingFunction):
        name = staticmethod(lambda: "tests-failing")

    setattr(Failing, method, lambda *_: {}["key"])
    with pytest.warns(UserWarning, match="Failing cannot be remembered .* KeyError"):
        made = store.client.create_collection("things", embedding_function=Failing(8))
    made.add(ids="a", documents="text")
    assert {"type": "legacy"} == store.reopen(made).configuration_json["embedding_function"]
    again = store.client.get_collection("things", embedding_function=Failing(8))
    assert [["a"]] == again.query(query_texts="text")["ids"]


def test_a_function_without_a_name_is_warned_of_a_space_that_it_does_not_support(client):
    class Cosines(Lengths):
        def supported_spaces(self):
            return ["cosine"]

    with pytest.warns(UserWarning, match="space l2 is not supported by Cosines"):
        client.create_collection("things", embedding_function=Cosines())


def test_methods_about_spaces_that_were_left_empty_leave_chromas(client, monkeypatch):
    monkeypatch.setattr("vicinal.embedding.registry.known_embedding_functions", {})

    class Stubs(HashEmbeddingFunction):
        name = staticmethod(lambda: "tests-no-space")

        def default_space(self):
            pass

        def supported_spaces(self):
            raise NotImplementedError

    made = client.create_collection("things", embedding_function=Stubs(8))
    assert "l2" == made.configuration_json["hnsw"]["space"]
    schema = Schema().create_index(VectorIndexConfig(embedding_function=Stubs(8)))
    assert "l2" == client.create_collection("others", schema).configuration_json["hnsw"]["space"]


def test_a_tuple_in_a_configuration_is_stored_as_a_list(monkeypatch):
    class Sized(HashEmbeddingFunction):
        name = staticmethod(lambda: "tests-sized")

        def get_config(self):
            return {"dimension": 8, "size": (1, 2)}

    monkeypatch.setitem(known_embedding_functions, "tests-sized", Sized)
    described = {"type": "known", "name": "tests-sized", "config": {"dimension": 8, "size": [1, 2]}}
    assert described == describe(Sized(8))
    check_agreement(describe(Sized(8)), describe(Sized(8)))


class Unbuildable(Lengths):
    """A function with a name that cannot be built from its configuration."""

    @staticmethod
    def name():
        return "tests-unbuildable"

    def get_config(self):
        return {}


def test_a_function_that_cannot_be_built_is_asked_for_when_it_is_needed(store, monkeypatch):
    monkeypatch.setattr("vicinal.embedding.registry.known_embedding_functions", {})
    made = store.client.create_collection("things", embedding_function=Unbuildable())
    made.add(ids="a", documents="text")
    store.reopen(made)
    fresh = store.client.get_collection("things")
    assert {"type": "legacy"} == fresh.configuration_json["embedding_function"]
    assert fresh.schema.vector_index.embedding_function is None
    with pytest.raises(EmbeddingFunctionError, match=r"pass embedding_function=\.\.\. to get_collection"):
        fresh.query(query_texts="text")
    given = store.client.get_collection("things", embedding_function=Unbuildable())
    assert [["a"]] == given.query(query_texts="text")["ids"]


def test_a_stored_function_that_cannot_be_built_says_so(monkeypatch):
    monkeypatch.setitem(known_embedding_functions, "tests-unbuildable", Unbuildable)
    with pytest.raises(EmbeddingFunctionError, match="has no build_from_config"):
        build({"type": "known", "name": "tests-unbuildable", "config": {}})


def test_a_package_that_building_a_function_lacks_is_named_as_it_names_itself(monkeypatch):
    class Lacking(HashEmbeddingFunction):
        build_from_config = staticmethod(lambda config: importlib.import_module("no_such_package"))

    monkeypatch.setitem(known_embedding_functions, "tests-lacking", Lacking)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'no_such_package'"):
        build({"type": "known", "name": "tests-lacking", "config": {}})


def test_a_function_whose_building_fails_is_named_and_the_schema_does_without_it(client, monkeypatch):
    class Keyed(HashEmbeddingFunction):
        name = staticmethod(lambda: "tests-keyed")
        build_from_config = staticmethod(lambda config: {}["A_KEY"])

    monkeypatch.setattr("vicinal.embedding.registry.known_embedding_functions", {})
    client.create_collection("things", embedding_function=Keyed(8))
    found = client.get_collection("things")
    with pytest.raises(EmbeddingFunctionError, match=r"tests-keyed could not be built .* KeyError.'A_KEY'"):
        found.query(query_texts="text")
    assert found.schema.vector_index.embedding_function is None


def test_methods_that_were_left_empty_make_no_configuration_and_no_function(store, monkeypatch):
    class Stubs(Lengths):
        @staticmethod
        def name():
            return "tests-stubs"

        def get_config(self):
            pass

        @staticmethod
        def build_from_config(config):
            pass

    monkeypatch.setattr("vicinal.embedding.registry.known_embedding_functions", {})
    made = store.client.create_collection("things", embedding_function=Stubs())
    made.add(ids="a", documents="text")
    store.reopen(made)
    given = store.client.get_collection("things", embedding_function=Stubs())
    assert [["a"]] == given.query(query_texts="text")["ids"]
    with pytest.raises(EmbeddingFunctionError, match="cannot make it again"):
        store.client.get_collection("things").query(query_texts="text")


def test_a_function_whose_name_was_left_empty_has_none(client):
    class Nameless(HashEmbeddingFunction):
        @staticmethod
        def name():
            pass

    made = client.create_collection("things", embedding_function=Nameless())
    assert {"type": "legacy"} == made.configuration_json["embedding_function"]


def test_a_function_that_cannot_be_built_is_still_not_another(client, monkeypatch):
    monkeypatch.setitem(known_embedding_functions, "tests-unbuildable", Unbuildable)
    client.create_collection("things", embedding_function=HashEmbeddingFunction())
    with pytest.raises(EmbeddingFunctionError, match="new: tests-unbuildable vs persisted"):
        client.get_collection("things", embedding_function=Unbuildable())


def test_a_function_without_length_is_a_function(client):
    class Counting(Lengths):
        def __len__(self):
            return 0

    made = client.create_collection("things", embedding_function=Counting())
    made.add(ids="a", documents="text")
    assert {"type": "legacy"} == made.configuration_json["embedding_function"]


@pytest.mark.parametrize(
    "answer",
    [
        [[1, 2]],
        ((1, 2),),
        np.array([[1.0, 2.0]]),
        [np.array([1, 2], np.float16)],
        iter([[1, 2]]),
        [1, 2],
        (np.float16(1), 2.0),
        np.array([1, 2]),
    ],
)
def test_a_function_that_is_called_answers_with_arrays(answer):
    class Answering(EmbeddingFunction):
        def __call__(self, input):
            return answer

    class Heir(Answering):
        def __call__(self, input):
            return [vector * 2 for vector in super().__call__(input=input)]

    [vector] = Heir()(["text"])
    assert (np.ndarray, np.float32, [2, 4]) == (type(vector), vector.dtype, vector.tolist())


def test_one_vector_does_for_one_text_alone(client):
    class Flat(EmbeddingFunction):
        def __call__(self, input):
            return [float(len(input[0])), 1.0]

    made = client.create_collection("things", embedding_function=Flat())
    made.add(ids="a", documents="text")
    assert [["a"]] == made.query(query_texts="text")["ids"]
    with pytest.raises(EmbeddingFunctionError, match=r"shape \(1, 2\) for 2 texts"):
        made.add(ids=["b", "c"], documents=["one", "two"])


def test_what_a_called_function_answers_instead_of_vectors_stays_as_it_is():
    class Answering(EmbeddingFunction):
        def __call__(self, input):
            return input

    assert (None, "no", ["x"]) == tuple(map(Answering(), (None, "no", ["x"])))


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


def test_registering_works_with_parentheses_too(monkeypatch):
    monkeypatch.setattr("vicinal.embedding.registry.known_embedding_functions", {})
    assert HashEmbeddingFunction is register_embedding_function()(HashEmbeddingFunction)


class Numbered:
    name = staticmethod(lambda: 5)


@pytest.mark.parametrize("cls", [5, "hash", HashEmbeddingFunction(), str, Numbered])
@pytest.mark.parametrize("register", [register_embedding_function, register_sparse_embedding_function])
def test_only_a_class_with_a_name_is_registered(register, cls):
    with pytest.raises(ArgumentTypeError):
        register(cls)
    with pytest.raises(ArgumentTypeError):
        register()(cls)


@pytest.mark.parametrize("missing", ["name", "get_config"])
def test_what_chromas_base_class_returns_for_nothing_is_no_name(monkeypatch, missing):
    class Old(HashEmbeddingFunction):
        pass

    monkeypatch.setattr(Old, missing, lambda *_: NotImplemented)
    assert {"type": "legacy"} == describe(Old(4))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("cls", "found"),
    [("DefaultEmbeddingFunction", "onnx_mini_lm_l6_v2"), ("ONNXMiniLM_L6_V2", "onnx_mini_lm_l6_v2")],
)
def test_one_of_chromas_own_objects_is_found_again_as_ours(cls, found):
    chromas = pytest.importorskip("chromadb.utils.embedding_functions")
    again = build(describe(getattr(chromas, cls)()))
    assert (found, "vicinal.embedding.providers.onnx") == (again.name(), type(again).__module__)


def test_the_default_function_leaves_the_filters_of_warnings_alone(monkeypatch):
    monkeypatch.setattr(warnings, "catch_warnings", None)
    (empty, blank) = embedding_functions.DefaultEmbeddingFunction()(["", "\x00"])
    assert ((256,), (256,), False) == (empty.shape, blank.shape, bool(np.isnan(empty).any()))


@pytest.mark.parametrize("answer", [None, 5])
def test_a_data_loader_that_returns_no_items_is_refused(client, answer):
    made = client.create_collection("things", embedding_function=Lengths(), data_loader=lambda uris: answer)
    kind = type(answer).__name__
    with pytest.raises(InvalidArgumentError, match=f"data loader returned {kind} for 1 URIs"):
        made.add(ids="a", uris=["a.png"])


@pytest.mark.parametrize("answer", [None, 5, [None]])
def test_a_sparse_function_that_returns_no_vectors_is_refused(answer):
    with pytest.raises(EmbeddingFunctionError, match="must return one SparseVector per text"):
        checked_sparse(lambda input: answer, answer, 1)


def test_headers_that_chroma_stores_are_not_stored_here(monkeypatch):
    config = {"model_name": "m", "default_headers": {"X-Api-Key": "sk-secret"}}
    stored = json.dumps({"type": "known", "name": "openai", "config": config})
    described = {"type": "known", "name": "openai", "config": {"model_name": "m"}}
    assert described == _function(json.loads(stored))

    class Theirs(HashEmbeddingFunction):
        name = staticmethod(lambda: "openai")
        get_config = lambda self: config  # noqa: E731

    monkeypatch.setattr(Theirs, "__module__", "chromadb.utils.embedding_functions")
    assert described == describe(Theirs(2))


def test_headers_that_were_stored_before_keep_nobody_out():
    before = {"type": "known", "name": "openai", "config": {"model_name": "m", "default_headers": {"X": "s"}}}
    given = {"type": "known", "name": "openai", "config": {"model_name": "m"}}
    assert check_agreement(before, given) is None


def test_a_conflict_shows_only_what_differs():
    one, other = (
        {"type": "known", "name": "tests-any", "config": {"model": model, "note": "sk-secret"}}
        for model in ("m", "n")
    )
    with pytest.raises(EmbeddingFunctionError, match=r"\(configurations {'model': 'n'} vs {'model': 'm'}\)$"):
        check_agreement(one, other)


def test_a_configuration_that_nothing_can_be_built_from_is_not_shown(monkeypatch):
    monkeypatch.setitem(known_embedding_functions, "tests-hash", HashEmbeddingFunction)
    with pytest.raises(EmbeddingFunctionError, match="could not be built") as refused:
        build({"type": "known", "name": "tests-hash", "config": {"dimension": {}, "note": "sk-secret"}})
    assert "sk-secret" not in str(refused.value)


def test_a_class_may_say_what_it_embeds():
    class Texts(EmbeddingFunction[Documents]):
        def __call__(self, input):
            return [[1.0] for _ in input]

    assert [[1.0]] == Texts()(["text"])


@pytest.mark.parametrize(
    ("function", "legacy"), [(HashEmbeddingFunction(2), False), (Lengths(), True), (Unbuildable(), True)]
)
def test_a_function_that_no_collection_can_remember_is_legacy(function, legacy):
    assert function.is_legacy() is legacy
    made = vicinal.EphemeralClient().create_collection("things", embedding_function=function)
    assert (made.configuration_json["embedding_function"]["type"] == "legacy") is legacy


class Legacy(HashEmbeddingFunction):
    """A function that could be made again, and says that it is not to be."""

    @staticmethod
    def name() -> str:
        return "tests-legacy"

    def __init__(self, dimension: int = 2, config: Any = None) -> None:
        super().__init__(dimension)
        self.config = config

    def get_config(self) -> Any:
        return {"config": self.config}

    @staticmethod
    def build_from_config(config: Any) -> Any:
        raise AssertionError("a collection does not remember it")

    def is_legacy(self) -> bool:
        return True


def test_a_function_that_says_it_is_legacy_is_not_remembered(store):
    made = store.client.create_collection("things", embedding_function=Legacy(config=object()))
    assert {"type": "legacy"} == made.configuration_json["embedding_function"]
    made.add(ids="a", documents="text")
    again = store.client.get_collection("things", embedding_function=Legacy(config="another"))
    assert [["a"]] == again.query(query_texts="text")["ids"]
    assert "tests-legacy" not in known_embedding_functions


@pytest.mark.filterwarnings("error")
def test_what_is_legacy_may_be_said_by_any_function():
    class Own:
        def __call__(self, input):
            return [[1.0] for _ in input]

        def name(self):
            return "tests-own"

        def get_config(self):
            return {}

        build_from_config = is_legacy = lambda *_: True

    assert {"type": "legacy"} == describe(Own())


def shaky(base, answer):
    """A function that answers at the third attempt."""

    class Shaky(base):
        attempts = 0

        def __call__(self, input):
            self.attempts += 1
            if self.attempts < 3:
                raise TimeoutError("try again")
            return [answer for _ in input]

    return Shaky()


@pytest.mark.parametrize(
    ("base", "answer"), [(EmbeddingFunction, [1.0]), (SparseEmbeddingFunction, SparseVector([3], [1.0]))]
)
def test_a_function_can_be_asked_until_it_answers(base, answer):
    assert [answer] == shaky(base, answer).embed_with_retries(["text"], stop=tenacity.stop_after_attempt(3))
    with pytest.raises(TimeoutError):
        shaky(base, answer).embed_with_retries(["text"], stop=tenacity.stop_after_attempt(2), reraise=True)


def test_a_function_is_built_from_a_name_and_a_configuration():
    made = config_to_embedding_function({"name": "vicinal-testing-hash", "config": {"dimension": 7}})
    assert {"dimension": 7} == {"dimension": made.get_config()["dimension"]}


@pytest.mark.parametrize("named", [{}, {"name": None}, {"name": ["vicinal-testing-hash"]}])
def test_a_configuration_without_a_name_is_refused(named):
    with pytest.raises(EmbeddingFunctionError, match="must contain a 'name' field"):
        config_to_embedding_function({**named, "config": {}})


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        ({"model": "m"}, {"model": "m"}),
        ({"model": "m"}, {"model": "m", "size": None}),
        ({"model": "m", "place": "here"}, {"model": "m", "place": "there"}),
        ({"model": "m", "place": "here"}, {"model": "m"}),
        ({"model": "m", "folder": "/old/models/m"}, {"model": "m", "folder": "moved/m"}),
    ],
)
def test_functions_agree_when_what_decides_about_the_vectors_is_equal(placed, stored, given):
    assert check_agreement(placed(stored), placed(given)) is None


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        ({"model": "m"}, {"model": "n"}),
        ({"model": "m"}, {"model": "m", "size": 4}),
        ({"folder": "models/m"}, {"folder": "models/n"}),
    ],
)
def test_functions_disagree_when_it_is_not(placed, stored, given):
    with pytest.raises(EmbeddingFunctionError, match="new: tests-placed vs persisted: tests-placed"):
        check_agreement(placed(stored), placed(given))


@pytest.fixture
def placed(monkeypatch):
    """Makes the description of a function whose `place` does not matter, nor where its `folder` is."""

    class Placed(Lengths):
        config_may_differ = frozenset({"place"})
        config_paths = frozenset({"folder"})

    monkeypatch.setitem(known_embedding_functions, "tests-placed", Placed)
    return lambda config: {"type": "known", "name": "tests-placed", "config": config}


def test_a_collection_opens_without_what_its_function_needs(store, monkeypatch):
    monkeypatch.setenv("TESTS_KEY", "sk-test")
    openai = pytest.importorskip("openai") and embedding_functions.OpenAIEmbeddingFunction
    made = store.client.create_collection(
        "things", embedding_function=openai(model_name="m", api_key_env_var="TESTS_KEY")
    )
    monkeypatch.delenv("TESTS_KEY")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    found = store.client.get_collection("things")
    found.add(ids="a", embeddings=[1, 2])
    with pytest.raises(EmbeddingFunctionError, match="TESTS_KEY environment variable is not set"):
        found.add(ids="b", documents="text")
    assert (1, "cosine") == (made.count(), made.configuration_json["hnsw"]["space"])


def test_every_function_of_the_documentation_is_there():
    page = (Path(__file__).parents[2] / "docs" / "embedding-functions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\S*` \| `(\w+)` \| `([\w-]+)` \|", page, re.MULTILINE)
    assert embedding_functions.get_builtins() - {cls for cls, _, _ in rows} <= ALIASES
    known = known_embedding_functions | sparse_known_embedding_functions
    assert {(cls, name) for cls, name, _ in rows} == {(known[name].__name__, name) for _, name, _ in rows}
    assert {extra for _, _, extra in rows} <= set(EXTRAS)


# --- for tests -------------------------------------------------------------------------------


def test_the_testing_function_is_deterministic():
    assert np.array_equal(HashEmbeddingFunction(16)(TEXTS), HashEmbeddingFunction(16)(TEXTS))


def test_the_testing_function_is_the_same_everywhere():
    (vector,) = HashEmbeddingFunction(4)(["red apple"])
    assert vector.tolist() == pytest.approx([0.25623515, 0.91778988, 0.20163994, -0.22659791])


def test_the_testing_functions_vectors_have_unit_length():
    lengths = np.linalg.norm(HashEmbeddingFunction(16)(TEXTS), axis=1)
    assert [1, 1, 1, 0] == pytest.approx(lengths.tolist())


@pytest.mark.parametrize("dimension", [0, -1, 1.5, "4", None])
def test_the_testing_functions_dimension_is_a_whole_number_from_1(dimension):
    with pytest.raises(InvalidArgumentError, match="dimension"):
        HashEmbeddingFunction(dimension)


def test_the_testing_functions_dimension_may_be_numpys_and_is_remembered():
    assert describe(HashEmbeddingFunction(np.int64(4)))["config"] == {"dimension": 4}


@pytest.mark.parametrize("space", ["dot", "", None])
def test_the_exact_answer_is_that_of_a_space_that_there_is(space):
    with pytest.raises(InvalidArgumentError, match="space: expected one of l2, cosine, ip"):
        nearest([1.0, 0.0], np.eye(2), 1, space)


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


def test_the_default_function_takes_no_pictures(client):
    collection = client.create_collection("things")
    with pytest.raises(EmbeddingFunctionError, match="DefaultEmbeddingFunction embeds text only"):
        collection.add(ids="a", images=[np.zeros((4, 4, 3), np.uint8)])


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
